# SPDX-License-Identifier: Apache-2.0
"""Many keep-alive connections to nodes, on one thread: raw sockets, HTTP/1.1, never a wait for the other side."""

import collections
import errno
import os
import select
import socket
import time

# When a request is given up and its connection closed, seconds.
PATIENCE = 1.0
# Connections at a time; the node's own limit is 1,024.
MOST_CONNECTIONS = 600


class Connection:
    """One keep-alive connection, with at most one request under way."""

    __slots__ = ("socket", "unsent", "received", "request", "number", "blocked", "address")

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.socket.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(code, os.strerror(code))
        self.number, self.address = self.socket.fileno(), address
        self.unsent, self.received, self.request = b"", bytearray(), None
        # Whether it waits for the socket to take more.
        self.blocked = False

    def flush(self):
        """Sends what the socket takes; true when something is left."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # Not connected yet; the socket becomes writable when it is.
            if error.errno != errno.ENOTCONN:
                raise
        return bool(self.unsent)

    def answer(self):
        """Status, body, and whether the connection stays; `None` while the answer is not whole."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[:end]).lower()
        place = head.find(b"\r\ncontent-length:")
        length = int(head[place + 17:].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self.received) < end + 4 + length:
            return None
        body = bytes(self.received[end + 4:end + 4 + length])
        self.received.clear()
        return int(head[9:12]), body, b"\r\nconnection: close" not in head


class Connections:
    """Connections to one node, or to several. `answered(request, status, body)` is called for every request that was sent, once.

    The status is 0 where there was no answer; the body then is the reason.
    """

    def __init__(self, host, port, answered, patience=None):
        """`patience`: when a request is given up, seconds; PATIENCE by default."""
        self._address, self._answered = (host, port), answered
        self._patience = PATIENCE if patience is None else patience
        self._epoll = select.epoll()
        # Connections by descriptor; those that are idle, by address.
        self._all, self._idle = {}, collections.defaultdict(list)
        self._expiries = collections.deque()

    @property
    def in_flight(self):
        return len(self._all) - sum(map(len, self._idle.values()))

    def send(self, request, data, address=None):
        """Sends to the node, or to another one: `address` is a pair of host and port."""
        address = address or self._address
        idle = self._idle[address]
        try:
            if idle:
                connection = idle.pop()
            elif len(self._all) < MOST_CONNECTIONS:
                connection = Connection(address)
                self._all[connection.number] = connection
                self._epoll.register(connection.number, select.EPOLLIN)
            else:
                self._answered(request, 0, b"all connections are in use")
                return
        except OSError as error:
            self._answered(request, 0, f"cannot connect: {error.strerror}".encode())
            return
        connection.request, connection.unsent = request, data
        self._expiries.append((time.monotonic() + self._patience, connection, request))
        self._write(connection)

    def wait(self, seconds):
        """Handles what comes within so many seconds; returns after the first batch, or when a request is given up."""
        if self._expiries:
            seconds = min(seconds, self._expiries[0][0] - time.monotonic())
        # select(2) waits to the microsecond; epoll_wait(2) only to the millisecond.
        if select.select([self._epoll.fileno()], [], [], max(seconds, 0))[0]:
            for number, events in self._epoll.poll(0):
                connection = self._all.get(number)
                if connection is None:
                    continue
                if events & select.EPOLLOUT:
                    self._write(connection)
                if events & ~select.EPOLLOUT and number in self._all:
                    self._read(connection)
        now = time.monotonic()
        while self._expiries:
            expiry, connection, request = self._expiries[0]
            if connection.request is request:
                if expiry > now:
                    break
                self._lose(connection, f"no answer within {self._patience:g} s".encode())
            self._expiries.popleft()

    def close(self):
        for connection in self._all.values():
            connection.socket.close()
        self._all, self._idle = {}, collections.defaultdict(list)
        self._epoll.close()

    def _write(self, connection):
        try:
            more = connection.flush()
            if more != connection.blocked:
                self._epoll.modify(connection.number, select.EPOLLIN | (select.EPOLLOUT if more else 0))
                connection.blocked = more
        except OSError as error:
            self._lose(connection, f"cannot send: {error.strerror}".encode())

    def _read(self, connection):
        try:
            data = connection.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(connection, f"connection broken: {error.strerror}".encode())
            return
        if not data:
            self._lose(connection, b"connection closed")
            return
        connection.received += data
        answer = connection.answer()
        if answer is None:
            return
        if connection.request is None:
            self._lose(connection, b"an answer without a request")
            return
        request, connection.request = connection.request, None
        status, body, stays = answer
        if stays:
            self._idle[connection.address].append(connection)
        else:
            self._forget(connection)
        self._answered(request, status, body)

    def _lose(self, connection, reason):
        request, connection.request = connection.request, None
        self._forget(connection)
        if request is None:
            self._idle[connection.address].remove(connection)
        else:
            self._answered(request, 0, reason)

    def _forget(self, connection):
        del self._all[connection.number]
        self._epoll.unregister(connection.number)
        connection.socket.close()
