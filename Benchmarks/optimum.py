#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the router against the best that a dispatcher can do.

Each line (`optimum_catalogue.py`) starts nodes of `claviger serve` over SoftHSM tokens behind the fault-injecting PKCS#11
module, which makes them as slow, unequal, serial or tailed as the line says. Requests come at random times, whatever the
node does, and their latency counts from the moment when they were due. The same requests go through a model in virtual
time (`optimum_model.py`), and its figures stand beside what was seen. A line that misses something while the machine was
busy with something else is measured again.
"""

import argparse
import dataclasses
import json
import os
import sys
import time

import command
import judgement
import load
import open_loop
import optimum_calls
import optimum_catalogue
import optimum_judgement
import optimum_model
import optimum_stage
import quiet

# The node's own deadline for a request, milliseconds (`xks.request_deadline`).
DEADLINE = 200.0
# How often the model draws what calls take, where that is random; the worst of it counts.
DRAWS = 3
# How often a line is measured when the machine is too busy for it.
ATTEMPTS = 3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", help="the program, built for release")
    parser.add_argument("--module", metavar="FILE", help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument(
        "--only", metavar="NAME,…", help="run only these lines, or those whose names begin so (see --list)")
    parser.add_argument("--list", action="store_true", help="print the lines' names and end")
    parser.add_argument("--model", action="store_true", help="print the model's figures and end")
    parser.add_argument(
        "--seconds", type=int, default=15, help="length of each line that has none of its own, at least 6 (default: 15)")
    parser.add_argument("--seed", type=int, default=1, help="of the times at which requests come (default: 1)")
    parser.add_argument(
        "--attempts", type=int, default=ATTEMPTS, help=f"on a busy machine, for each line (default: {ATTEMPTS})")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file as well")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args()
    lines = optimum_catalogue.lines()
    if arguments.list:
        for line in lines:
            print(f"{line.name:<18}{line.title}")
        sys.exit(0)
    try:
        arguments.lines = selected(lines, [name for name in (arguments.only or "").split(",") if name])
    except ValueError as error:
        parser.error(f"--only: {error}; --list has all names")
    if arguments.seconds < 6 or arguments.attempts < 1:
        parser.error("--seconds must be at least 6, --attempts at least 1")
    if not arguments.model and not (arguments.claviger and arguments.module):
        parser.error("--claviger and --module are needed")
    return arguments


def selected(lines, names):
    """The lines of these names; a name that no line has stands for all whose names begin so. Without names, all."""
    if not names:
        return lines
    chosen = set()
    for name in names:
        exact = {line.name for line in lines if line.name == name}
        begun = {line.name for line in lines if line.name.startswith(name)}
        if not begun:
            raise ValueError(f"no line's name begins with {name}")
        chosen |= exact or begun
    return [line for line in lines if line.name in chosen]


def modelled(line, plan, overheads, seconds):
    """The model's figures for a plan, where each call to an HSM takes so much more than the line says."""
    hsms = [optimum_model.slower(hsm, overhead) for hsm, overhead in zip(line.hsms, overheads, strict=True)]
    steps = [(time * 1000, number, law.slower(overheads[number])) for time, number, law in line.steps]
    arrivals = [
        optimum_model.Arrival(due * 1000, line.streams[stream].store, line.streams[stream].calls)
        for due, stream, _ in plan]

    def tail(requests):
        return optimum_judgement.tail(line, plan, requests, seconds)

    # Which calls are the rare ones is drawn several times: as many as a hundredth of all may be a few more or less.
    found = []
    for seed in range(DRAWS if line.hedged else 1):
        requests, calls = optimum_model.best_of(
            hsms, DEADLINE, arrivals, tail, line.hedged, steps, line.stores, seed)
        found.append(optimum_judgement.modelled(line, plan, requests, calls, DEADLINE, seconds))
    return max(found, key=lambda figures: figures.p99)


class Clock:
    """What is done in the course of a line, each when it is due."""

    def __init__(self, line, nodes, seconds):
        self._nodes = nodes
        # Calls to each HSM when the counting begins, and when it ends.
        self.counts, self.alive_after = [], []
        self._due = [(line.counts_from, self._count), (seconds - optimum_judgement.ENDING, self._count)]
        self._due += [(at, lambda number=number, law=law: nodes.set_law(number, law)) for at, number, law in line.steps]
        for freeze in line.freezes:
            self._due.append((freeze.begin, lambda freeze=freeze: nodes.freeze(freeze.nodes)))
            self._due.append((freeze.begin + freeze.seconds, lambda freeze=freeze: self._thaw(freeze)))
        self._due.sort(key=lambda one: one[0])

    def run(self, began):
        for at, action in self._due:
            time.sleep(max(began + at - time.monotonic(), 0))
            action()

    def _count(self):
        self.counts.append(self._nodes.calls())

    def _thaw(self, freeze):
        self._nodes.thaw()
        if len(self._nodes.nodes) > 1:
            self.alive_after += [self._nodes.seconds_until_alive(number) for number in freeze.nodes]


