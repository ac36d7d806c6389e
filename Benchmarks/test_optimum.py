# SPDX-License-Identifier: Apache-2.0
"""Tests of how lines are judged, with invented rows, and of the catalogue."""

import math
import os
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import open_loop  # noqa: E402
import optimum  # noqa: E402
import optimum_calls  # noqa: E402
import optimum_catalogue  # noqa: E402
import optimum_judgement  # noqa: E402
import optimum_stage  # noqa: E402
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
        self.assert_misses(missed(line(399.0), figures(calls=1.11)), "1.11 calls")
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


class CatalogueTests(unittest.TestCase):
    def test_names_and_numbers(self):
        lines = optimum_catalogue.lines()
        self.assertEqual(len({one.name for one in lines}), len(lines))
        for one in lines:
            with self.subTest(one.name):
                self.assertLess(len(one.title), optimum_judgement.COLUMNS[0][1])
                self.assertEqual({hsm.node for hsm in one.hsms}, set(range(one.nodes)))
                self.assertLess(one.counts_from, one.seconds or 15)
                # Every requirement can be judged.
                optimum_judgement.misses(
                    one, figures(), figures(streams=[1.0] * len(one.streams), hsms=[1.0] * len(one.hsms)),
                    Observed([row()], [Count(1)]))
                self.assertEqual({stream.store for stream in one.streams}, set(range(len(one.stores) or 1)))
                self.assertTrue(all(freeze.begin + freeze.seconds < one.seconds - 2 for freeze in one.freezes))
                # Tails are what second calls are for.
                self.assertEqual(one.hedged, any(hsm.law.share > 0 for hsm in one.hsms))

    def test_load_is_that_of_the_key_stores_that_ask_most(self):
        loads = {one.name: one.load for one in optimum_catalogue.lines()}
        self.assertAlmostEqual(loads["stores-shared"], 710 / 400)
        self.assertAlmostEqual(loads["stores-apart"], 700 / 400)
        self.assertAlmostEqual(loads["integrity"], 1800 / 1600)
        self.assertAlmostEqual(loads["tiers"], 300 * 3.48 / 1000 / 16, delta=0.001)


class StageStandIn:
    """What `optimum_stage.Nodes` needs to know of a stage."""

    module = "/faulty.so"

    class tokens:
        names = ["hsm-1", "hsm-2", "hsm-3"]
        configuration = {
            "node": {"id": "dev"}, "xks": {"plaintext": True}, "keystore": [{"path_prefix": "/first", "keys": ["foo"]}],
            "hsm": [{"name": name, "module": "/soft.so", "env": {}} for name in names]}

        @classmethod
        def faulty(cls, module, faults):
            return [hsm | {"module": module, "env": {"CONTROL": faults.file(hsm["name"])}}
                    for hsm in cls.configuration["hsm"]]

    def __init__(self, directory):
        self.directory = directory

    @staticmethod
    def identity(number):
        return "ca", f"certificate-{number}", f"key-{number}"


class NodesTests(unittest.TestCase):
    def nodes(self, one):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return optimum_stage.Nodes(StageStandIn(directory.name), one, "name")

    def test_one_node(self):
        one = line(found=(HSM(Law(2), 16, weight=200), HSM(Law(20), also=("hang C_Login",), tier=1)),
                   streams=(Stream(1.0), Stream(1.0, store=1)), stores=((0, 1), (1,)), xks={"max_connections": 9})
        nodes = self.nodes(one)
        made = nodes.configuration(0)
        self.assertEqual([(hsm["sessions"], hsm["tier"], hsm["weight"]) for hsm in made["hsm"]],
                         [(16, 0, 200), (4, 1, 100)])
        self.assertTrue(all("FAULTY_PKCS11_COUNTS" in hsm["env"] for hsm in made["hsm"]))
        self.assertEqual(made["xks"], {"plaintext": True, "max_connections": 9})
        self.assertEqual([store["hsms"] for store in made["keystore"]], [["hsm-1", "hsm-2"], ["hsm-2"]])
        self.assertEqual(len({store["path_prefix"] for store in made["keystore"]}), 2)
        self.assertNotIn("cluster", made)
        with open(made["hsm"][1]["env"]["CONTROL"], encoding="ascii") as file:
            self.assertEqual(file.read(), "[*]\ndelay C_Encrypt 20ms\ndelay C_Decrypt 20ms\nhang C_Login\n")

    def test_three_nodes(self):
        one = line(found=tuple(HSM(Law(2), node=node) for node in range(3)), nodes=3)
        nodes = self.nodes(one)
        made = [nodes.configuration(number) for number in range(3)]
        self.assertEqual([[hsm["name"] for hsm in node["hsm"]] for node in made], [["hsm-1"], ["hsm-2"], ["hsm-3"]])
        self.assertEqual(len({node["node"]["id"] for node in made}), 3)
        self.assertEqual(len({node["cluster"]["advertise"] for node in made}), 3)
        self.assertTrue(all(node["cluster"]["advertise"] in node["cluster"]["seeds"] for node in made))


class ClockTests(unittest.TestCase):
    def test_everything_is_done_in_its_order(self):
        done = []

        class Nodes:
            nodes = [None, None]

            def __getattr__(self, name):
                def act(*arguments):
                    done.append((name, *arguments))
                    return len(done)
                return act

        law = Law(9)
        clock = optimum.Clock(
            line(steps=((4.0, 0, law),), freezes=(Freeze(5.0, 2.0, (1,)),), counts_from=3.0), Nodes(), 10)
        # All of it is due.
        clock.run(time.monotonic() - 20)
        self.assertEqual(
            [name for name, *_ in done], ["calls", "set_law", "freeze", "thaw", "seconds_until_alive", "calls"])
        self.assertEqual((done[1][1:], done[2][1:], clock.counts, clock.alive_after), ((0, law), ((1,),), [1, 6], [5]))


class CountsTests(unittest.TestCase):
    def test_rows_of_the_module(self):
        with tempfile.NamedTemporaryFile() as file:
            for name, calls, ns in (
                    (b"C_Encrypt", 5, 10_000_000), (b"C_EncryptInit", 9, 3_000_000), (b"C_Decrypt", 2, 5_000_000),
                    (b"C_Login", 1, 7), (b"", 0, 0)):
                file.write(struct.pack("32s32sQQ", b"token", name, calls, ns))
            file.flush()
            self.assertEqual(optimum_calls.counted(file.name), Count(7, 15.0, 3.0))
        self.assertEqual(Count(7, 15.0, 3.0).since(Count(2, 5.0, 1.0)), Count(5, 10.0, 2.0))

    def test_what_calls_take_besides(self):
        count = Count(100, 1050.0, 10.0)
        self.assertAlmostEqual(optimum_calls.overheads(line(), [count], 9.0)[0], 0.6)
        serial = line(found=(HSM(Law(10, serial=True)),))
        self.assertAlmostEqual(optimum_calls.overheads(serial, [count], 9.0)[0], 0.5)
        # Where it cannot be seen it is what was seen before.
        for one, seen in ((line(), Count(99, 1050.0)), (line(found=(HSM(Law(10, 0.1, 9)),)), count),
                          (line(steps=((1.0, 0, Law(2)),)), count), (line(freezes=(Freeze(5, 2, (0,)),)), count)):
            self.assertEqual(optimum_calls.overheads(one, [seen], 9.0), [9.0])


if __name__ == "__main__":
    unittest.main()
