# SPDX-License-Identifier: Apache-2.0
"""What came of a drill, and whether that is good enough. Pure: works on rows and samples, asks nobody."""

import math

# Requirements: the answer's time in milliseconds that 99.9 % keep below, and the time in seconds after which an HSM
# that has come back must be in use.
LONGEST_P999 = 200.0
LONGEST_RETURN = 5.0
# Milliseconds of the generator's own lateness that are worth a word, and those that make times worthless.
NOTABLE_LATENESS = 20
WORTHLESS_LATENESS = 50

COLUMNS = (
    ("drill", 36), ("requests", 9), ("failed", 7), ("wrong", 6), ("lost", 5), ("p50", 7), ("p99", 7), ("p99.9", 7),
    ("slowest", 8), ("out s", 6), ("back s", 7))


def percentile(ordered, share):
    """The value that `share` of the ascending values do not exceed; NaN without values."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def seconds_until_out(samples, name, fault):
    """From the fault until the HSM was first seen not active, or without the key; `None` when it never was."""
    for sample in samples:
        if sample.time > fault and sample.hsms and not sample.whole(name):
            return sample.time - fault
    return None


def seconds_until_back(samples, name, fault, lift):
    """From the lifting of the fault until the HSM was active again, for good and with the key.

    0 when it was out only before the fault was lifted; `None` when it was never out, and infinite when it stayed out.
    """
    seen = [sample for sample in samples if sample.time > fault and sample.hsms]
    last_out = max((sample.time for sample in seen if not sample.whole(name)), default=None)
    if last_out is None:
        return None
    if last_out < lift:
        return 0.0
    return min((sample.time - lift for sample in seen if sample.time > last_out), default=math.inf)


def absences(samples, names):
    """Which of the HSMs were ever seen not active or without the key, each with the first state and reason."""
    found = {}
    for sample in samples:
        for name in names:
            if sample.hsms and name not in found and not sample.whole(name):
                state, serves, reason = sample.hsms.get(name, ("absent", True, None))
                found[name] = reason or (state if serves else f"{state}, without the key")
    return found


def outages(samples, names):
    """Which of the HSMs were ever taken out of use, or lost the key, each with the first state and reason.

    A degraded HSM is not out: it gets requests, and a pause of the machine itself makes calls late.
    """
    found = {}
    for sample in samples:
        for name in names:
            state, serves, reason = sample.hsms.get(name, ("active", True, None))
            if name not in found and (state not in ("active", "degraded") or not serves):
                found[name] = f"{state}: {reason}" if reason else state
    return found


def worst(values):
    """The largest; `None` when one of them is, or there are none."""
    values = list(values)
    return None if not values or None in values else max(values)


def failed(rows, kinds=("encrypt", "decrypt")):
    """The rows of a drill's own requests that were not answered well and in time."""
    return [row for row in rows if row["kind"] in kinds and row["name"] is not None]


def grouped(rows):
    """Sentences on failed requests: how many of a kind with which answer, when, and one of their ids."""
    groups = {}
    for row in rows:
        groups.setdefault((row["kind"], row["status"], row["name"]), []).append(row)
    sentences = []
    for (kind, status, name), members in sorted(groups.items(), key=lambda group: min(
            row["offset"] for row in group[1])):
        first, last = min(members, key=lambda row: row["offset"]), max(members, key=lambda row: row["offset"])
        slowest = max(row["ms"] for row in members)
        sentences.append(
            f"{len(members)} × {kind}: {status or 'no status'} {name}, due {first['offset']:.3f} to "
            f"{last['offset']:.3f} s, slowest {slowest:.0f} ms, the first with kmsRequestId {first['id']}")
    return sentences


