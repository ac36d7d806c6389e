# SPDX-License-Identifier: Apache-2.0
"""What a router is measured at: HSMs that are unequal, slow, serial, have tails, or are asked for more than they can do.

Each line says how its HSMs are, what is asked of them, and what is required besides what `optimum_judgement.py` requires
of all. Times are seconds since the line's beginning.
"""

import dataclasses
import itertools

from optimum_laws import HSM, Law

# Bytes of plaintext: a data key.
SIZE = 32
# Seconds for a node to learn how its HSMs are: not counted.
LEARNING = 3.0
# A tail: what the rare calls take more than the others.
TAIL_MS = 148.0


@dataclasses.dataclass(frozen=True)
class Stream:
    """Requests of one kind that come at random times, so many a second, in turns to all nodes."""

    rate: float
    # encrypt, or encrypt+CDIV, which takes two calls one after another.
    kind: str = "encrypt"
    # Number of the key store.
    store: int = 0

    @property
    def calls(self):
        return 2 if self.kind == "encrypt+CDIV" else 1


@dataclasses.dataclass(frozen=True)
class Freeze:
    """All processes of some nodes are stopped (SIGSTOP), and go on after so many seconds (SIGCONT)."""

    begin: float
    seconds: float
    nodes: tuple


@dataclasses.dataclass(frozen=True)
class Require:
    """What is required of one line only."""

    # The share of the calls that HSMs may get: (number, least, most).
    calls_share: tuple = ()
    # Which streams must be served alike, within ALIKE.
    alike: tuple = ()
    # The least share of streams' requests that is served: (number, share).
    served: tuple = ()
    # How many lines `hsm state` each HSM may cause, those of its start aside.
    state_lines: int | None = None
    # Until when after the last step nothing may fail any more, seconds.
    settles_within: float | None = None
    # What the node says of its slowest HSM's 99th percentile in the end, milliseconds.
    told_p99: float | None = None


@dataclasses.dataclass(frozen=True)
class Line:
    name: str
    title: str
    hsms: tuple
    streams: tuple
    # Whether calls have a tail, which second calls hide.
    hedged: bool = False
    nodes: int = 1
    # Which HSMs serve which key store, by number; without: all serve all.
    stores: tuple = ()
    # Keys of the table `[xks]`.
    xks: dict = dataclasses.field(default_factory=dict)
    # (time, number of an HSM, its law from then on).
    steps: tuple = ()
    freezes: tuple = ()
    require: Require = Require()
    # From when on it counts, and its length if it has one of its own.
    counts_from: float = LEARNING
    seconds: float = 0.0

    def serving(self, store):
        """The numbers of the HSMs of the first tier that serve a key store."""
        served = self.stores[store] if self.stores else range(len(self.hsms))
        return {number for number in served if self.hsms[number].tier == 0}

    @property
    def load(self):
        """What is asked, as a share of what the HSMs can do: of those key stores together that have the highest."""
        stores = sorted({stream.store for stream in self.streams})
        groups = [group for size in range(len(stores)) for group in itertools.combinations(stores, size + 1)]
        return max(self._load(group) for group in groups)

    def _load(self, stores):
        asked = sum(stream.rate * stream.calls for stream in self.streams if stream.store in stores)
        return asked / sum(self.hsms[number].capacity for number in set().union(*map(self.serving, stores)))


def hsms(count, law, lanes=16, **more):
    return (HSM(law, lanes, **more),) * count


def tailed(name, title, share, found, rate=300, **more):
    """HSMs that are fast but for rare calls."""
    return Line(name, title, found(Law(2, share, TAIL_MS)), (Stream(rate),), hedged=True, **more)


def beside_slow(share):
    """A fast HSM with a tail, and a slow one without: the tail moves no traffic."""
    return tailed(
        f"tail-{share * 100:g}", f"2 ms with a tail of {share:.2%} beside 20 ms", share,
        lambda law: (HSM(law, 16), HSM(Law(20), 16)),
        # Second calls of what is in the tail go there.
        require=Require(calls_share=((1, 0.0, 0.03 + share),)))


def frozen(seconds, nodes=1, login=0):
    """The first node stands still, and wakes up; its HSMs take so many seconds to log in."""
    who = "the node" if nodes == 1 else f"one node of {nodes}"
    also = (f"delay C_Login {login}s",) if login else ()
    found = tuple(
        HSM(Law(2), 8, node=node, also=also) for node in range(nodes) for _ in range(2 if nodes == 1 else 1))
    begin = 5.0
    return Line(
        f"frozen-{nodes}-{seconds:g}",
        f"{who} and its workers stopped for {seconds:g} s" + (f", login takes {login} s" if login else ""), found,
        (Stream(60.0 * nodes),), nodes=nodes, freezes=(Freeze(begin, seconds, (0,)),),
        require=Require(state_lines=0), seconds=begin + seconds + 8)


