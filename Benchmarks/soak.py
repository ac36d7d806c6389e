#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets a node work for a long time, and tells whether what it holds grows: memory, descriptors, threads.

A node of `claviger serve` with TLS serves three SoftHSM tokens. All kinds of requests, good and bad, come over HTTP/1.1
and HTTP/2 at a constant rate; each minute one HSM has a fault for 20 s, and every second minute the configuration
changes and is read anew. Every 5 s the node and its workers are looked at. The slope is that of least squares over all
samples but those of a process's beginning; of workers, which faults replace, it is the common one of all.
"""

import argparse
import itertools
import os
import signal
import sys
import time

import attack_catalogue
import attack_stage
import catalogue
import command
import load
import soak_judgement
import soak_load

HSMS = 3
# Seconds between two looks at the processes, two faults, and two reloads; and what a fault lasts.
SAMPLING, FAULT_EVERY, RELOAD_EVERY, FAULT_LASTS = 5.0, 60.0, 120.0, 20.0
# What befalls an HSM, one after another: lines of the fault-injecting module, or a signal to its worker.
FAULTS = (
    ("return CKR_DEVICE_ERROR *",), signal.SIGKILL, catalogue.both("hang *"), ("lose-sessions",), ("crash *",),
    ("lose-token",), catalogue.both("delay * 150ms share 5%"), signal.SIGSTOP,
    catalogue.both("return CKR_GENERAL_ERROR * every 3"), ("session-limit 1",))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", required=True, help="the program, built for release")
    parser.add_argument("--module", metavar="FILE", required=True, help="libFaultyPKCS11.so")
    parser.add_argument("--seconds", type=int, default=1_800, help="how long, at least 60 (default: 1800)")
    parser.add_argument("--rate", type=int, default=100, help="requests per second (default: 100)")
    parser.add_argument("--keep", metavar="DIR", help="work in this new directory, and leave state and logs there")
    arguments = parser.parse_args()
    if arguments.seconds < 60 or arguments.rate < 1:
        parser.error("--seconds must be at least 60, --rate at least 1")
    return arguments


def look(pid):
    """What a process holds: by unit. Raises OSError or ValueError when it is gone."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    if "VmRSS" not in fields:
        raise ValueError("the process has ended")
    return {
        "MiB": int(fields["VmRSS"].split()[0]) / 1024, "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


class Watch:
    """Samples of the node and its workers, by role and process."""

    def __init__(self, node):
        self._node, self._began = node, time.monotonic()
        self._samples = {"node": {}, "worker": {}}

    def look(self):
        workers = [pid for pids in self._node.workers().values() for pid in pids]
        for role, pids in (("node", [self._node.process.pid]), ("worker", workers)):
            for pid in pids:
                try:
                    held = look(pid)
                except (OSError, ValueError):
                    continue
                epoch = self._samples[role].setdefault(pid, {unit: [] for unit in soak_judgement.MOST})
                for unit, value in held.items():
                    epoch[unit].append((time.monotonic() - self._began, value))

    def processes(self):
        """As `soak_judgement.slopes` takes them."""
        return {
            role: {unit: [epoch[unit] for epoch in epochs.values()] for unit in soak_judgement.MOST}
            for role, epochs in self._samples.items()}


class Course:
    """Faults and reloads, each when it is due."""

    def __init__(self, stage, target):
        self._stage, self._target = stage, target
        self._faults = itertools.cycle(
            (hsm, fault) for fault, hsm in zip(itertools.cycle(FAULTS), range(HSMS * len(FAULTS))))
        with open(target.configuration, encoding="utf-8") as file:
            self._text = file.read()
        self._is_changed = False
        self.complaints = []

    def begin_fault(self):
        number, what = next(self._faults)
        name = self._target.node.names[number % HSMS]
        if isinstance(what, tuple):
            self._stage.faults.set(name, *what)
        elif not self._target.node.signal([name], what):
            self.complaints.append(f"{name} had no worker to send a signal to")

    def end_fault(self):
        self._stage.faults.clear()
        self._target.node.signal(self._target.node.names, signal.SIGCONT)

    def reload(self):
        """Takes a key from the key store, or gives it back."""
        self._is_changed = not self._is_changed
        text = self._text.replace(', "impotent_key"', "") if self._is_changed else self._text
        with open(self._target.configuration, "w", encoding="utf-8") as file:
            file.write(text)
        status, printed = self._target.command("reload")
        if status != 0 or self._is_changed and "nothing" in printed.lower():
            self.complaints.append(f"`claviger reload` ended with status {status}: {printed.strip()[:200]}")


def run(arguments, directory, stack):
    stage = attack_stage.Stage(arguments, directory, stack, hsms=HSMS)
    target = stage.target(attack_catalogue.Attack("soak", "everything, for long"))
    course, watch = Course(stage, target), Watch(target.node)
    began = time.monotonic()
    child = load.Child(soak_load.drive, target.node.info, arguments.seconds, arguments.rate)
    # When each is due, and how often; a fault ends before its reload.
    plan = {
        watch.look: (0.0, SAMPLING), course.begin_fault: (20.0, FAULT_EVERY),
        course.end_fault: (20.0 + FAULT_LASTS, FAULT_EVERY), course.reload: (50.0, RELOAD_EVERY)}
    due = {action: first for action, (first, _) in plan.items()}
    try:
        while (now := time.monotonic() - began) < arguments.seconds:
            action = min(due, key=due.get)
            if now < due[action]:
                time.sleep(min(due[action], arguments.seconds) - now)
                continue
            action()
            due[action] += plan[action][1]
            if target.node.process.poll() is not None:
                raise RuntimeError(f"the node ended with status {target.node.process.returncode}")
        counts, reasons = child.result()
    finally:
        child.stop()
        course.end_fault()
    missing = target.node.wait_until_whole(attack_stage.PATIENCE)
    return judged(arguments, watch, counts, reasons, course.complaints + [f"{name} did not return" for name in missing])


def judged(arguments, watch, counts, reasons, complaints):
    """Prints what was seen; returns what was amiss."""
    rows = soak_judgement.slopes(watch.processes())
    print(f"{arguments.seconds} s: {counts.get('requests', 0)} requests, {counts.get('failed', 0)} failed, "
          f"{counts.get('late', 0)} after 250 ms")
    print(soak_judgement.table(rows))
    if arguments.seconds < soak_judgement.LEAST:
        print(f"Slopes are judged from {soak_judgement.LEAST:.0f} s on.")
    sys.stdout.flush()
    return complaints + soak_judgement.misses(rows, arguments.seconds, counts, reasons)


def main():
    arguments = parse_arguments()
    command.require("soak", "openssl", "cc")
    command.judged("soak", arguments, run)
    print("\nWhat it holds stays the same.")


if __name__ == "__main__":
    main()