def misses(result):
    """Which requirements a drill's result misses, as sentences.

    `result` is what `drills.py` writes with --json: rows, wrong, lost, refused flood, HSMs that must not leave, and for
    a drill that may fail the seconds between which it may.
    """
    found = []
    bad = failed(result["rows"])
    allowed = result["may_fail"]
    if allowed:
        begin, end = allowed
        outside = [row for row in bad if not begin <= row["offset"] <= end]
        if outside:
            found.append(f"{len(outside)} requests failed outside the time from {begin:.1f} to {end:.1f} s")
        if not bad:
            found.append("no request failed, so the fault did not work")
    elif bad:
        found.append(f"{len(bad)} requests failed")
    if result["wrong"]:
        found.append(f"{len(result['wrong'])} answers were wrong")
    if any(result["lost"].values()):
        found.append(f"{sum(result['lost'].values())} ciphertexts did not open")
    if not result["p999"] < LONGEST_P999:
        found.append(f"p99.9 was {result['p999']:.1f} ms instead of less than {LONGEST_P999:.0f}")
    flood = failed(result["rows"], ("flood",))
    refused = sum(row["name"] == "InvalidCiphertextException" and row["status"] == 400 for row in flood)
    count = sum(row["kind"] == "flood" for row in result["rows"])
    if refused != count:
        found.append(f"{count - refused} of {count} bad ciphertexts were not refused as InvalidCiphertextException")
    if result["flood"] and not count:
        found.append("no bad ciphertext was sent")
    if result["flood"]:
        for name, reason in result["outages"].items():
            found.append(f"{name} was taken out: {reason}")
    if result["must_leave"] and result["out"] is None:
        found.append("the HSM stayed active, with its key")
    if result["missing"]:
        found.append(f"{', '.join(result['missing'])} did not come back")
    return found


def is_worthless(result):
    """Whether a drill that misses something only shows that the machine was busy with something else.

    So it is when the generator itself came late, and nothing but times is to be complained of: a drill to be repeated.
    What the node spoils, it spoils again.
    """
    unpunctual = all(
        row["name"] == "DependencyTimeoutException" or row["name"].endswith(" ms") for row in failed(result["rows"]))
    return (
        result["late"] > WORTHLESS_LATENESS and unpunctual and not result["wrong"]
        and not any(result["lost"].values()) and not result["missing"])


def remarks(result):
    """What a reader should know besides, though no requirement is missed by it."""
    found = []
    if result["back"] is not None and LONGEST_RETURN < result["back"] < math.inf:
        found.append(f"back later than {LONGEST_RETURN:.0f} s after the fault was lifted")
    if not result["flood"]:
        found += [f"{name} had no fault and left active: {reason}" for name, reason in result["bystanders"].items()]
    if result["silent"]:
        found.append(f"the control listener was silent {result['silent']} times")
    if result["late"] > NOTABLE_LATENESS:
        found.append(f"the generator itself was up to {result['late']:.0f} ms late")
    bad = failed(result["rows"])
    if result["may_fail"] and bad:
        found.append(
            f"the last failure was due {max(row['offset'] for row in bad) - result['first_return']:.2f} s after the "
            "first HSM's return")
    return found


def heading(columns=COLUMNS):
    return aligned([name for name, _ in columns], columns)


def aligned(cells, columns=COLUMNS):
    """A row of a table: the first cell from the left, the others from the right."""
    return " ".join(
        f"{cell:>{width}}" if number else f"{cell:<{width}}"
        for number, (cell, (_, width)) in enumerate(zip(cells, columns, strict=True)))


def seconds(value):
    """A time as the tables show it: `None` is none, infinity never came."""
    return "-" if value is None else "never" if value == math.inf else f"{value:.2f}"


def line(result):
    """The table's row for a result."""
    # What counts is what the drill's own requests were; those of the flood are told beside.
    own = [row for row in result["rows"] if row["kind"] != "flood"]
    return aligned([
        result["title"], f"{len(own):,}", str(len(failed(own))), str(len(result["wrong"])),
        str(sum(result["lost"].values())), f"{result['p50']:.1f}", f"{result['p99']:.1f}", f"{result['p999']:.1f}",
        f"{result['slowest']:.1f}", seconds(result["out"]), seconds(result["back"])])
