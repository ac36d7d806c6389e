# SPDX-License-Identifier: Apache-2.0
"""A mixed load for hours: every kind of request, good and bad, over HTTP/1.1 and HTTP/2, on old connections and new."""

import collections
import http.client
import json
import random
import ssl
import threading
import time
import urllib.parse

import http2_client
import load
import workload

# Threads of each protocol, each with a connection of its own.
THREADS = 4
# Of so many requests one comes on a new connection.
NEW_EVERY = 200
# Seconds after which a request is given up.
PATIENCE = 2.0
# Kinds of requests, and how often of a hundred.
KINDS = {"encrypt": 35, "encrypt+CDIV": 10, "decrypt": 35, "metadata": 5, "health": 5, "spoiled": 5, "unsigned": 5}
# A status that HTTP/2's client cannot tell: any but 200, 400 and 500.
UNTOLD = 0
# Bytes of plaintext.
SIZES = (16, 32, 256, 4_096)


class Outcomes:
    """What came of the requests, counted: a soak is too long for rows."""

    def __init__(self):
        self.counts = collections.Counter()
        self.reasons = collections.Counter()

    def note(self, kind, status, seconds):
        """`status` of an answer, or in words why there was none that is of use."""
        self.counts["requests"] += 1
        if not is_good(kind, status):
            self.counts["failed"] += 1
            self.reasons[f"{kind}: {status}"] += 1
        elif seconds > load.KMS_PATIENCE:
            self.counts["late"] += 1


def is_good(kind, status):
    """Whether a kind of request may be answered so while HSMs have faults: bad ciphertext may then go unchecked, with a
    status that KMS asks again after."""
    if kind == "unsigned":
        return status in (401, UNTOLD)
    if kind == "spoiled":
        return status in (400, 429, 500, 503, UNTOLD)
    return status == 200


class Asker:
    """One thread's requests, at a constant rate."""

    def __init__(self, info, is_http2, until, rate, outcomes):
        self._info, self._is_http2, self._until, self._rate = info, is_http2, until, rate
        self._load, self._outcomes = workload.Workload(info, 0, 0), outcomes
        self._context = ssl.create_default_context(cafile=info["ca"])
        self._connection, self._sealed = None, collections.deque(maxlen=200)

    def run(self):
        due = time.monotonic() + random.random() / self._rate
        number = 0
        while (now := time.monotonic()) < self._until:
            time.sleep(max(0.0, due - now))
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            number += 1
            if number % NEW_EVERY == 0:
                self._close()
            kind = random.choices(list(KINDS), KINDS.values())[0]
            began = time.monotonic()
            status = self._ask(kind)
            self._outcomes.note(kind, status, time.monotonic() - began)
        self._close()

    def _close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _ask(self, kind):
        operation, body, plaintext = self._body(kind)
        path, headers, data = self._load.signed(operation, body)
        if kind == "unsigned":
            del headers["authorization"]
        try:
            status, text = self._send(path, headers, data)
        except (OSError, http.client.HTTPException):
            self._close()
            return "no answer"
        if status == 200 and operation == "encrypt":
            whole = body | json.loads(text)
            self._sealed.append((body["plaintext"], {
                name: value for name, value in whole.items()
                if name != "plaintext" and not name.startswith("ciphertextDataIntegrityValue")}))
        if status == 200 and plaintext is not None and json.loads(text)["plaintext"] != plaintext:
            return "another plaintext"
        return status

    def _body(self, kind):
        """The operation, the request's body, and the plaintext that is to come back."""
        if kind in ("decrypt", "spoiled") and self._sealed:
            plaintext, sealed = random.choice(self._sealed)
            body = load.spoiled(sealed) if kind == "spoiled" else dict(sealed)
            return "decrypt", body | {"requestMetadata": workload.metadata("Decrypt")}, plaintext
        if kind == "spoiled":
            # Nothing to spoil yet: what no HSM has made is as bad.
            body = workload.encrypt_body(32, cdiv=False)
            ciphertext = body.pop("plaintext")
            return "decrypt", body | {
                "requestMetadata": workload.metadata("Decrypt"), "ciphertext": ciphertext,
                "initializationVector": "AAAAAAAAAAAAAAAA", "authenticationTag": "AAAAAAAAAAAAAAAAAAAAAA=="}, None
        if kind in ("metadata", "health"):
            name = "DescribeKey" if kind == "metadata" else "KmsHealthCheck"
            return kind, {"requestMetadata": workload.metadata(name)}, None
        return "encrypt", workload.encrypt_body(random.choice(SIZES), kind == "encrypt+CDIV"), None

    def _send(self, path, headers, data):
        if self._is_http2:
            self._connection = self._connection or http2_client.Connection(
                self._info["url"], self._info["ca"], PATIENCE)
            return self._connection.ask(path, headers, data)
        if self._connection is None:
            address = urllib.parse.urlsplit(self._info["url"])
            self._connection = http.client.HTTPSConnection(
                address.hostname, address.port, timeout=PATIENCE, context=self._context)
        self._connection.request("POST", path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def drive(info, seconds, rate):
    """Sends the load for so many seconds; returns counts, and how often which kind was answered otherwise."""
    until, outcomes = time.monotonic() + seconds, Outcomes()
    askers = [
        Asker(info, number % 2 == 1, until, rate / (2 * THREADS), outcomes) for number in range(2 * THREADS)]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes.counts), dict(outcomes.reasons)
