# SPDX-License-Identifier: Apache-2.0
"""An open loop: requests come at random times, as from many clients who do not know of each other (Poisson).

All is prepared beforehand, signatures too, so that sending a request costs little more than the system's calls. When it
is due, a request leaves, whatever has become of the others, and its latency counts from then: what the generator itself
is late makes it longer, never shorter. Like KMS, it hangs up after 250 ms.
"""

import contextlib
import gc
import heapq
import itertools
import math
import os
import random
import resource
import time

import connections
import load
import replies
import workload

# What a row has besides what `replies` describes: the numbers of the stream and of the node.
COLUMNS = (*replies.COLUMNS, "stream", "node")
# Seconds of quiet between the last preparation and the first request.
BREATH = 0.5


def arrivals(streams, nodes, seconds, seed):
    """When requests are due: (seconds, number of the stream, number of the node), in order; nodes take turns.

    `streams` have a `rate`, requests a second.
    """
    def times(number, rate):
        chance, due = random.Random(f"{seed}-{number}"), 0.0
        while (due := due + chance.expovariate(rate)) < seconds:
            yield due, number

    merged = heapq.merge(*(times(number, stream.rate) for number, stream in enumerate(streams)))
    return [(due, number, node) for (due, number), node in zip(merged, itertools.cycle(range(nodes)))]


class Request:
    __slots__ = ("due", "kind", "stream", "node", "id", "data", "address")

    def __init__(self, due, kind, stream, node, info, size):
        body = workload.encrypt_body(size, kind.endswith("+CDIV"))
        target = workload.Workload(info, size, 0)
        self.due, self.kind, self.stream, self.node = due, kind, stream, node
        self.id = body["requestMetadata"]["kmsRequestId"]
        self.data, self.address = target.request("encrypt", body), (target.hostname, target.port)


class Traffic:
    """Sends prepared requests, and keeps a row for each."""

    def __init__(self, requests):
        self._requests = requests
        self._connections = connections.Connections("", 0, self._answered, load.KMS_PATIENCE)
        self._began = 0.0
        self.rows, self.lateness = [], []

    def run(self, began):
        self._began = began
        for request in self._requests:
            due = began + request.due
            while (now := time.monotonic()) < due:
                self._connections.wait(due - now)
            self.lateness.append((now - due) * 1000)
            self._connections.send(request, request.data, request.address)
        while self._connections.in_flight:
            self._connections.wait(connections.PATIENCE)
        self._connections.close()

    def _answered(self, request, status, body):
        ms = (time.monotonic() - self._began - request.due) * 1000
        name = None if status == 200 else load.error_name(status, body)
        if status != 0 and ms > load.KMS_PATIENCE * 1000:
            name = f"{name or 'good'}, but after {load.KMS_PATIENCE * 1000:.0f} ms"
        self.rows.append((request.due, ms, request.kind, status, name, request.id, 1, request.stream, request.node))


def be_punctual():
    """Lets this process run as soon as it wakes up, where the system permits that: clients on machines of their own would
    not wait for the node's processors either. It sleeps most of the time."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def drive(plan, kinds, infos, size, pipe):
    """Prepares the requests of a plan of `arrivals`, says through the pipe that it is ready, and sends them from the
    monotonic time on that comes back. `kinds` are the streams' kinds, `infos` what a workload needs to know, by stream and
    node."""
    requests = [
        Request(due, kinds[stream], stream, node, infos[stream][node], size) for due, stream, node in plan]
    gc.collect()
    gc.disable()
    traffic = Traffic(requests)
    pipe.send("ready")
    began = pipe.recv()
    be_punctual()
    before = resource.getrusage(resource.RUSAGE_SELF)
    traffic.run(began)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": [dict(zip(COLUMNS, row, strict=True)) for row in traffic.rows],
        "late": replies.percentile(sorted(traffic.lateness), 0.99), "latest": max(traffic.lateness, default=math.nan),
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}
