# SPDX-License-Identifier: Apache-2.0
"""A load generator that never waits for the node: requests leave when they are due, whatever the others are doing.

One thread with raw sockets: a request costs less than 0.4 ms of CPU, waking up for it included, so that 500 a second
leave most of two cores to the node. Every request takes a connection that is idle, or a new one; so a slow answer
delays no other request. Latencies count from the moment when a request was due, not from when it was sent: a stall
of the generator itself makes them longer, never shorter.
"""

import base64
import collections
import dataclasses
import gc
import json
import math
import multiprocessing
import random
import resource
import signal
import time

import connections
import workload

# What KMS waits for a whole request (XKS 1.0.3), seconds: a later answer is none.
KMS_PATIENCE = 0.25


# Of so many decryptions one is of bad ciphertext.
BAD_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Mix:
    """What is asked, and how often."""

    # Requests a second, those below aside.
    rate: float
    # Bad ciphertexts a second beside them.
    flood: int = 0
    # Which share of the requests are decryptions, a tenth of them of bad ciphertext.
    decrypts: float = 0.5
    # Seconds after the beginning from which on nothing is asked but decryptions of what was made before.
    old_after: float = math.inf
    # Whether each request that fails is sent once more at once, as KMS does, which gives up after KMS_PATIENCE.
    again: bool = False


class Request:
    """A request: kind (encrypt, decrypt, bad, flood), monotonic time when it was due, what the answer must match, and
    which attempt it is."""

    __slots__ = ("kind", "due", "content", "id", "attempt", "body")

    def __init__(self, kind, due, content, identifier, attempt, body):
        self.kind, self.due, self.content, self.id = kind, due, content, identifier
        self.attempt, self.body = attempt, body


class Stream:
    """Requests that are due at a constant rate; `make` makes one. `due` is infinite after the last one."""

    def __init__(self, began, rate, seconds, make):
        self.due, self.make = began, make
        self._began, self._rate, self._sent, self._count = began, rate, 0, round(rate * seconds)

    def advance(self):
        self._sent += 1
        self.due = self._began + self._sent / self._rate if self._sent < self._count else math.inf


class Traffic:
    """Encrypts and decrypts as a mix says, and judges every answer. Every ciphertext is decrypted once, the oldest
    first."""

    def __init__(self, load, began, mix):
        self._load, self._began, self._mix = load, began, mix
        # Who gives up hangs up: HTTP/1.1 has no other word for it.
        patience = min(KMS_PATIENCE, connections.PATIENCE) if mix.again else connections.PATIENCE
        self._connections = connections.Connections(load.hostname, load.port, self._answered, patience)
        self._unopened = collections.deque()
        # The share of a decryption that is owed, and how many there were.
        self._owed, self._decrypts = 0.0, 0
        # What was made before `old_after`.
        self._old = None
        self._seen = set()
        # Rows: seconds since the beginning, milliseconds, kind, status, error name, id of the request, attempt.
        self.answers = []
        # Rows: seconds since the beginning, what was wrong, id of the request.
        self.wrong = []
        # Pairs: plaintext as base64, body of a decrypt request.
        self.made = []
        self.lateness = []

    def run(self, seconds):
        """Sends what the mix says for so many seconds, and waits for the answers."""
        mix = self._mix
        streams = [Stream(self._began, mix.rate, seconds, self._next)]
        if mix.flood:
            # Half an interval apart from the others.
            streams.append(Stream(self._began + 0.5 / mix.rate, mix.flood, seconds, self._spoiled))
        while True:
            stream = min(streams, key=lambda one: one.due)
            due = stream.due
            if due == math.inf:
                break
            self._connections.wait(due - time.monotonic())
            if time.monotonic() < due:
                continue
            stream.advance()
            pair = stream.make(due)
            if pair:
                self.lateness.append((time.monotonic() - due) * 1000)
                self._connections.send(*pair)
        while self._connections.in_flight:
            self._connections.wait(connections.PATIENCE)
        self._connections.close()

    def _next(self, due):
        if due - self._began >= self._mix.old_after and self.made:
            if self._old is None:
                self._old = list(self.made)
            return self._decrypt(due, *random.choice(self._old))
        # An encryption first: without it there is nothing to decrypt.
        if self._owed >= 1 and self.made:
            self._owed -= 1
            pair = self._unopened.popleft() if self._unopened else random.choice(self.made)
            return self._decrypt(due, *pair)
        # After so many encryptions one decryption is due.
        decrypts = self._mix.decrypts
        self._owed += decrypts / (1 - decrypts)
        body = workload.encrypt_body(self._load.size, cdiv=False)
        return self._request("encrypt", due, body, body)

    def _decrypt(self, due, plaintext, sealed):
        self._decrypts += 1
        if self._decrypts % BAD_EVERY == 0:
            return self._request("bad", due, spoiled(sealed), None)
        return self._request("decrypt", due, dict(sealed), plaintext)

    def _spoiled(self, due):
        return self._request("flood", due, spoiled(random.choice(self.made)[1]), None) if self.made else None

    def _request(self, kind, due, body, content, attempt=1):
        operation = "encrypt" if kind == "encrypt" else "decrypt"
        body["requestMetadata"] = workload.metadata(operation.capitalize())
        request = Request(kind, due, content, body["requestMetadata"]["kmsRequestId"], attempt, body)
        return request, self._load.request(operation, body)

    def _answered(self, request, status, body):
        now = time.monotonic()
        name = None
        if status == 200:
            self._judge(request, now, json.loads(body))
        else:
            name = error_name(status, body)
        if status != 0 and now - request.due > KMS_PATIENCE:
            name = f"{name or 'good'}, but after {KMS_PATIENCE * 1000:.0f} ms"
        self.answers.append(
            (request.due - self._began, (now - request.due) * 1000, request.kind, status, name, request.id,
             request.attempt))
        # What KMS takes as the caller's fault it does not ask again.
        if self._mix.again and name and request.attempt == 1 and (not 400 <= status < 500 or status == 429):
            self._connections.send(*self._request(request.kind, now, request.body, request.content, attempt=2))

    def _judge(self, request, now, answer):
        if request.kind == "encrypt":
            vector = answer["initializationVector"]
            if vector in self._seen:
                self._blame(request, now, "an initialization vector was used twice")
            self._seen.add(vector)
            body = dict(request.content)
            plaintext = body.pop("plaintext")
            if answer["ciphertext"] == plaintext:
                self._blame(request, now, "the ciphertext is the plaintext")
            self.made.append((plaintext, body | answer))
            self._unopened.append(self.made[-1])
        elif request.content is None:
            self._blame(request, now, "ciphertext with a spoiled tag was opened")
        elif answer["plaintext"] != request.content:
            self._blame(request, now, "decrypt gave another plaintext")

    def _blame(self, request, now, what):
        self.wrong.append((now - self._began, what, request.id))


