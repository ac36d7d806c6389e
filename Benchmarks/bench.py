#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a development node with wrk and pre-signed requests.

Starts one node with TLS and one without, each with SoftHSM tokens of its own in a temporary directory, and sends
encrypt, encrypt with CDIV, decrypt and health over keep-alive connections. The variants take turns, a short slice each,
and the medians of their slices are compared: a busy host drifts over minutes, and drift must not favour one of them.
The CPU time is the kernel's account of all threads of the node and its workers, divided by the requests answered.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

import command
import processes
import workload
import wrk


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", required=True, metavar="FILE", help="the program, built for release")
    parser.add_argument("--connections", default="16,32", help="keep-alive connections, a list (default: 16,32)")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="slices of each variant (default: 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a slice, at least 1 (default: 2)")
    parser.add_argument("--size", type=int, default=32, help="bytes of plaintext (default: 32, a data key)")
    parser.add_argument("--hsms", type=int, default=3, help="SoftHSM tokens of each node (default: 3)")
    parser.add_argument("--kinds", default=",".join(workload.KINDS), help="what to ask for, a list (default: all)")
    parser.add_argument("--transports", default="http,tls", help="http, tls or both (default: both)")
    parser.add_argument(
        "--log", default=os.devnull, metavar="FILE",
        help="where the nodes' logs go (default: /dev/null; they are written and counted either way)")
    parser.add_argument("--json", metavar="FILE", help="write every slice to this file as well")
    parser.add_argument("dev", nargs="*", help="further options of `claviger dev`, after --")
    arguments = parser.parse_args()
    arguments.kinds = arguments.kinds.split(",")
    arguments.transports = arguments.transports.split(",")
    arguments.connections = [int(number) for number in arguments.connections.split(",")]
    if not set(arguments.kinds) <= set(workload.KINDS):
        parser.error(f"--kinds takes {', '.join(workload.KINDS)}")
    if not set(arguments.transports) <= {"http", "tls"}:
        parser.error("--transports takes http, tls")
    if arguments.rounds < 1 or arguments.seconds < 1 or arguments.threads < 1 or min(arguments.connections) < 1:
        parser.error("--rounds, --seconds, --threads and --connections must be at least 1")
    return arguments


def slice_of(node, load, kind, connections, arguments, scratch):
    """Runs wrk once; returns what it measured and what it cost."""
    file = os.path.join(scratch, "requests-of-slice.lua")
    load.write(kind, file)
    before = node.cpu()
    result = wrk.run(load.info["url"], file, arguments.threads, connections, arguments.seconds)
    return result | {"cpu": (node.cpu() - before) / max(result["requests"], 1)}


def measure(nodes, loads, bare, arguments, scratch):
    variants = [
        (kind, transport, connections) for kind in arguments.kinds for transport in arguments.transports
        for connections in arguments.connections]
    slices = {variant: [] for variant in variants}
    calls = []
    for number in range(arguments.rounds + 1):
        # The first round warms up caches, key schedules and connections' code paths, and is not counted.
        print(f"round {number} of {arguments.rounds}" if number else "warming up", file=sys.stderr)
        call = bare.run(arguments.size, 1000)
        if number:
            calls.append(call)
        for variant in variants:
            kind, transport, connections = variant
            result = slice_of(nodes[transport], loads[transport], kind, connections, arguments, scratch)
            if number:
                slices[variant].append(result)
    return slices, calls


def table(slices, calls, arguments):
    lines = [
        f"{'request':<13} {'over':<5} {'conn.':>5} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} "
        f"{'CPU µs (min)':>15} {'non-2xx':>8} {'broken':>7}"]
    for (kind, transport, connections), results in slices.items():
        def median(name, results=results):
            return statistics.median(result[name] for result in results)
        least = min(result["cpu"] for result in results)
        cpu = f"{median('cpu'):.0f} ({least:.0f})"
        lines.append(
            f"{kind:<13} {transport:<5} {connections:>5} {median('rate'):>11,.0f} {median('p50'):>8.2f} "
            f"{median('p99'):>8.2f} {cpu:>15} {sum(result['refused'] for result in results):>8} "
            f"{sum(result['broken'] for result in results):>7}")
    lines.append("")
    lines.append(
        f"Bare C_EncryptInit + C_Encrypt, one thread, same token and run: "
        f"{statistics.median(call['cpu'] for call in calls):.1f} µs of CPU "
        f"(min {min(call['cpu'] for call in calls):.1f}), "
        f"{statistics.median(call['wall'] for call in calls):.1f} µs on the clock.")
    lines.append(
        f"Medians of {arguments.rounds} slices of {arguments.seconds} s, variants taking turns; {arguments.size} bytes "
        f"of plaintext; {os.cpu_count()} CPUs, shared with wrk. CPU is node and workers together, per request.")
    return "\n".join(lines)


def module_of(state):
    with open(os.path.join(state, "claviger.toml"), encoding="utf-8") as file:
        return re.search(r'^module = "([^"\\]+)"$', file.read(), re.MULTILINE).group(1)


def run(arguments, scratch, stack):
    log = stack.enter_context(open(arguments.log, "ab"))
    nodes, loads = {}, {}
    for transport in arguments.transports:
        state = os.path.join(scratch, f"state-{transport}")
        node = processes.Node(
            arguments.claviger, state, transport == "http", arguments.hsms, log, arguments.dev)
        stack.callback(node.stop)
        node.wait_until_ready()
        nodes[transport] = node
        loads[transport] = workload.Workload(node.info, arguments.size, count=128)
    state = os.path.join(scratch, f"state-{arguments.transports[0]}")
    bare = processes.BareCall(scratch, state, module_of(state))
    slices, calls = measure(nodes, loads, bare, arguments, scratch)
    print(table(slices, calls, arguments))
    if arguments.json:
        rows = [
            {"request": kind, "transport": transport, "connections": connections, "slices": results}
            for (kind, transport, connections), results in slices.items()]
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"variants": rows, "bare": calls}, file, indent=2)
    return all(result["refused"] == 0 and result["broken"] == 0 for rows in slices.values() for result in rows)


def main():
    arguments = parse_arguments()
    command.require("bench", "wrk", "cc")
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="claviger-bench-"))
        try:
            clean = run(arguments, scratch, stack)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"bench: {error}")
    if not clean:
        sys.exit("bench: some requests failed; the numbers above do not count")


if __name__ == "__main__":
    main()
