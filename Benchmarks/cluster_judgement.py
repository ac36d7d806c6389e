# SPDX-License-Identifier: Apache-2.0
"""What came of a cluster drill, and whether that is good enough. Pure: works on rows and views, asks nobody."""

import dataclasses
import math

import judgement
import replies

# Requirements, seconds: until a death is known on every other node, until a block holds on every node that can be
# reached, and until it holds on one that could not be, from when it can.
LONGEST_UNKNOWN = 3.0
LONGEST_BLOCK = 2.0
LONGEST_HEALED_BLOCK = 5.0
# A node that has just been started holds those of its earlier life for dead until they speak, seconds.
JUDGES_NOBODY = 1.0
# Until all nodes see each other again: after a partition has healed or a node has been thawed, and after a node's
# process was started.
LONGEST_HEALING = 5.0
LONGEST_START = 10.0
# Seconds after the end of an absence in which it may still come to be known: a view is up to a second old.
GRACE = 1.0
# Milliseconds of lateness that make a death worthless: a node that got no CPU for so long could answer nobody.
WORTHLESS_FOR_LIVENESS = 500
# What packets lost at random may differ from the share that was ordered.
LOSS_TOLERANCE = 0.05

COLUMNS = (
    ("drill", 42), ("requests", 9), ("failed", 7), ("wrong", 6), ("p50", 6), ("p99", 7), ("p99.9", 7), ("slowest", 8),
    ("dead s", 7), ("false", 6), ("back s", 7), ("block s", 8))


@dataclasses.dataclass
class Absence:
    """A node that others could not reach, or that was not there; monotonic times."""

    node: str
    # Who was to notice.
    observers: tuple
    begin: float
    # When it could be reached again.
    end: float = math.inf
    # What the others are to call it.
    called: str = "dead"
    # From when on they can know: a node that leaves says so when it has answered its last request.
    ended: float | None = None


def seconds_until_known(views, absence):
    """From when it could be known until the last of its observers called the node what it was; infinite when one never
    did."""
    knowable = absence.begin if absence.ended is None else absence.ended
    times = []
    for observer in absence.observers:
        times.append(min(
            (max(view.time - knowable, 0) for view in views[observer]
             if absence.begin < view.time <= absence.end and view.nodes
             and view.nodes.get(absence.node) == absence.called), default=math.inf))
    return max(times, default=math.inf)


def seconds_until_whole(views, members, end, until=math.inf):
    """From `end` until each of the members saw each of them alive, for good; infinite when that never came.

    Looks at views before `until`. A member that says nothing sees nobody.
    """
    worst = 0.0
    for observer in members:
        seen = [view for view in views[observer] if end < view.time < until]
        bad = [view.time for view in seen
               if not view.nodes or any(view.nodes.get(member) != "alive" for member in members)]
        good = [view.time for view in seen if not bad or view.time > bad[-1]]
        if not good:
            return math.inf
        if bad:
            worst = max(worst, good[0] - end)
    return worst


def false_deaths(views, absences):
    """Every time when a node began to call another dead or gone that was neither: observer, node, time, word."""
    found = []
    for observer, seen in views.items():
        called = {}
        for view in seen:
            for node, word in (view.nodes or {}).items():
                gone = word in ("dead", "left")
                excused = any(
                    absence.node == node and observer in absence.observers
                    and absence.begin <= view.time <= absence.end + GRACE for absence in absences)
                if gone and called.get(node) not in ("dead", "left") and not excused:
                    found.append((observer, node, view.time, word))
                called[node] = word
    return found


def suspicions(views):
    """How often a node began to suspect another."""
    count = 0
    for seen in views.values():
        called = {}
        for view in seen:
            for node, word in (view.nodes or {}).items():
                count += word == "suspect" != called.get(node)
                called[node] = word
    return count


def seconds_until_refused(answers, begin):
    """From `begin` until the first refusal after which no request was served; infinite without one.

    No answer at all is neither, nor is one that came too late (503). A request that was sent before counts, if it was
    served after.
    """
    return _seconds_until(
        answers, begin, lambda answer: answer.status == 200, lambda answer: answer.status not in (200, 503))


def seconds_until_served(answers, begin):
    """The same the other way round."""
    return _seconds_until(
        answers, begin, lambda answer: answer.status not in (200, 503), lambda answer: answer.status == 200)


