# SPDX-License-Identifier: Apache-2.0
"""Tests of how a soak is judged: invented samples."""

import math
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import soak  # noqa: E402
import soak_judgement  # noqa: E402
import soak_load  # noqa: E402


def line(per_hour, seconds=1_800, level=50.0, noise=0.0, begin=0.0, seed=1):
    """Samples each 5 s of what grows by so much an hour."""
    chance = random.Random(seed)
    return [
        (begin + at, level + per_hour * at / 3600 + chance.gauss(0, noise)) for at in range(0, seconds, 5)]


class SlopeTests(unittest.TestCase):
    def test_a_line_has_its_slope_and_no_error(self):
        gain, error = soak_judgement.slope([line(7.0)])
        self.assertAlmostEqual(gain, 7.0)
        self.assertAlmostEqual(error, 0.0, places=6)

    def test_the_error_is_that_of_least_squares(self):
        # Many soaks without growth: their slopes scatter as much as each says that it may.
        found = [soak_judgement.slope([line(0.0, noise=1.0, seed=seed)]) for seed in range(200)]
        scatter = math.sqrt(sum(gain * gain for gain, _ in found) / len(found))
        self.assertAlmostEqual(scatter / found[0][1], 1.0, delta=0.15)

    def test_workers_that_replace_each_other_have_a_slope_in_common(self):
        # Each later one begins at a higher level: a single line through all of them would rise by 600 an hour.
        epochs = [line(2.0, seconds=60, level=50.0 + 10 * number, begin=60.0 * number) for number in range(10)]
        self.assertAlmostEqual(soak_judgement.slope(epochs)[0], 2.0)

    def test_too_few_samples_have_none(self):
        self.assertIsNone(soak_judgement.slope([]))
        self.assertIsNone(soak_judgement.slope([[(0.0, 1.0), (5.0, 1.0)]]))

    def test_the_beginning_of_a_process_is_no_sample(self):
        self.assertEqual(soak_judgement.settled(line(0.0), "node")[0][0], 300.0)
        self.assertEqual(soak_judgement.settled(line(0.0, begin=100.0), "worker")[0][0], 120.0)
        self.assertEqual(soak_judgement.settled([], "worker"), [])


class JudgementTests(unittest.TestCase):
    def missed(self, node, seconds=1_800, counts=None, reasons=None):
        rows = soak_judgement.slopes({"node": {"MiB": [node]}})
        return soak_judgement.misses(rows, seconds, counts or {"requests": 10}, reasons or {})

    def test_what_does_not_grow_is_flat_and_what_shrinks_too(self):
        self.assertEqual(self.missed(line(0.0, noise=0.5)), [])
        self.assertEqual(self.missed(line(-40.0, noise=0.5)), [])
        self.assertEqual(self.missed(line(4.0)), [])

    def test_what_grows_is_not(self):
        missed = self.missed(line(20.0, noise=0.5))
        self.assertEqual(len(missed), 1)
        self.assertIn("MiB of the node grow by", missed[0])

    def test_a_short_soak_is_not_judged_by_slopes(self):
        self.assertEqual(self.missed(line(500.0, seconds=400), seconds=400), [])

    def test_a_long_one_without_samples_is(self):
        self.assertEqual(len(self.missed([])), 1)

    def test_requests_that_fail(self):
        missed = self.missed(line(0.0), counts={"requests": 9, "failed": 1}, reasons={"encrypt: 500": 1})
        self.assertEqual(len(missed), 1)
        self.assertIn("1 × encrypt: 500", missed[0])
        self.assertEqual(
            soak_judgement.misses([], 60, {}, {}), ["no request was sent"])

    def test_each_kind_has_the_answer_that_it_must_have(self):
        for kind, good, bad in (
                ("encrypt", 200, 500), ("health", 200, soak_load.UNTOLD), ("unsigned", 401, 200),
                ("spoiled", 400, 200), ("spoiled", 503, "no answer"), ("decrypt", 200, "another plaintext")):
            outcomes = soak_load.Outcomes()
            outcomes.note(kind, good, 0.3)
            self.assertEqual(dict(outcomes.counts), {"requests": 1, "late": 1}, kind)
            outcomes.note(kind, bad, 0.0)
            self.assertEqual(outcomes.counts["failed"], 1, kind)

    def test_this_process_can_be_looked_at(self):
        held = soak.look(os.getpid())
        self.assertEqual(set(held), set(soak_judgement.MOST))
        self.assertTrue(all(value > 0 for value in held.values()))
        with self.assertRaises((OSError, ValueError)):
            soak.look(2 ** 22 + 1)


if __name__ == "__main__":
    unittest.main()
