# SPDX-License-Identifier: Apache-2.0
"""That what the guides and the threat model point at is there."""
import re
import unittest

from checking import DEPLOY, ROOT

PAGES = [
    *sorted((ROOT / "docs" / "guides").rglob("*.md")), ROOT / "docs" / "threat-model.md", ROOT / "docs" / "releases.md",
    *sorted(DEPLOY.glob("*/*.md")), *sorted(ROOT.glob("*.md")),
]


def anchors(text: str) -> set[str]:
    """The headings' names as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


class Documents(unittest.TestCase):
    def test_links_lead_somewhere(self):
        self.assertGreater(len(PAGES), 6)
        for page in PAGES:
            for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", page.read_text()):
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())
            for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
                with self.subTest(page=page.name, anchor=anchor):
                    text = (page.parent / target if target else page).read_text()
                    self.assertIn(anchor, anchors(text))

    def test_what_the_threat_model_names_exists(self):
        text = (ROOT / "docs" / "threat-model.md").read_text()
        named = re.findall(r"`((?:Sources|Tests|deploy)/[^`]+)`", text)
        self.assertGreater(len(named), 30)
        for path in named:
            with self.subTest(path):
                self.assertTrue((ROOT / path).exists())

    def test_each_guide_can_be_found_from_another_page(self):
        linked = set()
        for page in [*PAGES, *sorted((ROOT / "docs" / "reference").glob("*.md"))]:
            targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
            linked |= {(page.parent / target).resolve() for target in targets if page.parent / target != page}
        for guide in sorted((ROOT / "docs" / "guides").rglob("*.md")):
            with self.subTest(guide.name):
                self.assertIn(guide.resolve(), linked)

    def test_the_numbers_of_forms_are_the_sources(self):
        def found(path: str, pattern: str) -> str:
            return re.findall(pattern, (ROOT / "Sources" / path).read_text())[-1]

        table = (ROOT / "docs" / "releases.md").read_text().partition("## What fits together")[2]
        rows = {}
        for line in table.splitlines():
            if line.startswith("| ") and not line.startswith("| form"):
                cells = [cell.strip() for cell in line.split("|")[1:-1]]
                rows[cells[0].split(" (")[0].strip("`")] = cells[2]
        self.assertEqual(rows, {
            "store": found("Node/NodeStore/Schema.swift", r'registerMigration\(\s*"(\d+) '),
            "gossip": found("Decisions/Gossip/GossipMessage.swift", r"static let currentVersion = (\d+)"),
            "lists of blocks": found("Decisions/AccessControl/BlockPage.swift", r"static let version = (\d+)"),
            "canaries": "1",
            "ciphertext": found("Wire/XKSProtocol/Ciphertext/CiphertextMetadata.swift", r"static let currentVersion: UInt8 = (\d+)"),
            "frames between node and worker": found("Wire/LaneProtocol/LaneFrames.swift", r"static let version: UInt8 = (\d+)"),
            "/cluster/health": found("Wire/AdminProtocol/ClusterHealth.swift", r"static let schemaVersion = (\d+)"),
        })
