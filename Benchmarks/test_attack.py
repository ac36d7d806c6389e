# SPDX-License-Identifier: Apache-2.0
"""Tests of the attacks: what is judged how, and whether attackers do what they say, against stand-ins for a node."""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack_catalogue  # noqa: E402
import attack_judgement  # noqa: E402
import attack_stage  # noqa: E402
import attackers  # noqa: E402
import http2_frames  # noqa: E402
from test_drills import row  # noqa: E402


def order(**changes):
    return attack_judgement.Order(**dict(
        dict(status=0, text="", seconds=0.2, is_on_disk=True, is_logged=True), **changes))


def seen(**changes):
    words = dict(
        name="n", title="t", rows=[row(ms=4.0) for _ in range(100)], ready=[3.0, 99.0], memory=60.0, order=order(),
        missing=[], counts={})
    return attack_judgement.Seen(**dict(words, **changes))


class JudgementTests(unittest.TestCase):
    def missed(self, **changes):
        return attack_judgement.misses(seen(**changes))

    def test_nobody_noticed_anything(self):
        self.assertEqual(self.missed(), [])

    def test_each_requirement_can_be_missed(self):
        good = [row(ms=4.0) for _ in range(98)]
        cases = {
            "1 of 99 signed requests failed": dict(rows=good + [row(ms=4.0, status=0, name="reset")]),
            "p99 is 51 ms": dict(rows=good + [row(ms=51.0)] * 2),
            "no request was sent": dict(rows=[]),
            "/readyz took 101 ms": dict(ready=[3.0, 101.0]),
            "/readyz took inf ms": dict(ready=[3.0, math.inf]),
            "201 MiB": dict(memory=201.0),
            "hsm-1 did not serve": dict(missing=["hsm-1"]),
            "did not end": dict(order=order(status=None)),
            "status 1: no node": dict(order=order(status=1, text="no node")),
            "took 2.1 s": dict(order=order(seconds=2.1)),
            "not on disk": dict(order=order(is_on_disk=False)),
            "not in the log": dict(order=order(is_logged=False)),
            "of its own": dict(broken=["of its own"]),
        }
        for text, changes in cases.items():
            missed = self.missed(**changes)
            self.assertEqual(len(missed), 1, text)
            self.assertIn(text, missed[0])

    def test_one_slow_request_of_a_hundred_is_no_p99(self):
        self.assertEqual(self.missed(rows=[row(ms=4.0) for _ in range(99)] + [row(ms=200.0)]), [])

    def test_readyz_that_was_never_asked_is_no_good_answer(self):
        self.assertEqual(len(self.missed(ready=[])), 1)

    def test_the_best_run_is_that_which_misses_least(self):
        runs = [seen(memory=300.0), seen(), seen(ready=[500.0], memory=300.0)]
        self.assertIs(min(runs, key=attack_judgement.worth), runs[1])

    def test_half_a_header_block(self):
        self.assertEqual(attack_judgement.header_misses({"opened": 3, "longest": 5.5}), [])
        self.assertEqual(len(attack_judgement.header_misses({"opened": 3, "longest": 8.1})), 1)
        self.assertEqual(len(attack_judgement.header_misses({"opened": 0, "longest": 0.0})), 1)

    def test_what_a_library_prints(self):
        good = "\n".join(
            json.dumps({"hsm": "hsm-1", "line": f'rogue {stream} 1 "}}'}) for stream in ("stdout", "stderr"))
        self.assertEqual(attack_judgement.log_misses(good, "hsm-1"), [])
        self.assertEqual(len(attack_judgement.log_misses(good, "hsm-2")), 2)
        self.assertEqual(len(attack_judgement.log_misses(good + '\nrogue stderr 2 "}', "hsm-1")), 1)
        self.assertEqual(len(attack_judgement.log_misses(good.splitlines()[0], "hsm-1")), 1)

    def test_the_end_of_a_library(self):
        good = json.dumps({"hsm": "hsm-1", "reason": "ended with status 0 in C_Encrypt"})
        self.assertEqual(attack_judgement.end_misses(good, "hsm-1"), [])
        self.assertEqual(len(attack_judgement.end_misses(good, "hsm-2")), 1)
        self.assertEqual(len(attack_judgement.end_misses(json.dumps({"hsm": "hsm-1", "reason": "ended"}), "hsm-1")), 1)

    def test_orders_of_a_library(self):
        good = ["order /blocks: 200", "order /drain: 403", "order /reload: no answer"]
        self.assertEqual(attack_judgement.order_outcomes(good), [])
        self.assertEqual(len(attack_judgement.order_outcomes(["order /drain: 200"])), 1)
        self.assertEqual(len(attack_judgement.order_outcomes(["order /blocks: 403"])), 1)
        self.assertEqual(len(attack_judgement.order_outcomes([])), 1)

    def test_files_of_a_node(self):
        good = ["read /k: Permission denied", "signal the node: Operation not permitted"]
        self.assertEqual(attack_judgement.file_outcomes(good), [])
        self.assertEqual(len(attack_judgement.file_outcomes(["read /k: open", "signal the node: done"])), 2)
        self.assertEqual(len(attack_judgement.file_outcomes([])), 1)

    def test_a_thief(self):
        self.assertEqual(attack_judgement.thief_misses(True, False, False), [])
        for case in ((False, False, False), (True, True, False), (True, False, True)):
            self.assertEqual(len(attack_judgement.thief_misses(*case)), 1)


