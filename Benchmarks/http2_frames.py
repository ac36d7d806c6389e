# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2 (RFC 9113), as a client sends them: whole requests, and such as are begun and never end. Pure."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1

# Static entries of HPACK (RFC 7541, appendix A), indexed: `:method POST` and `:scheme https`.
_POST, _HTTPS = b"\x83", b"\x87"
# Literals with incremental indexing, whose names are static entries: `:authority` and `:path`.
_AUTHORITY, _PATH = b"\x41", b"\x44"
# Where these two stand in the dynamic table afterwards: the newest first.
_KNOWN = b"\xbe\xbf"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _length(value):
    """A length as HPACK writes it, in a prefix of 7 bits (RFC 7541, section 5.1)."""
    if value < 127:
        return bytes((value,))
    rest, digits = value - 127, bytearray(b"\x7f")
    while rest >= 128:
        digits.append(0x80 | rest & 0x7f)
        rest >>= 7
    return bytes(digits) + bytes((rest,))


def _literal(name, value):
    return name + _length(len(value)) + value


def fields(authority, path, is_first):
    """The header block of a POST; the first one of a connection teaches the other side what the later ones refer to."""
    if not is_first:
        return _POST + _HTTPS + _KNOWN
    return _POST + _HTTPS + _literal(_AUTHORITY, authority.encode()) + _literal(_PATH, path.encode())


def hello():
    """What a client says first: the preface and its settings."""
    return PREFACE + frame(SETTINGS, 0, 0)


def unfinished_requests(authority, path, count):
    """The beginnings of so many requests, each with its header fields whole and no body."""
    return hello() + b"".join(
        frame(HEADERS, END_HEADERS, 2 * number + 1, fields(authority, path, number == 0)) for number in range(count))


def unfinished_headers(authority, path):
    """A request whose header fields never end: END_HEADERS is not set, and no CONTINUATION follows."""
    return hello() + frame(HEADERS, 0, 1, fields(authority, path, True))


def request(stream, path, headers, body):
    """A whole POST. `headers`: names to values, `host` among them; nothing of it is remembered by either side."""
    block = _POST + _HTTPS
    others = {name: value for name, value in headers.items() if name != "host"}
    # Pseudo-header fields come first.
    for name, value in {":authority": headers["host"], ":path": path, **others}.items():
        # A literal without indexing, with a name of its own.
        block += _literal(_literal(b"\0", name.encode()), value.encode())
    return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body)


def status(block):
    """The status in an answer's header block; 0 where it is none of those that HPACK has a static entry for."""
    known = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
    return known.get(block[0] if block else 0, 0)
