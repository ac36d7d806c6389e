# SPDX-License-Identifier: Apache-2.0
"""Tests of the drills' own parts, without a node."""

import base64
import collections
import json
import math
import os
import socket
import sys
import tempfile
import threading
import time
import tomllib
import unittest
import unittest.mock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import catalogue  # noqa: E402
import connections  # noqa: E402
import judgement  # noqa: E402
import load  # noqa: E402
import replies  # noqa: E402
import serving  # noqa: E402


def row(offset=1.0, ms=3.0, kind="encrypt", status=200, name=None, attempt=1):
    return {"offset": offset, "ms": ms, "kind": kind, "status": status, "name": name, "id": "id", "attempt": attempt}


def refused(name="InvalidCiphertextException", status=400, **words):
    """The row of bad ciphertext."""
    return row(kind=words.pop("kind", "bad"), status=status, name=name, **words)


def result(**changes):
    """A drill's result that misses nothing."""
    return {
        "title": "a drill", "rows": [row()], "wrong": [], "lost": {"a": 0}, "p50": 2.0, "p99": 3.0, "p999": 4.0,
        "slowest": 5.0, "out": None, "back": None, "missing": [], "must_leave": False, "may_fail": (),
        "first_return": 0.0, "flood": 0, "bystanders": {}, "outages": {}, "late": 1.0, "silent": 0, "sick": (),
        "return_within": math.inf, "overload": None} | changes


def samples(*states):
    """Samples of the HSM `a` at seconds 0, 1, 2 …: `+` active, `-` unavailable, `k` without the key, `?` none."""
    meaning = {"+": {"a": ("active", True, None)}, "-": {"a": ("unavailable", True, "gone")},
               "k": {"a": ("active", False, None)}, "?": {}}
    return [serving.Sample(float(number), meaning[state]) for number, state in enumerate("".join(states))]


class PercentileTests(unittest.TestCase):
    def test_nearest_rank(self):
        values = list(range(1, 1001))
        self.assertEqual(replies.percentile(values, 0.5), 500)
        self.assertEqual(replies.percentile(values, 0.999), 999)
        self.assertEqual(replies.percentile(values, 1), 1000)
        self.assertEqual(replies.percentile([7], 0.999), 7)
        self.assertTrue(math.isnan(replies.percentile([], 0.5)))


class AbsenceTests(unittest.TestCase):
    def out(self, states, fault):
        return judgement.seconds_until_out(samples(states), "a", fault)

    def back(self, states, fault, lift):
        return judgement.seconds_until_back(samples(states), "a", fault, lift)

    def test_out_is_the_first_time_after_the_fault(self):
        self.assertEqual(self.out("-++-+", 0.5), 2.5)
        self.assertEqual(self.out("++k++", 0.5), 1.5)
        self.assertIsNone(self.out("+++++", 0.5))
        self.assertEqual(self.out("++?-", 0.5), 2.5)

    def test_back_is_when_it_stays(self):
        self.assertEqual(self.back("++--+-+++", 1.5, 3.5), 2.5)
        self.assertEqual(self.back("++k-kk+", 1.5, 3.5), 2.5)
        self.assertEqual(self.back("++--++++", 1.5, 5.5), 0.0)
        self.assertIsNone(self.back("++++", 0.5, 1.5))
        self.assertEqual(self.back("++----", 1.5, 3.5), math.inf)

    def test_fault_and_lift_at_one_moment(self):
        self.assertEqual(self.back("+++--+++", 1.5, 1.5), 3.5)

    def test_absences_tell_the_first_reason(self):
        self.assertEqual(judgement.absences(samples("+-+k"), ["a"]), {"a": "gone"})
        self.assertEqual(judgement.absences(samples("+k"), ["a"]), {"a": "active, without the key"})
        self.assertEqual(judgement.absences(samples("++?"), ["a"]), {})

    def test_a_degraded_hsm_is_not_out(self):
        def seen(state, serves):
            return [serving.Sample(1.0, {"a": (state, serves, "why")})]
        self.assertEqual(judgement.outages(seen("degraded", True), ["a"]), {})
        self.assertEqual(judgement.outages(seen("active", True), ["a"]), {})
        self.assertEqual(judgement.outages(seen("probing", True), ["a"]), {"a": "probing: why"})
        self.assertEqual(judgement.outages(seen("active", False), ["a"]), {"a": "active: why"})
        self.assertEqual(judgement.outages(seen("active", True), ["b"]), {})

    def test_worst(self):
        self.assertEqual(judgement.worst([1.0, 3.0]), 3.0)
        self.assertIsNone(judgement.worst([1.0, None]))
        self.assertIsNone(judgement.worst([]))


