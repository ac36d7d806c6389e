# SPDX-License-Identifier: Apache-2.0
"""A load generator that never waits for the node: requests leave when they are due, whatever the others are doing.

One thread with raw sockets: a request costs less than 0.4 ms of CPU, waking up for it included, so that 500 a second
leave most of two cores to the node. Every request takes a connection that is idle, or a new one; so a slow answer
delays no other request. Latencies count from the moment when a request was due, not from when it was sent: a stall
of the generator itself makes them longer, never shorter.
"""

import base64
import collections
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


class Request:
    """A request: kind (encrypt, decrypt, flood), monotonic time when it was due, and what the answer must match."""

    __slots__ = ("kind", "due", "content", "id")

    def __init__(self, kind, due, content, identifier):
        self.kind, self.due, self.content, self.id = kind, due, content, identifier


class Stream:
    """Requests that are due at a constant rate; `make` makes one. `due` is infinite after the last one."""

    def __init__(self, began, rate, seconds, make):
        self.due, self.make = began, make
        self._began, self._rate, self._sent, self._count = began, rate, 0, round(rate * seconds)

    def advance(self):
        self._sent += 1
        self.due = self._began + self._sent / self._rate if self._sent < self._count else math.inf


class Traffic:
    """Encrypts and decrypts in turn, and judges every answer. Every ciphertext is decrypted once, the oldest first."""

    def __init__(self, load, began):
        self._load, self._began = load, began
        self._connections = connections.Connections(load.hostname, load.port, self._answered)
        self._unopened = collections.deque()
        self._turn = 0
        self._seen = set()
        # Rows: seconds since the beginning, milliseconds, kind, status, error name, id of the request.
        self.answers = []
        # Rows: seconds since the beginning, what was wrong, id of the request.
        self.wrong = []
        # Pairs: plaintext as base64, body of a decrypt request.
        self.made = []
        self.lateness = []

    def run(self, seconds, rate, flood):
        """Sends `rate` requests a second, and `flood` a second with a spoiled tag beside them."""
        streams = [Stream(self._began, rate, seconds, self._next)]
        if flood:
            # Half an interval apart from the others.
            streams.append(Stream(self._began + 0.5 / rate, flood, seconds, self._spoiled))
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
        self._turn ^= 1
        if not self._turn and self.made:
            plaintext, sealed = self._unopened.popleft() if self._unopened else random.choice(self.made)
            return self._request("decrypt", "decrypt", due, sealed, plaintext)
        body = workload.encrypt_body(self._load.size, cdiv=False)
        return self._request("encrypt", "encrypt", due, body, body)

    def _spoiled(self, due):
        if not self.made:
            return None
        body = dict(random.choice(self.made)[1])
        tag = bytearray(base64.b64decode(body["authenticationTag"]))
        tag[random.randrange(len(tag))] ^= 1 << random.randrange(8)
        body["authenticationTag"] = base64.b64encode(tag).decode()
        return self._request("flood", "decrypt", due, body, None)

    def _request(self, kind, operation, due, body, content):
        body["requestMetadata"] = workload.metadata(operation.capitalize())
        request = Request(kind, due, content, body["requestMetadata"]["kmsRequestId"])
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
            (request.due - self._began, (now - request.due) * 1000, request.kind, status, name, request.id))

    def _judge(self, request, now, answer):
        if request.kind == "encrypt":
            vector = answer["initializationVector"]
            if vector in self._seen:
                self._blame(request, now, "an initialization vector was used twice")
            self._seen.add(vector)
            body = request.content
            plaintext = body.pop("plaintext")
            if answer["ciphertext"] == plaintext:
                self._blame(request, now, "the ciphertext is the plaintext")
            self.made.append((plaintext, body | answer))
            self._unopened.append(self.made[-1])
        elif request.kind == "flood":
            self._blame(request, now, "ciphertext with a spoiled tag was opened")
        elif answer["plaintext"] != request.content:
            self._blame(request, now, "decrypt gave another plaintext")

    def _blame(self, request, now, what):
        self.wrong.append((now - self._began, what, request.id))


def error_name(status, body):
    """The name by which a refusal is counted."""
    if status == 0:
        return body.decode()
    try:
        return json.loads(body)["errorName"]
    except (ValueError, KeyError, TypeError):
        return "an answer without errorName"


def drive(info, size, began, seconds, rate, flood):
    """Sends the load from a monotonic time on; returns what came of it."""
    gc.disable()
    traffic = Traffic(workload.Workload(info, size, 0), began)
    before = resource.getrusage(resource.RUSAGE_SELF)
    traffic.run(seconds, rate, flood)
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
