#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does harm to HSMs under a constant load, and counts what clients notice.

A node of `claviger serve` with default deadlines serves three SoftHSM tokens, each behind the fault-injecting PKCS#11
module, which adds 2 ms to every call; some drills need another node. Encrypt and decrypt requests come at a constant
rate, whatever the node does, and of each ten decryptions one is of bad ciphertext. Every plaintext is compared, and
after each drill every ciphertext made in it is opened on every HSM alone: by a node that has only this HSM, and no
faults.
"""

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
import time

import catalogue
import command
import judgement
import load
import overload
import replies
import serving

HSMS = 3
# Bytes of plaintext: a data key.
SIZE = 32
# Seconds between two questions to the control listener.
SAMPLING = 0.02
# Seconds that everything may take to be as it was.
PATIENCE = 30
# How often a drill is tried when the machine is too busy for it.
ATTEMPTS = 3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", help="the program, built for release")
    parser.add_argument("--module", metavar="FILE", help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only these drills (see --list)")
    parser.add_argument("--list", action="store_true", help="print the drills' names and end")
    parser.add_argument("--seconds", type=int, default=20, help="length of each drill, at least 12 (default: 20)")
    parser.add_argument("--rate", type=int, default=500, help="requests per second in all (default: 500)")
    parser.add_argument("--sessions", type=int, default=4, help="lanes of each HSM (default: 4)")
    parser.add_argument("--depth", type=int, default=1, help="requests on a lane at a time, 1 to 8 (default: 1)")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="COUNT",
        help="open at most so many of a drill's ciphertexts on each HSM (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write all results, each request in a row, to this file as well")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args()
    if arguments.seconds < 12 or arguments.rate < 1 or arguments.sample < 0:
        parser.error("--seconds must be at least 12, --rate at least 1, --sample at least 0")
    if arguments.sessions < 1 or not 1 <= arguments.depth <= 8:
        parser.error("--sessions must be at least 1, --depth 1 to 8")
    names = [drill.name for drill in catalogue.drills(arguments.seconds)]
    if arguments.list:
        for drill in catalogue.drills(arguments.seconds):
            print(f"{drill.name:<18}{drill.title}")
        sys.exit(0)
    unknown = set(arguments.only or []) - set(names)
    if unknown:
        parser.error(f"--only takes {', '.join(names)}; not {', '.join(sorted(unknown))}")
    if not arguments.claviger or not arguments.module:
        parser.error("--claviger and --module are needed")
    return arguments


class Stage:
    """The node under test, and beside it a node without faults for each HSM."""

    def __init__(self, arguments, directory, stack, log):
        self._arguments, self._stack = arguments, stack
        self._tokens = tokens = serving.Tokens(arguments.claviger, directory, HSMS, log)
        self.faults = serving.Faults(directory, tokens.names, catalogue.LATENCY)
        self._starts = 0
        self.witnesses = {}
        for hsm in tokens.copies():
            witness = tokens.node(f"alone-{hsm['name']}", [hsm])
            stack.callback(witness.stop)
            self.witnesses[hsm["name"]] = witness
        self.node = self._shape = None
        for name, witness in self.witnesses.items():
            if witness.wait_until_whole(PATIENCE):
                raise RuntimeError(f"{name} alone did not become active")

    @property
    def names(self):
        """The HSMs of the node under test."""
        return self.node.names

    def become(self, shape):
        """Sees to it that the node under test is of that shape."""
        if self._shape != shape:
            self.start(shape)

    def renew(self):
        self.start(self._shape)

    def start(self, shape):
        """Starts a node of that shape, with nothing remembered of an earlier one."""
        if self.node:
            self.node.stop()
        self._starts += 1
        self.faults.hold(shape.latency)
        arguments = self._arguments
        hsms = self._tokens.faulty(
            os.path.abspath(arguments.module), self.faults, sessions=shape.sessions or arguments.sessions,
            depth=arguments.depth)[:shape.hsms]
        if shape.crowd:
            hsms[0] = serving.crowded(hsms[0], os.path.join(self._memory(), "crowd"), shape.crowd)
        self.node = self._tokens.node(f"node-{self._starts}", hsms)
        self._shape = shape
        self._stack.callback(self.node.stop)
        missing = self.node.wait_until_whole(PATIENCE)
        if missing:
            raise RuntimeError(f"{', '.join(missing)} did not become active")

    def _memory(self):
        """A new directory in memory, where there is such a file system."""
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        return self._stack.enter_context(tempfile.TemporaryDirectory(prefix="claviger-drills-", dir=place))


def do_steps(stage, drill, began, seconds):
    """Performs the drill's steps in time; returns the samples of the HSMs' states."""
    steps = sorted(drill.steps, key=lambda step: step.time)
    samples, reached = [], 0
    while time.monotonic() < began + seconds:
        while steps and time.monotonic() >= began + steps[0].time:
            step = steps.pop(0)
            names = [stage.names[hsm] for hsm in step.hsms]
            if step.signal:
                reached += stage.node.signal(names, step.signal)
            else:
                for name in names:
                    stage.faults.set(name, *step.lines)
        samples.append(stage.node.sample(drill.of_key))
        time.sleep(SAMPLING)
    if not reached and any(step.signal for step in drill.steps):
        raise RuntimeError("there was no worker to send a signal to")
    return samples


def perform(stage, drill, arguments):
    """Runs one drill; returns its result, as `judgement` reads it."""
    stage.become(drill.shape)
    seconds = drill.seconds or arguments.seconds
    began = time.monotonic() + 0.3
    child = load.Child(load.drive, stage.node.info, SIZE, began, seconds, drill.mix(arguments.rate))
    try:
        samples = do_steps(stage, drill, began, seconds)
        outcome = child.result()
    finally:
        child.stop()
    silent = sum(not sample.hsms for sample in samples)
    stage.faults.clear()
    missing = stage.node.wait_until_whole(PATIENCE, samples)
    made = outcome["made"]
    if 0 < arguments.sample < len(made):
        made = random.sample(made, arguments.sample)
    children = {name: load.Child(load.open_all, witness.info, made) for name, witness in stage.witnesses.items()}
    reasons = {name: child.result() for name, child in children.items()}
    return summary(stage, drill, began, samples, outcome, missing, reasons) | {"silent": silent, "opened": len(made)}


def summary(stage, drill, began, samples, outcome, missing, reasons):
    rows = replies.rows_of(outcome["answers"])
    # Where requests may fail, the promise is on the others.
    may_fail = drill.may_fail or drill.overload
    latencies = sorted(
        row["ms"] for row in rows if row["kind"] in ("encrypt", "decrypt") and (row["name"] is None or not may_fail))
    times = [(stage.names[hsm], began + fault, began + lift) for hsm, (fault, lift) in drill.faults.items()]
    outs = [judgement.seconds_until_out(samples, name, fault) for name, fault, _ in times]
    backs = [judgement.seconds_until_back(samples, name, fault, lift) for name, fault, lift in times]
    victims = {name for name, _, _ in times}
    return {
        "name": drill.name, "title": drill.title, "rows": rows, "wrong": outcome["wrong"],
        "lost": {name: len(lost) for name, lost in reasons.items()},
        "loss_reasons": {name: sorted(set(lost)) for name, lost in reasons.items() if lost},
        "p50": replies.percentile(latencies, 0.5), "p99": replies.percentile(latencies, 0.99),
        "p999": replies.percentile(latencies, 0.999), "slowest": replies.percentile(latencies, 1),
        "out": judgement.worst(outs), "back": judgement.worst(backs), "missing": missing,
        "must_leave": drill.must_leave, "may_fail": drill.may_fail, "first_return": drill.first_return,
        "flood": drill.flood, "sick": drill.sick, "return_within": drill.return_within, "overload": drill.overload,
        "victims": judgement.absences(samples, sorted(victims)),
        "bystanders": judgement.absences(samples, [name for name in stage.names if name not in victims]),
        "outages": judgement.outages(samples, stage.names),
        "late": max(outcome["lateness"], default=0), "cpu": outcome["cpu"]}


def report(result):
    """Prints a drill's row and what there is to say on it; returns the requirements that it misses."""
    print(judgement.line(result), flush=True)
    missed = judgement.misses(result)
    for text in missed:
        print(f"    MISSED: {text}")
    for text in judgement.remarks(result):
        print(f"    note: {text}")
    bad = overload.others(result["rows"]) if result["overload"] else replies.failed(result["rows"])
    unexpected = [
        row for row in replies.failed(result["rows"], ("bad", "flood")) if not replies.is_called_invalid(row)]
    for text in replies.grouped(bad + unexpected):
        print(f"    {text}")
    for offset, what, identifier in result["wrong"][:5]:
        print(f"    wrong after {offset:.3f} s: {what}, kmsRequestId {identifier}")
    for name, reasons in result["loss_reasons"].items():
        print(f"    {result['lost'][name]} ciphertexts do not open on {name}: {', '.join(reasons)}")
    sys.stdout.flush()
    return missed


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.path.join(directory, "nodes.log"), "ab"))
    stage = Stage(arguments, directory, stack, log)
    print(f"{arguments.rate} requests/s, {arguments.seconds} s each, {HSMS} HSMs of 2 ms, unless a drill needs others; "
          "latencies in ms")
    print(judgement.heading(), flush=True)
    results, missed = [], []
    for drill in catalogue.drills(arguments.seconds):
        if arguments.only and drill.name not in arguments.only:
            continue
        for left in reversed(range(ATTEMPTS)):
            result = perform(stage, drill, arguments)
            results.append(result)
            found = report(result)
            if result["missing"]:
                stage.renew()
            if not (found and left and judgement.is_worthless(result)):
                break
            print("    the machine was too busy for times to mean anything: once more")
        missed += [f"{drill.title}: {text}" for text in found]
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"results": results, "missed": missed}, file, default=dataclasses.asdict)
    return missed


def main():
    arguments = parse_arguments()
    command.judged("drills", arguments, run)
    print("\nNobody noticed anything.")


if __name__ == "__main__":
    main()
