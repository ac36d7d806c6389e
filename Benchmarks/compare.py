#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two builds of Claviger: development nodes of both side by side, the load on one after the other.

A busy host drifts by a quarter within minutes, and two nodes started one after the other differ by some per cent. So the
builds take turns in short slices, who comes first alternates, and what counts is the median of the ratios of slices that
lie beside each other. With the same build given twice it tells what it cannot see.
"""

import argparse
import os
import statistics

import bench
import command
import operating
import processes
import workload


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", required=True, metavar="FILE", help="the program, built for release")
    parser.add_argument("--other", required=True, metavar="FILE", help="the build to compare it with")
    parser.add_argument("--kind", default="encrypt", choices=workload.KINDS, help="what to ask for (default: encrypt)")
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections (default: 16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk (default: 1)")
    parser.add_argument("--rounds", type=int, default=16, help="slices of each build (default: 16)")
    parser.add_argument("--seconds", type=int, default=1, help="length of a slice (default: 1)")
    parser.add_argument("--size", type=int, default=32, help="bytes of plaintext (default: 32, a data key)")
    parser.add_argument("--hsms", type=int, default=3, help="SoftHSM tokens of each node (default: 3)")
    parser.add_argument("--add", default="", metavar="LIST",
                        help="switch these on at this build's node only, with commas between: "
                             + ", ".join(operating.FEATURES) + " (a policy of 20 statements, the audit log, a scrape each second)")
    parser.add_argument("--keep", metavar="DIR", help="work in this new directory, and leave the nodes' state there")
    arguments = parser.parse_args()
    arguments.add = [word for word in arguments.add.split(",") if word]
    if not set(arguments.add) <= set(operating.FEATURES):
        parser.error(f"--add takes {', '.join(operating.FEATURES)}")
    if min(arguments.connections, arguments.threads, arguments.rounds, arguments.seconds) < 1:
        parser.error("--connections, --threads, --rounds and --seconds must be at least 1")
    return arguments


def ratio(ours, theirs, name):
    """The median of the ratios of slices of the same round."""
    return statistics.median(one[name] / other[name] for one, other in zip(ours, theirs, strict=True))


def table(results):
    lines = [f"{'build':<6} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs (min)':>15} {'failed':>7}"]
    for name, slices in results.items():
        def median(field, slices=slices):
            return statistics.median(result[field] for result in slices)
        cpu = f"{median('cpu'):.0f} ({min(result['cpu'] for result in slices):.0f})"
        failed = sum(result["refused"] + result["broken"] for result in slices)
        lines.append(f"{name:<6} {median('rate'):>11,.0f} {median('p50'):>8.2f} {median('p99'):>8.2f} {cpu:>15} "
                     f"{failed:>7}")
    ours, theirs = results["this"], results["other"]
    lines.append(
        f"\nThis build takes {ratio(ours, theirs, 'cpu'):.3f} times the CPU of the other, and answers "
        f"{ratio(ours, theirs, 'rate'):.3f} times as many requests: medians of {len(ours)} pairs of slices.")
    return "\n".join(lines)


def switch_on(arguments, node, stack):
    """What operators would, at one of the nodes; returns the scraper, where there is one."""
    if "policy" in arguments.add:
        operating.give_policy(arguments.claviger, node.info["state_directory"])
    if "metrics" not in arguments.add:
        return None
    scraper = operating.Scraper(node.info["control_url"])
    stack.callback(scraper.stop)
    return scraper


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.devnull, "ab"))
    nodes, loads = {}, {}
    for name, program in (("this", arguments.claviger), ("other", arguments.other)):
        options = ["--audit"] if name == "this" and "audit" in arguments.add else []
        node = processes.Node(program, os.path.join(directory, name), True, arguments.hsms, log, options)
        stack.callback(node.stop)
        node.wait_until_ready()
        nodes[name], loads[name] = node, workload.Workload(node.info, arguments.size, count=128)
    scraper = switch_on(arguments, nodes["this"], stack)
    results = {name: [] for name in nodes}
    # The first round warms up, and is not counted.
    for number in range(arguments.rounds + 1):
        for name in list(nodes)[::1 if number % 2 else -1]:
            result = bench.slice_of(
                nodes[name], loads[name], arguments.kind, arguments.connections, arguments, directory)
            if number:
                results[name].append(result)
    print(table(results))
    if scraper and not scraper.pages:
        return ["no metrics came, so that the numbers above do not count"]
    failed = any(result["refused"] or result["broken"] for slices in results.values() for result in slices)
    return ["requests failed, so that the numbers above do not count"] if failed else []


def main():
    arguments = parse_arguments()
    command.require("compare", "wrk")
    command.judged("compare", arguments, run)


if __name__ == "__main__":
    main()