def _seconds_until(answers, begin, is_old, is_new):
    after = [answer for answer in answers if answer.status and answer.answered > begin]
    last = max((answer.answered for answer in after if is_old(answer)), default=begin)
    return min((answer.answered - begin for answer in after if is_new(answer) and answer.answered > last),
               default=math.inf)


def strange_refusals(answers, begin, end):
    """Refusals sent between two times that do not say that somebody has blocked it, by what they say.

    A node that has lost its list of blocks refuses with another message.
    """
    return sorted({
        f"{answer.status} {answer.name}: {answer.message}" for answer in answers
        if begin < answer.sent < end and answer.status not in (0, 200, 503)
        and not (answer.name == "InvalidStateException" and "blocked by" in answer.message)})


def misses(result):
    """Which requirements a drill's result misses, as sentences; `result` is what cluster_drills.py writes."""
    found = list(result["broken"])
    begin, end = result["may_fail"] or (math.inf, math.inf)
    bad = [row for row in replies.failed(result["rows"]) if not begin <= row["offset"] < end]
    if bad:
        found.append(f"{len(bad)} requests failed")
    found += judgement.bad_misses(result["rows"], result["sick"])
    if result["wrong"]:
        found.append(f"{len(result['wrong'])} answers were wrong")
    found += _slow(result)
    if result["false"]:
        found.append(f"{len(result['false'])} times a node was called dead or gone that was neither")
    if result["loss"] is not None and abs(result["loss"] - result["ordered_loss"]) > LOSS_TOLERANCE:
        found.append(
            f"{result['loss']:.1%} of the packets between nodes were lost instead of {result['ordered_loss']:.0%}: the "
            "network did not do as it was told")
    return found


def _slow(result):
    """What took longer than it may."""
    found = []
    for node, called, taken in result["known"]:
        if not taken <= LONGEST_UNKNOWN:
            found.append(f"that {node} was {called} was known everywhere after {_within(taken, LONGEST_UNKNOWN)}")
    for taken, limit in result["returns"]:
        if not taken <= limit:
            found.append(f"all nodes saw each other again after {_within(taken, limit)}")
    for what, taken, limit in result["orders"]:
        if not taken <= limit:
            found.append(f"{what} after {_within(taken, limit)}")
    return found


def _within(taken, limit):
    return f"{taken:.2f} s instead of {limit:g}" if taken < math.inf else f"never, instead of {limit:g} s"


def is_worthless(result):
    """Whether a drill that misses something only shows that the machine was busy with something else.

    So it is when processes of the drill came late themselves, and nothing but times is to be complained of. What the
    nodes spoil, they spoil again.
    """
    late = result["late"]
    if late <= judgement.WORTHLESS_LATENESS or result["wrong"] or result["broken"]:
        return False
    if result["false"] and late <= WORTHLESS_FOR_LIVENESS:
        return False
    # HAProxy gives a node 100 ms, and is made to wait like everybody else.
    return all(
        row["name"] == "DependencyTimeoutException" or row["name"].endswith(" ms")
        for row in replies.failed(result["rows"]))


def remarks(result):
    """What a reader should know besides, though no requirement is missed by it."""
    found = list(result["notes"])
    found += [f"{what} after {taken:.2f} s" for what, taken, _ in result["orders"] if taken < math.inf]
    if result["suspicions"]:
        found.append(f"{result['suspicions']} times a node was suspected")
    if result["loss"] is not None:
        found.append(f"{result['loss']:.1%} of {result['packets']:,} packets between nodes were lost")
    if result["late"] > judgement.NOTABLE_LATENESS:
        found.append(f"the drill's own processes were up to {result['late']:.0f} ms late")
    if result["stolen"] > 0.1:
        found.append(f"the host kept {result['stolen']:.1f} s of CPU")
    return found


def heading():
    return judgement.heading(COLUMNS)


def line(result):
    """The table's row for a result."""
    rows = result["rows"]
    times = [f"{result[name]:.1f}" if rows else "-" for name in ("p50", "p99", "p999", "slowest")]
    known = max((taken for _, _, taken in result["known"]), default=None)
    back = max((taken for taken, _ in result["returns"]), default=None)
    block = max((taken for _, taken, _ in result["orders"]), default=None)
    cells = [
        result["title"], f"{len(rows):,}", str(len(replies.failed(rows))), str(len(result["wrong"])), *times,
        judgement.seconds(known), str(len(result["false"])), judgement.seconds(back), judgement.seconds(block)]
    return judgement.aligned(cells, COLUMNS)
