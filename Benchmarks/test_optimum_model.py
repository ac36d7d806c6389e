# SPDX-License-Identifier: Apache-2.0
"""Tests of the model of the best dispatcher: against queueing theory, and at HSMs whose best is plain to see."""

import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import optimum_model  # noqa: E402
import replies  # noqa: E402
from optimum_laws import HSM, Law, duration, percent  # noqa: E402
from optimum_model import Arrival  # noqa: E402


def arrivals(rate, seconds=20.0, store=0, calls=1, seed=1):
    """Poisson."""
    chance, due, found = random.Random(seed), 0.0, []
    while (due := due + chance.expovariate(rate)) < seconds:
        found.append(Arrival(due * 1000, store, calls))
    return found


def run(hsms, plan, deadline=200.0, **more):
    """The requests as they ended, and the calls of each HSM."""
    dispatcher = optimum_model.Dispatcher(hsms, deadline, **more)
    return dispatcher.run(sorted(plan, key=lambda one: one.due)), dispatcher.calls_by_hsm()


def served(requests):
    return sum(request.latency is not None for request in requests) / len(requests)


def mean(requests):
    times = [request.latency for request in requests if request.latency is not None]
    return sum(times) / len(times)


class LawTests(unittest.TestCase):
    def test_lines_of_the_control_file(self):
        self.assertEqual(Law(2).lines(), ("delay C_Encrypt 2ms", "delay C_Decrypt 2ms"))
        self.assertEqual(Law(0.5, exponential=True).lines()[0], "delay C_Encrypt exp 500us")
        self.assertEqual(
            Law(5, 0.0005, 148, serial=True).lines()[:3],
            ("delay C_Encrypt 5ms", "delay C_Encrypt 148ms share 0.05%", "serial C_Encrypt"))
        self.assertEqual((percent(0.03), percent(1), percent(0.000001)), ("3%", "100%", "0.0001%"))
        self.assertEqual((duration(60), duration(0.25)), ("60ms", "250us"))

    def test_what_calls_take(self):
        chance, law = random.Random(1), Law(2, 0.1, 100)
        times = [law.draw(chance) for _ in range(10_000)]
        self.assertEqual(set(times), {2, 102})
        self.assertAlmostEqual(sum(times) / len(times), law.mean, delta=1)
        self.assertEqual((law.remaining(0.5), law.remaining(2), law.remaining(52)), (1.5, 100, 50))
        self.assertEqual((HSM(Law(10), 4).capacity, HSM(Law(10, serial=True), 4).capacity), (400, 100))


class TheoryTests(unittest.TestCase):
    def test_one_server_with_exponential_times(self):
        # M/M/1: the mean sojourn is 1 / (service rate - arrival rate).
        requests, _ = run([HSM(Law(5, exponential=True), 1)], arrivals(120, 200), deadline=1e9)
        self.assertAlmostEqual(mean(requests), 1000 / (200 - 120), delta=1)

    def test_one_server_with_constant_times(self):
        # M/D/1: service × (1 + load / (2 × (1 - load))).
        requests, _ = run([HSM(Law(5), 1)], arrivals(160, 200), deadline=1e9)
        self.assertAlmostEqual(mean(requests), 5 * (1 + 0.8 / 0.4), delta=0.5)
        # So many sessions, and still one call at a time.
        serial, _ = run([HSM(Law(5, serial=True), 16)], arrivals(160, 200), deadline=1e9)
        self.assertEqual(mean(serial), mean(requests))

    def test_above_capacity_what_can_be_served_is_served(self):
        for factor in (1.1, 1.5, 3):
            with self.subTest(factor):
                requests, _ = run([HSM(Law(20), 4)], arrivals(200 * factor, 60))
                self.assertAlmostEqual(served(requests), 1 / factor, delta=0.01)
                self.assertLessEqual(max(one.latency for one in requests if one.latency), 200)


