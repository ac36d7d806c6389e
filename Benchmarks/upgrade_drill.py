#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leads a cluster from one build to another under load, node by node, and back again, and counts what clients notice.

The stage is that of the cluster drills: three nodes, each with HSMs of its own, behind HAProxy. They begin with the other
build. After the first node runs this build, a key is blocked at a node of the other one; after the second, another key at a
node of this one. Both must be refused by every node from then on, through every restart. Then the same the other way round, with a
new store for each node, as the guide to upgrades says.
It needs root, for the namespaces; nothing leaves the machine.
"""

import argparse
import functools
import os
import signal
import sys
import time

import cluster_catalogue
import cluster_drills
import cluster_judgement
import cluster_stage
import cluster_steps
import cluster_watch
import command
import workload

# Seconds of a drill: three restarts with their drain_delay, and what comes before and after.
SECONDS = 75
# Seconds after its order was confirmed, or after a node serves again, in which a key may still be served there.
SPREADING = 2.0


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", required=True, help="this build's program, built for release")
    parser.add_argument("--other", metavar="FILE", required=True, help="the other build's program")
    parser.add_argument(
        "--module", metavar="FILE", required=True, help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument("--rate", type=int, default=300, help="requests per second in all (default: 300)")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args(words)
    if arguments.rate < 1:
        parser.error("--rate must be at least 1")
    return arguments


class Steps(cluster_steps.Steps):
    """The steps of a change from one build to another."""

    def __init__(self, stage, drill, program, is_back):
        super().__init__(stage, drill)
        self._program, self._is_back = program, is_back
        # Labels that have been blocked.
        self._blocked = []

    def replace(self, numbers):
        """Every node is ended in good order and started as the new build, each when the one before it serves again."""
        for count, number in enumerate(numbers):
            node = self._stage.nodes[number]
            begin = time.monotonic()
            self._away((number,), "left")
            self.record.broken += self._stage.end(node)
            self._ended(number)
            node.program = self._program
            if self._is_back:
                # docs/guides/rolling-upgrade.md, "Back again".
                node.forget_store()
            self.start((number,))
            self.record.broken += self._stage.wait_until_whole(cluster_catalogue.MEMBERS)
            self.record.notes.append(f"{node.name} took {time.monotonic() - begin:.1f} s")
            self._all_refuse(f"after {node.name} was started anew")
            if count < len(numbers) - 1:
                # First at a node of the old build, then at one of the new one.
                giver = numbers[-1] if count == 0 else numbers[0]
                self._order(giver, self._stage.spare_keys[count])

    def _order(self, number, label):
        node = self._stage.nodes[number]
        status, text = node.command("block", "--key", label, "--reason", "drill")
        if status != 0:
            self.record.broken.append(f"`claviger block` at {node.name} ended with status {status}: {text.strip()}")
        self._blocked.append(label)
        self._all_refuse(f"after the order at {node.name}")

    def _all_refuse(self, when):
        for name, info in self._stage.infos.items():
            for label in self._blocked:
                if (said := self._first_word(dict(info, keys=[label]))) is not None:
                    self.record.broken.append(f"{when}, {name} answered a request for the blocked key {label}: {said}")

    @staticmethod
    def _first_word(info):
        """`None` where the key is refused as it must be; else what was answered in the end."""
        line = cluster_watch.Line(info)
        end = time.monotonic() + SPREADING
        while True:
            answer, _ = line.ask("encrypt", workload.encrypt_body(32, cdiv=False))
            if answer.name == "InvalidStateException" and "blocked by" in answer.message:
                line.close()
                return None
            if time.monotonic() > end:
                line.close()
                return f"{answer.status} {answer.name or ''} {answer.message}".strip()
            time.sleep(0.05)

    def lift(self, numbers):
        """The first node lifts both."""
        node = self._stage.nodes[numbers[0]]
        for label in self._blocked:
            status, text = node.command("unblock", "--key", label)
            if status != 0:
                self.record.broken.append(f"`claviger unblock` at {node.name} ended with status {status}: {text.strip()}")
        self._blocked.clear()


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.path.join(directory, "tokens.log"), "ab"))
    begin = argparse.Namespace(claviger=arguments.other, module=arguments.module)
    stage = cluster_stage.Stage(begin, directory, stack, log)
    print(f"{arguments.rate} requests/s, {len(cluster_catalogue.MEMBERS)} nodes behind HAProxy; latencies in ms")
    print(cluster_judgement.heading(), flush=True)
    missed = []
    for name, title, program, is_back in (
            ("up", "from the other build to this one", arguments.claviger, False),
            ("down", "from this build to the other one", arguments.other, True)):
        members = cluster_catalogue.MEMBERS
        drill = cluster_catalogue.Drill(name, title, SECONDS, [
            cluster_catalogue.Step(3, "replace", members), cluster_catalogue.Step(3, "lift", members)])
        result = cluster_drills.perform(stage, drill, arguments, functools.partial(
            Steps, program=program, is_back=is_back))
        missed += [f"{title}: {text}" for text in cluster_drills.report(result)]
    return missed


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, cluster_drills.interrupt)
    command.judged("upgrade-drill", arguments, run)
    print("\nNobody noticed anything.")


if __name__ == "__main__":
    sys.exit(main())
