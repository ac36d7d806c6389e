# SPDX-License-Identifier: Apache-2.0
"""Tests of what is done and noted at the steps of a cluster drill, on a stage of mocks."""

import math
import os
import sys
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cluster_catalogue  # noqa: E402
import cluster_steps  # noqa: E402


class NodeStandIn(unittest.mock.Mock):
    """A node whose process is or is not there."""

    def __init__(self, number, runs):
        super().__init__()
        self.number, self.name, self.runs, self.hsms = number, f"node-{number}", runs, [f"hsm-{number}"]
        self.command.return_value = (0, "All nodes have it on disk.")
        self.ended.return_value = 0
        self.ask.return_value = {"hsms": [{"name": f"hsm-{number}", "state": "unavailable"}]}

    # Whatever a mock gives out is a plain mock.
    def _get_child_mock(self, **words):
        return unittest.mock.Mock(**words)


class StepsTests(unittest.TestCase):
    """What is noted of steps, on a stage on which nothing happens."""

    def setUp(self):
        self.nodes = {number: NodeStandIn(number, runs=number != 4) for number in (1, 2, 3, 4)}
        self.stage = unittest.mock.Mock(nodes=self.nodes, key="bar")
        self.stage.end.return_value = self.stage.dismiss.return_value = self.stage.wait_until_whole.return_value = []
        self.stage.balancer.wait_until_up.return_value = []
        self.stage.balancer.servers.side_effect = (
            {f"node-{number}": {"requests": count} for number in (1, 2, 3, 4)} for count in range(0, 1000, 7))
        self.steps = cluster_steps.Steps(self.stage, cluster_catalogue.Drill("", "", 0))
        self.record = self.steps.record

    def noticed(self):
        return [(one.node, one.observers, one.called) for one in self.record.noticed]

    def excuses(self, node, observer):
        """The times in which the observer may call the node dead or gone."""
        return [(one.begin, one.end) for one in self.record.excused if one.node == node and observer in one.observers]

    def test_the_node_in_reserve_need_not_be_seen_until_it_starts(self):
        self.assertEqual((self.excuses("node-4", "node-1"), self.noticed()), ([(-math.inf, math.inf)], []))
        self.steps.start((4,))
        self.assertLess(self.excuses("node-4", "node-1")[0][1], math.inf)
        self.assertEqual(self.record.returns[0].members, ("node-1", "node-2", "node-3", "node-4"))

    def test_a_death_is_noticed_by_those_that_live(self):
        self.steps.kill((2,))
        self.nodes[2].kill.assert_called_once()
        self.assertEqual(self.noticed(), [("node-2", ("node-1", "node-3"), "dead")])
        self.assertEqual(self.excuses("node-3", "node-2"), [])
        self.steps.start((2,))
        self.assertTrue(all(one.begin <= one.end < math.inf for one in self.record.noticed))
        self.assertEqual((len(self.record.returns), self.record.returns[0].limit), (1, 10.0))

    def test_a_node_that_hangs_is_as_good_as_dead(self):
        self.steps.freeze((3,))
        self.nodes[3].freeze.assert_called_once()
        self.assertEqual(self.noticed(), [("node-3", ("node-1", "node-2"), "dead")])
        self.assertEqual(self.excuses("node-1", "node-3"), [])
        self.steps.thaw((3,))
        self.nodes[3].thaw.assert_called_once()
        self.assertEqual((len(self.record.returns), self.record.returns[0].limit), (1, 5.0))

    def test_nobody_is_left_to_notice_the_death_of_all(self):
        self.steps.kill((1, 2, 3))
        self.assertEqual(self.noticed(), [])
        self.steps.start((1, 2, 3))
        # Of the death, and of the moment in which a node that has just begun judges nobody.
        self.assertEqual(len(self.excuses("node-3", "node-2")), 2)
        self.assertEqual(self.record.returns[0].members, ("node-1", "node-2", "node-3"))

    def test_a_node_that_has_just_begun_judges_nobody_for_a_second(self):
        self.steps.kill((2,))
        self.steps.start((2,))
        [(begin, end)] = self.excuses("node-3", "node-2")
        self.assertEqual((begin, end), (self.record.returns[0].time, self.record.returns[0].time))
        self.assertEqual(self.excuses("node-3", "node-1"), [])

    def test_who_ends_in_good_order_is_called_otherwise(self):
        self.stage.end.return_value = ["it did not end"]
        self.steps.restart((1,))
        self.assertEqual(self.noticed(), [("node-1", ("node-2", "node-3"), "left")])
        self.assertEqual(self.record.broken, ["it did not end"])
        self.nodes[1].start.assert_called_once()

    def test_a_node_is_drained_by_its_command(self):
        self.steps.drain((2,))
        self.nodes[2].command.assert_called_once_with("drain", "--wait")
        self.assertEqual(self.noticed(), [("node-2", ("node-1", "node-3"), "left")])
        self.assertGreaterEqual(self.record.noticed[0].ended, self.record.noticed[0].begin)
        self.assertEqual(self.record.broken, [])

    def test_a_drain_that_fails_is_told_and_carried_out_otherwise(self):
        for status, end in ((1, 0), (0, None), (0, 1)):
            self.nodes[2].command.return_value, self.nodes[2].ended.return_value = (status, "no"), end
            self.stage.end.return_value = ["it did not end"]
            with self.subTest(status=status, end=end):
                self.record.broken.clear()
                self.steps.drain((2,))
                self.assertEqual(len(self.record.broken), 2)
                self.assertEqual(self.record.broken[1], "it did not end")

    def test_nodes_are_upgraded_one_after_another(self):
        self.steps.upgrade((1, 2, 3))
        self.assertEqual([call[0] for call in self.stage.mock_calls if call[0] in ("end", "wait_until_whole")],
                         ["end", "wait_until_whole"] * 3)
        self.assertEqual(len(self.noticed()), 3)

    def test_both_sides_of_a_cut_notice(self):
        self.steps.cut((3,))
        self.stage.network.cut.assert_called_once_with(3, [1, 2])
        self.assertEqual(self.noticed(), [
            ("node-3", ("node-1", "node-2"), "dead"), ("node-1", ("node-3",), "dead"), ("node-2", ("node-3",), "dead")])
        self.assertEqual(self.excuses("node-1", "node-2"), [])
        self.steps.heal((3,))
        self.assertTrue(all(one.end < math.inf for one in self.record.noticed))
        self.stage.network.heal.assert_called_once()

    def test_a_node_that_got_no_request_teaches_nothing(self):
        self.steps.admit((4,))
        self.stage.balancer.set.assert_called_once_with("node-4", "ready")
        self.steps.dismiss((4,))
        self.assertEqual(self.record.broken, [])
        self.stage.dismiss.assert_called_once_with(self.nodes[4])
        self.assertIn(("node-4", ("node-1", "node-2", "node-3"), "left"), self.noticed())
        self.stage.balancer.servers.side_effect = lambda: {"node-4": {"requests": 5}}
        self.steps.admit((4,))
        self.steps.dismiss((4,))
        self.assertEqual(len(self.record.broken), 1)

    def test_hsms_must_have_been_away(self):
        self.steps.lose_hsms((1,))
        self.stage.faults.set.assert_called_once_with("hsm-1", "return CKR_DEVICE_ERROR *")
        self.steps.mend_hsms((1,))
        self.assertEqual(self.stage.faults.set.call_args, unittest.mock.call("hsm-1"))
        self.assertEqual(self.record.broken, [])
        self.nodes[1].ask.return_value["hsms"][0]["state"] = "active"
        self.steps.mend_hsms((1,))
        self.assertEqual(len(self.record.broken), 1)
        # Without a request, nothing is known of forwarding.
        self.nodes[1].ask.return_value["hsms"][0]["state"] = "unavailable"
        self.stage.balancer.servers.side_effect = lambda: {"node-1": {"requests": 5}}
        self.steps.lose_hsms((1,))
        self.steps.mend_hsms((1,))
        self.assertEqual(len(self.record.broken), 2)
        self.assertIn("were active again", self.record.notes[-1])

    def test_hsms_that_hang(self):
        self.steps.hang_hsms((1,))
        self.stage.faults.set.assert_called_once_with("hsm-1", "hang *")
        self.assertEqual(self.record.forwarding.node, "node-1")

    def test_hsms_that_stay_away_do_not_prolong_a_drill(self):
        self.nodes[1].serves.return_value = False
        drill = cluster_catalogue.Drill("", "", 0.1, [
            cluster_catalogue.Step(0.0, "lose_hsms", (1,)), cluster_catalogue.Step(0.05, "mend_hsms", (1,))])
        steps = cluster_steps.Steps(self.stage, drill)
        steps.do(time.monotonic())
        self.assertIn("were not active again", steps.record.notes[-1])

    def test_a_block_is_confirmed_by_all_that_can_be_reached(self):
        self.steps.block((1,))
        self.nodes[1].command.assert_called_with("block", "--key", "bar", "--reason", "drill")
        self.assertEqual((self.record.block.near, self.record.block.far), (("node-1", "node-2", "node-3"), ()))
        self.assertTrue(self.stage.blocked)
        self.steps.unblock((1,))
        self.assertFalse(self.stage.blocked)
        self.assertEqual(self.record.broken, [])
        self.nodes[1].command.return_value = (6, "NOT CONFIRMED: node-2. So.")
        self.steps.unblock((1,))
        self.assertTrue(self.stage.blocked)
        self.assertEqual(len(self.record.broken), 1)

    def test_a_block_beyond_a_cut_is_not_confirmed(self):
        self.steps.cut((3,))
        for status, text, count in (
                (6, "2 of 3. NOT CONFIRMED: node-3. So.", 0), (0, "NOT CONFIRMED: node-3. So.", 1), (6, "All.", 2),
                (6, "NOT CONFIRMED: node-2, node-3. So.", 3), (None, "", 4)):
            self.nodes[1].command.return_value = (status, text)
            self.steps.block((1,))
            self.assertEqual(len(self.record.broken), count, text)
        self.assertEqual((self.record.block.near, self.record.block.far), (("node-1", "node-2"), ("node-3",)))
        self.steps.heal((3,))
        self.assertLess(self.record.block.healed, math.inf)
        self.steps.block((1,))
        self.assertEqual(self.record.block.far, ())

    def test_everything_is_blocked_for_a_node_that_begins_with_nothing(self):
        self.steps.block_all((1,))
        self.nodes[1].command.assert_called_with("block", "--all", "--reason", "drill")
        self.assertEqual(self.stage.blocked, ("--all",))
        self.steps.isolate((3,))
        self.stage.network.cut.assert_called_once_with(3, [1, 2])
        self.assertEqual(self.noticed(), [])
        self.assertEqual(len(self.excuses("node-3", "node-1")), 1)
        self.steps.wipe((3,))
        self.assertEqual([call[0] for call in self.nodes[3].mock_calls], ["kill", "forget", "start"])
        self.assertEqual(self.record.block.wiped, "node-3")
        self.steps.heal((3,))
        self.assertLess(self.record.block.healed, math.inf)
        self.steps.unblock_all((1,))
        self.nodes[1].command.assert_called_with("unblock", "--all")
        self.assertEqual((self.stage.blocked, self.record.broken), ((), []))

    def test_a_block_that_ends_by_itself(self):
        self.steps.block_for((1,))
        self.nodes[1].command.assert_called_with("block", "--key", "bar", "--reason", "drill", "--expires", "12s")
        self.assertEqual((self.record.block.lasts, self.record.block.lifted), (12, math.inf))
        self.steps.do(time.monotonic())
        self.assertFalse(self.stage.blocked)

    def test_two_beginnings(self):
        for node in self.nodes.values():
            node.runs = False
            node.ask.return_value = {"verdict": "DEGRADED"}
        self.stage.bootstrap.return_value = []
        drill = cluster_catalogue.Drill("", "", 0.05, apart=(1, 2))
        steps = cluster_steps.Steps(self.stage, drill)
        steps.separate((1, 2))
        self.stage.network.cut.assert_called_once_with(2, (1,))
        steps.begin((1,))
        steps.begin((2,))
        self.stage.bootstrap.assert_called_once_with(1)
        self.assertEqual((steps.record.contest.nodes, steps.record.contest.together), (("node-1", "node-2"), math.inf))
        steps.unite((1, 2))
        self.assertLess(steps.record.contest.together, math.inf)
        for number in (1, 2):
            self.nodes[number].start.assert_called_once()
            self.nodes[number].runs = True
        steps.do(time.monotonic())
        self.assertEqual(steps.record.contest.verdicts, {"node-1": "DEGRADED", "node-2": "DEGRADED"})
        self.assertEqual(steps.record.broken, [])

    def test_what_ended_by_itself_is_told(self):
        self.nodes[3].runs = False
        self.steps.do(time.monotonic() + 0.01)
        self.assertEqual(len(self.record.broken), 1)

    def test_steps_are_done_in_time(self):
        drill = cluster_catalogue.Drill("", "", 0.06, [
            cluster_catalogue.Step(0.02, "freeze", (3,)), cluster_catalogue.Step(0.04, "thaw", (3,))])
        began = time.monotonic()
        self.nodes[3].thaw.side_effect = lambda: self.assertGreaterEqual(time.monotonic(), began + 0.04)
        steps = cluster_steps.Steps(self.stage, drill)
        steps.do(began)
        self.assertGreaterEqual(time.monotonic(), began + 0.06)
        self.assertEqual([call[0] for call in self.nodes[3].mock_calls], ["freeze", "thaw"])

    def test_steps_that_take_too_long_are_told(self):
        self.steps.do(time.monotonic() - 1)
        self.assertIn("took 1.0 s more", self.record.broken[0])


if __name__ == "__main__":
    unittest.main()
