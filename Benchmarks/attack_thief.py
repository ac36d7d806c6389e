# SPDX-License-Identifier: Apache-2.0
"""Somebody who has the certificate and key of a node, and speaks to another node's cluster listener."""

import ssl
import subprocess

import attackers
import cluster_network

# A request that a node answers with 400 to whomever it takes for a node, and to nobody else.
_REQUEST = (b"POST /cluster/v1/gossip HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\n"
            b"content-length: 2\r\n\r\n{}")


def serial_of(certificate):
    """The serial number of a certificate, in hexadecimal digits."""
    text = subprocess.run(
        [cluster_network.tool("openssl"), "x509", "-in", certificate, "-noout", "-serial"],
        capture_output=True, text=True, timeout=30, check=True).stdout
    return text.strip().partition("=")[2]


class Thief:
    """One connection with a stolen certificate."""

    def __init__(self, address, certificate, key):
        context = attackers.client_context()
        context.load_cert_chain(certificate, key)
        self._address, self._context = address, context
        self._socket = None

    def ask(self):
        """Sends a request on the connection, which is opened where there is none; returns whether it was answered."""
        try:
            if self._socket is None:
                self._socket = attackers.connected(self._address, attackers.address_of(0), self._context)
            self._socket.sendall(_REQUEST)
            return self._socket.recv(4_096).startswith(b"HTTP/1.1 ")
        except (OSError, ValueError):
            return False

    def is_connected(self):
        """Whether the other side has left the connection open."""
        if self._socket is None:
            return False
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(4_096))
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(attackers.PATIENCE)

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
