# SPDX-License-Identifier: Apache-2.0
"""Tests of the open loop, with a stand-in for a node."""

import os
import statistics
import sys
import threading
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import load  # noqa: E402
import open_loop  # noqa: E402
from optimum_catalogue import Stream  # noqa: E402
from test_drills import QuietServer  # noqa: E402


class ArrivalTests(unittest.TestCase):
    def test_they_are_poisson(self):
        plan = open_loop.arrivals([Stream(500.0)], 1, 60, 1)
        self.assertAlmostEqual(len(plan) / 60, 500, delta=20)
        gaps = [after[0] - before[0] for before, after in zip(plan, plan[1:])]
        # The standard deviation of an exponential distribution is its mean.
        self.assertAlmostEqual(statistics.stdev(gaps) * 500, 1, delta=0.05)

    def test_they_are_merged_in_order_and_nodes_take_turns(self):
        plan = open_loop.arrivals([Stream(100.0), Stream(50.0)], 3, 10, 1)
        self.assertEqual([due for due, _, _ in plan], sorted(due for due, _, _ in plan))
        self.assertEqual([node for _, _, node in plan[:6]], [0, 1, 2, 0, 1, 2])
        self.assertAlmostEqual(sum(stream for _, stream, _ in plan) / len(plan), 1 / 3, delta=0.05)

    def test_a_seed_makes_the_same_ones_again(self):
        made = [open_loop.arrivals([Stream(100.0)], 1, 5, seed) for seed in (1, 1, 2)]
        self.assertEqual(made[0], made[1])
        self.assertNotEqual(made[0], made[2])


class DrivingTests(unittest.TestCase):
    def server(self):
        server = QuietServer()
        self.addCleanup(server.ending.set)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        info = {"url": f"http://127.0.0.1:{server.server_port}", "prefix": "/p", "access_key_id": "A" * 20,
                "secret": "s" * 43, "keys": ["foo"]}
        return server, info

    def drive(self, infos, plan, patience=10):
        """In a process of its own, as for a line; a busy machine must not make a test fail."""
        patch = unittest.mock.patch.object(load, "KMS_PATIENCE", patience)
        patch.start()
        self.addCleanup(patch.stop)
        ours, theirs = load.pipe()
        child = load.Child(open_loop.drive, plan, ["encrypt"], [infos], 32, theirs)
        self.addCleanup(child.stop)
        self.assertTrue(ours.poll(20))
        self.assertEqual(ours.recv(), "ready")
        ours.send(time.monotonic())
        return child.result()

    def test_every_request_has_a_row(self):
        servers = [self.server() for _ in range(2)]
        plan = open_loop.arrivals([Stream(100.0)], 2, 0.5, 1)
        outcome = self.drive([info for _, info in servers], plan)
        rows = sorted(outcome["rows"], key=lambda row: row["offset"])
        self.assertEqual([(row["offset"], row["stream"], row["node"]) for row in rows], plan)
        self.assertEqual({(row["status"], row["name"]) for row in rows}, {(200, None)})
        self.assertEqual(len({row["id"] for row in rows}), len(plan))
        self.assertGreater(outcome["cpu"], 0)

    def test_an_answer_that_is_missing_delays_no_other_request(self):
        server, info = self.server()
        # Nobody is answered before ten are there.
        server.mode = "together"
        outcome = self.drive([info], [(number / 50, 0, 0) for number in range(10)])
        self.assertEqual({row["name"] for row in outcome["rows"]}, {None})
        # The first has waited for the last: its latency counts from when it was due.
        self.assertGreaterEqual(max(row["ms"] for row in outcome["rows"]), 180)

    def test_failures_have_names_and_patience_ends(self):
        server, info = self.server()
        server.mode = "refuse"
        self.assertEqual(
            {(row["status"], row["name"]) for row in self.drive([info], [(0.0, 0, 0)])["rows"]},
            {(503, "DependencyTimeoutException")})
        server.mode = "silent"
        self.assertEqual(
            {(row["status"], row["name"]) for row in self.drive([info], [(0.0, 0, 0)], 0.1)["rows"]},
            {(0, "no answer within 0.1 s")})


if __name__ == "__main__":
    unittest.main()