class JudgementTests(unittest.TestCase):
    def missed(self, **changes):
        return judgement.misses(result(**changes))

    def test_nothing_missed(self):
        self.assertEqual(self.missed(), [])

    def test_each_requirement(self):
        bad = row(name="InternalException", status=500)
        for changes in (
                {"rows": [row(), bad]}, {"wrong": [(1.0, "another plaintext", "id")]}, {"lost": {"a": 0, "b": 2}},
                {"p999": 200.0}, {"p999": math.nan}, {"must_leave": True}, {"missing": ["a"]},
                {"flood": 200}, {"rows": [row(), refused(kind="flood"), row(kind="flood")]},
                {"rows": [row(), row(kind="flood", status=503, name="DependencyTimeoutException")]},
                {"rows": [row(), refused(kind="flood"), refused("KeyNotFoundException", 404, kind="flood")]},
                {"rows": [row(), row(kind="flood", status=400, name="InvalidCiphertextException")], "flood": 200,
                 "outages": {"a": "gone"}},
                {"return_within": 20.0, "back": 20.1}, {"return_within": 20.0, "back": None},
                {"return_within": 20.0, "back": math.inf},
                {"rows": [row(), refused("InternalException", 500)]}):
            with self.subTest(changes):
                self.assertEqual(len(self.missed(**changes)), 1)

    def test_bad_ciphertext_is_called_invalid(self):
        self.assertEqual(self.missed(rows=[row(), refused()]), [])
        for status, name in ((500, "InternalException"), (503, "DependencyTimeoutException"), (0, "connection closed"),
                             (429, "ThrottlingException"), (400, "ValidationException"), (200, None)):
            with self.subTest(status):
                self.assertEqual(len(self.missed(rows=[row(), refused(name, status)])), 1)

    def test_bad_ciphertext_may_go_unchecked_while_hsms_are_sick(self):
        def seen(*rows):
            return len(self.missed(rows=[row(), *rows], sick=(4.0, 9.0)))
        for status, name in ((500, "InternalException"), (503, "DependencyTimeoutException"), (0, "connection closed"),
                             (429, "ThrottlingException"), (400, "InvalidCiphertextException"),
                             (400, "InvalidCiphertextException, but after 250 ms")):
            with self.subTest(status):
                self.assertEqual(seen(refused(name, status, offset=5.0)), 0)
        self.assertEqual(seen(refused("KeyNotFoundException", 404, offset=5.0)), 1)
        self.assertEqual(seen(refused("InternalException", 500, offset=3.9)), 1)
        self.assertEqual(seen(refused("InternalException", 500, offset=3.9, ms=101.0)), 0)
        self.assertEqual(seen(refused("InternalException", 500, offset=9.0)), 1)
        self.assertEqual(len(judgement.remarks(result(rows=[row(), refused("InternalException", 500)]))), 1)

    def test_good_ciphertext_gets_no_final_answer_even_where_requests_may_fail(self):
        for status, name in ((400, "InvalidCiphertextException"), (404, "KeyNotFoundException"),
                             (400, "InvalidCiphertextException, but after 250 ms")):
            bad = row(offset=5.0, kind="decrypt", status=status, name=name)
            self.assertEqual(len(self.missed(rows=[row(), bad])), 1)
            late = row(offset=5.0, status=503, name="DependencyTimeoutException")
            self.assertEqual(len(self.missed(rows=[late, bad], may_fail=(4.0, 15.0))), 1)
        self.assertEqual(self.missed(rows=[row(offset=5.0, status=429, name="ThrottlingException")],
                                     may_fail=(4.0, 15.0)), [])

    def test_a_refused_flood_is_good(self):
        flood = row(kind="flood", status=400, name="InvalidCiphertextException")
        self.assertEqual(self.missed(rows=[row(), flood], flood=200), [])
        late = row(kind="flood", status=503, name="DependencyTimeoutException")
        self.assertEqual(self.missed(rows=[row(), flood, late], flood=200), [])
        self.assertEqual(len(self.missed(rows=[row(), flood, late, late], flood=200)), 1)

    def test_failures_where_they_may_be(self):
        def failing(*offsets):
            return self.missed(
                rows=[row(offset=offset, status=503, name="DependencyTimeoutException") for offset in offsets],
                may_fail=(4.0, 15.0), first_return=10.0)
        self.assertEqual(failing(4.0, 14.9), [])
        self.assertEqual(len(failing(5.0, 15.1)), 1)
        self.assertEqual(len(failing(3.9)), 1)
        self.assertEqual(len(failing()), 1)

    def test_failures_are_grouped(self):
        rows = [row(2.0, 9.0, name="A", status=500), row(1.0, 8.0, name="B", status=503),
                row(3.0, 7.0, name="A", status=500), row(4.0, 1.0, name="no answer", status=0)]
        self.assertEqual(replies.grouped(rows), [
            "1 × encrypt: 503 B, due 1.000 to 1.000 s, slowest 8 ms, the first with kmsRequestId id",
            "2 × encrypt: 500 A, due 2.000 to 3.000 s, slowest 9 ms, the first with kmsRequestId id",
            "1 × encrypt: no status no answer, due 4.000 to 4.000 s, slowest 1 ms, the first with kmsRequestId id"])

    def test_remarks(self):
        self.assertEqual(judgement.remarks(result()), [])
        self.assertEqual(len(judgement.remarks(result(back=5.1, late=21.0, silent=1, bystanders={"b": "slow"}))), 4)

    def test_a_drill_on_a_busy_machine_is_worthless(self):
        late = [row(name="good, but after 250 ms"), row(status=503, name="DependencyTimeoutException")]
        self.assertTrue(judgement.is_worthless(result(rows=late, late=51.0)))
        self.assertTrue(judgement.is_worthless(result(p999=300.0, late=51.0)))
        for changes in ({"late": 50.0}, {"wrong": [(1.0, "another plaintext", "id")]}, {"lost": {"a": 1}},
                        {"missing": ["a"]}, {"rows": late + [row(status=500, name="InternalException")]},
                        {"rows": late + [row(status=400, name="InvalidCiphertextException")]}):
            with self.subTest(changes):
                self.assertFalse(judgement.is_worthless(result(**({"rows": late, "late": 51.0} | changes))))

    def test_table_is_aligned(self):
        lines = [judgement.heading(), judgement.line(result()),
                 judgement.line(result(out=0.25, back=math.inf, rows=[row()] * 12_000))]
        self.assertEqual(len({len(text) for text in lines}), 1)
        self.assertIn("12,000", lines[2])
        self.assertTrue(lines[2].endswith("0.25   never"))
        self.assertTrue(lines[1].endswith("-       -"))


