# SPDX-License-Identifier: Apache-2.0
"""What came of a line, beside the model's figures, and whether that is good enough. Pure.

A row is an answer as `open_loop` has it. What is observed besides is an `Observed`.
"""

import collections
import dataclasses
import math

import judgement
import quiet
import replies

# Requirements. The 99th percentile, where less than CALM_LOAD of what the HSMs can do is asked: so many times the model's
# and so many milliseconds. With second calls the model is ideal, and more is allowed.
CALM_LOAD = 0.9
LONGEST_P99, LONGEST_P99_HEDGED = (1.5, 3.0), (2.0, 5.0)
# The served share, of the model's. Calls for each call that an answer needs, below what the HSMs can do and above.
LEAST_SERVED = 0.97
MOST_CALLS, MOST_CALLS_ABOVE = 1.1, 1.25
# How far apart served shares may be that must be alike.
ALIKE = 0.05
# Seconds until all peers see a node alive again that has woken up.
LONGEST_DEATH = 2.0
# A machine that is busy with something else: the share of its processors' time that others used, and how late the load
# generator was with one request of a hundred, milliseconds.
MOST_FOREIGN, MOST_LATE = 0.10, 1.0
# Seconds at the end in which requests may have no answer yet.
ENDING = 0.3
# Before a node stands still, a request may be under way for so many seconds.
UNDER_WAY = 0.25

COLUMNS = (
    ("line", 59), ("load", 6), ("p50", 7), ("seen", 7), ("p99", 7), ("seen", 7), ("ratio", 6), ("served", 7),
    ("seen", 7), ("calls", 6), ("seen", 6), ("meets", 10))


@dataclasses.dataclass
class Figures:
    """Times in milliseconds; shares of the requests that were served, in all and by stream; calls for each call that the
    answers needed; which share of the calls each HSM got."""

    p50: float
    p99: float
    served: float
    calls: float
    streams: list
    hsms: list


@dataclasses.dataclass
class Observed:
    rows: list
    # Calls to each HSM between the beginning and the end of what counts: `optimum_calls.Count`.
    calls: list
    # Share of the processors' time: stolen by the hypervisor, used by other processes; lateness of the generator.
    stolen: float = 0.0
    foreign: float = 0.0
    late: float = 0.0
    # Lines `hsm state` by HSM, HSMs with another worker than before, and seconds until all peers saw each frozen node
    # alive again (infinite: never).
    state_lines: dict = dataclasses.field(default_factory=dict)
    replaced: list = dataclasses.field(default_factory=list)
    alive_after: list = dataclasses.field(default_factory=list)
    # What the node says of the 99th percentile of its slowest HSM in the end, milliseconds.
    told_p99: float | None = None


def counts(line, due, node, seconds):
    """Whether a request counts: not while the node learns, at the end, or while its node stands still."""
    frozen = any(
        node in freeze.nodes and freeze.begin - UNDER_WAY <= due < freeze.begin + freeze.seconds
        for freeze in line.freezes)
    return line.counts_from <= due < seconds - ENDING and not frozen


def share(number, of):
    return number / of if of else math.nan


def figures(line, outcomes, calls, needed):
    """`outcomes` are (stream, milliseconds; `None` where it was not served) of the requests that count; `calls` those to
    each HSM, of which the answers needed so many."""
    times = sorted(ms for _, ms in outcomes if ms is not None)
    streams = []
    for number in range(len(line.streams)):
        own = [ms for stream, ms in outcomes if stream == number]
        streams.append(share(sum(ms is not None for ms in own), len(own)))
    return Figures(
        replies.percentile(times, 0.5), replies.percentile(times, 0.99), share(len(times), len(outcomes)),
        share(sum(calls), needed), streams, [share(own, sum(calls)) for own in calls])


def seen(line, observed, seconds):
    outcomes = [
        (row["stream"], row["ms"] if row["name"] is None else None) for row in observed.rows
        if counts(line, row["offset"], row["node"], seconds)]
    # Calls are counted in the same seconds as answers.
    answered = [
        row for row in observed.rows if row["name"] is None
        and line.counts_from <= row["offset"] + row["ms"] / 1000 < seconds - ENDING]
    calls = [count.calls for count in observed.calls]
    return figures(line, outcomes, calls, sum(line.streams[row["stream"]].calls for row in answered))


def modelled(line, plan, requests, calls, deadline, seconds):
    """The figures of the model's requests, one for each of the plan."""
    def served(request):
        return request.latency if request.latency is not None and request.latency <= deadline else None

    outcomes = [
        (stream, served(request)) for (due, stream, node), request in zip(plan, requests, strict=True)
        if counts(line, due, node, seconds)]
    needed = sum(
        line.streams[stream].calls for (_, stream, _), request in zip(plan, requests, strict=True)
        if served(request) is not None)
    return figures(line, outcomes, calls, needed)


def tail(line, plan, requests, seconds):
    """What second calls in the model are to make least: the 99th percentile, and where it is the same the 99.9th."""
    times = sorted(
        math.inf if request.latency is None else request.latency
        for (due, _, node), request in zip(plan, requests, strict=True) if counts(line, due, node, seconds))
    return replies.percentile(times, 0.99), replies.percentile(times, 0.999)


