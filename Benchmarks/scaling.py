#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures whether throughput grows with HSMs, and what one HSM carries.

First: HSMs of 5 ms and 4 sessions each, one against eight, with a second request ready on each lane (`depth = 2`).
Both nodes run side by side, and the load goes to one of them after the other, over and over: a busy host drifts over
minutes. Then: one HSM of 1 ms with 28 sessions, under 28 connections and under a single one, by a node with two event
loops. The latency comes from the fault-injecting PKCS#11 module in front of SoftHSM; the load is wrk's, with requests
that were signed beforehand. Slices in which the hypervisor took processor time away are told apart and measured again.
"""

import argparse
import os
import statistics
import sys

import command
import quiet
import serving
import workload
import wrk

# What is required.
LEAST_RATIO = 7.6
LEAST_RATE = 8000
LONGEST_P50 = 1.6

MANY = 8
# Bytes of plaintext: a data key.
SIZE = 32
# Rounds at the most, for each that is asked for: then the host is too busy.
PATIENCE_IN_ROUNDS = 4
# Seconds that nodes may take to become ready.
PATIENCE = 60


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", required=True, metavar="FILE", help="the program, built for release")
    parser.add_argument(
        "--module", required=True, metavar="FILE", help="the fault-injecting PKCS#11 module, libFaultyPKCS11.so")
    parser.add_argument("--rounds", type=int, default=5, help="undisturbed slices of each measurement (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a slice (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk (default: 1)")
    parser.add_argument(
        "--keep", metavar="DIR",
        help="work in this new directory, and leave state and logs there; a short path, for the nodes' sockets")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.seconds, arguments.threads) < 1:
        parser.error("--rounds, --seconds and --threads must be at least 1")
    return arguments


class Bench:
    """Nodes over the same tokens, each with some of them."""

    def __init__(self, arguments, directory, stack):
        self._arguments, self._directory, self._stack = arguments, directory, stack
        log = stack.enter_context(open(os.path.join(directory, "nodes.log"), "ab"))
        self._tokens = serving.Tokens(arguments.claviger, directory, MANY, log)
        self._nodes = []

    def node(self, name, count, delay, sessions, depth=1, loops=None):
        """A node with so many HSMs, and so many event loops, or as many as it sees fit; returns what sends encrypt
        requests to it."""
        directory = os.path.join(self._directory, f"faults-{name}")
        os.mkdir(directory)
        faults = serving.Faults(
            directory, self._tokens.names, (f"delay C_Encrypt {delay}", f"delay C_Decrypt {delay}"))
        hsms = self._tokens.faulty(os.path.abspath(self._arguments.module), faults, sessions, depth)
        node = self._tokens.node(name, hsms[:count], {"event_loops": loops} if loops else None)
        self._stack.callback(node.stop)
        self._nodes.append(node)
        missing = node.wait_until_whole(PATIENCE)
        if missing:
            raise RuntimeError(f"{', '.join(missing)} did not become active")
        load = workload.Workload(node.info, SIZE, count=256)

        def measure(connections):
            file = os.path.join(self._directory, "requests.lua")
            load.write("encrypt", file)
            return wrk.run(load.info["url"], file, self._arguments.threads, connections, self._arguments.seconds)
        return measure

    def stop_nodes(self):
        for node in self._nodes:
            node.stop()

    def rounds(self, measurements):
        """Runs functions by name in turns; returns their results. The first round warms up and is not counted.

        Goes on until each has enough undisturbed slices, or patience ends.
        """
        wanted = self._arguments.rounds
        results = {name: [] for name in measurements}
        for number in range(PATIENCE_IN_ROUNDS * wanted + 1):
            if all(len(quiet.undisturbed(slices)) >= wanted for slices in results.values()):
                break
            print(f"round {number}" if number else "warming up", file=sys.stderr)
            for name, measure in measurements.items():
                result = quiet.watched(measure)
                if number:
                    results[name].append(result)
        return results


def median(results, name):
    return statistics.median(result[name] for result in quiet.counted(results))


def table(results):
    lines = [f"{'measurement':<40} {'requests/s':>11} {'slices':>17} {'p50 ms':>8} {'p99 ms':>8} {'refused':>8} "
             f"{'disturbed':>9}"]
    for name, slices in results.items():
        rates = [result["rate"] for result in quiet.counted(slices)]
        disturbed = len(slices) - len(quiet.undisturbed(slices))
        lines.append(
            f"{name:<40} {median(slices, 'rate'):>11,.0f} {f'{min(rates):,.0f} to {max(rates):,.0f}':>17} "
            f"{median(slices, 'p50'):>8.2f} {median(slices, 'p99'):>8.2f} "
            f"{sum(result['refused'] + result['broken'] for result in slices):>8} "
            f"{f'{disturbed} of {len(slices)}':>9}")
    return "\n".join(lines)


def misses(results, rounds, one, many, loaded, single):
    """The requirements that the results miss, as sentences; the last arguments name the measurements."""
    found = []
    for name, slices in results.items():
        calm = len(quiet.undisturbed(slices))
        if calm < rounds:
            found.append(f"{name}: the hypervisor left {calm} of {len(slices)} slices undisturbed, and {rounds} are "
                         "wanted; measure again when the host has less to do")
        bad = sum(result["refused"] + result["broken"] for result in slices)
        if bad:
            found.append(f"{name}: {bad} requests failed, so that its rate does not count")
    ratio = median(results[many], "rate") / median(results[one], "rate")
    if ratio < LEAST_RATIO:
        found.append(f"{MANY} HSMs carry {ratio:.2f} times the load of one, instead of at least {LEAST_RATIO}")
    if median(results[loaded], "rate") < LEAST_RATE:
        found.append(f"one HSM carries {median(results[loaded], 'rate'):,.0f} requests/s, instead of {LEAST_RATE:,}")
    if not median(results[single], "p50") < LONGEST_P50:
        found.append(f"the median of a single connection is {median(results[single], 'p50'):.2f} ms, "
                     f"not below {LONGEST_P50}")
    return found


def run(arguments, directory, stack):
    bench = Bench(arguments, directory, stack)
    sessions = 4
    # Twice as many connections as sessions, and room for two requests on a lane: none waits for generator or node.
    few, many = (
        bench.node(name, count, "5ms", sessions, depth=2) for name, count in (("one", 1), ("many", MANY)))
    names = ("one HSM of 5 ms, 4 sessions", f"{MANY} HSMs of 5 ms, 4 sessions each")
    results = bench.rounds({
        names[0]: lambda: few(2 * sessions), names[1]: lambda: many(2 * MANY * sessions)})
    bench.stop_nodes()
    # Few HSMs and many lanes: here the loops are what there is not enough of.
    big = bench.node("big", 1, "1ms", 28, loops=2)
    names += ("one HSM of 1 ms, 28 sessions", "the same, a single connection")
    results |= bench.rounds({names[2]: lambda: big(28), names[3]: lambda: big(1)})
    print(table(results))
    ratio = median(results[names[1]], "rate") / median(results[names[0]], "rate")
    print(f"\n{MANY} HSMs carry {ratio:.2f} times the load of one. Medians of slices of {arguments.seconds} s, "
          f"taking turns, those left out in which more than {quiet.MOST_STOLEN:.1%} of the time was stolen; "
          f"{os.cpu_count()} CPUs, shared with wrk.")
    return misses(results, arguments.rounds, *names)


def main():
    arguments = parse_arguments()
    command.require("scaling", "wrk")
    command.judged("scaling", arguments, run)


if __name__ == "__main__":
    main()