class CatalogueTests(unittest.TestCase):
    def test_every_drill_leaves_time_before_and_after_its_faults(self):
        for length in (12, 20):
            drills = catalogue.drills(length)
            self.assertEqual(len({drill.name for drill in drills}), len(drills))
            for drill in drills:
                seconds = drill.seconds or length
                with self.subTest(drill.name, seconds=seconds):
                    self.assertLessEqual(len(drill.title), judgement.COLUMNS[0][1])
                    for begin, end in drill.faults.values():
                        self.assertTrue(1 < begin <= end < seconds - 3)
                    self.assertTrue(drill.flood or all(step.time < seconds - 3 for step in drill.steps))
                    # What is set is lifted, unless the HSM must be back in spite of it; each step of a fault belongs to
                    # an HSM that is looked at.
                    for hsm in drill.faults:
                        last = max((step for step in drill.steps if hsm in step.hsms), key=lambda step: step.time)
                        self.assertTrue(last.signal or not last.lines)
                    touched = {hsm for step in drill.steps for hsm in step.hsms}
                    self.assertTrue(drill.flood or drill.overload or touched == set(drill.faults))
                    self.assertTrue(touched <= set(range(drill.shape.hsms)))

    def test_only_the_loss_of_all_may_fail_requests(self):
        drills = catalogue.drills(20)
        self.assertEqual([drill.name for drill in drills if drill.may_fail], ["all-die"])
        self.assertEqual(next(drill for drill in drills if drill.may_fail).may_fail, (4.0, 15.0))

    def drill(self, name):
        return next(drill for drill in catalogue.drills(20) if drill.name == name)

    def test_killed_every_second(self):
        self.assertEqual([step.time for step in self.drill("kill-often").steps], [4, 5, 6, 7, 8, 9, 10, 11])

    def test_all_are_killed_in_one_moment(self):
        for name, hsms in (("kill-all", (0, 1, 2)), ("kill-one", (0,))):
            self.assertEqual([(step.time, step.hsms) for step in self.drill(name).steps],
                             [(time, hsms) for time in (4, 7, 10)])

    def test_hsms_are_sick_from_the_first_fault_until_they_must_be_back(self):
        self.assertEqual(self.drill("two-die").sick, (4.0, 17.0))
        self.assertEqual(self.drill("login").sick, (4.0, 29.0))
        self.assertEqual(self.drill("flood").sick, (0, math.inf))
        self.assertEqual(self.drill("nothing").sick, ())
        self.assertEqual(self.drill("over-1-3").sick, (0, math.inf))
        self.assertEqual(self.drill("spell-1").sick, (5.0, 9.0))

    def test_what_is_asked(self):
        self.assertEqual(self.drill("nothing").mix(500), load.Mix(500))
        self.assertEqual(self.drill("flood").mix(500), load.Mix(500, flood=200))
        self.assertEqual(self.drill("busy").mix(500), load.Mix(100, old_after=4.0))
        self.assertEqual(self.drill("over-3-3").mix(500), load.Mix(900, decrypts=0.1))
        self.assertEqual(self.drill("spell-1").mix(500), load.Mix(150, decrypts=0.1, again=True))

    def test_more_is_asked_than_the_hsms_can_do(self):
        for drill in catalogue.drills(20):
            if drill.overload:
                self.assertGreater(drill.mix(0).rate, drill.overload.capacity, drill.name)
        self.assertEqual(self.drill("spell-3").overload.capacity, 100)
        self.assertLess(self.drill("spell-3").mix(0).rate, 300)