def misses(line, model, found, observed):
    """Which requirements a line misses, as sentences."""
    missed = []
    factor, more = LONGEST_P99_HEDGED if line.hedged else LONGEST_P99
    limit = factor * model.p99 + more
    if line.load < CALM_LOAD and not line.freezes and not found.p99 <= limit:
        missed.append(f"p99 was {found.p99:.1f} ms instead of {limit:.1f}, where the model's is {model.p99:.1f}")
    if not found.served >= LEAST_SERVED * model.served:
        missed.append(f"{found.served:.1%} was served instead of {LEAST_SERVED * model.served:.1%}")
    most = MOST_CALLS if line.load < 1 else MOST_CALLS_ABOVE
    # A node that wakes up works for clients that have gone.
    if not line.freezes and not found.calls <= most:
        missed.append(f"{found.calls:.3f} calls were made for each that an answer needs, instead of {most:g}")
    return missed + _of_the_line(line, found, observed) + _of_workers(line, observed)


def _of_the_line(line, found, observed):
    """What is required of one line only."""
    missed, require = [], line.require
    for number, least, most in require.calls_share:
        if not least <= found.hsms[number] <= most:
            missed.append(
                f"HSM {number + 1} got {found.hsms[number]:.1%} of the calls instead of {least:.1%} to {most:.1%}")
    alike = [found.streams[number] for number in require.alike]
    if alike and not max(alike) - min(alike) <= ALIKE:
        missed.append(f"{' and '.join(f'{one:.1%}' for one in alike)} was served, and that is not alike")
    for number, least in require.served:
        if not found.streams[number] >= least:
            missed.append(
                f"of the requests of {line.streams[number].rate:g}/s {found.streams[number]:.1%} was served instead of "
                f"{least:.0%}")
    if require.settles_within is not None:
        settled = max(time for time, _, _ in line.steps) + require.settles_within
        late = [row for row in observed.rows if row["name"] is not None and row["offset"] >= settled]
        if late:
            missed.append(
                f"{len(late)} requests failed later than {require.settles_within:g} s after the last change: "
                f"{replies.names(late)}")
    if require.told_p99 is not None and not (observed.told_p99 or math.inf) <= require.told_p99:
        told = "no p99" if observed.told_p99 is None else f"{observed.told_p99:.1f} ms"
        missed.append(f"the node tells {told} as an HSM's p99 in the end, instead of {require.told_p99:g} ms")
    if require.state_lines is not None:
        missed += [
            f"{name} changed its state {lines} times, instead of {require.state_lines}"
            for name, lines in sorted(observed.state_lines.items()) if lines > require.state_lines]
    return missed


def _of_workers(line, observed):
    """What befell workers, and nodes that stood still."""
    missed = [f"the worker of {name} was replaced" for name in observed.replaced]
    if line.freezes:
        seconds = max(row["offset"] for row in observed.rows)
        failed = [
            row for row in observed.rows
            if row["name"] is not None and counts(line, row["offset"], row["node"], seconds)]
        if failed:
            missed.append(f"{len(failed)} requests failed that came when the node was awake: {replies.names(failed)}")
    missed += [
        f"peers saw the node alive {judgement.seconds(after)} s after it woke up, instead of {LONGEST_DEATH:g}"
        for after in observed.alive_after if after > LONGEST_DEATH]
    return missed


def disturbances(observed):
    """Why what was observed may be the machine's and not the node's, as sentences."""
    found = []
    if observed.stolen > quiet.MOST_STOLEN:
        found.append(f"the hypervisor took {observed.stolen:.1%} of the processors' time")
    if observed.foreign > MOST_FOREIGN:
        found.append(f"other processes used {observed.foreign:.0%} of the processors' time")
    if observed.late > MOST_LATE:
        found.append(f"one request of a hundred left {observed.late:.1f} ms late or later")
    return found


def row(line, model, found, missed, disturbed):
    """The table's row."""
    verdict = "yes" if not missed else "disturbed" if disturbed else "no"
    return judgement.aligned([
        line.title, f"{line.load:.0%}", f"{model.p50:.1f}", f"{found.p50:.1f}", f"{model.p99:.1f}", f"{found.p99:.1f}",
        f"{found.p99 / model.p99:.2f}", f"{model.served:.1%}", f"{found.served:.1%}", f"{model.calls:.2f}",
        f"{found.calls:.2f}", verdict], COLUMNS)


def remarks(line, model, found, observed):
    """What a reader wants to know besides."""
    notes = []
    if len(line.hsms) > 1:
        notes.append("calls by HSM " + ", ".join(f"{own:.1%}" for own in found.hsms) + "; in the model "
                     + ", ".join(f"{own:.1%}" for own in model.hsms))
    if len(line.streams) > 1:
        notes.append("served by stream " + ", ".join(f"{own:.1%}" for own in found.streams) + "; in the model "
                     + ", ".join(f"{own:.1%}" for own in model.streams))
    names = collections.Counter(
        f"{one['status'] or 'no status'} {one['name']}" for one in observed.rows if one["name"] is not None)
    if names:
        notes.append("not served: " + ", ".join(f"{number} × {name}" for name, number in names.most_common(3)))
    return notes
