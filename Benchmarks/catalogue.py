# SPDX-License-Identifier: Apache-2.0
"""The drills: what is done to which HSM, and when.

Times are seconds since the drill's beginning. A fault is set after a fifth of the drill and lifted after three fifths,
so that the load before it, under it and after it can be seen.
"""

import dataclasses
import math
import signal

import load
from overload import LONGEST_AFTER_SPELL, Overload


def both(line):
    """The line with C_Encrypt and with C_Decrypt in the place of `*`."""
    return tuple(line.replace("*", function) for function in ("C_Encrypt", "C_Decrypt"))


# What every HSM is told always: a network HSM's latency.
LATENCY = both("delay * 2ms")
# The same where more is asked than the HSMs can do, so that it need not be much; and in a slow spell.
SLOW_MS, SPELL_MS = 20, 60
# Bad ciphertexts a second in the flood.
FLOOD = 200
# Requests a second where every second call fails: one after another for each HSM, as a rule.
BUSY_RATE = 100
# Seconds that HSMs have to be in use again after a fault.
RETURN = 5.0
# All HSMs.
ALL = (0, 1, 2)
# Keys of others on a token, and what each call to it takes.
CROWD, CROWD_DELAY = 3_000, "delay * 5ms"
# How long an HSM takes to log in.
LOGIN = "delay C_Login 7s"


@dataclasses.dataclass(frozen=True)
class Shape:
    """The node that a drill needs."""

    hsms: int = len(ALL)
    # Lanes of each HSM; 0: as many as was said on the command line.
    sessions: int = 0
    # How many keys of others are on the first HSM's token.
    crowd: int = 0
    # What every HSM is told always.
    latency: tuple = LATENCY


@dataclasses.dataclass
class Step:
    """At a time: new fault lines for HSMs (none lift them), or a signal to their workers in one moment."""

    time: float
    hsms: tuple
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
    # What the load is instead of encryptions and decryptions in turn: changes to a `load.Mix`.
    asks: dict = dataclasses.field(default_factory=dict)
    # The time between which requests may fail; none may by default.
    may_fail: tuple = ()
    # When the first HSM worked again.
    first_return: float = 0.0
    # Within how many seconds the HSM must be back, though its fault stays.
    return_within: float = math.inf
    # More is asked than the HSMs can do.
    overload: Overload | None = None
    shape: Shape = Shape()
    # Its length, if it has one of its own.
    seconds: float = 0.0

    @property
    def flood(self):
        return self.asks.get("flood", 0)

    @property
    def sick(self):
        """The seconds in which HSMs are not well, or have too much to check, so that bad ciphertext may go unchecked; none
        when they always are well.

        An HSM that has come back may still be proving its keys.
        """
        if self.overload:
            more = self.overload
            return (more.begin, more.end + LONGEST_AFTER_SPELL if more.is_spell else math.inf)
        if self.flood:
            # They are well, but have more to check than they have a budget for.
            return (0.0, math.inf)
        if not self.faults:
            return ()
        lift = max(lift for _, lift in self.faults.values())
        back = self.return_within if self.return_within < math.inf else RETURN
        return (min(begin for begin, _ in self.faults.values()), lift + back)

    def mix(self, rate):
        """What is asked, at so many requests a second unless the drill has a rate of its own."""
        return dataclasses.replace(load.Mix(rate), **self.asks)


def fault(name, title, seconds, lines, must_leave=True, of_key=False):
    """The first HSM has a fault for a while."""
    begin, end = seconds * 0.2, seconds * 0.6
    return Drill(name, title, [Step(begin, (0,), lines), Step(end, (0,))], {0: (begin, end)}, must_leave, of_key)


def fault_of_all(name, title, seconds, lines, **more):
    """Every HSM has the same fault for a while, which none of them is to be taken out for."""
    begin, end = seconds * 0.2, seconds * 0.6
    return Drill(
        name, title, [Step(begin, ALL, lines), Step(end, ALL)], {hsm: (begin, end) for hsm in ALL}, **more)


def blow(name, title, seconds, number, every=0, hsms=(0,), **more):
    """Workers get a signal: once, or over and over until the fault's end."""
    begin, end = seconds * 0.2, seconds * 0.6
    times = [begin]
    while every and times[-1] + every < end:
        times.append(times[-1] + every)
    # A killed worker may be replaced between two looks.
    return Drill(
        name, title, [Step(time, hsms, signal=number) for time in times],
        {hsm: (begin, times[-1]) for hsm in hsms}, must_leave=number == signal.SIGSTOP, **more)


def sessions_lost(seconds):
    steps = []
    begin = seconds * 0.2
    for time in (begin, seconds * 0.4, seconds * 0.6):
        # Each time the line appears, the sessions that were opened before are dead.
        steps += [Step(time, (0,), ("lose-sessions",)), Step(time + 1, (0,))]
    return Drill("sessions", "one HSM loses its sessions, 3 times", steps, {0: (begin, seconds * 0.6)})


def two_die(seconds):
    begin, end = seconds * 0.2, seconds * 0.6
    return Drill(
        "two-die", "two of three die", [
            Step(begin, (0,), ("crash *",)), Step(begin + 0.5, (1,), ("return CKR_DEVICE_ERROR *",)),
            Step(end, (0, 1))],
        {0: (begin, end), 1: (begin + 0.5, end)}, must_leave=True)