def spoiled(sealed):
    """The body of a decrypt request with one bit of its tag turned."""
    body = dict(sealed)
    tag = bytearray(base64.b64decode(body["authenticationTag"]))
    tag[random.randrange(len(tag))] ^= 1 << random.randrange(8)
    body["authenticationTag"] = base64.b64encode(tag).decode()
    return body


def error_name(status, body):
    """The name by which a refusal is counted."""
    if status == 0:
        return body.decode()
    try:
        return json.loads(body)["errorName"]
    except (ValueError, KeyError, TypeError):
        return "an answer without errorName"


def drive(info, size, began, seconds, mix):
    """Sends the load from a monotonic time on; returns what came of it."""
    gc.disable()
    traffic = Traffic(workload.Workload(info, size, 0), began, mix)
    before = resource.getrusage(resource.RUSAGE_SELF)
    traffic.run(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "answers": traffic.answers, "wrong": traffic.wrong, "made": traffic.made, "lateness": traffic.lateness,
        "cpu": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds}


class Opening:
    """Opens ciphertexts on a node, so many at a time, each up to three times; keeps a reason for each that is lost."""

    def __init__(self, info, made, width):
        self._load = workload.Workload(info, 0, 0)
        self._connections = connections.Connections(self._load.hostname, self._load.port, self._answered)
        self._waiting = collections.deque((plaintext, sealed, 3) for plaintext, sealed in made)
        self._width = width
        self.lost = []

    def run(self):
        while self._waiting or self._connections.in_flight:
            while self._waiting and self._connections.in_flight < self._width:
                plaintext, sealed, tries = self._waiting.popleft()
                body = dict(sealed, requestMetadata=workload.metadata("Decrypt"))
                self._connections.send((plaintext, sealed, tries), self._load.request("decrypt", body))
            self._connections.wait(connections.PATIENCE)
        self._connections.close()

    def _answered(self, request, status, body):
        plaintext, sealed, tries = request
        if status == 200:
            if json.loads(body)["plaintext"] != plaintext:
                self.lost.append("another plaintext")
            return
        name = error_name(status, body)
        # Only the first is the ciphertext's fault; the machine may be to blame for the others.
        if name == "InvalidCiphertextException" or tries == 1:
            self.lost.append(f"{status} {name}")
        else:
            self._waiting.append((plaintext, sealed, tries - 1))


def open_all(info, made, width=6):
    """Decrypts each ciphertext on one node; returns why some do not open."""
    gc.disable()
    opening = Opening(info, made, width)
    opening.run()
    return opening.lost


def pipe():
    """Two ends of a pipe between this process and a `Child`."""
    return multiprocessing.get_context("fork").Pipe()


class Child:
    """A function at work in a process of its own."""

    def __init__(self, function, *arguments):
        context = multiprocessing.get_context("fork")
        self._results, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=self._work, args=(sender, function, arguments), daemon=True)
        self._process.start()
        sender.close()

    @staticmethod
    def _work(sender, function, arguments):
        # Whoever interrupts the parent, the parent ends this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            sender.send((function(*arguments), None))
        except Exception as error:  # Whatever it is, the parent must be told.
            sender.send((None, f"{type(error).__name__}: {error}"))

    def result(self):
        """Waits for the end; raises RuntimeError when the function failed."""
        try:
            value, error = self._results.recv()
        except EOFError:
            value, error = None, "the process ended"
        self._process.join()
        if error:
            raise RuntimeError(f"the load generator failed: {error}")
        return value

    def stop(self):
        self._process.kill()
        self._process.join()
