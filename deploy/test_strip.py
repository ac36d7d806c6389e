# SPDX-License-Identifier: Apache-2.0
"""What `strip.sh` makes of a program: one that runs without symbols, and a file by which addresses are read."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from checking import DEPLOY, ROOT

SOURCE = """
int answer(int count) { return count * 40; }
int main(int count, char **words) { return answer(count) + 2; }
"""


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


class StripTests(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        (self.scratch / "program.c").write_text(SOURCE)
        self.built = self.scratch / "program"
        run("cc", "-g", "-O0", "-o", self.built, self.scratch / "program.c")
        self.address = next(line.split()[0] for line in run("nm", self.built).splitlines() if line.endswith(" T answer"))

    def test_the_program_runs_without_symbols_and_its_addresses_can_be_read(self):
        out = self.scratch / "out"
        said = run(DEPLOY / "strip.sh", self.built, out)
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["program", "program.debug"])
        self.assertEqual(subprocess.run([out / "program"], check=False).returncode, 42)
        self.assertLess((out / "program").stat().st_size, self.built.stat().st_size)
        sections = run("readelf", "--sections", "--wide", out / "program")
        self.assertNotRegex(sections, r"\.symtab|\.debug_info")
        self.assertIn(".gnu_debuglink", sections)
        # By the name of the file with the symbols, and by that of the program beside it.
        for name in ("program.debug", "program"):
            read = run("addr2line", "-f", "-e", out / name, self.address)
            self.assertIn("answer", read)
            self.assertRegex(read, r"program\.c:2")
        self.assertIn("program.debug", said)

    def test_what_could_not_be_made_whole_is_not_put_there(self):
        out = self.scratch / "out"
        text = self.scratch / "text"
        text.write_text("no program")
        result = subprocess.run([DEPLOY / "strip.sh", text, out], capture_output=True, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(list(out.iterdir()), [])

    def test_a_release_and_the_image_are_stripped_by_it(self):
        """Before, `make release` ended with a program of 212 MB, and the image had one whose symbols were nowhere."""
        makefile = (ROOT / "Makefile").read_text()
        [recipe] = re.findall(r"(?m)^release:.*\n((?:\t.*\n)+)", makefile)
        self.assertIn("deploy/strip.sh", recipe)
        dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
        self.assertIn("deploy/strip.sh", dockerfile)
        for document in (ROOT / "README.md", DEPLOY / "systemd" / "README.md"):
            self.assertNotIn(".build/release/claviger", document.read_text(), document)
