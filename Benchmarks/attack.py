#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks a node in every way that somebody can who reaches its listeners, or whose library it loads, and prints what
those who are served notice of it.

A node of `claviger serve` with TLS and a cluster listener serves two SoftHSM tokens of 2 ms a call. While each attack
runs, signed requests come at a constant rate, every tenth on a new connection; `/readyz` is asked ten times a second;
and in the middle a principal is blocked. Attackers run at the lowest priority. An attack in which something was missed
is tried up to three times, and the best counts: what the machine does besides is not the node's fault.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import time

import attack_catalogue
import attack_judgement
import attack_meter
import attack_stage
import attack_thief
import attackers
import command
import load
import replies

# Seconds between two looks at the node.
SAMPLING = 0.1
# How often an attack is tried.
ATTEMPTS = 3
# Seconds before the attack in which the signed requests have begun already.
LEAD = 1.0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", help="the program, built for release")
    parser.add_argument("--module", metavar="FILE", help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only these attacks (see --list)")
    parser.add_argument("--list", action="store_true", help="print the attacks' names and end")
    parser.add_argument("--seconds", type=int, default=10, help="length of each attack, at least 8 (default: 10)")
    parser.add_argument("--rate", type=int, default=50, help="signed requests per second (default: 50)")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, help=f"runs at most (default: {ATTEMPTS})")
    parser.add_argument("--json", metavar="FILE", help="write all results to this file as well")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args()
    names = [attack.name for attack in attack_catalogue.ATTACKS]
    if arguments.list:
        for attack in attack_catalogue.ATTACKS:
            print(f"{attack.name:<16}{attack.title}")
        sys.exit(0)
    if arguments.seconds < 8 or arguments.rate < 1 or arguments.attempts < 1:
        parser.error("--seconds must be at least 8, --rate and --attempts at least 1")
    unknown = set(arguments.only or []) - set(names)
    if unknown:
        parser.error(f"--only takes {', '.join(names)}; not {', '.join(sorted(unknown))}")
    if not arguments.claviger or not arguments.module:
        parser.error("--claviger and --module are needed")
    return arguments


