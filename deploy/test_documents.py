# SPDX-License-Identifier: Apache-2.0
"""That what the guides and the threat model point at is there."""
import re
import unittest

from checking import DEPLOY, ROOT

PAGES = [
    *sorted((ROOT / "docs" / "guides").glob("*.md")), ROOT / "docs" / "threat-model.md", *sorted(DEPLOY.glob("*/*.md")),
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
