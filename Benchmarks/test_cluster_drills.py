# SPDX-License-Identifier: Apache-2.0
"""Tests of the cluster drills' own parts, without a node, a namespace or root. What is done and noted at their steps:
test_cluster_steps.py; what they are judged by: test_cluster_judgement.py."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import unittest
import unittest.mock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cluster_balancer  # noqa: E402
import cluster_catalogue  # noqa: E402
import cluster_drills  # noqa: E402
import cluster_delay  # noqa: E402
import cluster_network  # noqa: E402
import cluster_nodes  # noqa: E402
import cluster_result  # noqa: E402
import cluster_steps  # noqa: E402
import cluster_watch  # noqa: E402
import serving  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


class CatalogueTests(unittest.TestCase):
    LENGTHS = (20, 60)
    # What each fault is undone by; what needs no undoing stands with nothing.
    UNDONE = {
        "kill": "start", "freeze": "thaw", "drain": "start", "cut": "heal", "lose_hsms": "mend_hsms",
        "hang_hsms": "mend_hsms", "block": "unblock", "restart": None, "upgrade": None, "start": None,
        "admit": "dismiss", "block_all": "unblock_all", "isolate": "heal", "wipe": None, "block_for": None,
        "begin": None, "separate": "unite"}

    def test_names(self):
        names = [drill.name for drill in cluster_catalogue.drills(20)]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(len(names), 19)

    def test_steps_are_in_order_and_leave_time_before_and_after(self):
        for drill in (drill for seconds in self.LENGTHS for drill in cluster_catalogue.drills(seconds)):
            with self.subTest(drill.name, seconds=drill.seconds):
                times = [step.time for step in drill.steps]
                self.assertEqual(times, sorted(times))
                self.assertTrue(all((0.5 if drill.apart else 2) <= time <= drill.seconds - 5 for time in times))
                for step in drill.steps:
                    self.assertTrue(callable(getattr(cluster_steps.Steps, step.action)))
                    self.assertTrue(step.nodes and set(step.nodes) <= {*cluster_catalogue.MEMBERS, 4})

    def test_what_is_done_is_undone(self):
        for drill in cluster_catalogue.drills(20):
            for number, step in enumerate(drill.steps):
                undo = self.UNDONE.get(step.action)
                later = [(other.action, other.nodes) for other in drill.steps[number + 1:]]
                with self.subTest(drill.name, step=step.action):
                    self.assertTrue(step.action in self.UNDONE or step.action in self.UNDONE.values())
                    self.assertTrue(undo is None or (undo, step.nodes) in later)

    def test_a_death_can_be_known_before_its_end(self):
        for drill in (drill for seconds in self.LENGTHS for drill in cluster_catalogue.drills(seconds)):
            times = {step.action: step.time for step in drill.steps}
            for begin, end in (("kill", "start"), ("freeze", "thaw"), ("cut", "heal"), ("lose_hsms", "mend_hsms"),
                               ("hang_hsms", "mend_hsms")):
                if begin in times and drill.load:
                    self.assertGreater(times[end] - times[begin], 7, drill.name)

    def test_a_balancer_has_somebody_to_turn_to(self):
        for drill in cluster_catalogue.drills(20):
            for step in drill.steps:
                if step.action in ("kill", "freeze", "drain", "lose_hsms", "hang_hsms", "cut") and drill.load:
                    self.assertEqual(len(step.nodes), 1, drill.name)
        self.assertEqual([drill.name for drill in cluster_catalogue.drills(20) if not drill.load],
                         ["block-kill", "wiped", "two-keys", "two-keys-cut"])

    def test_whoever_is_to_tell_of_a_block_is_asked(self):
        for drill in cluster_catalogue.drills(20):
            actions = {step.action for step in drill.steps}
            asks = actions & {"block", "block_all", "block_for", "lose_hsms", "hang_hsms"} and not drill.direct
            self.assertEqual(drill.asks, bool(asks), drill.name)
            self.assertEqual(drill.loss, 0.2 if drill.name == "loss" else 0)

    def test_nodes_that_begin_apart_are_started_by_the_drill(self):
        for drill in cluster_catalogue.drills(20):
            begun = sum((step.nodes for step in drill.steps if step.action == "begin"), ())
            self.assertEqual(begun, drill.apart, drill.name)
            self.assertTrue(not drill.apart or drill.seconds > cluster_result.Contest.SETTLING + 20, drill.name)

    def test_a_block_that_ends_by_itself_ends_within_the_drill(self):
        drill = next(drill for drill in cluster_catalogue.drills(20) if drill.name == "clock")
        self.assertGreater(drill.seconds, drill.steps[0].time + cluster_steps.BLOCK_SECONDS + 5)
        self.assertGreater(drill.layout.ahead[0][1], cluster_steps.BLOCK_SECONDS)


class ArgumentTests(unittest.TestCase):
    FILES = ["--claviger", "c", "--module", "m"]

    def test_defaults(self):
        arguments = cluster_drills.parse_arguments(self.FILES)
        self.assertEqual((arguments.rate, arguments.seconds, arguments.only), (300, 20, None))
        self.assertEqual(cluster_drills.parse_arguments([*self.FILES, "--only", "kill", "cut"]).only, ["kill", "cut"])

    def test_mistakes(self):
        for words in ([], self.FILES[:2], [*self.FILES, "--only", "kil"], [*self.FILES, "--seconds", "19"],
                      [*self.FILES, "--rate", "0"]):
            with self.subTest(words), contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as end:
                cluster_drills.parse_arguments(words)
            self.assertEqual(end.exception.code, 2)

    def test_list(self):
        with contextlib.redirect_stdout(io.StringIO()) as text, self.assertRaises(SystemExit):
            cluster_drills.parse_arguments(["--list"])
        self.assertEqual(len(text.getvalue().splitlines()), len(cluster_catalogue.drills(20)))


class NetworkTests(unittest.TestCase):
    def test_addresses_are_those_of_the_balancers_file(self):
        with open(os.path.join(HERE, "..", "deploy", "haproxy", "haproxy.cfg"), encoding="utf-8") as file:
            text = file.read()
        for number in cluster_catalogue.MEMBERS:
            address = cluster_network.node_address(number)
            self.assertIn(f"server node-{number} {address}:{cluster_nodes.XKS_PORT}\n", text)

    def test_all_packets_of_other_nodes_are_counted(self):
        self.assertEqual(cluster_network.input_rules([2, 3], [], 0.0).splitlines(), [
            "flush chain inet claviger_drill input",
            "add rule inet claviger_drill input ip saddr { 192.0.2.12, 192.0.2.13 } counter name seen"])
        self.assertEqual(cluster_network.input_rules([], [], 0.5), "flush chain inet claviger_drill input")

    def test_a_cut_drops_whatever_comes_from_the_other_side_and_is_counted_before(self):
        rules = cluster_network.input_rules([2, 3, 4], [3, 4], 0.2).splitlines()[1:]
        self.assertTrue(rules[0].endswith("{ 192.0.2.12, 192.0.2.13, 192.0.2.14 } counter name seen"))
        self.assertTrue(rules[1].endswith("ip saddr { 192.0.2.13, 192.0.2.14 } counter name lost drop"))
        self.assertTrue(rules[2].endswith("numgen random mod 1000 < 200 counter name lost drop"))
        self.assertEqual(len(rules), 3)

    def test_the_hub_is_never_cut_off(self):
        self.assertNotIn(cluster_network.HUB_ADDRESS + ",", cluster_network.input_rules([2, 3], [2, 3], 0.2))
        self.assertNotIn(cluster_network.HUB_ADDRESS + " ", cluster_network.input_rules([2, 3], [2, 3], 0.2))


class BalancerTests(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(HERE, "..", "deploy", "haproxy", "haproxy.cfg"), encoding="utf-8") as file:
            self.original = file.read()

    def test_little_is_changed(self):
        text = cluster_balancer.balancer_text(self.original, "/d/ca.pem", "/d")
        before, after = self.original.splitlines(), text.splitlines()
        self.assertEqual([line.strip() for line in after if line not in before], [
            "log stdout format raw local0", "stats socket /d/haproxy.sock mode 600 level admin", "bind 192.0.2.1:8000",
            "default-server ssl verify required ca-file /d/ca.pem sni str(xks.example.com) verifyhost xks.example.com",
            "server node-4 192.0.2.14:8443 disabled"] + [line.strip() for number in (1, 2, 3) for line in (
                cluster_balancer.direct_text(number, "/d/ca.pem").splitlines()) if line.strip() and line not in before])
        self.assertEqual([line.split()[0] for line in before if line not in after], [
            "log", "user", "group", "chroot", "stats", "bind", "default-server"])

    def test_another_file_is_noticed(self):
        for old, new in ((":443 ssl", ":444 ssl"), ("server node-3", "server node-5"), ("nodes-ca.pem", "ca.pem")):
            with self.subTest(old), self.assertRaisesRegex(RuntimeError, "haproxy.cfg has 0 times"):
                cluster_balancer.balancer_text(self.original.replace(old, new), "/d/ca.pem", "/d")
        with self.assertRaisesRegex(RuntimeError, "2 times"):
            cluster_balancer.balancer_text(self.original + self.original, "/d/ca.pem", "/d")

    def test_haproxy_takes_it_with_a_certificate_of_the_drills(self):
        try:
            haproxy = cluster_network.tool("haproxy")
        except cluster_network.Unavailable as error:
            self.skipTest(str(error))
        with tempfile.TemporaryDirectory() as directory:
            authority = cluster_nodes.Authority(directory, "ca")
            certificate, _ = authority.issue("node-1", "DNS:node-1.node.claviger, IP:192.0.2.11")
            seen = subprocess.run(
                ["openssl", "verify", "-CAfile", authority.certificate, "-verify_hostname", "node-1.node.claviger",
                 certificate], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual((seen.returncode, seen.stderr), (0, ""))
            file = os.path.join(directory, "haproxy.cfg")
            with open(file, "w", encoding="utf-8") as target:
                target.write(cluster_balancer.balancer_text(self.original, authority.certificate, directory))
            seen = subprocess.run(
                [haproxy, "-c", "-f", file], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(seen.returncode, 0, seen.stderr)

    def test_statistics(self):
        listing = ("# pxname,svname,stot,status,wredis,\n"
                   "xks,node-1,1200,UP,3,\nxks,node-2,,UP 1/2,,\nxks,node-4,0,MAINT,0,\n\n")
        self.assertEqual(cluster_balancer.servers_of(listing), {
            "node-1": {"status": "UP", "requests": 1200, "repeated": 3},
            "node-2": {"status": "UP 1/2", "requests": 0, "repeated": 0},
            "node-4": {"status": "MAINT", "requests": 0, "repeated": 0}})


class ConfigurationTests(unittest.TestCase):
    def test_a_node_of_a_cluster(self):
        tokens = unittest.mock.Mock(configuration={
            "node": {"id": "dev", "site": "dev", "state_dir": "/dev"},
            "xks": {"listen": "127.0.0.1:0", "plaintext": True},
            "hsm": [{"name": "all"}], "keystore": [{"path_prefix": "/p"}]})
        made = tomllib.loads(serving.configuration_text(cluster_nodes.configuration(
            4, tokens, [{"name": "hsm-7"}], "/s", ("ca", "cert", "key"), ("xks-cert", "xks-key"))))
        self.assertEqual(made["node"], {"id": "node-4", "site": "drill", "state_dir": "/s"})
        self.assertEqual(made["xks"], {"listen": "192.0.2.14:8443", "certificate": "xks-cert", "key": "xks-key"})
        self.assertEqual((made["hsm"], made["keystore"]), ([{"name": "hsm-7"}], [{"path_prefix": "/p"}]))
        self.assertEqual(made["cluster"]["seeds"], ["192.0.2.11:7443", "192.0.2.12:7443", "192.0.2.13:7443"])
        self.assertEqual(made["cluster"]["advertise"], "192.0.2.14:7443")
        self.assertEqual(made["control"], {"listen": "192.0.2.14:8080"})

    def test_nodes_that_are_far_from_each_other(self):
        tokens = unittest.mock.Mock(configuration={"node": {}, "xks": {"plaintext": True}, "hsm": [], "keystore": []})
        made = cluster_nodes.configuration(2, tokens, [], "/s", ("", "", ""), ("", ""), is_far=True)
        self.assertEqual(made["node"]["site"], "drill-2")
        self.assertEqual(made["cluster"]["listen"], "192.0.2.12:7443")
        self.assertEqual(made["cluster"]["advertise"], "192.0.2.1:17442")
        self.assertEqual(made["cluster"]["seeds"], ["192.0.2.1:17441", "192.0.2.1:17442", "192.0.2.1:17443"])

    def test_a_clock_that_is_ahead(self):
        with tempfile.TemporaryDirectory() as directory:
            environment = cluster_nodes.ahead_environment(directory, 240)
            text = subprocess.run(
                [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"], env=environment,
                capture_output=True, text=True, timeout=30, check=True).stdout
        day, monotonic = map(float, text.split())
        self.assertTrue(230 < day - time.time() < 250)
        self.assertLess(abs(monotonic - time.monotonic()), 10)


class ControlStandIn(BaseHTTPRequestHandler):
    """A control listener that sees a peer, and an XKS listener where every key is blocked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        nodes = [{"name": "node-1", "liveness": "alive"}, {"name": "node-2", "liveness": "suspect"}]
        self.answer(200, {"nodes": nodes} if self.path == "/cluster/health" else {})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(400, {"errorName": "InvalidStateException", "errorMessage": "blocked by the operator"})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that has gone is no news."""


class WatchTests(unittest.TestCase):
    def setUp(self):
        self.server = QuietServer(("127.0.0.1", 0), ControlStandIn)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def seen(self, watch, rows):
        end = time.monotonic() + 10
        while any(len(those) < 2 for those in rows.values()) and time.monotonic() < end:
            time.sleep(0.01)
        return watch

    def test_views(self):
        # At the other address nobody listens.
        addresses = {"node-1": "127.0.0.1", "node-2": "127.0.0.2"}
        with cluster_watch.Watch(addresses, self.server.server_port) as watch:
            self.seen(watch, watch.views)
        self.assertEqual(watch.latest("node-1"), {"node-1": "alive", "node-2": "suspect"})
        self.assertIsNone(watch.latest("node-2"))
        times = [view.time for view in watch.views["node-1"]]
        self.assertTrue(len(times) > 1 and times == sorted(times))

    def test_askers(self):
        info = {"prefix": "/p", "access_key_id": "A" * 20, "secret": "s" * 43, "keys": ["bar"]}
        port = self.server.server_port
        infos = {name: dict(info, url=f"http://{address}:{port}")
                 for name, address in (("node-1", "127.0.0.1"), ("node-2", "127.0.0.2"))}
        with cluster_watch.Askers(infos, interval=0.001) as askers:
            self.seen(askers, askers.answers)
        refused, silent = askers.so_far("node-1")[-1], askers.so_far("node-2")[-1]
        self.assertEqual((refused.status, refused.name, refused.message),
                         (400, "InvalidStateException", "blocked by the operator"))
        self.assertLess(refused.sent, refused.answered)
        self.assertEqual(silent.status, 0)

    def test_an_exchange_asks_each_node_to_encrypt(self):
        info = {"prefix": "/p", "access_key_id": "A" * 20, "secret": "s" * 43, "keys": ["bar"]}
        infos = {"node-1": dict(info, url=f"http://127.0.0.1:{self.server.server_port}"),
                 "node-2": dict(info, url=f"http://127.0.0.2:{self.server.server_port}")}
        with cluster_watch.Exchange(infos, interval=0.001) as exchange:
            self.seen(exchange, {"all": exchange.sealed})
        self.assertEqual([(maker, one.status, one.opened) for maker, one in exchange.sealed[:2]],
                         [("node-1", 400, {}), ("node-2", 0, {})])
        with cluster_watch.Exchange({}) as exchange:
            pass
        self.assertEqual(exchange.sealed, [])

    def test_disturbance_is_lateness(self):
        late, stolen = cluster_watch.disturbance(time.monotonic() + 0.05)
        self.assertTrue(0 < late < 10_000 and stolen >= 0)


class EchoServer:
    """Answers each connection with what it got, as it comes."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._echo, args=(self._listener.accept()[0],), daemon=True).start()

    @staticmethod
    def _echo(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def close(self):
        self._listener.close()


class DelayTests(unittest.TestCase):
    def test_what_comes_later_never_overtakes(self):
        delay = cluster_delay.Delay(0.04)
        delay.hold(1.1)
        delay.put(b"a", 1.0)
        delay.put(b"b", 1.01)
        delay.put(b"c", 1.5)
        delay.put(None, 1.5)
        self.assertEqual([(round(due, 3), data) for due, data in delay.waiting],
                         [(1.1, b"a"), (1.1, b"b"), (1.54, b"c"), (1.54, None)])

    def test_a_relay_takes_its_time_and_loses_nothing(self):
        server = EchoServer()
        self.addCleanup(server.close)
        port = serving.free_port()
        relays = cluster_delay.started([(("127.0.0.1", port), ("127.0.0.1", server.port))], 0.08)
        self.addCleanup(relays.stop)
        connection, end = None, time.monotonic() + 30
        while connection is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        with connection:
            times = []
            for text in (b"first", b"second", b"x" * 300_000):
                began = time.monotonic()
                connection.sendall(text)
                got = b""
                while len(got) < len(text):
                    got += connection.recv(65536)
                self.assertEqual(got, text)
                times.append(time.monotonic() - began)
            # A busy machine makes them longer; nothing makes them shorter. A new connection costs a round trip more.
            self.assertGreater(times[0], 0.15)
            self.assertGreater(times[1], 0.08)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