class ServingTests(unittest.TestCase):
    def test_configurations_are_written_as_they_are_read(self):
        configuration = {
            "node": {"id": "dev", "draining": False},
            "hsm": [
                {"name": "a\\\"b", "sessions": 4, "env": {"A": "1", "B": "ü"}}, {"name": "b", "pin": {"file": "/p"}}],
            "keystore": [{"keys": ["foo", {"id": "x", "label": "y"}], "credentials": [{"secret": {"file": "s"}}]}]}
        self.assertEqual(tomllib.loads(serving.configuration_text(configuration)), configuration)

    def test_faults(self):
        with tempfile.TemporaryDirectory() as directory:
            faults = serving.Faults(directory, ["a", "b"], catalogue.LATENCY)

            def lines(name):
                with open(faults.file(name), encoding="ascii") as file:
                    return file.read().splitlines()
            self.assertEqual(lines("a"), ["[*]", "delay C_Encrypt 2ms", "delay C_Decrypt 2ms"])
            faults.set("a", "delay C_Encrypt 200ms", "hang *")
            self.assertEqual(lines("a"), ["[*]", "delay C_Decrypt 2ms", "delay C_Encrypt 200ms", "hang *"])
            self.assertEqual(len(lines("b")), 3)
            faults.clear()
            self.assertEqual(len(lines("a")), 3)
            self.assertEqual(sorted(os.listdir(os.path.join(directory, "faults"))), ["a", "b"])


