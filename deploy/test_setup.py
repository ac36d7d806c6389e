# SPDX-License-Identifier: Apache-2.0
"""What `setup.sh` would install for each purpose, on a machine that has nothing."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SETUP = Path(__file__).parent / "setup.sh"
# Packages that start a service, or that configure the host's network or its init.
DAEMONS = {"haproxy", "nftables", "systemd"}


def missing(*purpose: str) -> set[str]:
    """The packages that it names as missing where hardly a program is found, and nothing can be installed."""
    with tempfile.TemporaryDirectory() as programs:
        for name in ("cat", "uname"):
            Path(programs, name).symlink_to(shutil.which(name))
        result = subprocess.run(["/bin/bash", str(SETUP), *purpose], env={"PATH": programs}, capture_output=True,
                                text=True, check=False)
    if result.returncode != 1:
        raise AssertionError(result.stderr)
    return set(result.stderr.splitlines()[0].rpartition(": ")[2].split())


class SetupTests(unittest.TestCase):
    def test_building_and_running_want_no_daemon(self):
        for purpose in ("build", "run"):
            self.assertFalse(missing(purpose) & DAEMONS, purpose)
        self.assertIn("softhsm2", missing("run"))
        self.assertEqual(missing("build") & {"softhsm2", "make"}, {"make"})

    def test_the_conformance_run_gets_what_the_client_calls(self):
        self.assertLessEqual({"curl", "jq", "uuid-runtime", "xxd"}, missing("conformance"))

    def test_without_a_purpose_all_is_wanted(self):
        everything = missing()
        self.assertLessEqual({"systemd", "wrk", "uuid-runtime"}, everything)
        for purpose in ("build", "run", "test", "bench", "cluster", "conformance"):
            self.assertLessEqual(missing(purpose), everything, purpose)
        # Debian's own tools are wanted by who makes packages.
        self.assertLessEqual({"debhelper", "gcc"}, missing("package"))
        self.assertLessEqual({"lintian", "man-db"}, missing("package-test"))
        self.assertFalse({"debhelper", "debootstrap", "lintian"} & everything)

    def test_an_unknown_purpose_is_named(self):
        result = subprocess.run(["/bin/bash", str(SETUP), "everything"], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn('"everything"', result.stderr)


if __name__ == "__main__":
    unittest.main()
