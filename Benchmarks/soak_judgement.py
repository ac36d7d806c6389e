# SPDX-License-Identifier: Apache-2.0
"""Whether what processes hold stays the same over a long time: least squares. Pure.

A sample is a pair: seconds since the beginning, and a value. An epoch is the samples of one process: a worker that was
replaced begins anew, with another value and the same slope.
"""

import math

# What a process may gain in an hour: MiB resident, descriptors, threads.
MOST = {"MiB": 5.0, "descriptors": 1.0, "threads": 1.0}
# Seconds at the beginning of a process that are no sample of what comes later: caches fill, pools grow.
SETTLING = {"node": 300.0, "worker": 20.0}
# Where less time than this was watched, a slope says nothing, seconds.
LEAST = 600.0


def slope(epochs):
    """The common slope of several epochs, each with a level of its own: units an hour and its standard error; `None`
    where there are too few samples."""
    squares = products = 0.0
    centred = []
    for samples in epochs:
        if len(samples) < 3:
            continue
        time = sum(sample[0] for sample in samples) / len(samples)
        level = sum(sample[1] for sample in samples) / len(samples)
        centred.append([(at - time, value - level) for at, value in samples])
        squares += sum(at * at for at, _ in centred[-1])
        products += sum(at * value for at, value in centred[-1])
    count = sum(map(len, centred))
    freedom = count - len(centred) - 1
    if freedom < 1 or squares == 0:
        return None
    gain = products / squares
    rest = sum((value - gain * at) ** 2 for samples in centred for at, value in samples)
    return gain * 3600, math.sqrt(rest / freedom / squares) * 3600


def settled(samples, role):
    """The samples of a process without those of its beginning."""
    begin = samples[0][0] + SETTLING[role] if samples else 0.0
    return [sample for sample in samples if sample[0] >= begin]


def is_flat(found, unit):
    """Whether a slope is none: below what is allowed, or not to be told from it."""
    gain, error = found
    return gain - 2 * error <= MOST[unit]


def slopes(processes):
    """`processes`: role → unit → epochs. Returns rows: role, unit, slope, its error, first and last value, whether it
    is flat; slope and error `None` where there were too few samples."""
    rows = []
    for role, units in processes.items():
        for unit, epochs in units.items():
            kept = [settled(samples, role) for samples in epochs]
            found = slope(kept)
            values = [value for samples in kept for _, value in samples]
            rows.append((
                role, unit, *(found or (None, None)), values[0] if values else None, values[-1] if values else None,
                found is None or is_flat(found, unit)))
    return rows


def table(rows):
    lines = [f"{'':<10}{'':<14}{'per hour':>12}{'± 1 σ':>10}{'first':>10}{'last':>10}"]
    for role, unit, gain, error, first, last, _ in rows:
        numbers = f"{'too few samples':>22}" if gain is None else f"{gain:>+12.2f}{error:>10.2f}"
        ends = "" if first is None else f"{first:>10.1f}{last:>10.1f}"
        lines.append(f"{role:<10}{unit:<14}{numbers}{ends}")
    return "\n".join(lines)


def misses(rows, seconds, counts, reasons):
    """Sentences on what was not as it must be."""
    found = []
    if not counts.get("requests"):
        found.append("no request was sent")
    if counts.get("failed"):
        found.append(f"{counts['failed']} of {counts['requests']} requests were answered otherwise than they must be: "
                     + ", ".join(f"{number} × {reason}" for reason, number in sorted(reasons.items())))
    if seconds < LEAST:
        return found
    for role, unit, gain, error, _, _, flat in rows:
        if gain is None:
            found.append(f"{unit} of the {role}: too few samples")
        elif not flat:
            found.append(f"{unit} of the {role} grow by {gain:.1f} ± {error:.1f} an hour, more than {MOST[unit]:g}")
    return found
