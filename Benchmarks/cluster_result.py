# SPDX-License-Identifier: Apache-2.0
"""What is noted while a cluster drill goes on, and the result that follows from it. Pure: asks nobody."""

import dataclasses
import math
import re

import cluster_judgement
import load
import replies

# Seconds after the loss of its HSMs in which a node whose peers are far away may fail requests.
LEARNING = 1.0


@dataclasses.dataclass
class Return:
    """From a time on, each of these nodes is to see each of them alive, within `limit` seconds."""

    time: float
    members: tuple
    limit: float


@dataclasses.dataclass
class Block:
    """An order to block, given to one node; monotonic times, infinite while it has not come to that."""

    begin: float
    # The nodes that can be reached, and those that cannot be.
    near: tuple
    far: tuple
    # When the command had ended.
    ended: float = math.inf
    # When the network was whole again, every node killed, the block about to be lifted.
    healed: float = math.inf
    killed: float = math.inf
    lifted: float = math.inf
    # Seconds after which it ends by itself; `None`: it does not.
    lasts: float | None = None
    # The node that began with nothing meanwhile, where nobody could reach it.
    wiped: str | None = None


@dataclasses.dataclass
class Forwarding:
    """A node without a usable HSM of its own, for a time."""

    node: str
    begin: float
    end: float = math.inf


@dataclasses.dataclass
class Contest:
    """Nodes that have begun with different keys under one label."""

    nodes: tuple
    # When messages could pass between them; infinite while they cannot.
    together: float = math.inf
    # By node: its verdict on the cluster in the end.
    verdicts: dict = dataclasses.field(default_factory=dict)
    # Seconds that they may then take to agree on who encrypts.
    SETTLING = 15.0


@dataclasses.dataclass
class Record:
    """What has been done, and what is to come of it."""

    # Times in which a node may be called dead or gone, and those in which it must come to be.
    excused: list = dataclasses.field(default_factory=list)
    noticed: list = dataclasses.field(default_factory=list)
    returns: list = dataclasses.field(default_factory=list)
    block: Block | None = None
    forwarding: Forwarding | None = None
    contest: Contest | None = None
    # What went another way than it must, and what is worth a word.
    broken: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)


def unconfirmed(text):
    """The nodes that `claviger block` names as not having confirmed, from what it printed."""
    found = re.search(r"NOT CONFIRMED: (.*?)\. ", " ".join(text.split()) + " ")
    return set(found[1].split(", ")) if found else set()


def judged_block(block, answers):
    """What the askers' answers, by node, say of a block: orders, as `cluster_judgement` reads them, and what broke."""
    orders, broken = [], []
    everyone = block.near + block.far
    # When nothing of it may be in force any longer.
    free = block.lifted if block.lasts is None else block.ended + block.lasts
    for name in everyone:
        if any(answer.status not in (0, 200, 503) and answer.answered < block.begin for answer in answers[name]):
            broken.append(f"{name} refused the key before it was blocked")
        if name != block.wiped:
            broken += [f"{name} refused otherwise: {text}" for text in cluster_judgement.strange_refusals(
                answers[name], block.begin, free)]
    blocked = {name: [answer for answer in answers[name] if answer.sent < free] for name in everyone}
    if block.killed < math.inf:
        broken += _survived(block, blocked)
    elif block.lasts is None:
        orders.append((
            "the key was refused" + (" on this side of the cut" if block.far else " everywhere"),
            max(cluster_judgement.seconds_until_refused(blocked[name], block.begin) for name in block.near),
            cluster_judgement.LONGEST_BLOCK))
    else:
        orders += _lasted(block, answers)
    for name in block.far:
        before = [answer for answer in blocked[name] if block.begin < answer.sent and answer.answered < block.healed]
        statuses = {answer.status for answer in before}
        if 200 not in statuses or statuses - {0, 200, 503}:
            broken.append(f"{name} did not serve all the while it was cut off: the cut, or it, did not work")
        orders.append((
            f"{name} refused the key, from the healing of the network,",
            cluster_judgement.seconds_until_refused(blocked[name], block.healed),
            cluster_judgement.LONGEST_HEALED_BLOCK))
    if block.wiped:
        orders += _served_again(block, answers[block.wiped])
        broken += _wiped(block, answers[block.wiped])
    if free < math.inf:
        orders.append((
            "the block was lifted everywhere" if block.lasts is None else "the block had ended everywhere",
            max(cluster_judgement.seconds_until_served(answers[name], free)
                for name in everyone if name != block.wiped),
            cluster_judgement.LONGEST_BLOCK))
    return orders, broken


def _lasted(block, answers):
    """The times until each node refused a key that was blocked for so many seconds; a node that served within them never
    did. Nodes count in whole seconds: the last one is each node's own."""
    until = block.begin + block.lasts - 1
    return [(
        f"{name} refused the key", cluster_judgement.seconds_until_refused(
            [answer for answer in answers[name] if answer.answered < until], block.begin),
        cluster_judgement.LONGEST_BLOCK) for name in block.near]


def _served_again(block, seen):
    """When a node that began with nothing served again: it must learn of the block, and of its end."""
    begin = max(block.healed, block.lifted)
    if begin == math.inf:
        return []
    return [(f"{block.wiped}, which had begun with nothing, served", cluster_judgement.seconds_until_served(seen, begin),
             cluster_judgement.LONGEST_HEALED_BLOCK)]


def _wiped(block, seen):
    """What a node that began with nothing did while everything was blocked."""
    while_blocked = [answer for answer in seen if block.ended < answer.sent and answer.answered < block.lifted]
    served = sum(answer.status == 200 for answer in while_blocked)
    if served:
        return [f"{block.wiped} served {served} of {len(while_blocked)} requests under a block that it had lost"]
    return []