def readiness(address):
    """Milliseconds until `/readyz` says 200 on a new connection; infinite when it does not within a second."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(*address, timeout=1)
    try:
        connection.request("GET", "/readyz")
        if connection.getresponse().status != 200:
            return float("inf")
    except (OSError, http.client.HTTPException):
        return float("inf")
    finally:
        connection.close()
    return (time.monotonic() - began) * 1000


class Blocking:
    """The order to block a principal, given by the command while others attack."""

    def __init__(self, target, claviger, name):
        self._target, self.principal = target, f"arn:aws:iam::999999999999:user/{name}"
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [claviger, "block", "--principal", self.principal, "--reason", f"attack {name}", "--config",
             target.configuration],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._seconds = None

    def look(self):
        """Notes when it has ended."""
        if self._seconds is None and self._process.poll() is not None:
            self._seconds = time.monotonic() - self._began

    def outcome(self):
        """Waits for the end, and for the line in the log."""
        try:
            text, _ = self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            text, _ = self._process.communicate()
            return attack_judgement.Order(None, text, time.monotonic() - self._began, False, False)
        self.look()
        end, is_logged = time.monotonic() + 10, False
        while not is_logged and time.monotonic() < end:
            is_logged = any(
                self.principal in line and "break glass" in line for line in self._target.log.text().splitlines())
            time.sleep(0.1)
        return attack_judgement.Order(
            self._process.returncode, text, self._seconds, self._target.has_on_disk(self.principal), is_logged)


class Course:
    """One attack on one node, from its beginning to its end."""

    def __init__(self, stage, attack, arguments):
        self.stage, self.attack, self.arguments = stage, attack, arguments
        self.target = stage.target(attack)
        self.ready, self.memory, self.broken = [], 0.0, []
        self.thief = None
        if attack.thief:
            self.thief = attack_thief.Thief(self.target.facts["cluster"], *self.target.stolen)

    def run(self):
        began = time.monotonic() + 0.5
        middle, end = began + LEAD + self.arguments.seconds / 2, began + LEAD + self.arguments.seconds
        meter = load.Child(
            attack_meter.drive, self.target.node.info, began, LEAD + self.arguments.seconds, self.arguments.rate)
        children, blocking = [], None
        try:
            self._watch(until=began + LEAD)
            children = [
                load.Child(attackers.perform, function, given, self.target.facts, end)
                for function, given in self.attack.work]
            self._watch(until=middle)
            blocking = Blocking(self.target, self.stage.claviger, self.attack.name)
            self._act()
            self._watch(end, blocking)
            counts = [child.result() for child in children]
            rows = replies.rows_of(meter.result())
        finally:
            for child in [meter, *children]:
                child.stop()
        return self._seen(rows, counts, blocking.outcome())

    def _watch(self, until, blocking=None):
        while (now := time.monotonic()) < until:
            self.ready.append(readiness(self.target.facts["control"]))
            self.memory = max(self.memory, self.target.memory())
            if blocking:
                blocking.look()
            time.sleep(max(0.0, now + SAMPLING - time.monotonic()))

    def _act(self):
        """What belongs to the attack and is done once, in its middle."""
        node = self.target.node
        if self.attack.kills and not node.signal(node.names[:1], signal.SIGKILL):
            self.broken.append("there was no worker to kill")
        if self.thief:
            before = self.thief.ask()
            self.broken += self.target.refuse(attack_thief.serial_of(self.target.stolen[0]))
            self._watch(until=time.monotonic() + 1)
            alive = self.thief.is_connected()
            self.thief.close()
            self.broken += attack_judgement.thief_misses(before, alive, self.thief.ask())
            self.thief.close()

    def _seen(self, rows, counts, order):
        node = self.target.node
        missing = node.wait_until_whole(attack_stage.PATIENCE) if node.process.poll() is None else node.names
        if self.attack.library == "exit":
            # The first of its keys is served by the other one as long as the library goes on so.
            missing = [name for name in missing if name != node.names[0]]
        named = {
            name if len(counts) == 1 else f"{function.__name__} {name}": value
            for (function, _), counted in zip(self.attack.work, counts) for name, value in counted.items()}
        self._require(counts)
        return attack_judgement.Seen(
            self.attack.name, self.attack.title, rows, self.ready, self.memory, order, missing, named, self.broken)

    def _require(self, counts):
        name, library = self.attack.name, self.attack.library
        if name == "h2-headers":
            self.broken += attack_judgement.header_misses(counts[0])
        if library == "print":
            self.broken += attack_judgement.log_misses(self.target.log.text(), self.target.node.names[0])
        if library == "admin":
            self.broken += attack_judgement.order_outcomes(self.target.outcome())
        if library == "files":
            self.broken += attack_judgement.file_outcomes(self.target.outcome())
        if library == "fork":
            self.broken += self._helpers_left()
        if library == "exit":
            self.broken += attack_judgement.end_misses(self.target.log.text(), self.target.node.names[0])
            if "exit" not in self.target.outcome():
                self.broken.append("the library has not ended its process")

    def _helpers_left(self):
        """The killed worker's helpers must be gone; those of the worker that has taken its place are alive."""
        helpers = [int(line.split()[1]) for line in self.target.outcome() if line.startswith("helper ")]
        if len(helpers) < 4:
            return [f"{len(helpers)} helpers were started, not 2 by each of two workers"]
        left = [pid for pid in helpers[:2] if os.path.exists(f"/proc/{pid}")]
        return [f"{len(left)} helpers of the killed worker are alive"] if left else []

    def stop(self):
        if self.thief:
            self.thief.close()
        helpers = [int(line.split()[1]) for line in self.target.outcome() if line.startswith("helper ")]
        self.target.stop()
        for pid in helpers:
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
                    if "hsm-worker" in line.read():
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def perform(stage, attack, arguments):
    course = Course(stage, attack, arguments)
    try:
        return course.run()
    finally:
        course.stop()


def report(seen):
    print(attack_judgement.line(seen), flush=True)
    missed = attack_judgement.misses(seen)
    for text in missed:
        print(f"    MISSED: {text}")
    for text in replies.grouped(seen.failed)[:8]:
        print(f"    {text}")
    sys.stdout.flush()
    return missed


def run(arguments, directory, stack):
    stage = attack_stage.Stage(arguments, directory, stack)
    print(f"{arguments.rate} signed requests/s, {arguments.seconds} s each, {attack_stage.HSMS} HSMs of 2 ms; "
          "latencies in ms")
    print(attack_judgement.heading(), flush=True)
    results, missed = [], []
    for attack in attack_catalogue.ATTACKS:
        if arguments.only and attack.name not in arguments.only:
            continue
        best = None
        for left in reversed(range(arguments.attempts)):
            seen = perform(stage, attack, arguments)
            found = report(seen)
            results.append({"name": seen.name, "missed": found, "rows": seen.rows, "ready": seen.ready})
            if best is None or attack_judgement.worth(seen) < attack_judgement.worth(best):
                best = seen
            if not found:
                break
            if left:
                print("    once more", flush=True)
        missed += [f"{attack.title}: {text}" for text in attack_judgement.misses(best)]
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"results": results, "missed": missed}, file)
    return missed


def main():
    arguments = parse_arguments()
    command.require("attack", "prlimit", "openssl", "cc")
    command.judged("attack", arguments, run)
    print("\nNobody noticed anything.")


if __name__ == "__main__":
    main()
