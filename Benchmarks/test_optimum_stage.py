# SPDX-License-Identifier: Apache-2.0
"""Tests of the catalogue's lines, of what nodes are told for them, of what is done when, and of counted calls."""

import os
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import optimum  # noqa: E402
import optimum_calls  # noqa: E402
import optimum_catalogue  # noqa: E402
import optimum_judgement  # noqa: E402
import optimum_stage  # noqa: E402
from optimum_calls import Count  # noqa: E402
from optimum_catalogue import Freeze, Stream  # noqa: E402
from optimum_judgement import Observed  # noqa: E402
from optimum_laws import HSM, Law  # noqa: E402
from test_optimum import figures, line, row  # noqa: E402


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

    def test_lines_are_chosen_by_name(self):
        def names(*wanted):
            return [one.name for one in optimum.selected(optimum_catalogue.lines(), wanted)]

        self.assertEqual(names("unequal-20", "alone"), ["unequal-20", "alone"])
        self.assertEqual(names("unequal"), ["unequal-200", "unequal-50", "unequal-20"])
        self.assertEqual(len(names()), len(optimum_catalogue.lines()))
        with self.assertRaisesRegex(ValueError, "nothing"):
            names("nothing")

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