def _survived(block, blocked):
    """Sentences on nodes that did not know, after they had been killed and started, what was blocked."""
    found = []
    for name, answers in blocked.items():
        served = sum(answer.status == 200 and answer.sent > block.ended for answer in answers)
        if served:
            found.append(f"{name} served the blocked key {served} times after the block was confirmed")
        if not answers or answers[-1].status in (0, 200) or answers[-1].sent < block.killed:
            found.append(f"{name} did not refuse the key in the end")
    return found


def direct_rows(forwarding, answers, began):
    """The rows of direct requests to a node without HSMs, from when it lost them until it has them again; what is asked
    of the load is asked of these, too."""
    def name(answer):
        is_late = answer.status and answer.answered - answer.sent > load.KMS_PATIENCE
        return f"{answer.name or 'good'}, but after {load.KMS_PATIENCE * 1000:.0f} ms" if is_late else answer.name
    return [
        {"offset": answer.sent - began, "ms": (answer.answered - answer.sent) * 1000, "kind": "encrypt",
         "status": answer.status, "name": name(answer), "id": "of a direct request", "attempt": 1}
        for answer in answers if forwarding.begin < answer.sent and answer.answered < forwarding.end]


def settled(contest, sealed):
    """What was made after the time in which nodes with different keys may still be finding out about each other."""
    begin = contest.together + Contest.SETTLING
    return [(maker, one) for maker, one in sealed if one.sent > begin and one.status == 200]


def judged_contest(contest, sealed):
    """What came of ciphertexts (`cluster_watch.Sealed`) that nodes with different keys under one label have made: what
    is broken, and notes. A node that has no list of blocks yet refuses with InvalidStateException, which is not final.
    """
    broken, notes = [], []
    final = [
        f"{maker} made it, {opener} answered {answer.status} {answer.name}"
        for maker, one in sealed for opener, answer in one.opened.items()
        if 400 <= answer.status < 500 and answer.status != 429 and answer.name != "InvalidStateException"]
    if final:
        broken.append(f"{len(final)} times a good ciphertext was refused for good: {'; '.join(sorted(set(final))[:3])}")
    late = settled(contest, sealed)
    known = sorted({one.key for _, one in late if one.key})
    if len(known) > 1:
        broken.append(
            f"{Contest.SETTLING:g} s after they could reach each other, ciphertext was made under different keys still, "
            f"by {' and '.join(sorted({maker for maker, one in late if one.key}))}")
    if not late:
        broken.append("in the end nobody encrypted")
    elif not known:
        broken.append("what was made in the end opens under neither key")
    unopened = sum(answer.status != 200 for _, one in late for answer in one.opened.values())
    openings = sum(len(one.opened) for _, one in late)
    notes.append(f"{unopened} of {openings} openings in the end gave no plaintext")
    for name, verdict in contest.verdicts.items():
        if verdict != "DEGRADED":
            broken.append(f"{name} said {verdict} in the end, not DEGRADED")
    made = {name: sum(maker == name and one.status == 200 for maker, one in sealed) for name in contest.nodes}
    notes.append(", ".join(f"{name} made {count} ciphertexts" for name, count in made.items()))
    return broken, notes


def _seconds_until_back(views, one, record):
    """Until the nodes of a `Return` saw each other, before one of them was away again."""
    begins = [absence.begin for absence in record.excused if absence.begin > one.time]
    return cluster_judgement.seconds_until_whole(views, one.members, one.time, min(begins, default=math.inf))


def summary(drill, record, began, views, answers, outcome=None, sealed=()):
    """A drill's result, as `cluster_judgement` reads it, but for what the machine and the network have to say.

    `outcome` is the load's, if there was one; `answers` are the askers', by node; `sealed` what was made under keys of
    which there are two, with its maker.
    """
    outcome = outcome or {"answers": [], "wrong": [], "lateness": []}
    rows = replies.rows_of(outcome["answers"])
    latencies = sorted(row["ms"] for row in rows if row["kind"] != "bad")
    orders, broken, notes = [], list(record.broken), list(record.notes)
    if record.block:
        orders, more = judged_block(record.block, answers)
        broken += more
    may_fail = ()
    if record.forwarding:
        rows += direct_rows(record.forwarding, answers.get(record.forwarding.node, ()), began)
        if drill.layout.round_trip:
            may_fail = (record.forwarding.begin - began, record.forwarding.begin - began + LEARNING)
    if record.contest:
        more, remarks = judged_contest(record.contest, sealed)
        broken, notes = broken + more, notes + remarks
    return {
        "name": drill.name, "title": drill.title, "rows": rows, "wrong": outcome["wrong"],
        "p50": replies.percentile(latencies, 0.5), "p99": replies.percentile(latencies, 0.99),
        "p999": replies.percentile(latencies, 0.999), "slowest": replies.percentile(latencies, 1),
        "known": [(absence.node, absence.called, cluster_judgement.seconds_until_known(views, absence))
                  for absence in record.noticed],
        "returns": [(_seconds_until_back(views, one, record), one.limit) for one in record.returns],
        "orders": orders, "broken": broken, "notes": notes, "sick": drill.sick,
        "may_fail": may_fail,
        "false": [
            (observer, node, time - began, word)
            for observer, node, time, word in cluster_judgement.false_deaths(views, record.excused)],
        "suspicions": cluster_judgement.suspicions(views),
        "late": max(outcome["lateness"], default=0)}