def all_die(seconds):
    begin, first, second, third = (seconds * share for share in (0.2, 0.5, 0.6, 0.65))
    return Drill(
        "all-die", "all three die and come back", [
            Step(begin, (0,), ("crash *",)), Step(begin, (1,), ("return CKR_DEVICE_ERROR *",)),
            Step(begin, (2,), ("hang *",)), Step(first, (0,)), Step(second, (1,)), Step(third, (2,))],
        {0: (begin, first), 1: (begin, second), 2: (begin, third)}, must_leave=True, may_fail=(begin, first + 5),
        first_return=first)


def started_under(name, title, seconds, line, within, shape=Shape()):
    """The first HSM becomes slow in what a worker's start needs, for good, and its worker is killed: it must be back
    within so many seconds, and stay."""
    begin = seconds * 0.1
    return Drill(
        name, title, [Step(begin - 0.1, (0,), (line,)), Step(begin, (0,), signal=signal.SIGKILL)], {0: (begin, begin)},
        return_within=within, shape=shape, seconds=seconds)


def busy(seconds):
    """Every second call is refused as busy, with a code that also stands for bad ciphertext; what is asked for are
    decryptions of what was made before. Each HSM is busy, so a request may need many attempts."""
    return fault_of_all(
        "busy", "every 2nd call is busy; old ciphertext", seconds, ("vendor busy CKR_FUNCTION_FAILED every 2",),
        asks={"rate": BUSY_RATE, "old_after": seconds * 0.2})


def flood(name, title, lines):
    """Bad ciphertexts from the beginning on; `lines` make every HSM answer them in another way."""
    return Drill(name, title, [Step(0, ALL, lines)], asks={"flood": FLOOD})


# Both shapes of a node that is asked for more than its HSMs can do: few lanes, so that few requests are too many.
ONE_SLOW = Shape(hsms=1, sessions=4, latency=both(f"delay * {SLOW_MS}ms"))
THREE_SLOW = Shape(hsms=3, sessions=2, latency=both(f"delay * {SLOW_MS}ms"))


def capacity(shape, milliseconds=SLOW_MS):
    """Calls a second that the HSMs of a shape can do at most."""
    return shape.hsms * shape.sessions * 1000 / milliseconds


def hsms_of(shape):
    return f"{shape.hsms} HSM" + ("s" if shape.hsms > 1 else "")


def excess(shape, factor, again=False):
    """So many times what the HSMs can do is asked of them."""
    seconds, most = 10.0, capacity(shape)
    name = f"over-{shape.hsms}-{factor:g}" + ("-again" if again else "")
    title = f"{factor:g} × what {hsms_of(shape)} can do" + (", asked again" if again else "")
    return Drill(
        name, title, asks={"rate": factor * most, "decrypts": 0.1, "again": again}, shape=shape, seconds=seconds,
        overload=Overload(most, 0, seconds))


def spell(shape):
    """All HSMs are slow for three seconds, in which more is asked than they can do; failures are asked again."""
    begin, end, seconds = 5.0, 8.0, 14.0
    hsms = tuple(range(shape.hsms))
    return Drill(
        f"spell-{shape.hsms}", f"{hsms_of(shape)} slow for 3 s, failures asked again", [
            Step(begin, hsms, both(f"delay * {SPELL_MS}ms")), Step(end, hsms)],
        asks={"rate": 0.75 * capacity(shape), "decrypts": 0.1, "again": True}, shape=shape, seconds=seconds,
        overload=Overload(capacity(shape, SPELL_MS), begin, end, is_spell=True))


def drills(seconds):
    """All drills, each of so many seconds or as many as it needs."""
    # Three times before the fault's end.
    often = seconds * 0.15
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
        blow("kill-all", "all workers are killed at once, 3 times", seconds, signal.SIGKILL, every=often, hsms=ALL),
        fault("lose-key", "the key vanishes from one HSM", seconds, ("lose-key foo",), of_key=True),
        fault("swap-key", "the key is swapped on one HSM", seconds, ("swap-key foo bar",), of_key=True),
        two_die(seconds),
        all_die(seconds),
        fault_of_all(
            "seventh", "every 7th call fails on all HSMs", seconds, both("return CKR_FUNCTION_FAILED * every 7")),
        busy(seconds),
        flood("flood", "a flood of bad ciphertext", ()),
        flood("flood-failed", "the same, answered FUNCTION_FAILED", ("vendor bad-tag CKR_FUNCTION_FAILED",)),
        started_under("login", "one HSM takes 7 s to log in, and is killed", max(seconds, 40), LOGIN, within=25),
        started_under(
            "crowd", f"{CROWD:,} keys at 5 ms a call, and killed", max(seconds, 45), CROWD_DELAY, within=25,
            shape=Shape(crowd=CROWD)),
        blow("kill-one", "the only HSM's worker is killed, 3 times", seconds, signal.SIGKILL, every=often,
             shape=Shape(hsms=1)),
        *[excess(ONE_SLOW, factor) for factor in (1.1, 1.5, 3)], excess(ONE_SLOW, 1.5, again=True), spell(ONE_SLOW),
        *[excess(THREE_SLOW, factor) for factor in (1.1, 1.5, 3)], excess(THREE_SLOW, 1.5, again=True),
        spell(THREE_SLOW),
    ]
