# SPDX-License-Identifier: Apache-2.0
"""A client of HTTP/2 for one request at a time on one connection, as much of it as asking a node takes."""

import socket
import ssl
import struct
import urllib.parse

import http2_frames as frames


class Connection:
    """Raises OSError where the other side does not answer, or ends the connection."""

    def __init__(self, url, authorities, timeout):
        parts = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=authorities)
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection((parts.hostname, parts.port), timeout)
        try:
            self._socket = context.wrap_socket(raw, server_hostname=parts.hostname)
            if self._socket.selected_alpn_protocol() != "h2":
                raise ConnectionError("the node does not speak HTTP/2")
            self._socket.sendall(frames.hello())
        except OSError:
            raw.close()
            raise
        self._stream, self._received = -1, bytearray()

    def close(self):
        self._socket.close()

    def ask(self, path, headers, body):
        """One request; returns the status, as `http2_frames.status` tells it, and the body of its answer."""
        self._stream += 2
        self._socket.sendall(frames.request(self._stream, path, headers, body))
        status, text = 0, bytearray()
        while True:
            kind, flags, stream, payload = self._frame()
            if kind == frames.SETTINGS and not flags & frames.ACK:
                self._socket.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
            elif kind == frames.PING and not flags & frames.ACK:
                self._socket.sendall(frames.frame(frames.PING, frames.ACK, 0, payload))
            elif kind == frames.GOAWAY or kind == frames.RESET and stream == self._stream:
                raise ConnectionError("the node ends the stream or the connection")
            elif stream != self._stream:
                continue
            elif kind == frames.HEADERS:
                status = frames.status(payload)
            elif kind == frames.DATA:
                text += payload
                if payload:
                    # What was read makes room for as much again, on the whole connection.
                    self._socket.sendall(frames.frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                return status, bytes(text)

    def _frame(self):
        head = self._read(9)
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFF_FFFF, self._read(length)

    def _read(self, count):
        while len(self._received) < count:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionError("the node has closed the connection")
            self._received += data
        result = bytes(self._received[:count])
        del self._received[:count]
        return result
