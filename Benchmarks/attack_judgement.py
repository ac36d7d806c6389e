# SPDX-License-Identifier: Apache-2.0
"""What an attack may do to those who are served: nothing. Pure."""

import dataclasses
import json

import replies

# Milliseconds that 99 of 100 requests may take at most, and an answer of `/readyz`.
MOST_P99 = 50.0
MOST_READY = 100.0
# Resident memory of the node's process, MiB.
MOST_MEMORY = 200.0
# Seconds that an order to block may take, its command's start included.
MOST_ORDER = 2.0
# Seconds that half a header block may stay: `xks.header_timeout` (5 s), a sweep of the timers, and what a busy machine
# adds.
MOST_HEADERS = 8.0


@dataclasses.dataclass
class Order:
    """An order to block that was given in the middle of an attack."""

    # Exit status of the command, `None` when it did not end, and what it printed.
    status: object
    text: str
    seconds: float
    is_on_disk: bool
    # Whether the log has the line that tells of it.
    is_logged: bool


@dataclasses.dataclass
class Seen:
    """What was seen while somebody attacked."""

    name: str
    title: str
    # Rows of the signed requests (`replies`).
    rows: list
    # Milliseconds of each answer of `/readyz`; infinite where there was none, or another one than 200.
    ready: list
    # Resident memory of the node, MiB, the most.
    memory: float
    order: Order
    # Names of HSMs that did not serve some seconds after the end.
    missing: list
    # What the attackers counted, by name.
    counts: dict
    # Further sentences of what a row requires, which were not so.
    broken: list = dataclasses.field(default_factory=list)

    @property
    def failed(self):
        return replies.failed(self.rows)

    @property
    def p99(self):
        return replies.percentile(sorted(row["ms"] for row in self.rows), 0.99)

    @property
    def slowest_ready(self):
        return max(self.ready, default=float("inf"))


def misses(seen):
    """Sentences on what the attack has done."""
    found = []
    if not seen.rows:
        found.append("no request was sent")
    elif seen.failed:
        found.append(f"{len(seen.failed)} of {len(seen.rows)} signed requests failed")
    if seen.rows and not seen.p99 < MOST_P99:
        found.append(f"p99 is {seen.p99:.0f} ms, not below {MOST_P99:.0f}")
    if not seen.slowest_ready <= MOST_READY:
        found.append(f"/readyz took {seen.slowest_ready:.0f} ms, more than {MOST_READY:.0f}")
    if not seen.memory < MOST_MEMORY:
        found.append(f"{seen.memory:.0f} MiB resident, not below {MOST_MEMORY:.0f}")
    if seen.missing:
        found.append(f"{', '.join(seen.missing)} did not serve afterwards")
    return found + order_misses(seen.order) + seen.broken


def order_misses(order):
    if order.status != 0:
        what = "did not end" if order.status is None else f"ended with status {order.status}"
        return [f"the order to block {what}: {order.text.strip()[:300]}"]
    found = []
    if order.seconds > MOST_ORDER:
        found.append(f"the order to block took {order.seconds:.1f} s, more than {MOST_ORDER:.0f}")
    if not order.is_on_disk:
        found.append("the order to block is not on disk")
    if not order.is_logged:
        found.append("the order to block is not in the log")
    return found


def worth(seen):
    """By which the best of several runs is chosen: the least of it."""
    return (len(misses(seen)), len(seen.failed), seen.p99)


def heading():
    return (f"{'attack':<16}{'requests':>9}{'failed':>8}{'p50':>7}{'p99':>7}{'slowest':>9}{'readyz':>8}{'MiB':>6}"
            f"{'block s':>9}  what the attacker counted")


def line(seen):
    times = sorted(row["ms"] for row in seen.rows)
    numbers = [replies.percentile(times, share) for share in (0.5, 0.99, 1)]
    counts = ", ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}"
                       for name, value in seen.counts.items())
    return (f"{seen.name:<16}{len(seen.rows):>9}{len(seen.failed):>8}{numbers[0]:>7.1f}{numbers[1]:>7.1f}"
            f"{numbers[2]:>9.1f}{seen.slowest_ready:>8.0f}{seen.memory:>6.0f}{seen.order.seconds:>9.2f}  {counts}")


# What single attacks require besides. Each takes what the attackers counted, the log's text, or the library's outcome.

def header_misses(counts):
    """Half a header block may stay only as long as a header may take."""
    if not counts.get("opened"):
        return ["no connection was opened"]
    if counts["longest"] > MOST_HEADERS:
        return [f"half a header block was waited for {counts['longest']:.1f} s, longer than {MOST_HEADERS:.0f}"]
    return []


def log_misses(text, hsm):
    """What a library prints must stand in lines of the log, under its HSM's name."""
    lines = [line for line in text.splitlines() if line]
    raw = [line for line in lines if not is_object(line)]
    found = [f"{len(raw)} lines of the log are no JSON, the first: {raw[0][:80]!r}"] if raw else []
    for stream in ("stdout", "stderr"):
        told = [line for line in lines if is_object(line) and f"rogue {stream}" in line]
        if not told:
            found.append(f"what the library prints to {stream} is not in the log")
        elif not all(f'"{hsm}"' in line for line in told):
            found.append(f"a line that the library printed to {stream} is without the HSM's name")
    return found


def end_misses(text, hsm):
    """That a library has ended its process must be told, with the status that it gave."""
    told = [line for line in text.splitlines() if is_object(line) and f'"{hsm}"' in line and "status 0" in line]
    return [] if told else [f"the log does not tell that the worker of {hsm} ended with status 0"]


def is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def order_outcomes(outcome):
    """A library may block, and give no other order. `outcome`: its lines."""
    found, orders = [], [line for line in outcome if line.startswith("order ")]
    if not orders:
        return ["the library has tried nothing"]
    for one in orders:
        target, _, answer = one[len("order "):].partition(": ")
        is_taken = answer.startswith("2")
        if is_taken and target != "/blocks":
            found.append(f"{target} was taken from a library")
        if not is_taken and target == "/blocks":
            found.append(f"/blocks from a library was answered with {answer}")
    return found


def file_outcomes(outcome):
    """A library reads none of the node's files, and reaches not its process."""
    tried = [line for line in outcome if line.startswith(("read ", "signal ", "trace "))]
    if not tried:
        return ["the library has tried nothing"]
    return [f"a library: {line}" for line in tried if line.endswith((": open", ": done"))]


def thief_misses(before, alive_after, answered_after):
    """A stolen certificate works until it is refused, and neither its live connection nor a new one does afterwards."""
    found = []
    if not before:
        found.append("the certificate was of no use before its refusal: the attempt proves nothing")
    if alive_after:
        found.append("the thief's connection was open 1 s after the refusal")
    if answered_after:
        found.append("the thief got an answer after the refusal")
    return found
