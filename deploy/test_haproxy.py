# SPDX-License-Identifier: Apache-2.0
"""HAProxy's configurations: that it takes them, and that they do what they say, with three nodes that are played."""
import http.client
import http.server
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from checking import DEPLOY, run, tool

NAME = "xks.example.com"


class Node:
    """Plays a node: the XKS port, and /readyz. `manner`: "well", "killed" (takes a request and closes the connection),
    "stopped" (takes a request and says nothing)."""

    def __init__(self, certificate: Path, manner: str = "well", ready: bool = True):
        node = self
        self.requests = 0
        self.over = threading.Event()
        self.asked_thrice = threading.Event()
        asked = []

        class XKS(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                node.requests += 1
                self.close_connection = manner != "well"
                if manner == "stopped":
                    node.over.wait(timeout=30)
                if manner == "well":
                    answer = f"{self.headers['Host']} {len(body)}".encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Control(XKS):
            def do_GET(self):
                asked.append(self.path)
                if len(asked) == 3:
                    node.asked_thrice.set()
                self.send_response(200 if ready and self.path == "/readyz" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # HAProxy ends connections as it likes

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self.servers = [Server(("127.0.0.1", 0), XKS), Server(("127.0.0.1", 0), Control)]
        # The handshake belongs to the connection's own thread, not to the one that accepts.
        self.servers[0].socket = tls.wrap_socket(
            self.servers[0].socket, server_side=True, do_handshake_on_connect=False)
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def ports(self) -> tuple[int, int]:
        return self.servers[0].server_port, self.servers[1].server_port

    def stop(self):
        self.over.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()


class HAProxy(unittest.TestCase):
    def setUp(self):
        self.haproxy = tool("haproxy")
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        made = run(
            tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
            "-keyout", str(self.scratch / "key.pem"), "-out", str(self.scratch / "cert.pem"))
        self.assertEqual(made.returncode, 0, made.stderr)
        self.pem = self.scratch / "xks.pem"
        self.pem.write_text(
            (self.scratch / "cert.pem").read_text() + (self.scratch / "key.pem").read_text())

    def configuration(self, name: str, replacements: dict[str, str]) -> Path:
        text = (DEPLOY / "haproxy" / name).read_text()
        for old, new in replacements.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.scratch / name
        path.write_text(text)
        return path

    @property
    def certificates(self) -> dict[str, str]:
        return {"/etc/haproxy/xks.pem": str(self.pem), "/etc/haproxy/nodes-ca.pem": str(self.scratch / "cert.pem")}

    def test_haproxy_accepts_both(self):
        for name, replacements in [("haproxy.cfg", self.certificates), ("haproxy-tcp.cfg", {})]:
            path = self.configuration(name, replacements)
            # The user and the directory are those of Debian's package.
            path.write_text(path.read_text().replace("    user haproxy\n    group haproxy\n", ""))
            checked = run(self.haproxy, "-c", "-f", str(path))
            self.assertEqual(checked.returncode, 0, checked.stderr)
            self.assertNotIn("WARNING", checked.stderr)

    def start(self, name: str, nodes: list[tuple[int, int]]) -> int:
        """Starts HAProxy before nodes with these ports, and returns its own port."""
        # HAProxy is handed a socket that listens already: there is no moment at which it cannot be reached.
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(listener.close)
        replacements = {
            "    log /dev/log local0\n    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n": "",
            "    log global\n": "",
            "/run/haproxy/admin.sock": str(self.scratch / "admin.sock"),
            "\n    bind :443": f"\n    bind fd@{listener.fileno()}",
        }
        if name == "haproxy.cfg":
            replacements |= self.certificates
        for number, (xks, control) in enumerate(nodes, start=1):
            replacements[f"192.0.2.1{number}:8443"] = f"127.0.0.1:{xks} port {control}"
        path = self.configuration(name, replacements)
        process = subprocess.Popen(
            [self.haproxy, "-db", "-f", str(path)], pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return listener.getsockname()[1]

    def node(self, **manner) -> Node:
        node = Node(self.pem, **manner)
        self.addCleanup(node.stop)
        return node

    def connect(self, port: int) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=self.scratch / "cert.pem")
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection = http.client.HTTPSConnection(NAME, timeout=30)
        connection.sock = trust.wrap_socket(plain, server_hostname=NAME)
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection: http.client.HTTPSConnection, size: int):
        """One request; it must come back whole, with the `Host` that was signed."""
        host = "XKS.example.com:443"
        connection.request("POST", "/p/kms/xks/v1/keys/foo/encrypt", body=b"x" * size, headers={"Host": host})
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.read().decode()), (200, f"{host} {size}"))

    def test_a_killed_nodes_requests_are_done_by_another(self):
        nodes = [self.node(), self.node(manner="killed"), self.node()]
        connection = self.connect(self.start("haproxy.cfg", [node.ports for node in nodes]))
        for size in [400, 25_000] * 12:
            self.ask(connection, size)
        self.assertGreater(nodes[1].requests, 0)

    def test_a_stopped_nodes_requests_are_done_by_another(self):
        nodes = [self.node(), self.node(manner="stopped"), self.node()]
        port = self.start("haproxy.cfg", [node.ports for node in nodes])
        for size in [400, 25_000] * 3:
            self.ask(self.connect(port), size)
        self.assertGreater(nodes[1].requests, 0)

    def test_an_unready_node_gets_no_requests(self):
        nodes = [self.node(), self.node(ready=False), self.node()]
        port = self.start("haproxy.cfg", [node.ports for node in nodes])
        # Out after two failed checks; the third is asked when the second has been taken note of.
        self.assertTrue(nodes[1].asked_thrice.wait(timeout=30))
        before = nodes[1].requests
        connection = self.connect(port)
        for _ in range(24):
            self.ask(connection, 400)
        self.assertEqual(nodes[1].requests, before)

    def test_the_pipe_passes_over_a_node_that_refuses(self):
        nodes = [self.node(), self.node(), self.node()]
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            ports = [nodes[0].ports, (unused.getsockname()[1], nodes[1].ports[1]), nodes[2].ports]
            port = self.start("haproxy-tcp.cfg", ports)
            for _ in range(6):
                self.ask(self.connect(port), 400)
        self.assertGreater(min(nodes[0].requests, nodes[2].requests), 0)
