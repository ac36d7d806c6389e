# SPDX-License-Identifier: Apache-2.0
"""A relay between the nodes of a cluster that keeps what they say.

Each node advertises the address of its relay, which shows the node's certificate, and connects to the node itself with
the certificate of whoever came. So both sides see whom they expect, and the messages pass as they are.
"""

import contextlib
import dataclasses
import socket
import ssl
import threading


@dataclasses.dataclass
class Exchange:
    """A request and its answer, as they were inside TLS: header fields and body, unchanged."""

    sender: str
    receiver: str
    request: bytes
    answer: bytes

    @property
    def path(self):
        return self.request.split(b" ", 2)[1].decode()

    @property
    def body(self):
        return self.request.partition(b"\r\n\r\n")[2]

    @property
    def answer_body(self):
        return self.answer.partition(b"\r\n\r\n")[2]


class Recorder:
    """The relays of a cluster, and what has passed them."""

    def __init__(self, ca, certificates):
        """`certificates`: of each node by its name, the paths of certificate and key."""
        self._ca, self._certificates = ca, certificates
        self._lock = threading.Lock()
        self._exchanges = []

    def exchanges(self):
        """Those so far, in the order in which they ended."""
        with self._lock:
            return list(self._exchanges)

    def relay(self, name, port, target):
        """Listens for the node of this name on a port of 127.0.0.1; the node itself listens on the port `target`."""
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener, name, target), daemon=True).start()

    def _context(self, name, is_server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
        # Names of nodes are compared by the nodes; here it is the CA that counts.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self._ca)
        context.load_cert_chain(*self._certificates[name])
        return context

    def _accept(self, listener, name, target):
        context = self._context(name, True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection, context, name, target), daemon=True).start()

    def _serve(self, connection, context, name, target):
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as near:
            sender = node_name(near.getpeercert())
            plain = socket.create_connection(("127.0.0.1", target))
            with self._context(sender, False).wrap_socket(plain) as far:
                while request := read_message(near):
                    far.sendall(request)
                    answer = read_message(far)
                    if not answer:
                        return
                    # Before it is handed on: whoever acts on the answer finds it here.
                    with self._lock:
                        self._exchanges.append(Exchange(sender, name, request, answer))
                    near.sendall(answer)


def node_name(certificate):
    """The node that a certificate of the cluster's CA names."""
    names = [value for kind, value in certificate["subjectAltName"] if kind == "DNS"]
    return next(name for name in names if name.endswith(".node.claviger")).removesuffix(".node.claviger")


def read_message(connection):
    """An HTTP message with its body, which has a Content-Length; nothing when the connection has ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    if not lengths:
        raise OSError("a message without Content-Length")
    while len(body) < lengths[0]:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body
