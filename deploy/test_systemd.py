# SPDX-License-Identifier: Apache-2.0
"""The systemd unit: that systemd understands it, and how much it leaves open."""
import re
import tempfile
import unittest
from pathlib import Path

from checking import DEPLOY, ROOT, run, seconds, tool

UNIT = DEPLOY / "systemd" / "claviger.service"


def default(reference: str, key: str) -> int:
    """The default of a key with a number, from the reference."""
    section = reference.split(f"`{key}`", 1)[1]
    return int(re.search(r"Default: `?([\d,]+)", section)[1].replace(",", ""))


class Systemd(unittest.TestCase):
    def test_exposure_is_below_two(self):
        result = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(UNIT))
        found = re.search(r"Overall exposure level for claviger\.service: ([0-9.]+)", result.stdout)
        self.assertIsNotNone(found, result.stdout + result.stderr)
        self.assertLess(float(found[1]), 2.0)

    def test_systemd_understands_every_line(self):
        with tempfile.TemporaryDirectory() as scratch:
            # The program is not installed where tests run.
            unit = Path(scratch) / "claviger.service"
            unit.write_text(UNIT.read_text().replace("/usr/bin/claviger", "/bin/true"))
            result = run(tool("systemd-analyze"), "verify", "--man=no", str(unit))
        self.assertEqual((result.returncode, result.stderr.strip()), (0, ""))

    def test_systemd_makes_the_user(self):
        path = DEPLOY / "systemd" / "claviger.sysusers.conf"
        result = run(tool("systemd-sysusers"), "--dry-run", str(path))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(path.read_text(), r"(?m)^u claviger ")
        self.assertIn("\nUser=claviger\n", UNIT.read_text())

    def test_a_node_has_time_to_end(self):
        unit = UNIT.read_text()
        limit = seconds(re.search(r"^TimeoutStopSec=(\d+s)$", unit, re.MULTILINE)[1])
        delay = re.search(r"^#? ?drain_delay = \"(\d+s)\"", (DEPLOY / "claviger.toml").read_text(), re.MULTILINE)[1]
        self.assertGreater(limit, seconds(delay) + 15)
        # Workers are told by the node, after the requests in flight.
        self.assertIn("\nKillMode=mixed\n", unit)

    def test_workers_may_give_up_rights(self):
        # Refused, they would run without the compartment, and say so.
        allowed = re.findall(r"^SystemCallFilter=(?!~)(.*)$", UNIT.read_text(), re.MULTILINE)
        calls = {word for line in allowed for word in line.split()}
        self.assertLessEqual(
            {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"}, calls)

    def test_orders_show_who_gave_them(self):
        unit = UNIT.read_text()
        # In a user name space of its own the node would see everybody but itself as nobody.
        self.assertRegex(unit, r"(?m)^PrivateUsers=no$")
        self.assertNotRegex(unit, r"(?m)^PrivateUsers=(?!no$)")
        # As the node's user its processes may be hidden from it, and it would take the order for a library's.
        self.assertRegex(unit, r"(?m)^ExecReload=\+/usr/bin/claviger reload ")

    def test_limits_fit_the_defaults(self):
        unit = UNIT.read_text()
        reference = (ROOT / "docs/reference/configuration.md").read_text()
        connections = default(reference, "max_connections")
        sessions = default(reference, "sessions")
        descriptors = int(re.search(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)[1])
        # DescriptorPlan.swift: of the cluster, control and admin listener, of 16 HSMs, and the process's own.
        others = 1_024 + 64 + 32 + 16 * 3 * (sessions + 1) + 64 + 200
        self.assertGreaterEqual(descriptors, connections + others)
        # A node under attack stays below 200 MB; bodies of requests take what [xks] lets them.
        memory = re.search(r"^MemoryMax=(\d+)G$", unit, re.MULTILINE)
        self.assertGreaterEqual(int(memory[1]), 1)
        # One library's greed is not the end of the node.
        self.assertIn("\nOOMPolicy=continue\n", unit)
        # journald drops whatever comes beyond its limit, orders among it.
        self.assertIn("\nLogRateLimitIntervalSec=0\n", unit)

    def test_the_node_tells_systemd_how_it_is(self):
        """Before, the unit counted as started when the program had been executed, and a hanging node as running."""
        unit = UNIT.read_text()
        self.assertRegex(unit, r"(?m)^Type=notify$")
        # Workers, with their vendors' libraries, have nothing to say there.
        self.assertRegex(unit, r"(?m)^NotifyAccess=main$")
        self.assertRegex(unit, r"(?m)^WatchdogSec=[1-9]\d*s$")

    def test_the_commands_exist(self):
        source = "".join(path.read_text() for path in (ROOT / "Sources/claviger/Commands").glob("*.swift"))
        for command in re.findall(r"^Exec\w+=\+?/usr/bin/claviger (\w+)", UNIT.read_text(), re.MULTILINE):
            self.assertIn(f'commandName: "{command}"', source)