def observe(stage, line, plan, seconds, name):
    """Runs a line once; returns what was observed."""
    with optimum_stage.Nodes(stage, line, name) as nodes:
        ours, theirs = load.pipe()
        child = load.Child(
            open_loop.drive, plan, [stream.kind for stream in line.streams], nodes.infos(), optimum_catalogue.SIZE,
            theirs)
        try:
            if not ours.poll(120):
                raise RuntimeError("the load generator did not get ready")
            ours.recv()
            clock = Clock(line, nodes, seconds)
            stat, busy, own = quiet.read(), quiet.busy_seconds(), nodes.cpu_seconds() + time.process_time()
            began = time.monotonic() + open_loop.BREATH
            start = time.monotonic()
            ours.send(began)
            clock.run(began)
            outcome = child.result()
        finally:
            child.stop()
        own = nodes.cpu_seconds() + time.process_time() + outcome["cpu"] - own
        processors = (time.monotonic() - start) * os.cpu_count()
        first, last = clock.counts
        return optimum_judgement.Observed(
            outcome["rows"], [after.since(before) for before, after in zip(first, last)],
            stolen=quiet.share(stat, quiet.read()), foreign=max(quiet.busy_seconds() - busy - own, 0) / processors,
            late=outcome["late"], state_lines=nodes.state_lines(), replaced=nodes.replaced(),
            alive_after=clock.alive_after, told_p99=nodes.told_p99())


def measure(stage, line, arguments, usual):
    """Measures a line until the machine lets it; prints what came of it; returns that."""
    seconds = line.seconds or arguments.seconds
    plan = open_loop.arrivals(line.streams, line.nodes, seconds, arguments.seed)
    for attempt in range(1, arguments.attempts + 1):
        observed = observe(stage, line, plan, seconds, f"{line.name}-{attempt}")
        model = modelled(line, plan, optimum_calls.overheads(line, observed.calls, usual), seconds)
        found = optimum_judgement.seen(line, observed, seconds)
        missed = optimum_judgement.misses(line, model, found, observed)
        disturbed = optimum_judgement.disturbances(observed)
        row = optimum_judgement.row(line, model, found, missed, disturbed)
        print(row)
        for text in missed:
            print(f"    {'missed, perhaps by the machine' if disturbed else 'MISSED'}: {text}")
        for text in optimum_judgement.remarks(line, model, found, observed) + (disturbed if missed else []):
            print(f"    note: {text}")
        sys.stdout.flush()
        if not (missed and disturbed):
            break
    if missed and disturbed:
        missed = [f"{text} (no verdict: {', '.join(disturbed)})" for text in missed]
    return {
        "name": line.name, "row": row, "model": dataclasses.asdict(model), "seen": dataclasses.asdict(found),
        "disturbed": disturbed, "missed": missed}


def print_model(arguments):
    print(judgement.heading(optimum_judgement.COLUMNS))
    for line in arguments.lines:
        seconds = line.seconds or arguments.seconds
        plan = open_loop.arrivals(line.streams, line.nodes, seconds, arguments.seed)
        model = modelled(line, plan, [0.0] * len(line.hsms), seconds)
        print(optimum_judgement.row(line, model, model, [], []))


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.path.join(directory, "nodes.log"), "ab"))
    count = max(len(line.hsms) for line in arguments.lines)
    stage = optimum_stage.Stage(arguments.claviger, arguments.module, directory, count, log)
    usual = optimum_calls.overhead(stage.module, stage.tokens.configuration["hsm"][0], directory)
    print(f"A call takes {usual:.2f} ms more than its HSM is said to, and as it is seen to where that can be seen, here "
          "and in the model. For each figure the model's, then what was seen; milliseconds.")
    print(judgement.heading(optimum_judgement.COLUMNS), flush=True)
    results = [measure(stage, line, arguments, usual) for line in arguments.lines]
    if len(results) > 1:
        print("\n".join(["", judgement.heading(optimum_judgement.COLUMNS), *(result["row"] for result in results)]))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file)
    return [f"{result['name']}: {text}" for result in results for text in result["missed"]]


def main():
    arguments = parse_arguments()
    if arguments.model:
        print_model(arguments)
        return
    command.judged("optimum", arguments, run)
    print("\nEvery line is near the optimum.")


if __name__ == "__main__":
    main()
