# SPDX-License-Identifier: Apache-2.0
"""What is noted while a cluster drill goes on, and the result that follows from it. Pure: asks nobody."""

import dataclasses
import math
import re

import cluster_judgement
import replies


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


@dataclasses.dataclass
class Forwarding:
    """A node without a usable HSM of its own, for a time."""

    node: str
    begin: float
    end: float = math.inf
    # Seconds after the beginning in which its HSMs' deaths may cost direct requests an answer.
    LEARNING = 2.0


@dataclasses.dataclass
class Record:
    """What has been done, and what is to come of it."""

    # Times in which a node may be called dead or gone, and those in which it must come to be.
    excused: list = dataclasses.field(default_factory=list)
    noticed: list = dataclasses.field(default_factory=list)
    returns: list = dataclasses.field(default_factory=list)
    block: Block | None = None
    forwarding: Forwarding | None = None
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
    for name in everyone:
        if any(answer.status not in (0, 200, 503) and answer.answered < block.begin for answer in answers[name]):
            broken.append(f"{name} refused the key before it was blocked")
        broken += [f"{name} refused otherwise: {text}" for text in cluster_judgement.strange_refusals(
            answers[name], block.begin, block.lifted)]
    blocked = {
        name: [answer for answer in answers[name] if answer.sent < block.lifted] for name in everyone}
    if block.killed < math.inf:
        broken += _survived(block, blocked)
    else:
        orders.append((
            "the key was refused" + (" on this side of the cut" if block.far else " everywhere"),
            max(cluster_judgement.seconds_until_refused(blocked[name], block.begin) for name in block.near),
            cluster_judgement.LONGEST_BLOCK))
    for name in block.far:
        before = [answer for answer in blocked[name] if block.begin < answer.sent and answer.answered < block.healed]
        statuses = {answer.status for answer in before}
        if 200 not in statuses or statuses - {0, 200, 503}:
            broken.append(f"{name} did not serve all the while it was cut off: the cut, or it, did not work")
        orders.append((
            f"{name} refused the key, from the healing of the network,",
            cluster_judgement.seconds_until_refused(blocked[name], block.healed),
            cluster_judgement.LONGEST_HEALED_BLOCK))
    if block.lifted < math.inf:
        orders.append((
            "the block was lifted everywhere",
            max(cluster_judgement.seconds_until_served(answers[name], block.lifted) for name in everyone),
            cluster_judgement.LONGEST_BLOCK))
    return orders, broken


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


def judged_forwarding(forwarding, answers):
    """What direct requests to a node without HSMs say: what is broken, and notes."""
    learning = [
        answer for answer in answers
        if forwarding.begin < answer.sent < forwarding.begin + Forwarding.LEARNING and answer.status != 200]
    after = [
        answer for answer in answers
        if answer.sent > forwarding.begin + Forwarding.LEARNING and answer.answered < forwarding.end]
    # Late answers are the business of the whole, and of a busy machine; refusals are this node's.
    refused = [answer for answer in after if answer.status not in (0, 200, 503)]
    late = len([answer for answer in after if answer.status in (0, 503)])
    broken, notes = [], []
    if not any(answer.status == 200 for answer in after):
        broken.append(f"{forwarding.node} forwarded nothing while its HSMs were away")
    if refused:
        reasons = sorted({f"{answer.status} {answer.name}: {answer.message}" for answer in refused})
        broken.append(
            f"{forwarding.node} refused {len(refused)} of {len(after)} direct requests while its HSMs were away: "
            + "; ".join(reasons[:3]))
    if learning or late:
        notes.append(
            f"of direct requests to {forwarding.node}, {len(learning)} failed while its HSMs died, and {late} later")
    return broken, notes


def _seconds_until_back(views, one, record):
    """Until the nodes of a `Return` saw each other, before one of them was away again."""
    begins = [absence.begin for absence in record.excused if absence.begin > one.time]
    return cluster_judgement.seconds_until_whole(views, one.members, one.time, min(begins, default=math.inf))


def summary(drill, record, began, views, answers, outcome=None):
    """A drill's result, as `cluster_judgement` reads it, but for what the machine and the network have to say.

    `outcome` is the load's, if there was one; `answers` are the askers', by node.
    """
    outcome = outcome or {"answers": [], "wrong": [], "lateness": []}
    rows = replies.rows_of(outcome["answers"])
    latencies = sorted(row["ms"] for row in rows if row["kind"] != "bad")
    orders, broken, notes = [], list(record.broken), list(record.notes)
    if record.block:
        orders, more = judged_block(record.block, answers)
        broken += more
    if record.forwarding:
        more, remarks = judged_forwarding(record.forwarding, answers[record.forwarding.node])
        broken, notes = broken + more, notes + remarks
    return {
        "name": drill.name, "title": drill.title, "rows": rows, "wrong": outcome["wrong"],
        "p50": replies.percentile(latencies, 0.5), "p99": replies.percentile(latencies, 0.99),
        "p999": replies.percentile(latencies, 0.999), "slowest": replies.percentile(latencies, 1),
        "known": [(absence.node, absence.called, cluster_judgement.seconds_until_known(views, absence))
                  for absence in record.noticed],
        "returns": [(_seconds_until_back(views, one, record), one.limit) for one in record.returns],
        "orders": orders, "broken": broken, "notes": notes, "sick": drill.sick,
        "false": [
            (observer, node, time - began, word)
            for observer, node, time, word in cluster_judgement.false_deaths(views, record.excused)],
        "suspicions": cluster_judgement.suspicions(views),
        "late": max(outcome["lateness"], default=0)}
