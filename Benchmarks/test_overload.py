# SPDX-License-Identifier: Apache-2.0
"""Tests of how drills are judged in which more is asked than the HSMs can do: invented rows."""

import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import judgement  # noqa: E402
import overload  # noqa: E402
from test_drills import refused, result, row  # noqa: E402


def throttled(ms=3.0, **words):
    return row(ms=ms, status=429, name="ThrottlingException", **words)


def stream(make, rate, begin, end):
    """Rows at a constant rate."""
    return [make(offset=begin + number / rate) for number in range(round(rate * (end - begin)))]


class OverloadTests(unittest.TestCase):
    """One HSM of 100 calls/s, asked for more from the beginning on, for 10 s."""

    OVERLOAD = overload.Overload(100.0, 0.0, 10.0)

    def missed(self, *groups):
        rows = [one for group in groups for one in group]
        return overload.misses(rows, self.OVERLOAD)

    def test_what_can_be_served_is_served_and_the_rest_is_told(self):
        self.assertEqual(self.missed(stream(row, 96, 0, 10), stream(throttled, 50, 0, 10)), [])

    def test_too_little_is_served(self):
        missed = self.missed(stream(row, 94, 0, 10), stream(throttled, 50, 0, 10))
        self.assertEqual(len(missed), 1)
        self.assertIn("94.", missed[0])

    def test_the_first_two_seconds_are_for_learning(self):
        self.assertEqual(self.missed(stream(row, 96, 2, 10), stream(throttled, 50, 0, 10)), [])
        self.assertEqual(len(self.missed(stream(row, 96, 3, 10), stream(throttled, 50, 0, 10))), 1)

    def test_an_answer_counts_when_it_comes_and_only_in_time(self):
        def late(offset):
            return row(offset=offset, ms=300.0, name="good, but after 250 ms")
        self.assertGreaterEqual(len(self.missed(stream(late, 96, 0, 10), stream(throttled, 50, 0, 10))), 2)
        self.assertEqual(overload.goodput([row(offset=1.9, ms=150.0)], 2.0, 3.0), 1.0)
        self.assertEqual(overload.goodput([row(offset=2.9, ms=150.0)], 2.0, 3.0), 0.0)

    def test_a_bad_ciphertext_is_as_many_calls_as_its_check(self):
        self.assertEqual(overload.goodput([refused(offset=2.0), row(offset=2.0)], 2.0, 3.0), 7.0)
        self.assertEqual(overload.goodput([refused("InternalException", 500, offset=2.0)], 2.0, 3.0), 0.0)

    def test_refusals_come_at_once(self):
        def slow(offset):
            return throttled(offset=offset, ms=21.0)
        self.assertEqual(len(self.missed(stream(row, 96, 0, 10), stream(slow, 50, 0, 10))), 1)
        self.assertEqual(
            self.missed(stream(row, 96, 0, 10), stream(throttled, 50, 0, 10), stream(slow, 49, 0, 10)), [])
        self.assertEqual(len(self.missed(stream(row, 96, 0, 10))), 1)

    def test_few_end_otherwise(self):
        def failed(offset):
            return row(offset=offset, status=503, name="DependencyTimeoutException")
        good = stream(row, 96, 0, 10), stream(throttled, 50, 0, 10)
        self.assertEqual(self.missed(*good, stream(failed, 1, 0, 10)), [])
        self.assertEqual(len(self.missed(*good, stream(failed, 2, 0, 10))), 1)

        def unchecked(offset):
            return refused("InternalException", 500, offset=offset)
        self.assertEqual(self.missed(*good, stream(unchecked, 5, 0, 10)), [])

    def test_nothing_final_and_nothing_wrong_all_the_same(self):
        rows = stream(row, 96, 0, 10) + stream(throttled, 50, 0, 10)
        final = row(offset=5.0, kind="decrypt", status=400, name="InvalidCiphertextException")
        whole = result(overload=self.OVERLOAD, sick=(0.0, math.inf), p999=math.nan)
        self.assertEqual(judgement.misses(whole | {"rows": rows}), [])
        self.assertEqual(len(judgement.misses(whole | {"rows": rows + [final]})), 1)
        self.assertEqual(len(judgement.misses(whole | {"rows": rows, "lost": {"a": 1}})), 1)
        self.assertTrue(judgement.is_worthless(whole | {"rows": [], "late": 51.0}))
        self.assertFalse(judgement.is_worthless(whole | {"rows": [final], "late": 51.0}))

    def test_the_table_counts_neither_refusals_nor_what_went_unchecked_as_failed(self):
        rows = [row(), throttled(), refused("InternalException", 500), row(status=503, name="late")]
        line = judgement.line(result(rows=rows, overload=self.OVERLOAD))
        self.assertEqual(line.split()[2:4], ["4", "1"])

    def test_remarks(self):
        rows = stream(row, 96, 0, 10) + stream(throttled, 50, 0, 10) + [throttled(offset=3.0, attempt=2)]
        text = overload.remarks(rows, self.OVERLOAD)[0]
        self.assertIn("96 calls/s of 100 (96.0%)", text)
        self.assertIn("1,461 requests, 1 of them once more, 501 were refused", text)


class SpellTests(unittest.TestCase):
    """An HSM of 100 calls/s that is asked for 75, and does a third of it from 5 to 8 s."""

    OVERLOAD = overload.Overload(33.0, 5.0, 8.0, is_spell=True)

    def missed(self, *more):
        rows = (stream(row, 75, 0, 5) + stream(row, 33, 5, 8) + stream(throttled, 42, 5, 8)
                + stream(row, 75, 8, 14))
        return overload.misses(rows + list(more), self.OVERLOAD)

    def test_a_spell_that_passes(self):
        self.assertEqual(self.missed(), [])

    def test_what_fails_after_it(self):
        self.assertEqual(self.missed(throttled(offset=8.9), row(offset=8.9, status=503, name="late")), [])
        self.assertEqual(len(self.missed(throttled(offset=9.0))), 1)
        self.assertEqual(len(self.missed(row(offset=13.0, status=503, name="late"))), 1)

    def test_what_fails_before_it(self):
        self.assertEqual(len(self.missed(throttled(offset=4.0))), 1)
        self.assertEqual(self.missed(throttled(offset=1.0)), [])
        # It was asked before, and met the spell.
        self.assertEqual(self.missed(row(offset=4.9, ms=200.0, status=503, name="late")), [])

    def test_half_a_second_is_for_learning(self):
        rows = stream(row, 33, 5.5, 8) + stream(throttled, 42, 5, 8)
        self.assertEqual(overload.misses(rows, self.OVERLOAD), [])
        rows = stream(row, 33, 6, 8) + stream(throttled, 42, 5, 8)
        self.assertEqual(len(overload.misses(rows, self.OVERLOAD)), 1)


if __name__ == "__main__":
    unittest.main()
