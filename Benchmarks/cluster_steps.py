# SPDX-License-Identifier: Apache-2.0
"""What is done at the steps of a cluster drill, each noted with what must come of it."""

import math
import time

import cluster_judgement
import cluster_nodes
import cluster_result
from cluster_catalogue import MEMBERS
from cluster_judgement import Absence


# How long a block holds that ends by itself.
BLOCK_SECONDS = 12


class Steps:
    """Does to the stage what a drill's steps say; `record` has what is to be judged."""

    def __init__(self, stage, drill):
        self._stage, self._drill = stage, drill
        self._names = [node.name for node in stage.nodes.values()]
        # The nodes that run.
        self._present = {node.name for node in stage.nodes.values() if node.runs}
        self.record = cluster_result.Record()
        # By node: its absences that have not ended.
        self._absences = {}
        self._cuts = []
        self._end = math.inf
        # By node: how many requests HAProxy had given it when it was looked at.
        self._requests = {}
        for name in set(self._names) - self._present:
            # It is not there, and was perhaps never: nobody need say so.
            self._absent(name, "left", -math.inf, must=False)

    def do(self, began):
        """Performs the steps in time, then waits for the drill's end."""
        end = self._end = began + self._drill.seconds
        for step in self._drill.steps:
            time.sleep(max(began + step.time - time.monotonic(), 0))
            getattr(self, step.action)(step.nodes)
        left = end - time.monotonic()
        if left < 0:
            self.record.broken.append(f"the drill's steps took {-left:.1f} s more than its {self._drill.seconds:g} s")
        time.sleep(max(left, 0))
        if self.record.contest:
            self.record.contest.verdicts = {
                name: (self._node(name).ask("/cluster/health") or {}).get("verdict", "silent")
                for name in self.record.contest.nodes}
        if self.record.block and self.record.block.lasts is not None:
            # It has ended by itself, and if it has not, what was seen says so.
            self._stage.blocked = ()
        for name in sorted(self._present):
            node = self._node(name)
            if not node.runs:
                self.record.broken.append(f"{name} ended by itself with status {node.process.returncode}")

    # Coming and going.

    def kill(self, numbers):
        self._away(numbers, "dead")
        if self.record.block:
            self.record.block.killed = time.monotonic()
        for number in numbers:
            self._stage.nodes[number].kill()

    def start(self, numbers):
        self._back(numbers, cluster_judgement.LONGEST_START)
        for number in numbers:
            self._judges_nobody(cluster_nodes.name_of(number), self.record.returns[-1].time)
            self._stage.nodes[number].start()

    def freeze(self, numbers):
        self._away(numbers, "dead")
        for number in numbers:
            self._stage.nodes[number].freeze()

    def thaw(self, numbers):
        self._back(numbers, cluster_judgement.LONGEST_HEALING)
        for number in numbers:
            self._stage.nodes[number].thaw()

    def restart(self, numbers):
        for number in numbers:
            self._away((number,), "left")
            self.record.broken += self._stage.end(self._stage.nodes[number])
            self._ended(number)
            self.start((number,))

    def upgrade(self, numbers):
        """One after another, each when the one before it serves again: docs/guides/rolling-upgrade.md."""
        for number in numbers:
            begin = time.monotonic()
            self.restart((number,))
            self.record.broken += self._stage.wait_until_whole(MEMBERS)
            self.record.notes.append(f"{cluster_nodes.name_of(number)} took {time.monotonic() - begin:.1f} s")

    def drain(self, numbers):
        for number in numbers:
            node = self._stage.nodes[number]
            self._away((number,), "left")
            status, text = node.command("drain", "--wait")
            if status != 0 or node.ended(1) != 0:
                self.record.broken.append(f"`claviger drain` ended with status {status}: {text.strip()}")
                self.record.broken += self._stage.end(node)
            self._ended(number)

    def admit(self, numbers):
        """Gives a started node a place in HAProxy when it serves and everybody sees it."""
        everyone = tuple(sorted(set(MEMBERS) | set(numbers)))
        complaints = self._stage.wait_until_whole(everyone, balanced=False)
        for number in numbers:
            name = cluster_nodes.name_of(number)
            self._stage.balancer.set(name, "ready")
            complaints += [f"HAProxy does not take {late} for up"
                           for late in self._stage.balancer.wait_until_up([name], 5)]
            self._count(name)
        self.record.broken += complaints

    def dismiss(self, numbers):
        for number in numbers:
            self._must_have_worked(cluster_nodes.name_of(number))
            self._away((number,), "left")
            self.record.broken += self._stage.dismiss(self._stage.nodes[number])
            self._ended(number)

    # HSMs.

    def lose_hsms(self, numbers):
        self._spoil_hsms(numbers, "return CKR_DEVICE_ERROR *")

    def hang_hsms(self, numbers):
        self._spoil_hsms(numbers, "hang *")

    def _spoil_hsms(self, numbers, line):
        for number in numbers:
            node = self._stage.nodes[number]
            if not self._drill.direct:
                self._count(node.name)
            self.record.forwarding = cluster_result.Forwarding(node.name, time.monotonic())
            for name in node.hsms:
                self._stage.faults.set(name, line)

    def mend_hsms(self, numbers):
        for number in numbers:
            node = self._stage.nodes[number]
            if not self._drill.direct:
                self._must_have_worked(node.name)
            health = node.ask("/health")
            alive = [hsm["name"] for hsm in health["hsms"] if hsm["state"] == "active"] if health else ["nobody knows"]
            if alive:
                self.record.broken.append(f"HSMs of {node.name} were active all the while: {', '.join(alive)}")
            lift = self.record.forwarding.end = time.monotonic()
            for name in node.hsms:
                self._stage.faults.set(name)
            while not (back := node.serves()) and time.monotonic() < self._end:
                time.sleep(0.05)
            were = "were active" if back else "were not active"
            self.record.notes.append(f"the HSMs of {node.name} {were} again after {time.monotonic() - lift:.1f} s")

    # The network.

    def cut(self, numbers):
        for number in numbers:
            name = cluster_nodes.name_of(number)
            others = sorted(self._present - {name})
            self._cuts.append(name)
            now = time.monotonic()
            pairs = [Absence(name, tuple(others), now)] + [Absence(other, (name,), now) for other in others]
            self.record.excused += pairs
            self.record.noticed += pairs
            self._absences.setdefault(name, []).extend(pairs)
            self._stage.network.cut(number, [self._node(other).number for other in others])

    def isolate(self, numbers):
        """A cut of which nobody need notice anything: what is beyond it comes to an end anyhow."""
        for number in numbers:
            name = cluster_nodes.name_of(number)
            others = sorted(self._present - {name})
            self._cuts.append(name)
            now = time.monotonic()
            pairs = [Absence(name, tuple(others), now)] + [Absence(other, (name,), now) for other in others]
            self.record.excused += pairs
            self._absences.setdefault(name, []).extend(pairs)
            self._stage.network.cut(number, [self._node(other).number for other in others])

    def wipe(self, numbers):
        """Nodes are killed, and begin with an empty state directory."""
        for number in numbers:
            node = self._stage.nodes[number]
            node.kill()
            node.forget()
            self.record.block.wiped = node.name
            node.start()

    def heal(self, numbers):
        self._back(numbers, cluster_judgement.LONGEST_HEALING)
        self._cuts.clear()
        if self.record.block:
            self.record.block.healed = time.monotonic()
        self._stage.network.heal()

    # Break glass.

    def block(self, numbers):
        self._block(numbers[0], "--key", self._stage.key)

    def block_all(self, numbers):
        self._block(numbers[0], "--all")

    def block_for(self, numbers):
        """Blocks the key for some seconds; nobody lifts it."""
        self._block(numbers[0], "--key", self._stage.key, lasts=BLOCK_SECONDS)

    def _block(self, number, *target, lasts=None):
        node = self._stage.nodes[number]
        block = self.record.block = cluster_result.Block(
            time.monotonic(), tuple(sorted(self._present - set(self._cuts))), tuple(self._cuts), lasts=lasts)
        self._stage.blocked = target
        duration = () if lasts is None else ("--expires", f"{lasts}s")
        status, text = node.command("block", *target, "--reason", "drill", *duration)
        block.ended = time.monotonic()
        self.record.notes.append(f"`claviger block` ended after {block.ended - block.begin:.2f} s")
        named = cluster_result.unconfirmed(text)
        if status != (6 if block.far else 0) or named != set(block.far):
            self.record.broken.append(
                f"`claviger block` ended with status {status} and named {', '.join(sorted(named)) or 'no node'} as not "
                f"confirmed: {text.strip()}")

    def unblock(self, numbers):
        self._unblock(numbers[0], "--key", self._stage.key)

    def unblock_all(self, numbers):
        self._unblock(numbers[0], "--all")

    def _unblock(self, number, *target):
        self.record.block.lifted = time.monotonic()
        status, text = self._stage.nodes[number].command("unblock", *target)
        self._stage.blocked = target if status != 0 else ()
        if status != 0:
            self.record.broken.append(f"`claviger unblock` ended with status {status}: {text.strip()}")

    # Two beginnings.

    def begin(self, numbers):
        """Nodes that have nothing are started; the first of all gets the order to be the beginning of a cluster."""
        is_first = self.record.contest is None
        if is_first:
            names = [cluster_nodes.name_of(number) for number in self._drill.apart]
            self.record.contest = cluster_result.Contest(tuple(names))
        for number in numbers:
            self._stage.nodes[number].start()
            self._present.add(cluster_nodes.name_of(number))
        if is_first:
            self.record.broken += self._stage.bootstrap(numbers[0])
        if not self._cuts:
            self.record.contest.together = time.monotonic()

    def separate(self, numbers):
        """The second of them is cut off from the first before either runs."""
        self._cuts.append(cluster_nodes.name_of(numbers[1]))
        self._stage.network.cut(numbers[1], numbers[:1])

    def unite(self, numbers):
        self._cuts.clear()
        self._stage.network.heal()
        self.record.contest.together = time.monotonic()

    # Notes.

    def _node(self, name):
        return next(node for node in self._stage.nodes.values() if node.name == name)

    def _absent(self, name, called, begin, must):
        others = tuple(other for other in self._names if other != name)
        absences = [Absence(name, others, begin, called=called)]
        self.record.excused.append(absences[0])
        if must and self._present:
            # A dead node notices nothing.
            absences.append(Absence(name, tuple(sorted(self._present)), begin, called=called))
            self.record.noticed.append(absences[1])
        self._absences.setdefault(name, []).extend(absences)

    def _away(self, numbers, called):
        names = [cluster_nodes.name_of(number) for number in numbers]
        self._present -= set(names)
        now = time.monotonic()
        for name in names:
            self._absent(name, called, now, must=True)

    def _ended(self, number):
        """The process of a node that was to leave has ended."""
        for absence in self._absences.get(cluster_nodes.name_of(number), []):
            absence.ended = time.monotonic()

    def _judges_nobody(self, name, now):
        for other in self._names:
            if other != name:
                self.record.excused.append(cluster_judgement.Absence(
                    other, (name,), now, now + cluster_judgement.JUDGES_NOBODY - cluster_judgement.GRACE))

    def _back(self, numbers, limit):
        now = time.monotonic()
        for number in numbers:
            name = cluster_nodes.name_of(number)
            for absence in self._absences.pop(name, []):
                absence.end = now
            self._present.add(name)
        self.record.returns.append(cluster_result.Return(now, tuple(sorted(self._present)), limit))

    def _count(self, name):
        self._requests[name] = self._stage.balancer.servers()[name]["requests"]

    def _must_have_worked(self, name):
        count = self._stage.balancer.servers()[name]["requests"] - self._requests[name]
        self.record.notes.append(f"HAProxy gave {name} {count:,} requests in that time")
        if not count:
            self.record.broken.append(f"HAProxy gave {name} no request, so nothing was learnt of it")
