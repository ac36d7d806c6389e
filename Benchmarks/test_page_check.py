# SPDX-License-Identifier: Apache-2.0
import unittest

import page_check

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>State</title>
<link rel="stylesheet" href="/a.css"><script src="/a.js" defer></script></head><body>
<a href="#main">Skip</a><main id="main"><h1>State</h1><h2 id="t">Nodes</h2>
<svg role="img" aria-labelledby="n"><title id="n">Requests</title><path d="M0 0"/></svg><svg aria-hidden="true"></svg>
<section aria-labelledby="t"><table><caption>Nodes</caption><tr><th scope="col">a</th><td>b</td></tr></table></section>
<h3>A</h3><h2>B</h2></main></body></html>"""


class StructureTest(unittest.TestCase):
    def test_a_good_page_has_no_findings(self):
        self.assertEqual(page_check.structure(GOOD), [])

    def test_each_flaw_is_found(self):
        for old, new, finding in [
            ('<h1>State</h1>', '', "0 headings are of level 1"),
            ('<h1>', '<h1 style="color:red">', "a style stands in <h1> itself"),
            ('<h1>', '<h1 onclick="x()">', "a script stands in onclick of <h1>"),
            ('<script src="/a.js" defer>', '<script>', "a script stands in the page itself"),
            ('"/a.css"', '"https://x/a.css"', "<link> refers to another host: https://x/a.css"),
            ('<h3>A</h3>', '<h4>A</h4>', "a heading of level 4 follows one of level 2"),
            ('<th scope="col">', '<th>', "a head of a table has no scope"),
            ('<caption>Nodes</caption>', '', "a table has no caption"),
            (' lang="en"', '', "the page does not say its language"),
            ('<title>State</title>', '', "the page has no title"),
            ('id="t"', 'id="main"', "two elements have the id main"),
            ('#main', '#men', "nothing has the id men"),
            (' aria-hidden="true"', '', "a drawing is neither named nor hidden from screen readers"),
            ('</h3>', '', "</main> ends what is not open: body > main > h3"),
            ('</body></html>', '', "not ended: html body"),
            ('<h3>', '<img src="/a.png"><h3>', "a picture has no words"),
        ]:
            with self.subTest(finding=finding):
                self.assertIn(old, GOOD)
                found = page_check.structure(GOOD.replace(old, new, 1))
                self.assertTrue(any(item.startswith(finding) for item in found), found)


if __name__ == "__main__":
    unittest.main()
