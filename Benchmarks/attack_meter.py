# SPDX-License-Identifier: Apache-2.0
"""What KMS notices of an attack: signed requests over TLS at a constant rate, on old connections and new ones."""

import collections
import http.client
import json
import random
import ssl
import threading
import time

import load
import workload

# Requests that can be under way at a time.
THREADS = 16
# Of so many requests one comes on a new connection: a handshake while others want one, too.
NEW_EVERY = 10
# Seconds after which a request is given up.
PATIENCE = 1.0
# Bytes of plaintext: a data key.
SIZE = 32


class Meter:
    """Requests that leave when they are due, whatever the others are doing. Latency counts from that moment."""

    def __init__(self, info, began, seconds, rate):
        self._load = workload.Workload(info, SIZE, 0)
        self._context = ssl.create_default_context(cafile=info["ca"])
        self._began, self._rate, self._count = began, rate, round(seconds * rate)
        self._lock, self._next = threading.Lock(), 0
        self._sealed = collections.deque(maxlen=1_000)
        # Rows as `replies.COLUMNS` names them.
        self.answers = []

    def run(self):
        threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _take(self):
        with self._lock:
            number, self._next = self._next, self._next + 1
            return number

    def _work(self):
        connection = None
        while (number := self._take()) < self._count:
            due = self._began + number / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
            if connection is None or number % NEW_EVERY == 0:
                if connection:
                    connection.close()
                connection = http.client.HTTPSConnection(
                    self._load.hostname, self._load.port, timeout=PATIENCE, context=self._context)
            if not self._ask(connection, number, due):
                connection.close()
                connection = None

    def _ask(self, connection, number, due):
        """One request; returns whether its connection can be used again."""
        pair = random.choice(self._sealed) if number % 2 and self._sealed else None
        kind = "decrypt" if pair else "encrypt"
        body = dict(pair[1]) if pair else workload.encrypt_body(SIZE, cdiv=False)
        body["requestMetadata"] = workload.metadata(kind.capitalize())
        identifier = body["requestMetadata"]["kmsRequestId"]
        status, text = 0, b""
        try:
            status, text = self._load.ask(connection, kind, body)
            name = None if status == 200 else load.error_name(status, text)
        except (OSError, http.client.HTTPException) as error:
            name = f"{type(error).__name__}: {error}"
        now = time.monotonic()
        if status == 200:
            name = self._judge(kind, pair, body, json.loads(text))
            if now - due > load.KMS_PATIENCE:
                name = name or f"good, but after {load.KMS_PATIENCE * 1000:.0f} ms"
        self.answers.append((due - self._began, (now - due) * 1000, kind, status, name, identifier, 1))
        return status != 0

    def _judge(self, kind, pair, body, answer):
        if kind == "encrypt":
            sealed = dict(body)
            plaintext = sealed.pop("plaintext")
            self._sealed.append((plaintext, sealed | answer))
        elif answer["plaintext"] != pair[0]:
            return "another plaintext"
        return None


def drive(info, began, seconds, rate):
    """Sends the requests; returns the rows of their answers."""
    meter = Meter(info, began, seconds, rate)
    meter.run()
    return meter.answers
