# SPDX-License-Identifier: Apache-2.0
"""The drills: what is done to which HSM, and when.

Times are seconds since the drill's beginning. A fault is set after a fifth of the drill and lifted after three fifths,
so that the load before it, under it and after it can be seen.
"""

import dataclasses
import signal

# What every HSM is told always: a network HSM's latency.
LATENCY = ("delay C_Encrypt 2ms", "delay C_Decrypt 2ms")
# Bad ciphertexts a second in the flood.
FLOOD = 200


@dataclasses.dataclass
class Step:
    """At a time: new fault lines for an HSM (none lift them), or a signal to its workers."""

    time: float
    hsm: int
    lines: tuple = ()
    signal: int = 0


@dataclasses.dataclass
class Drill:
    name: str
    title: str
    steps: list = dataclasses.field(default_factory=list)
    # By HSM: when its fault began, and when it was lifted.
    faults: dict = dataclasses.field(default_factory=dict)
    # Whether the HSM must be seen out; else the fault cannot have worked. Faults that the node may well bear with
    # keep the HSM active.
    must_leave: bool = False
    # Whether the HSM is to lose the key only.
    of_key: bool = False
    # Bad ciphertexts a second beside the load.
    flood: int = 0
    # The time between which requests may fail; none may by default.
    may_fail: tuple = ()
    # When the first HSM worked again.
    first_return: float = 0.0


def fault(name, title, seconds, lines, must_leave=True, of_key=False):
    """The first HSM has a fault for a while."""
    begin, end = seconds * 0.2, seconds * 0.6
    return Drill(name, title, [Step(begin, 0, lines), Step(end, 0)], {0: (begin, end)}, must_leave, of_key)


def both(line):
    """The line with C_Encrypt and with C_Decrypt in the place of `*`."""
    return tuple(line.replace("*", function) for function in ("C_Encrypt", "C_Decrypt"))


def blow(name, title, seconds, number, every=0):
    """The first HSM's worker gets a signal: once, or over and over until the fault's end."""
    begin, end = seconds * 0.2, seconds * 0.6
    times = [begin]
    while every and times[-1] + every < end:
        times.append(times[-1] + every)
    # A killed worker may be replaced between two looks.
    return Drill(
        name, title, [Step(time, 0, signal=number) for time in times], {0: (begin, times[-1])},
        must_leave=number == signal.SIGSTOP)


def sessions_lost(seconds):
    steps = []
    begin = seconds * 0.2
    for time in (begin, seconds * 0.4, seconds * 0.6):
        # Each time the line appears, the sessions that were opened before are dead.
        steps += [Step(time, 0, ("lose-sessions",)), Step(time + 1, 0)]
    return Drill("sessions", "one HSM loses its sessions, 3 times", steps, {0: (begin, seconds * 0.6)})


def two_die(seconds):
    begin, end = seconds * 0.2, seconds * 0.6
    return Drill(
        "two-die", "two of three die", [
            Step(begin, 0, ("crash *",)), Step(begin + 0.5, 1, ("return CKR_DEVICE_ERROR *",)),
            Step(end, 0), Step(end, 1)],
        {0: (begin, end), 1: (begin + 0.5, end)}, must_leave=True)


def all_die(seconds):
    begin, first, second, third = (seconds * share for share in (0.2, 0.5, 0.6, 0.65))
    return Drill(
        "all-die", "all three die and come back", [
            Step(begin, 0, ("crash *",)), Step(begin, 1, ("return CKR_DEVICE_ERROR *",)), Step(begin, 2, ("hang *",)),
            Step(first, 0), Step(second, 1), Step(third, 2)],
        {0: (begin, first), 1: (begin, second), 2: (begin, third)}, must_leave=True, may_fail=(begin, first + 5),
        first_return=first)


def flood(name, title, lines):
    """Bad ciphertexts from the beginning on; `lines` make every HSM answer them in another way."""
    return Drill(name, title, [Step(0, hsm, lines) for hsm in range(3)], flood=FLOOD)


def drills(seconds):
    """All drills of so many seconds each."""
    return [
        Drill("nothing", "nothing happens"),
        fault("hang", "one HSM hangs at encrypt and decrypt", seconds, both("hang *")),
        fault("hang-all", "one HSM hangs at everything", seconds, ("hang *",)),
        fault("crash", "one HSM's library crashes", seconds, both("crash *")),
        fault("device-error", "one HSM answers DEVICE_ERROR", seconds, ("return CKR_DEVICE_ERROR *",)),
        fault(
            "general-error", "GENERAL_ERROR every 3rd time", seconds,
            both("return CKR_GENERAL_ERROR * every 3"), must_leave=False),
        fault("token", "one HSM loses its token", seconds, ("lose-token",)),
        sessions_lost(seconds),
        fault("slow", "one HSM is 100 × slower", seconds, both("delay * 200ms"), must_leave=False),
        blow("kill", "its worker is killed", seconds, signal.SIGKILL),
        blow("stop", "its worker is stopped", seconds, signal.SIGSTOP),
        blow("kill-often", "its worker is killed every second", seconds, signal.SIGKILL, every=1),
        fault("lose-key", "the key vanishes from one HSM", seconds, ("lose-key foo",), of_key=True),
        fault("swap-key", "the key is swapped on one HSM", seconds, ("swap-key foo bar",), of_key=True),
        two_die(seconds),
        all_die(seconds),
        flood("flood", "a flood of bad ciphertext", ()),
        flood("flood-failed", "the same, answered FUNCTION_FAILED", ("vendor bad-tag CKR_FUNCTION_FAILED",)),
    ]
