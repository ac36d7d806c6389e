#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `claviger bench --closed` with wrk: the same development node, the same requests, in turns.

A load generator that shares the processors with what it measures takes from it. wrk takes little; what bench takes beyond
that shows as a lower throughput. Slices lie beside each other, who comes first alternates, and the median of the ratios
of neighbours counts, as in compare.py. Required, else the exit status is 1: within so many per cent of wrk's throughput.
"""

import argparse
import json
import os
import statistics
import subprocess

import bench
import command
import processes
import workload
import wrk

#: Of wrk's requests a second that bench must reach.
LEAST = 0.9
KINDS = {"encrypt": "encrypt", "encrypt+CDIV": "encrypt-integrity", "decrypt": "decrypt", "health": "health"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", required=True, metavar="FILE", help="the program, built for release")
    parser.add_argument("--kinds", default="encrypt", help="what to ask for, a list (default: encrypt)")
    parser.add_argument("--transports", default="http,tls", help="http, tls or both (default: both)")
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections (default: 16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk and of bench (default: 1)")
    parser.add_argument("--rounds", type=int, default=12, help="slices of each (default: 12)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a slice (default: 2)")
    parser.add_argument("--size", type=int, default=32, help="bytes of plaintext (default: 32, a data key)")
    parser.add_argument("--hsms", type=int, default=3, help="SoftHSM tokens of the node (default: 3)")
    parser.add_argument("--keep", metavar="DIR", help="work in this new directory, and leave the nodes' state there")
    arguments = parser.parse_args()
    arguments.kinds = arguments.kinds.split(",")
    arguments.transports = arguments.transports.split(",")
    if not set(arguments.kinds) <= set(KINDS):
        parser.error(f"--kinds takes {', '.join(KINDS)}")
    if not set(arguments.transports) <= {"http", "tls"}:
        parser.error("--transports takes http, tls")
    if min(arguments.connections, arguments.threads, arguments.rounds, arguments.seconds) < 1:
        parser.error("--connections, --threads, --rounds and --seconds must be at least 1")
    return arguments


def bench_command(claviger, info, secret_file, kind, arguments):
    """One slice of bench; without a warm-up, as wrk has none."""
    line = [
        claviger, "bench", "--url", info["url"] + info["prefix"], "--key", info["keys"][0],
        "--access-key-id", info["access_key_id"], "--secret-file", secret_file, "--closed",
        "--connections", str(arguments.connections), "--threads", str(arguments.threads),
        "--operations", KINDS[kind], "--size", str(arguments.size), "--for", f"{arguments.seconds}s",
        "--warm-up", "0ms", "--json"]
    return line if info["url"].startswith("http:") else [*line, "--ca", info["ca"]]


def parse(output):
    """Requests a second and percentiles of what bench has printed; raises RuntimeError where requests failed."""
    try:
        trial = json.loads(output)["findings"][-1]["trials"][-1]
    except (ValueError, LookupError) as error:
        raise RuntimeError(f"bench printed no report: {output[-500:]!r}") from error
    if trial["failures"]:
        raise RuntimeError(f"requests of bench failed: {trial['failures']}")
    return {"rate": trial["goodPerSecond"], "p50": trial["p50"], "p99": trial["p99"]}


def slice_of_bench(node, secret_file, kind, arguments):
    completed = subprocess.run(
        bench_command(arguments.claviger, node.info, secret_file, kind, arguments), capture_output=True, text=True,
        check=False, preexec_fn=wrk.interrupt_nobody)
    if completed.returncode not in (0, 1) or not completed.stdout:
        raise RuntimeError(f"bench failed: {completed.stderr.strip() or completed.stdout.strip()}")
    return parse(completed.stdout)


def measure(node, load, secret_file, kind, arguments, directory):
    """Slices of each, beside each other. The first round warms up, and is not counted."""
    results = {"wrk": [], "bench": []}
    for number in range(arguments.rounds + 1):
        for name in ("wrk", "bench")[::1 if number % 2 else -1]:
            if name == "wrk":
                result = bench.slice_of(node, load, kind, arguments.connections, arguments, directory)
                if result["refused"] or result["broken"]:
                    raise RuntimeError("requests of wrk failed")
            else:
                result = slice_of_bench(node, secret_file, kind, arguments)
            if number:
                results[name].append(result)
    return results


def ratio(results):
    """Of neighbouring slices: how much of wrk's throughput bench has."""
    pairs = zip(results["bench"], results["wrk"], strict=True)
    return statistics.median(one["rate"] / other["rate"] for one, other in pairs)


def table(measured):
    lines = [f"{'request':<13} {'over':<5} {'with':<6} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'of wrk':>7}"]
    for (kind, transport), results in measured.items():
        for name, slices in results.items():
            rate, p50, p99 = (statistics.median(row[field] for row in slices) for field in ("rate", "p50", "p99"))
            share = f"{ratio(results):.3f}" if name == "bench" else ""
            lines.append(
                f"{kind:<13} {transport:<5} {name:<6} {rate:>11,.0f} {p50:>8.2f} {p99:>8.2f} {share:>7}")
    return "\n".join(lines)


def missed(measured):
    return [
        f"{kind} over {transport}: bench has {ratio(results):.3f} of wrk's throughput, and {LEAST} is required"
        for (kind, transport), results in measured.items() if ratio(results) < LEAST]


def run(arguments, directory, stack):
    log = stack.enter_context(open(os.devnull, "ab"))
    measured = {}
    for transport in arguments.transports:
        node = processes.Node(
            arguments.claviger, os.path.join(directory, transport), transport == "http", arguments.hsms, log, [])
        stack.callback(node.stop)
        node.wait_until_ready()
        secret_file = os.path.join(directory, f"secret-{transport}")
        with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(node.info["secret"])
        load = workload.Workload(node.info, arguments.size, count=128)
        for kind in arguments.kinds:
            measured[kind, transport] = measure(node, load, secret_file, kind, arguments, directory)
        node.stop()
    print(table(measured))
    print(f"\n'of wrk': the median of the ratios of {arguments.rounds} pairs of neighbouring slices.")
    return missed(measured)


def main():
    arguments = parse_arguments()
    command.require("bench_compare", "wrk")
    command.judged("bench_compare", arguments, run)


if __name__ == "__main__":
    main()
