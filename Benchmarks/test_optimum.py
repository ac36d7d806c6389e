# SPDX-License-Identifier: Apache-2.0
"""Tests of how lines are judged, with invented rows."""

import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import open_loop  # noqa: E402
import optimum  # noqa: E402
import optimum_judgement  # noqa: E402
import quiet  # noqa: E402
from optimum_calls import Count  # noqa: E402
from optimum_catalogue import Freeze, Line, Require, Stream  # noqa: E402
from optimum_judgement import Figures, Observed  # noqa: E402
from optimum_laws import HSM, Law  # noqa: E402
from test_drills import row as drill_row  # noqa: E402


def row(stream=0, node=0, **words):
    return drill_row(**words) | {"stream": stream, "node": node}


def refused(**words):
    return row(status=429, name="ThrottlingException", **words)


def figures(p99=5.0, served=1.0, calls=1.0, streams=(1.0,), hsms=(1.0,)):
    return Figures(4.0, p99, served, calls, list(streams), list(hsms))


def line(rate=100.0, found=(HSM(Law(10)),), **more):
    """400 calls/s."""
    return Line("name", "title", found, more.pop("streams", (Stream(rate),)), **more)


def missed(one, found, observed=None, model=None):
    return optimum_judgement.misses(one, model or figures(), found, observed or Observed([row()], [Count(1)]))


class RequirementTests(unittest.TestCase):
    def assert_misses(self, sentences, *words):
        self.assertEqual(len(sentences), len(words), sentences)
        for sentence, word in zip(sentences, words):
            self.assertIn(word, sentence)

    def test_p99(self):
        self.assertEqual(missed(line(), figures(p99=10.5)), [])
        self.assert_misses(missed(line(), figures(p99=10.6)), "p99 was 10.6 ms instead of 10.5")
        self.assertEqual(missed(line(hedged=True), figures(p99=15.0)), [])
        self.assert_misses(missed(line(hedged=True), figures(p99=15.1)), "instead of 15.0")
        # Near what the HSMs can do it is not judged.
        self.assertEqual(missed(line(361.0), figures(p99=99.0)), [])
        self.assert_misses(missed(line(), figures(p99=math.nan)), "p99 was nan")

    def test_served_share_at_every_load(self):
        for rate in (100.0, 390.0, 800.0):
            self.assertEqual(missed(line(rate), figures(served=0.49), model=figures(served=0.5)), [])
            self.assert_misses(missed(line(rate), figures(served=0.48), model=figures(served=0.5)), "48.0%")

    def test_calls_for_an_answer(self):
        self.assertEqual(missed(line(399.0), figures(calls=1.1)), [])
        self.assert_misses(missed(line(399.0), figures(calls=1.11)), "1.110 calls")
        self.assertEqual(missed(line(401.0), figures(calls=1.25)), [])
        self.assert_misses(missed(line(401.0), figures(calls=1.26)), "instead of 1.25")

    def test_requirements_of_one_line(self):
        one = line(require=Require(calls_share=((1, 0.1, 0.2),)))
        self.assertEqual(missed(one, figures(hsms=(0.85, 0.15))), [])
        self.assert_misses(missed(one, figures(hsms=(0.7, 0.3))), "HSM 2 got 30.0%")
        one = line(require=Require(alike=(0, 1)))
        self.assertEqual(missed(one, figures(streams=(0.9, 0.86))), [])
        self.assert_misses(missed(one, figures(streams=(0.9, 0.8))), "not alike")
        one = line(streams=(Stream(70.0), Stream(10.0, store=1)), require=Require(served=((1, 0.99),)))
        self.assert_misses(missed(one, figures(streams=(1.0, 0.9))), "of the requests of 10/s 90.0%")
        one = line(require=Require(state_lines=1))
        self.assert_misses(missed(one, figures(), Observed([row()], [Count(1)], state_lines={"a": 1, "b": 2})), "b changed")
        one = line(require=Require(told_p99=10.0))
        self.assertEqual(missed(one, figures(), Observed([row()], [Count(1)], told_p99=9.0)), [])
        self.assert_misses(missed(one, figures(), Observed([row()], [Count(1)], told_p99=41.0)), "41.0 ms")
        self.assert_misses(missed(one, figures()), "no p99")
        one = line(steps=((2.0, 0, Law(2)),), require=Require(settles_within=1.0))
        self.assertEqual(missed(one, figures(), Observed([refused(offset=2.9)], [Count(1)])), [])
        self.assert_misses(missed(one, figures(), Observed([refused(offset=3.0)], [Count(1)])), "1 requests failed later")

    def test_a_worker_that_was_replaced_and_a_node_that_stood_still(self):
        self.assert_misses(missed(line(), figures(), Observed([row()], [Count(1)], replaced=["a"])), "worker of a")
        one = line(freezes=(Freeze(5.0, 2.0, (1,)),))
        rows = [refused(offset=6.0, node=1), row(offset=9.0)]
        self.assertEqual(missed(one, figures(p99=99.0, calls=2.0), Observed(rows, [Count(1)], alive_after=[1.0])), [])
        # The others go on, and the one that wakes up serves whatever comes then.
        for failed in (refused(offset=6.0, node=0), refused(offset=7.0, node=1)):
            self.assert_misses(missed(one, figures(), Observed(rows + [failed], [Count(1)])), "1 requests failed")
        self.assert_misses(missed(one, figures(), Observed(rows, [Count(1)], alive_after=[math.inf])), "alive never s")


class FiguresTests(unittest.TestCase):
    def test_what_is_seen(self):
        one = line(streams=(Stream(1.0), Stream(1.0, "encrypt+CDIV")), counts_from=2.0)
        rows = [
            row(offset=1.0), refused(offset=3.0), *[row(offset=3.0, ms=ms) for ms in (1.0, 2.0, 3.0)],
            row(offset=4.0, ms=9.0, stream=1), refused(offset=9.9)]
        found = optimum_judgement.seen(one, Observed(rows, [Count(4), Count(6)]), 10)
        self.assertEqual((found.p50, found.p99), (2.0, 9.0))
        self.assertEqual((found.served, found.streams), (0.8, [0.75, 1.0]))
        # Three answers of one call, and one of two.
        self.assertEqual((found.calls, found.hsms), (2.0, [0.4, 0.6]))

    def test_the_model_is_counted_alike(self):
        one = line(counts_from=2.0)
        plan = open_loop.arrivals(one.streams, 1, 10, 1)
        found = optimum.modelled(one, plan, [0.5], 10)
        self.assertEqual((found.served, found.calls), (1.0, 1.0))
        self.assertAlmostEqual(found.p50, 10.5)

    def test_a_machine_that_is_busy_is_told(self):
        self.assertEqual(optimum_judgement.disturbances(Observed([], [])), [])
        for words in ({"stolen": 0.01}, {"foreign": 0.2}, {"late": 1.5}):
            self.assertEqual(len(optimum_judgement.disturbances(Observed([], [], **words))), 1)
        self.assertIn("disturbed", optimum_judgement.row(line(), figures(), figures(), ["late"], ["busy"]))
        self.assertTrue(optimum_judgement.row(line(), figures(), figures(), ["late"], []).endswith(" no"))

    def test_time_that_processors_worked(self):
        tick = os.sysconf("SC_CLK_TCK")
        text = f"cpu {tick} {tick} {tick} 99 99 {tick} {tick} 7 0 0\ncpu0 1\n"
        self.assertEqual(quiet.busy_seconds(text), 5.0)


if __name__ == "__main__":
    unittest.main()