class SampleTests(unittest.TestCase):
    HEALTH = {"hsms": [{"name": "a", "state": "active"}, {"name": "b", "state": "degraded", "reason": "slow"}]}

    def seen(self, *keys):
        return serving.sample_of(self.HEALTH, {"keys": list(keys)}, "foo").hsms

    def test_states_alone(self):
        sample = serving.sample_of(self.HEALTH, None, "foo")
        self.assertEqual(sample.hsms, {"a": ("active", True, None), "b": ("degraded", True, "slow")})
        self.assertEqual([sample.whole(name) for name in "abc"], [True, False, False])

    def test_an_hsm_serves_a_key_that_it_has_proven(self):
        def served(cell, **row):
            other = {"label": "bar", "cells": {"a": "proven"}}
            return self.seen(other, {"label": "foo", "cells": {"a": cell}} | row)["a"][1]
        self.assertTrue(served("proven"))
        self.assertTrue(served("unprovable"))
        self.assertFalse(served("proven", disputed="two say different things"))
        for cell in ("unproven", "different", "absent"):
            self.assertFalse(served(cell))
        self.assertEqual(self.seen()["a"], ("active", False, None))

    def test_http_over_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(path)
                listener.listen()

                def answer():
                    with listener.accept()[0] as connection:
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n")
                threading.Thread(target=answer, daemon=True).start()
                client = serving.UnixConnection(path, timeout=10)
                self.addCleanup(client.close)
                self.assertEqual(serving.ask(client, "/status"), {"a": 1})


