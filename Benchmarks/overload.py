# SPDX-License-Identifier: Apache-2.0
"""More is asked than the HSMs can do: what of it must be served, and how the rest is told. Pure: works on rows.

Goodput is counted in calls that the HSMs are asked to make: a good answer is one, a bad ciphertext that is called
invalid is as many as it takes to be certain of it.
"""

import dataclasses

import replies

# Requirements: the share of the HSMs' capacity that ends in good answers, the milliseconds in which half of the
# refusals are told, the share of requests that may end in any other way, and the seconds after a slow spell in which
# requests may still fail.
LEAST_GOODPUT = 0.95
LONGEST_REFUSAL = 20.0
MOST_OTHERS = 0.01
LONGEST_AFTER_SPELL = 1.0
# Calls that it takes at least to call a ciphertext invalid: four refusals, and two openings of the key's canary.
CHECK_CALLS = 6
# Seconds for the node to see that more is asked, or that its HSMs have become slower: not counted.
LEARNING = 2.0
SPELL_LEARNING = 0.5


@dataclasses.dataclass(frozen=True)
class Overload:
    """What HSMs can do, calls a second, and in which seconds of the drill more than that is asked of them."""

    capacity: float
    begin: float
    end: float
    # Whether those seconds are a slow spell, before and after which less is asked than the HSMs can do.
    is_spell: bool = False


def goodput(rows, begin, end):
    """Calls a second that ended in a good answer between two times."""
    calls = 0
    for row in rows:
        if not begin <= row["offset"] + row["ms"] / 1000 < end:
            continue
        if replies.is_called_invalid(row):
            calls += CHECK_CALLS
        elif row["name"] is None:
            calls += 1
    return calls / (end - begin)


def refusals(rows):
    """The rows that say at once that more is asked than can be done."""
    return [row for row in rows if row["status"] == 429]


def others(rows):
    """Requests that came to another end than a good answer or a refusal. A bad ciphertext may go unchecked."""
    return [
        row for row in rows if row["name"] is not None and row["status"] != 429
        and not (row["kind"] == "bad" and (replies.is_called_invalid(row) or replies.is_retryable(row)))]


def counted(overload):
    """The seconds in which goodput is counted."""
    return overload.begin + (SPELL_LEARNING if overload.is_spell else LEARNING), overload.end


def misses(rows, overload):
    """Which requirements the rows miss, as sentences."""
    found = []
    begin, end = counted(overload)
    reached = goodput(rows, begin, end) / overload.capacity
    if not reached >= LEAST_GOODPUT:
        found.append(
            f"goodput was {reached:.1%} of the {overload.capacity:.0f} calls/s that the HSMs can do, instead of "
            f"{LEAST_GOODPUT:.0%}")
    inside = [row for row in rows if overload.begin <= row["offset"] < overload.end]
    refused = sorted(row["ms"] for row in refusals(inside))
    median = replies.percentile(refused, 0.5)
    if not refused:
        found.append("nothing was refused, so no more was asked than the HSMs can do")
    elif median > LONGEST_REFUSAL:
        found.append(f"refusals took {median:.1f} ms at the median instead of {LONGEST_REFUSAL:g}")
    counted_rows = [row for row in inside if row["offset"] >= begin]
    strange = others(counted_rows)
    if len(strange) > MOST_OTHERS * len(counted_rows):
        found.append(
            f"{len(strange)} of {len(counted_rows)} requests ended neither well nor in a refusal (at most "
            f"{MOST_OTHERS:.0%})")
    if overload.is_spell:
        found += _around(rows, overload)
    return found


def _around(rows, overload):
    """What fails before a slow spell, or after it."""
    found = []
    before = [row for row in replies.failed(rows) if LEARNING <= row["offset"] < overload.begin]
    # What was asked before the spell may meet it.
    before = [row for row in before if row["offset"] + row["ms"] / 1000 < overload.begin]
    if before:
        found.append(f"{len(before)} requests failed before the slow spell")
    after = [row for row in replies.failed(rows) if row["offset"] >= overload.end + LONGEST_AFTER_SPELL]
    if after:
        last = max(row["offset"] for row in after)
        found.append(
            f"{len(after)} requests failed later than {LONGEST_AFTER_SPELL:g} s after the slow spell, the last "
            f"{last - overload.end:.1f} s after it")
    return found


def remarks(rows, overload):
    """What a reader wants to know of it."""
    begin, end = counted(overload)
    reached = goodput(rows, begin, end)
    inside = [row for row in rows if overload.begin <= row["offset"] < overload.end]
    refused = sorted(row["ms"] for row in refusals(inside))
    again = sum(row["attempt"] > 1 for row in inside)
    told = f", after {replies.percentile(refused, 0.5):.1f} ms at the median" if refused else ""
    asked = f", {again:,} of them once more" if again else ""
    return [
        f"goodput {reached:.0f} calls/s of {overload.capacity:.0f} ({reached / overload.capacity:.1%}); of "
        f"{len(inside):,} requests{asked}, {len(refused):,} were refused with 429{told}"]
