# SPDX-License-Identifier: Apache-2.0
"""What attackers do to a node's listeners. Each function runs in a process of its own, at the lowest priority, until a
moment of the monotonic clock, and returns what it counted."""

import contextlib
import os
import random
import select
import socket
import ssl
import struct
import threading
import time

import http2_frames

# Seconds that connecting, a handshake, or an answer may take.
PATIENCE = 2.0
# Threads that open the connections of one crowd.
OPENERS = 4
# Seconds between two bytes of somebody who is slow.
DRIP = 1.0
# Attackers come from so many addresses.
ADDRESSES = 20


def address_of(number):
    """One of the loopback network's addresses; never the one from which KMS's requests come."""
    return f"127.0.1.{1 + number % ADDRESSES}"


def client_context(protocols=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whom it attacks an attacker need not verify.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


def connected(address, source=None, context=None):
    """A connection to a pair of host and port, or to the path of a Unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        return sock
    sock = socket.create_connection(address, PATIENCE, source and (source, 0))
    try:
        return context.wrap_socket(sock) if context else sock
    except (OSError, ValueError):
        sock.close()
        raise


def plain_address(address):
    """An address as it comes out of a process's arguments: pairs as tuples."""
    return address if isinstance(address, str) else tuple(address)


class Held:
    """A connection that is held: nothing is done with it but a byte now and then, and a look whether it is there."""

    __slots__ = ("socket", "opened", "dripped", "sent")

    def __init__(self, sock, now):
        self.socket, self.opened, self.dripped, self.sent = sock, now, now, 0

    def is_open(self):
        try:
            return bool(self.socket.recv(16_384))
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except (OSError, ValueError):
            return False


class Crowd:
    """Connections that are opened and held; whoever loses one opens another."""

    def __init__(self, address, count, until, first=b"", drip=b"", tls=None, one_address=False):
        """Each connection sends `first`, and then, where there is `drip`, a byte of it each second. `tls`: protocols to
        negotiate. `one_address`: all come from one address that nobody else has."""
        self._address, self._until = plain_address(address), until
        self._first, self._drip, self._one_address = first, drip, one_address
        self._context = client_context(tls) if tls else None
        self._shares = [count // OPENERS + (index < count % OPENERS) for index in range(OPENERS)]
        self._lock = threading.Lock()
        self.counts = {"opened": 0, "refused": 0, "closed": 0, "most": 0, "longest": 0.0}
        self._now_open = 0

    def run(self):
        threads = [threading.Thread(target=self._work, args=(index,)) for index in range(OPENERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.counts

    def _count(self, name, change=1):
        with self._lock:
            self.counts[name] += change
            if name in ("opened", "closed"):
                self._now_open += change if name == "opened" else -change
                self.counts["most"] = max(self.counts["most"], self._now_open)

    def _work(self, index):
        held, epoll, number = {}, select.epoll(), index
        while time.monotonic() < self._until:
            room = self._shares[index] - len(held)
            for _ in range(min(room, 50)):
                number += OPENERS
                if not self._open(held, epoll, number):
                    time.sleep(0.02)
                    break
            self._look(held, epoll, 0.0 if room > 50 else 0.05)
            if self._drip:
                self._drop(held, epoll)
        now = time.monotonic()
        with self._lock:
            self.counts["longest"] = max([self.counts["longest"], *(now - one.opened for one in held.values())])
        for one in held.values():
            one.socket.close()

    def _open(self, held, epoll, number):
        source = None if isinstance(self._address, str) else address_of(0 if self._one_address else number)
        try:
            sock = connected(self._address, source, self._context)
        except OSError:
            self._count("refused")
            return False
        try:
            sock.sendall(self._first)
            sock.setblocking(False)
            epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        except OSError:
            sock.close()
            self._count("refused")
            return False
        held[sock.fileno()] = Held(sock, time.monotonic())
        self._count("opened")
        return True

    def _look(self, held, epoll, seconds):
        for number, events in epoll.poll(seconds):
            one = held[number]
            if events & (select.EPOLLHUP | select.EPOLLERR) or not one.is_open():
                self._lose(held, epoll, number)

    def _lose(self, held, epoll, number):
        one = held.pop(number)
        epoll.unregister(number)
        one.socket.close()
        self._count("closed")
        with self._lock:
            self.counts["longest"] = max(self.counts["longest"], time.monotonic() - one.opened)

    def _drop(self, held, epoll):
        now = time.monotonic()
        for number, one in list(held.items()):
            if now - one.dripped >= DRIP:
                one.dripped = now
                try:
                    one.socket.send(self._drip[one.sent:one.sent + 1] or b"x")
                    one.sent += 1
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue
                except (OSError, ValueError):
                    self._lose(held, epoll, number)


HALF_HEAD = b"POST /kms/xks/v1/health HTTP/1.1\r\nhost: localhost\r\nx-slow: "


def silent(target, until, listener, count, one_address=False):
    """Connections that say nothing."""
    return Crowd(target[listener], count, until, one_address=one_address).run()


def slow(target, until, listener, count, tls=True):
    """Connections that send a request's head, a byte each second."""
    return Crowd(
        target[listener], count, until, drip=HALF_HEAD, tls=("http/1.1",) if tls else None).run()


def streams(target, until, count, each):
    """HTTP/2 connections with so many unfinished requests each."""
    first = http2_frames.unfinished_requests("localhost", target["path"], each)
    return Crowd(target["xks"], count, until, first=first, tls=("h2",)).run()


def headers(target, until, count):
    """HTTP/2 connections whose first header block never ends."""
    first = http2_frames.unfinished_headers("localhost", target["path"])
    return Crowd(target["xks"], count, until, first=first, tls=("h2",)).run()


def _pipelined(target, until, number, counts):
    """Requests that nobody has signed, as many as the node answers."""
    request = (
        f"POST {target['path']} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        "content-length: 2\r\n\r\n{}").encode()
    context, batch = client_context(), 32
    while time.monotonic() < until:
        try:
            with connected(target["xks"], address_of(number), context) as sock:
                while time.monotonic() < until:
                    sock.sendall(request * batch)
                    answers = b""
                    while answers.count(b"HTTP/1.1 ") < batch or not answers.endswith(b"}"):
                        data = sock.recv(262_144)
                        if not data:
                            raise ConnectionError("the node has closed the connection")
                        answers += data
                    counts[number] += batch
        except OSError:
            time.sleep(0.01)


def refused(target, until, connections):
    """A flood of requests without a signature."""
    target = dict(target, xks=plain_address(target["xks"]))
    counts = [0] * connections
    threads = [
        threading.Thread(target=_pipelined, args=(target, until, number, counts)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"requests": sum(counts)}


PROXY_2 = (b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack(">H", 12)
           + bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 187]))
BAD_BEGINNINGS = {
    "plain HTTP": b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "PROXY 1": b"PROXY TCP4 10.0.0.1 10.0.0.2 80 443\r\n",
    "PROXY 2": PROXY_2,
    "nothing": b"",
    # A record of a handshake that promises more than comes.
    "half a record": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
}


def bad_tls(target, until, pause=0.003):
    """Connections that do not begin as TLS does, end within the handshake, or send garbage after it."""
    address, counts, number = plain_address(target["xks"]), {"tried": 0}, 0
    context = client_context()
    while time.monotonic() < until:
        number += 1
        kind = random.choice([*BAD_BEGINNINGS, "random", "garbage after the handshake"])
        with contextlib.suppress(OSError):
            with connected(address, address_of(number), context if kind.startswith("garbage") else None) as sock:
                sock.sendall(BAD_BEGINNINGS.get(kind, None) or random.randbytes(64))
                if kind.startswith("garbage"):
                    os.write(sock.fileno(), random.randbytes(64))
        counts["tried"] += 1
        time.sleep(pause)
    return counts


def perform(function, arguments, target, until):
    """The attacker's process: it takes what the others leave of the processor."""
    os.nice(19)
    return function(target, until, **arguments)
