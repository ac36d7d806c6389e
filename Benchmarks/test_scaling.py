# SPDX-License-Identifier: Apache-2.0
"""Tests of the scaling benchmark's own parts, without a node."""

import argparse
import contextlib
import io
import os
import sys
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import quiet  # noqa: E402
import scaling  # noqa: E402


class ScalingTests(unittest.TestCase):
    NAMES = ("one", "many", "loaded", "single")

    def missed(self, ratio=8.0, rate=9000.0, p50=1.5, refused=0, disturbed=()):
        def slices(rate, p50=1.0, refused=0):
            good = [{"rate": rate, "p50": p50, "p99": 9.0, "refused": refused, "broken": 0, "requests": 1,
                     "stolen": 0.0}] * 3
            return good + [good[0] | {"rate": 1.0, "p50": 99.0, "stolen": stolen} for stolen in disturbed]
        results = {"one": slices(700.0), "many": slices(700.0 * ratio), "loaded": slices(rate),
                   "single": slices(600.0, p50, refused)}
        self.assertEqual(len(scaling.table(results).splitlines()), 5)
        return scaling.misses(results, 3, *self.NAMES)

    def test_requirements(self):
        self.assertEqual(self.missed(), [])
        for changes in ({"ratio": 7.5}, {"rate": 7999.0}, {"p50": 1.6}, {"refused": 1}):
            with self.subTest(changes):
                self.assertEqual(len(self.missed(**changes)), 1)

    def test_disturbed_slices_do_not_count(self):
        self.assertEqual(self.missed(disturbed=(0.006, 0.5, 1.0, 0.02)), [])
        # What has failed has failed, disturbed or not.
        self.assertEqual(len(self.missed(refused=1, disturbed=(1.0,))), 1)

    def test_a_host_too_busy_gives_no_verdict(self):
        busy = [{"rate": 9000.0, "p50": 1.0, "p99": 2.0, "refused": 0, "broken": 0, "requests": 1, "stolen": 0.2}] * 3
        results = {name: busy for name in self.NAMES}
        self.assertEqual(len(scaling.table(results).splitlines()), 5)
        found = [sentence for sentence in scaling.misses(results, 3, *self.NAMES) if "undisturbed" in sentence]
        self.assertEqual(len(found), 4)

    def rounds(self, reading):
        """Two rounds of one measurement, while readings of stolen and of all ticks come from a function."""
        bench = scaling.Bench.__new__(scaling.Bench)
        bench._arguments = argparse.Namespace(rounds=2)
        with unittest.mock.patch("quiet.read", reading), contextlib.redirect_stderr(io.StringIO()):
            return bench.rounds({"a": lambda: {"rate": 1.0}})["a"]

    def test_rounds_go_on_until_enough_are_undisturbed(self):
        # Before and after each: warming up, then disturbed, good, disturbed, good.
        stolen = iter([0, 0, 0, 50, 50, 50, 50, 100, 100, 100])
        ticks = iter(range(0, 10**6, 100))
        slices = self.rounds(lambda: (next(stolen), next(ticks)))
        self.assertEqual([one["stolen"] > 0 for one in slices], [True, False, True, False])

    def test_patience_ends(self):
        ticks = iter(range(0, 10**6, 100))
        slices = self.rounds(lambda: (now := next(ticks), now))
        self.assertEqual(len(slices), scaling.PATIENCE_IN_ROUNDS * 2)


class QuietTests(unittest.TestCase):
    def test_the_kernel_s_line_is_read(self):
        self.assertEqual(quiet.parse("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 0 0\n"), (8, 36))
        for text in ("", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9"):
            with self.subTest(text), self.assertRaises(ValueError):
                quiet.parse(text)
        self.assertEqual(quiet.share((8, 36), (10, 236)), 0.01)
        self.assertEqual(quiet.share((8, 36), (8, 36)), 0)

    def test_this_machine_has_one(self):
        result = quiet.watched(lambda: {"rate": 1})
        self.assertEqual(result["rate"], 1)
        self.assertTrue(0 <= result["stolen"] <= 1)


if __name__ == "__main__":
    unittest.main()
