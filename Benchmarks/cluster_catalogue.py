# SPDX-License-Identifier: Apache-2.0
"""The cluster drills: what is done to which node, and when.

Times are seconds since the drill's beginning. What is done at a step is a method of that name in cluster_steps.py; some
wait until it is done, and those after them wait too.
"""

import dataclasses
import math

# The nodes that are there at the beginning and the end of each drill, and the one that waits to be needed.
MEMBERS = (1, 2, 3)
RESERVE = 4
# The least length of a drill, seconds: a fifth before the fault, two for it, two to see what is left of it.
SHORTEST = 20


@dataclasses.dataclass(frozen=True)
class Layout:
    """The cluster that a drill needs."""

    # Seconds for a packet to get from one node to another and back.
    round_trip: float = 0.0
    # By node's number: seconds that its time of day is ahead.
    ahead: tuple = ()


@dataclasses.dataclass
class Step:
    time: float
    action: str
    # Numbers of the nodes that it is done to, or by.
    nodes: tuple = ()


@dataclasses.dataclass
class Drill:
    name: str
    title: str
    seconds: float
    steps: list = dataclasses.field(default_factory=list)
    # Whether clients send requests through HAProxy. Where every node is killed there is nothing to learn from them.
    load: bool = True
    # Whether each node is asked directly as well, with a key that the load does not use.
    asks: bool = False
    # The share of the packets between nodes that is lost all the while.
    loss: float = 0.0
    layout: Layout = Layout()
    # The node that all requests of the load go to, past HAProxy's choice; 0: HAProxy chooses.
    direct: int = 0
    # Requests a second, if not so many as was said on the command line.
    rate: int = 0
    # The nodes that begin with nothing, and with another key under one label on the second one, instead of members that
    # serve: they are started by the drill.
    apart: tuple = ()

    @property
    def sick(self):
        """The seconds in which bad ciphertext may go unchecked: from the first step on."""
        return (self.steps[0].time, math.inf) if self.steps else ()


def fault(name, title, seconds, begin, end, nodes, asks=False):
    """Something is done to nodes after a fifth of the time, and undone after three fifths."""
    return Drill(name, title, seconds, [Step(seconds * 0.2, begin, nodes), Step(seconds * 0.6, end, nodes)], asks=asks)


def upgrade(seconds):
    # Each node needs its drain_delay, its start, and the balancer's second.
    return Drill("rolling", "all three are restarted, one after another", max(seconds, 50), [
        Step(3, "upgrade", MEMBERS)])


def addition(seconds):
    node = (RESERVE,)
    return Drill("add", "a fourth node joins, and leaves again", max(seconds, 24), [
        Step(3, "start", node), Step(3, "admit", node), Step(max(seconds, 24) * 0.65, "dismiss", node)])


def block(seconds):
    return Drill("block", "a key is blocked, and free again", seconds, [
        Step(seconds * 0.2, "block", (1,)), Step(seconds * 0.5, "unblock", (1,))], asks=True)


def block_and_kill(seconds):
    # At one time: the kill follows as soon as the order is confirmed.
    return Drill("block-kill", "a key is blocked, then every node killed", seconds, [
        Step(2, "block", (1,)), Step(2, "kill", MEMBERS), Step(5, "start", MEMBERS),
        Step(seconds * 0.75, "unblock", (1,))], load=False, asks=True)


def block_and_cut(seconds):
    # A second after the cut, the node beyond it is still thought to be alive. The command waits 5 s for it.
    return Drill("block-cut", "a key is blocked while a node is cut off", max(seconds, 24), [
        Step(3, "cut", (3,)), Step(4, "block", (1,)), Step(11, "heal", (3,)), Step(18, "unblock", (1,))], asks=True)


def far(seconds):
    """The only peers that can serve are 80 ms away; requests go to the node that cannot, and are passed on."""
    begin, end = seconds * 0.2, seconds * 0.75
    return Drill("far", "HSMs die, the peers are 80 ms away", seconds, [
        Step(begin, "lose_hsms", (1,)), Step(end, "mend_hsms", (1,))], layout=Layout(round_trip=0.08), direct=1, rate=150)


def wiped(seconds):
    """Everything is blocked, and a node begins with nothing where nobody can reach it."""
    return Drill("wiped", "all blocked; a cut node loses its disk", max(seconds, 30), [
        Step(3, "block_all", (1,)), Step(4, "isolate", (3,)), Step(5, "wipe", (3,)), Step(15, "heal", (3,)),
        Step(19, "unblock_all", (1,))], load=False, asks=True)


def clock(seconds):
    """A block for some seconds holds for that long on a node whose clock is past its end already."""
    return Drill("clock", "a block for 12 s; a clock is 4 min ahead", max(seconds, 24), [
        Step(3, "block_for", (1,))], asks=True, layout=Layout(ahead=((2, 240),)))


# Two nodes that begin with nothing.
PAIR = (1, 2)


def two_keys(seconds):
    return Drill("two-keys", "two new nodes, another key on each", max(seconds, 40), [
        Step(0.5, "begin", PAIR)], load=False, apart=PAIR)


def two_keys_cut(seconds):
    # A node alone takes the order to begin a cluster only when nobody has answered it for some seconds.
    return Drill("two-keys-cut", "the same, cut off from each other for 4 s", max(seconds, 48), [
        Step(0.5, "separate", PAIR), Step(0.6, "begin", PAIR[:1]), Step(10, "begin", PAIR[1:]), Step(14, "unite", PAIR)],
        load=False, apart=PAIR)


def drills(seconds):
    """All drills, each of so many seconds or as many as it needs."""
    return [
        Drill("nothing", "nothing happens", seconds),
        Drill("loss", "20 % of the packets between nodes are lost", seconds, loss=0.2),
        fault("kill", "a node is killed, then started", seconds, "kill", "start", (2,)),
        fault("stop", "a node hangs (SIGSTOP, SIGCONT)", seconds, "freeze", "thaw", (3,)),
        Drill("restart", "a node is restarted (SIGTERM)", seconds, [Step(seconds * 0.2, "restart", (1,))]),
        upgrade(seconds),
        fault("hsms", "all HSMs of a node die", seconds, "lose_hsms", "mend_hsms", (1,), asks=True),
        fault("hsms-hang", "all HSMs of a site hang", seconds, "hang_hsms", "mend_hsms", (1,), asks=True),
        fault("cut", "a node is cut off from its peers", seconds, "cut", "heal", (2,)),
        addition(seconds),
        fault("remove", "a node is drained for good, then back", seconds, "drain", "start", (3,)),
        block(seconds),
        block_and_kill(seconds),
        block_and_cut(seconds),
        wiped(seconds),
        clock(seconds),
        far(seconds),
        two_keys(seconds),
        two_keys_cut(seconds),
    ]
