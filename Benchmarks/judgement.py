# SPDX-License-Identifier: Apache-2.0
"""What came of a drill, and whether that is good enough. Pure: works on rows and samples, asks nobody."""

import math

import replies
import overload

# Requirements: the answer's time in milliseconds that 99.9 % keep below, and the time in seconds after which an HSM
# that has come back must be in use.
LONGEST_P999 = 200.0
LONGEST_RETURN = 5.0
# Which share of a flood of bad ciphertext must be called so.
LEAST_CHECKED = 0.5
# Milliseconds of the generator's own lateness that are worth a word, and those that make times worthless.
NOTABLE_LATENESS = 20
WORTHLESS_LATENESS = 50

COLUMNS = (
    ("drill", 44), ("requests", 9), ("failed", 7), ("wrong", 6), ("lost", 5), ("p50", 7), ("p99", 7), ("p99.9", 7),
    ("slowest", 8), ("out s", 6), ("back s", 7))


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


def bad_misses(rows, sick):
    """What is amiss with the answers to bad ciphertext. It is called invalid; where the answer comes in the seconds
    `sick`, in which HSMs are not well, or is waited for in them, a retryable error will do."""
    bad = [row for row in rows if row["kind"] == "bad" and not replies.is_called_invalid(row)]
    begin, end = sick or (math.inf, math.inf)
    unwell = [row for row in bad if begin <= row["offset"] + row["ms"] / 1000 and row["offset"] < end]
    well = [row for row in bad if row not in unwell]
    strange = [row for row in unwell if not replies.is_retryable(row)]
    found = []
    if well:
        found.append(
            f"{len(well)} bad ciphertexts were not called invalid while all HSMs were well: {replies.names(well)}")
    if strange:
        found.append(
            f"{len(strange)} bad ciphertexts got neither InvalidCiphertextException nor a retryable error: "
            f"{replies.names(strange)}")
    return found


def misses(result):
    """Which requirements a drill's result misses, as sentences; `result` is what `drills.py` writes with --json."""
    found = overload.misses(result["rows"], result["overload"]) if result["overload"] else _failures(result)
    final = [row for row in replies.failed(result["rows"]) if replies.is_final(row)]
    if final:
        found.append(f"{len(final)} good requests got an answer that KMS takes as final: {replies.names(final)}")
    found += bad_misses(result["rows"], result["sick"])
    if result["wrong"]:
        found.append(f"{len(result['wrong'])} answers were wrong")
    if any(result["lost"].values()):
        found.append(f"{sum(result['lost'].values())} ciphertexts did not open")
    return found + _flood(result) + _hsms(result)


def _failures(result):
    """Good requests that failed where none may, and answers that came late."""
    found = []
    # An answer that is final is told by itself.
    bad = [row for row in replies.failed(result["rows"]) if not replies.is_final(row)]
    if result["may_fail"]:
        begin, end = result["may_fail"]
        outside = [row for row in bad if not begin <= row["offset"] <= end]
        if outside:
            found.append(f"{len(outside)} requests failed outside the time from {begin:.1f} to {end:.1f} s")
        if not bad:
            found.append("no request failed, so the fault did not work")
    elif bad:
        found.append(f"{len(bad)} requests failed")
    if not result["p999"] < LONGEST_P999:
        found.append(f"p99.9 was {result['p999']:.1f} ms instead of less than {LONGEST_P999:.0f}")
    return found


def _flood(result):
    """What is amiss with the answers to a flood of bad ciphertext, and with HSMs under it.

    Certainty about a bad ciphertext costs several calls, for which there is a budget: what is beyond it goes unchecked.
    """
    found = []
    flood = [row for row in result["rows"] if row["kind"] == "flood"]
    refused = sum(replies.is_called_invalid(row) for row in flood)
    strange = [row for row in flood if not replies.is_called_invalid(row) and not replies.is_retryable(row)]
    if strange:
        found.append(
            f"{len(strange)} bad ciphertexts of the flood got neither InvalidCiphertextException nor a retryable "
            f"error: {replies.names(strange)}")
    if refused < LEAST_CHECKED * len(flood):
        found.append(
            f"{refused} of {len(flood)} bad ciphertexts of the flood were called invalid, less than "
            f"{LEAST_CHECKED:.0%}")
    if result["flood"] and not flood:
        found.append("no bad ciphertext was sent")
    if result["flood"]:
        found += [f"{name} was taken out: {reason}" for name, reason in result["outages"].items()]
    return found


def _hsms(result):
    """What is amiss with HSMs' leaving and coming back."""
    found = []
    if result["must_leave"] and result["out"] is None:
        found.append("the HSM stayed active, with its key")
    limit, back = result["return_within"], result["back"]
    if limit < math.inf and (back is None or back > limit):
        found.append(
            f"the HSM was back for good after {seconds(back)} s instead of {limit:g}, its fault notwithstanding")
    if result["missing"]:
        found.append(f"{', '.join(result['missing'])} did not come back")
    return found


def is_worthless(result):
    """Whether a drill that misses something only shows that the machine was busy with something else.

    So it is when the generator itself came late, and nothing but times is to be complained of: a drill to be repeated.
    What the node spoils, it spoils again.
    """
    failed = replies.failed(result["rows"])
    # Above capacity all that is asked for is a matter of time, but for what is final.
    unpunctual = not any(map(replies.is_final, failed)) if result["overload"] else all(
        row["name"] == "DependencyTimeoutException" or row["name"].endswith(" ms") for row in failed)
    return (
        result["late"] > WORTHLESS_LATENESS and unpunctual and not result["wrong"]
        and not any(result["lost"].values()) and not result["missing"])


def remarks(result):
    """What a reader should know besides, though no requirement is missed by it."""
    found = overload.remarks(result["rows"], result["overload"]) if result["overload"] else []
    late_return = result["back"] is not None and LONGEST_RETURN < result["back"] < math.inf
    if late_return and result["return_within"] == math.inf:
        found.append(f"back later than {LONGEST_RETURN:.0f} s after the fault was lifted")
    if not result["flood"]:
        found += [f"{name} had no fault and left active: {reason}" for name, reason in result["bystanders"].items()]
    if result["silent"]:
        found.append(f"the control listener was silent {result['silent']} times")
    if result["late"] > NOTABLE_LATENESS:
        found.append(f"the generator itself was up to {result['late']:.0f} ms late")
    checked = [row for row in result["rows"] if row["kind"] in ("bad", "flood")]
    unchecked = sum(not replies.is_called_invalid(row) for row in checked)
    if unchecked:
        found.append(f"{unchecked} of {len(checked)} bad ciphertexts went unchecked, with a retryable error")
    bad = replies.failed(result["rows"])
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
    bad = overload.others(own) if result["overload"] else replies.failed(own)
    return aligned([
        result["title"], f"{len(own):,}", str(len(bad)), str(len(result["wrong"])),
        str(sum(result["lost"].values())), f"{result['p50']:.1f}", f"{result['p99']:.1f}", f"{result['p999']:.1f}",
        f"{result['slowest']:.1f}", seconds(result["out"]), seconds(result["back"])])
