# SPDX-License-Identifier: Apache-2.0
"""What lies in deploy/monitoring: promtool takes it, each alert has a case, and every metric that is named exists."""
import json
import re
import shutil
import subprocess
import unittest

import yaml

from checking import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
METRICS = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.M))
NAMES = re.compile(r"\b((?:claviger|process)_[a-z_]+)")
SUFFIXES = ("_bucket", "_sum", "_count")


def unknown(text: str) -> set[str]:
    """Names of metrics in it that no node has."""
    names = set(NAMES.findall(text))
    return {
        name
        for name in names
        if name not in METRICS and not any(name.removesuffix(end) in METRICS for end in SUFFIXES)
    }


class Monitoring(unittest.TestCase):
    def setUp(self) -> None:
        self.rules = [
            rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
        ]

    def promtool(self, *arguments: str) -> None:
        self.assertTrue(shutil.which("promtool"), "make setup installs it, with Debian's prometheus")
        done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_takes_rules_and_configuration(self) -> None:
        self.promtool("check", "rules", "alerts.yml")
        self.promtool("check", "config", "--syntax-only", "prometheus.yml")

    def test_each_alert_fires_where_it_should_and_not_before(self) -> None:
        self.promtool("test", "rules", "alerts_test.yml")
        fired: dict[str, set[bool]] = {}
        for block in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]:
            for case in block["alert_rule_test"]:
                fired.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
        self.assertEqual(fired, {rule["alert"]: {True, False} for rule in self.rules})

    def test_every_metric_that_is_named_exists(self) -> None:
        self.assertGreater(len(METRICS), 30)
        self.assertEqual(unknown("claviger_no_such_metric"), {"claviger_no_such_metric"})
        for rule in self.rules:
            self.assertEqual(unknown(rule["expr"]), set(), rule["alert"])
            self.assertTrue(NAMES.search(rule["expr"]) or "up{" in rule["expr"], rule["alert"])
        self.assertEqual(unknown((FOLDER / "dashboard.json").read_text()), set())

    def test_the_dashboard_is_whole(self) -> None:
        dashboard = json.loads((FOLDER / "dashboard.json").read_text())
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(set(ids)), len(ids))
        for panel in dashboard["panels"]:
            self.assertTrue(panel["title"] and panel["targets"], panel)
            for target in panel["targets"]:
                self.assertIn("$instance", target["expr"], panel["title"])

    def test_each_alert_has_its_runbook_and_each_runbook_its_alert(self) -> None:
        text = (ROOT / "docs/guides/runbooks.md").read_text()
        sections = dict(re.findall(r"(?ms)^## (\w+)$(.*?)(?=^## |\Z)", text))
        self.assertEqual(list(sections), [rule["alert"] for rule in self.rules])
        for rule in self.rules:
            with self.subTest(rule["alert"]):
                self.assertEqual(
                    rule["annotations"]["runbook_url"], f"docs/guides/runbooks.md#{rule['alert'].lower()}")
                for part in ("**Means:**", "**Over**"):
                    self.assertIn(part, sections[rule["alert"]])

    def test_the_guide_has_each_alert(self) -> None:
        guide = (ROOT / "docs/guides/monitoring.md").read_text()
        for rule in self.rules:
            self.assertIn(f"`{rule['alert']}`", guide)


if __name__ == "__main__":
    unittest.main()