def above(factor):
    """More is asked than the HSM can do."""
    return Line(f"over-{factor:g}", f"{factor:g} × what one HSM can do", hsms(1, Law(20), 4), (Stream(200 * factor),))


def spell(seconds):
    """Serial HSMs, near what they can do, are ten times slower for a moment."""
    begin, law = 6.0, Law(5, serial=True)
    slow = dataclasses.replace(law, ms=50)
    return Line(
        "serial-spell", f"the same, 10 × slower for {seconds:g} s", hsms(2, law), (Stream(350),),
        steps=tuple((begin, hsm, slow) for hsm in (0, 1)) + tuple((begin + seconds, hsm, law) for hsm in (0, 1)),
        require=Require(settles_within=2.0), seconds=16)


def unequal_nodes():
    """Three nodes behind a round robin, of which one alone cannot do its part."""
    found = tuple(HSM(Law(20), lanes, node=node) for node, lanes in enumerate((4, 12, 12)))
    return Line("three-nodes", "200, 600 and 600/s, asked for 250/s each", found, (Stream(750),), nodes=3)


def key_stores():
    """One key store asks for more than there is, the other for little."""
    streams, require = (Stream(700), Stream(10, store=1)), Require(served=((1, 0.99),))
    shared = Line(
        "stores-shared", "700/s and 10/s on the same HSMs of 400/s", hsms(2, Law(20), 4), streams,
        stores=((0, 1), (0, 1)), require=require)
    return [shared, dataclasses.replace(
        shared, name="stores-apart", title="the same on HSMs of their own, 400/s each", hsms=hsms(2, Law(20), 8),
        stores=((0,), (1,)), xks={"max_requests_in_flight": 128})]


def lines():
    """All lines."""
    serial = Law(5, serial=True)
    slow_then_fast = hsms(2, Law(40))
    return [
        *[beside_slow(share) for share in (0.0005, 0.002, 0.01, 0.03)],
        unequal_nodes(),
        *[frozen(seconds, nodes) for nodes in (1, 3) for seconds in (2.5, 10, 60)], frozen(12, login=3),
        *key_stores(),
        Line("integrity", "900/s plain, 450/s with integrity value, on 1,600 calls/s", hsms(2, Law(10), 8),
             (Stream(900), Stream(450, "encrypt+CDIV")), require=Require(alike=(0, 1))),
        Line("serial-16", "two serial HSMs of 5 ms, 16 sessions, 385/s", hsms(2, serial), (Stream(385),)),
        Line("serial-4", "the same with 4 sessions", hsms(2, serial, 4), (Stream(385),)),
        spell(0.6),
        Line("slow", "two HSMs of 100 ms, 270/s of 320", hsms(2, Law(100)), (Stream(270),)),
        *[tailed(f"both-3-{rate}", f"two of 2 ms with a tail of 3 %, {rate}/s", 0.03,
                 lambda law: hsms(2, law), rate) for rate in (60, 900)],
        *[tailed(f"both-{share * 100:g}", f"two of 2 ms with a tail of {share:.0%}", share, lambda law: hsms(2, law),
                 require=Require(state_lines=2)) for share in (0.05, 0.08)],
        Line("faster", "40 ms for 12 s, then 2 ms", slow_then_fast, (Stream(300),),
             steps=tuple((12.0, hsm, Law(2)) for hsm in (0, 1)), require=Require(told_p99=10.0), counts_from=16.0,
             seconds=28),
        Line("unequal-200", "1 and 200 ms, 4 lanes each, 1,400/s", (HSM(Law(1)), HSM(Law(200))), (Stream(1400),)),
        Line("unequal-50", "5 and 50 ms, 4 lanes each, 440/s", (HSM(Law(5)), HSM(Law(50))), (Stream(440),)),
        Line("unequal-20", "5 and 20 ms, 16 lanes each, 1,000/s", (HSM(Law(5), 16), HSM(Law(20), 16)),
             (Stream(1000),), require=Require(calls_share=((1, 0.0, 0.02),))),
        tailed("tiers", "tier 0 with a tail of 1 %, tier 1 without", 0.01,
               lambda law: (HSM(law, 16), HSM(Law(2), 16, tier=1)), require=Require(calls_share=((1, 0.0, 0.005),))),
        tailed("alone", "one HSM alone with a tail of 1 %", 0.01, lambda law: hsms(1, law)),
        Line("weights", "weights 200 and 100, 4 lanes each of 5 ms, 1,100/s",
             (HSM(Law(5), weight=200), HSM(Law(5))), (Stream(1100),),
             require=Require(calls_share=((0, 0.64, 0.70),))),
        *[above(factor) for factor in (1.1, 1.5, 3)],
    ]
