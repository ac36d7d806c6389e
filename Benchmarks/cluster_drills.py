#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does harm to the nodes of a cluster under a constant load, and counts what clients notice.

Three nodes of `claviger serve`, each in a network namespace of its own with HSMs of its own that hold the same keys,
stand behind HAProxy by deploy/haproxy/haproxy.cfg; a fourth is in reserve. Encrypt and decrypt requests come through
HAProxy at a constant rate, whatever the nodes do, and every plaintext is compared. Every node is asked all the while
how it sees the others. It needs root, for the namespaces; nothing leaves the machine.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import time

import cluster_catalogue
import cluster_judgement
import cluster_nodes
import cluster_result
import cluster_stage
import cluster_steps
import cluster_watch
import command
import load
import replies

# Bytes of plaintext: a data key.
SIZE = 32
# Of how many ciphertexts is found out with which key they were made.
SAMPLE = 100
# How often a drill is tried when the machine is too busy for it.
ATTEMPTS = 3


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", help="the program, built for release")
    parser.add_argument("--module", metavar="FILE", help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only these drills (see --list)")
    parser.add_argument("--list", action="store_true", help="print the drills' names and end")
    parser.add_argument(
        "--seconds", type=int, default=cluster_catalogue.SHORTEST,
        help="length of each drill, at least and by default %(default)s; some need more and take it")
    parser.add_argument("--rate", type=int, default=300, help="requests per second in all (default: 300)")
    parser.add_argument("--json", metavar="FILE", help="write all results, each request in a row, to this file as well")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args(words)
    if arguments.seconds < cluster_catalogue.SHORTEST or arguments.rate < 1:
        parser.error(f"--seconds must be at least {cluster_catalogue.SHORTEST}, --rate at least 1")
    drills = cluster_catalogue.drills(arguments.seconds)
    if arguments.list:
        for drill in drills:
            print(f"{drill.name:<14}{drill.title}")
        sys.exit(0)
    names = [drill.name for drill in drills]
    unknown = set(arguments.only or []) - set(names)
    if unknown:
        parser.error(f"--only takes {', '.join(names)}; not {', '.join(sorted(unknown))}")
    if not arguments.claviger or not arguments.module:
        parser.error("--claviger and --module are needed")
    return arguments


def perform(stage, drill, arguments, kind=cluster_steps.Steps):
    """Runs one drill, whose steps are of this kind; returns its result, as `cluster_judgement` reads it. Afterwards the
    stage is whole, or new."""
    stage.become(drill)
    steps = kind(stage, drill)
    repeated, packets = stage.repeated(), stage.network.packets()
    if drill.loss:
        stage.network.lose(drill.loss)
    began = time.monotonic() + 0.3
    with contextlib.ExitStack() as stack:
        # Children first: they are copies of this process, which should have no other threads then.
        children = [load.Child(cluster_watch.disturbance, began + drill.seconds)]
        stack.callback(children[0].stop)
        if drill.load:
            children.append(load.Child(
                load.drive, dict(stage.info, url=stage.url(drill.direct)), SIZE, began, drill.seconds,
                load.Mix(drill.rate or arguments.rate)))
            stack.callback(children[1].stop)
        askers = stack.enter_context(cluster_watch.Askers(stage.infos if drill.asks else {}))
        exchange = stack.enter_context(cluster_watch.Exchange(
            {cluster_nodes.name_of(number): stage.infos[cluster_nodes.name_of(number)] for number in drill.apart}))
        watch = stack.enter_context(cluster_watch.Watch(stage.addresses))
        steps.do(began)
        (late, stolen), *outcomes = [child.result() for child in children]
    answers = {name: askers.so_far(name) for name in askers.answers}
    sealed = list(exchange.sealed)
    if drill.apart:
        # They have nothing in common with what was there before. The new members hold both keys, under their own labels.
        stage.renew()
        made = [one for _, one in cluster_result.settled(steps.record.contest, sealed)]
        cluster_watch.find_keys(
            stage.infos[cluster_nodes.name_of(drill.apart[0])], (stage.key, stage.info["keys"][0]),
            random.sample(made, min(len(made), SAMPLE)))
    result = cluster_result.summary(drill, steps.record, began, watch.views, answers, *outcomes, sealed=sealed)
    result["late"], result["stolen"] = max(result["late"], late), stolen
    seen, lost = (now - then for now, then in zip(stage.network.packets(), packets, strict=True))
    result |= {"ordered_loss": drill.loss, "loss": lost / max(seen, 1) if drill.loss else None, "packets": seen}
    repeated = stage.repeated() - repeated
    if repeated:
        result["notes"].append(f"HAProxy repeated {repeated:,} requests at another node")
    if drill.apart:
        return result
    complaints = stage.restore()
    if complaints:
        result["broken"].append(
            f"{cluster_stage.PATIENCE} s after the drill not all was as before: " + "; ".join(complaints))
        stage.renew()
    return result


def report(result):
    """Prints a drill's row and what there is to say on it; returns the requirements that it misses."""
    print(cluster_judgement.line(result), flush=True)
    missed = cluster_judgement.misses(result)
    for text in missed:
        print(f"    MISSED: {text}")
    for text in cluster_judgement.remarks(result):
        print(f"    note: {text}")
    unexpected = [row for row in replies.failed(result["rows"], ("bad",)) if not replies.is_called_invalid(row)]
    for text in replies.grouped(replies.failed(result["rows"]) + unexpected):
        print(f"    {text}")
    for offset, what, identifier in result["wrong"][:5]:
        print(f"    wrong after {offset:.3f} s: {what}, kmsRequestId {identifier}")
    for observer, node, offset, word in result["false"][:10]:
        print(f"    {observer} called {node} {word} after {offset:.3f} s")
    sys.stdout.flush()
    return missed


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.path.join(directory, "tokens.log"), "ab"))
    stage = cluster_stage.Stage(arguments, directory, stack, log)
    print(f"{arguments.rate} requests/s, {len(cluster_catalogue.MEMBERS)} nodes of {cluster_stage.HSMS} HSMs behind "
          "HAProxy; latencies in ms")
    print(cluster_judgement.heading(), flush=True)
    results, missed = [], []
    for drill in cluster_catalogue.drills(arguments.seconds):
        if arguments.only and drill.name not in arguments.only:
            continue
        for left in reversed(range(ATTEMPTS)):
            result = perform(stage, drill, arguments)
            results.append(result)
            found = report(result)
            if not (found and left and cluster_judgement.is_worthless(result)):
                break
            print("    the machine was too busy for times to mean anything: once more")
        missed += [f"{drill.title}: {text}" for text in found]
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"results": results, "missed": missed}, file)
    return missed


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    arguments = parse_arguments()
    # Whoever ends this program ends the nodes and the network with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    command.judged("cluster-drills", arguments, run)
    print("\nNobody noticed anything.")


if __name__ == "__main__":
    main()