class ProxyStandIn(BaseHTTPRequestHandler):
    """Encrypts by turning the plaintext round; how well it behaves, the server's `mode` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        mode = self.server.mode
        if mode == "silent":
            self.server.ending.wait()
        if mode in ("silent", "hang up"):
            self.close_connection = True
            return
        if mode == "together":
            self.server.together.wait()
        if mode == "refuse":
            return self.answer(503, {"errorName": "DependencyTimeoutException"})
        if self.path.endswith("/encrypt"):
            vector = b"same" if mode == "repeat" else os.urandom(12)
            return self.answer(200, {
                "ciphertext": request["plaintext"][::-1], "authenticationTag": base64.b64encode(bytes(16)).decode(),
                "initializationVector": base64.b64encode(vector).decode()})
        if request["authenticationTag"] != base64.b64encode(bytes(16)).decode():
            return self.answer(400, {"errorName": "InvalidCiphertextException"})
        plaintext = request["ciphertext"][::-1]
        return self.answer(200, {"plaintext": "AAAA" if mode == "lie" else plaintext})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.mode == "close":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    mode = "good"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ProxyStandIn)
        self.ending = threading.Event()
        # Nobody is answered before so many requests are there.
        self.together = threading.Barrier(10, timeout=10)

    def handle_error(self, *_):
        """A client that gave up is no news."""


class LoadTests(unittest.TestCase):
    def setUp(self):
        self.server = QuietServer()
        self.addCleanup(self.server.ending.set)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.info = {"url": f"http://127.0.0.1:{self.server.server_port}", "prefix": "/p", "access_key_id": "A" * 20,
                     "secret": "s" * 43, "keys": ["foo"]}

    def drive(self, mode, rate=40, patience=10, kms_patience=10, **asked):
        self.server.mode = mode
        # A busy machine must not make a test fail: what is late is said here. The child inherits it.
        for module, name, value in ((connections, "PATIENCE", patience), (load, "KMS_PATIENCE", kms_patience)):
            patch = unittest.mock.patch.object(module, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        # In a process of its own, as in a drill.
        mix = load.Mix(rate, **asked)
        child = load.Child(load.drive, self.info, 32, time.monotonic(), 0.5, mix)
        self.addCleanup(child.stop)
        return child.result()

    def names(self, outcome):
        """What good requests were answered with."""
        return {row[4] for row in outcome["answers"] if row[2] in ("encrypt", "decrypt")}

    def kinds(self, outcome):
        return collections.Counter(row[2] for row in outcome["answers"])

    def test_good_answers(self):
        outcome = self.drive("good", flood=20)
        own = [row for row in outcome["answers"] if row[2] in ("encrypt", "decrypt")]
        bad = [row for row in outcome["answers"] if row[2] in ("bad", "flood")]
        # Of ten decryptions one is of bad ciphertext.
        self.assertEqual((len(own), {row[3:5] for row in own}), (19, {(200, None)}))
        self.assertEqual({row[2] for row in own}, {"encrypt", "decrypt"})
        self.assertEqual(self.kinds(outcome)["bad"], 1)
        self.assertGreater(self.kinds(outcome)["flood"], 5)
        self.assertEqual({row[3:5] for row in bad}, {(400, "InvalidCiphertextException")})
        self.assertEqual(len({row[0] for row in own}), 19)
        self.assertEqual((outcome["wrong"], len(outcome["made"])), ([], sum(row[2] == "encrypt" for row in own)))
        self.assertEqual(load.open_all(self.info, outcome["made"]), [])

    def test_few_decryptions(self):
        kinds = self.kinds(self.drive("good", rate=200, decrypts=0.1))
        self.assertIn(kinds["decrypt"] + kinds["bad"], (8, 9, 10))
        self.assertEqual(sum(kinds.values()), 100)

    def test_old_ciphertext_alone(self):
        outcome = self.drive("good", rate=100, old_after=0.2)
        late = collections.Counter(row[2] for row in outcome["answers"] if row[0] > 0.205)
        self.assertEqual(set(late), {"decrypt", "bad"})
        self.assertEqual(sum(late.values()), 29)
        self.assertEqual((self.names(outcome), outcome["wrong"]), ({None}, []))

    def test_failures_are_asked_again_once_and_at_once(self):
        outcome = self.drive("refuse", rate=20, again=True)
        attempts = collections.Counter(row[6] for row in outcome["answers"])
        self.assertEqual(attempts, {1: 10, 2: 10})
        self.assertEqual(len({row[5] for row in outcome["answers"]}), 20)
        first = {row[0] for row in outcome["answers"] if row[6] == 1}
        self.assertTrue(all(row[0] not in first for row in outcome["answers"] if row[6] == 2))
        # What is the caller's fault is not asked again, nor what is good.
        outcome = self.drive("good", again=True)
        self.assertEqual({row[6] for row in outcome["answers"]}, {1})
        self.assertEqual(self.kinds(outcome)["bad"], 1)
        # KMS hangs up when its time is over.
        outcome = self.drive("silent", rate=20, kms_patience=0.1, again=True)
        self.assertEqual(self.names(outcome), {"no answer within 0.1 s"})
        self.assertEqual(len(outcome["answers"]), 20)

    def test_a_server_that_closes_after_each_answer(self):
        outcome = self.drive("close")
        self.assertEqual((len(outcome["answers"]), self.names(outcome)), (20, {None}))

    def test_failures_have_names(self):
        self.assertEqual(self.names(self.drive("refuse")), {"DependencyTimeoutException"})
        self.assertEqual(self.names(self.drive("hang up")), {"connection closed"})
        self.assertEqual(self.names(self.drive("good", kms_patience=0)), {"good, but after 0 ms"})
        outcome = self.drive("silent", patience=0.1)
        self.assertEqual(self.names(outcome), {"no answer within 0.1 s"})
        self.assertEqual({row[3] for row in outcome["answers"]}, {0})

    def test_an_answer_that_is_missing_delays_no_other_request(self):
        self.assertEqual(self.names(self.drive("together", rate=20)), {None})

    def test_wrong_answers_are_noticed(self):
        self.assertEqual({what for _, what, _ in self.drive("lie")["wrong"]}, {"decrypt gave another plaintext"})
        self.assertIn(
            "an initialization vector was used twice", {what for _, what, _ in self.drive("repeat")["wrong"]})

    def test_lost_ciphertext_is_counted(self):
        made = self.drive("good")["made"]
        self.server.mode = "lie"
        self.assertEqual(load.open_all(self.info, made), ["another plaintext"] * len(made))
        self.server.mode = "refuse"
        self.assertEqual(load.open_all(self.info, made), ["503 DependencyTimeoutException"] * len(made))
        self.assertGreater(len(made), 0)

    def test_a_failing_child_is_an_error(self):
        child = load.Child(load.open_all, {"url": "http://127.0.0.1:1"}, [])
        self.assertEqual(child.result(), [])
        with self.assertRaisesRegex(RuntimeError, "KeyError"):
            load.Child(load.drive, {}, 32, 0, 1, load.Mix(1)).result()


if __name__ == "__main__":
    unittest.main()