class ChoiceTests(unittest.TestCase):
    def test_waiting_for_a_fast_hsm_beats_a_free_lane_of_a_slow_one(self):
        requests, calls = run([HSM(Law(1)), HSM(Law(200))], arrivals(1400))
        self.assertEqual((calls[1], served(requests)), (0, 1.0))

    def test_a_slow_hsm_helps_when_the_fast_one_cannot_do_all(self):
        requests, calls = run([HSM(Law(5), 1), HSM(Law(20), 4)], arrivals(300))
        self.assertGreater(calls[1], 100)
        self.assertEqual(served(requests), 1.0)

    def test_weights_and_tiers(self):
        _, calls = run([HSM(Law(5), weight=200), HSM(Law(5))], arrivals(1100))
        self.assertAlmostEqual(calls[0] / sum(calls), 2 / 3, delta=0.01)
        _, calls = run([HSM(Law(5), 1), HSM(Law(1), tier=1)], arrivals(300))
        self.assertEqual(calls[1], 0)

    def test_a_step(self):
        requests, _ = run([HSM(Law(40), 16)], arrivals(100), steps=[(10_000.0, 0, Law(2))])
        self.assertEqual({round(one.latency) for one in requests if one.due < 9_900}, {40})
        self.assertEqual({round(one.latency) for one in requests if one.due > 10_000}, {2})


class FairnessTests(unittest.TestCase):
    def test_a_flood_of_one_key_store_takes_nothing_from_another(self):
        requests, _ = run([HSM(Law(20))], arrivals(700) + arrivals(10, store=1, seed=2))
        self.assertEqual(served([one for one in requests if one.store == 1]), 1.0)

    def test_key_stores_with_hsms_of_their_own(self):
        plan = arrivals(700) + arrivals(10, store=1, seed=2)
        requests, calls = run([HSM(Law(20)), HSM(Law(20))], plan, stores=((0,), (1,)))
        self.assertEqual(calls[1], sum(one.store == 1 for one in requests))
        self.assertEqual(served([one for one in requests if one.store == 1]), 1.0)

    def test_two_calls_are_refused_as_often_as_one(self):
        plan = sorted(arrivals(900) + arrivals(450, calls=2, seed=2), key=lambda one: one.due)
        requests, calls = run([HSM(Law(10), 16)], plan)
        shares = [served([request for one, request in zip(plan, requests) if one.calls == calls]) for calls in (1, 2)]
        self.assertAlmostEqual(shares[0], shares[1], delta=0.03)
        self.assertAlmostEqual(shares[0], 1600 / 1800, delta=0.03)
        self.assertAlmostEqual(sum(calls), 1600 * 20, delta=600)


class HedgeTests(unittest.TestCase):
    def best(self, hsms, plan):
        return optimum_model.best_of(hsms, 200.0, plan, self.p99, hedged=True)

    def p99(self, requests):
        return replies.percentile(sorted(one.latency for one in requests), 0.99)

    def test_a_second_call_hides_the_tail(self):
        law = Law(2, 0.05, 148)
        plain, _ = run([HSM(law, 16)] * 2, arrivals(300))
        self.assertGreater(self.p99(plain), 140)
        requests, calls = self.best([HSM(law, 16)] * 2, arrivals(300))
        self.assertLess(self.p99(requests), 5)
        self.assertAlmostEqual(sum(calls) / len(requests), 1.05, delta=0.02)
        # Alone, by another lane of its own.
        self.assertLess(self.p99(self.best([HSM(law, 16)], arrivals(300))[0]), 5)

    def test_never_more_than_the_budget(self):
        requests, calls = run([HSM(Law(10), 16)] * 2, arrivals(300), hedge_after=5.0)
        self.assertAlmostEqual(sum(calls) / len(requests), 1 + optimum_model.HEDGE_BUDGET, delta=0.01)

    def test_no_second_call_where_none_helps(self):
        requests, calls = self.best([HSM(Law(10), 16)] * 2, arrivals(300))
        self.assertEqual(sum(calls), len(requests))


if __name__ == "__main__":
    unittest.main()