class CatalogueTests(unittest.TestCase):
    def test_names_are_unique_and_every_attack_does_something(self):
        names = [attack.name for attack in attack_catalogue.ATTACKS]
        self.assertEqual(len(names), len(set(names)))
        for attack in attack_catalogue.ATTACKS[1:]:
            self.assertTrue(attack.work or attack.library or attack.thief, attack.name)


class FrameTests(unittest.TestCase):
    def test_a_frame(self):
        self.assertEqual(http2_frames.frame(1, 4, 5, b"ab"), b"\0\0\2\1\4\0\0\0\5ab")

    def test_later_requests_refer_to_the_first_ones_fields(self):
        blocks = [http2_frames.fields("host", "/path", is_first) for is_first in (True, False)]
        self.assertEqual(blocks[0], b"\x83\x87\x41\x04host\x44\x05/path")
        self.assertEqual(blocks[1], b"\x83\x87\xbe\xbf")

    def test_requests_never_end_and_headers_neither(self):
        text = http2_frames.unfinished_requests("h", "/p", 3)[len(http2_frames.PREFACE) + 9:]
        kinds = []
        while text:
            length = int.from_bytes(text[:3], "big")
            kinds.append((text[3], text[4], int.from_bytes(text[5:9], "big")))
            text = text[9 + length:]
        self.assertEqual(kinds, [(1, http2_frames.END_HEADERS, stream) for stream in (1, 3, 5)])
        self.assertEqual(http2_frames.unfinished_headers("h", "/p")[len(http2_frames.PREFACE) + 9:][3:5], b"\1\0")

    def test_long_values_take_a_longer_length(self):
        sent = http2_frames.request(1, "/p", {"host": "h", "authorization": "a" * 300}, b"")
        # 127 in the prefix, then 300 - 127 = 173 in groups of seven bits (RFC 7541, section 5.1).
        self.assertIn(b"authorization\x7f\xad\x01" + b"a" * 300, sent)


class Listener:
    """A stand-in for a listener: keeps connections, and ends each after so many seconds."""

    def __init__(self, keep):
        self.received, self._keep = [], keep
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self._server.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self._server.accept()
                threading.Thread(target=self._hold, args=(connection, peer), daemon=True).start()

    def _hold(self, connection, peer):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(self._keep)
            data = bytearray()
            self.received.append((peer[0], data))
            while part := connection.recv(64):
                data += part

    def close(self):
        self._server.close()


class CrowdTests(unittest.TestCase):
    def crowd(self, keep, seconds, **words):
        listener = Listener(keep)
        try:
            counts = attackers.Crowd(listener.address, 8, time.monotonic() + seconds, **words).run()
        finally:
            listener.close()
        return counts, listener.received

    def test_a_silent_crowd_is_as_large_as_it_was_told_and_comes_from_many_addresses(self):
        counts, received = self.crowd(keep=30, seconds=0.6)
        self.assertEqual((counts["opened"], counts["most"], counts["closed"]), (8, 8, 0))
        self.assertGreater(len({peer for peer, _ in received}), 1)
        self.assertNotIn("127.0.0.1", {peer for peer, _ in received})
        self.assertEqual({bytes(data) for _, data in received}, {b""})

    def test_who_loses_a_connection_opens_another(self):
        counts, _ = self.crowd(keep=0.1, seconds=1.0)
        self.assertGreater(counts["opened"], 16)
        self.assertLessEqual(counts["most"], 8)
        self.assertLess(counts["longest"], 0.9)

    def test_a_slow_crowd_sends_a_byte_at_a_time_from_one_address(self):
        counts, received = self.crowd(keep=30, seconds=2.5, drip=b"GET /", one_address=True)
        self.assertEqual(counts["opened"], 8)
        self.assertEqual({bytes(data) for _, data in received}, {b"GE"})
        self.assertEqual(len({peer for peer, _ in received}), 1)


class LogReaderTests(unittest.TestCase):
    def test_a_slow_reader_is_slow_and_loses_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            reader = attack_stage.LogReader(os.path.join(directory, "log"), 100_000)
            began = time.monotonic()
            with subprocess.Popen(["head", "-c", "50000", "/dev/zero"], stdout=reader.writer):
                reader.hand_over()
            reader.join()
            self.assertGreater(time.monotonic() - began, 0.4)
            self.assertEqual(len(reader.text()), 50_000)


if __name__ == "__main__":
    unittest.main()
