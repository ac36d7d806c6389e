# SPDX-License-Identifier: Apache-2.0
"""Runs wrk with requests that were signed beforehand."""

import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def parse(output):
    """The line of JSON that requests.lua prints."""
    found = re.search(r"^RESULT (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise RuntimeError(f"wrk reported nothing: {output[-500:]}")
    return json.loads(found.group(1))


def interrupt_nobody():
    """SCHED_BATCH for the process that is about to be wrk.

    Clients run on other machines. Here wrk shares the processors with the node, and in the usual class each answer that
    wakes it would interrupt the very thread that has just written it.
    """
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def run(url, file, threads, connections, seconds):
    """Sends the requests of a file that a Workload has written, in a closed loop.

    Returns requests/s, p50 and p99 in milliseconds, requests answered, those of them refused, and connections broken.
    """
    command = [
        "wrk", "-t", str(min(threads, connections)), "-c", str(connections), "-d", f"{seconds}s",
        "-s", os.path.join(HERE, "requests.lua"), url, "--", file]
    completed = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=interrupt_nobody)
    if completed.returncode != 0:
        raise RuntimeError(f"wrk failed: {completed.stderr.strip() or completed.stdout.strip()}")
    result = parse(completed.stdout)
    return {
        "rate": result["requests"] * 1e6 / max(result["microseconds"], 1), "p50": result["p50"] / 1000,
        "p99": result["p99"] / 1000, "requests": result["requests"], "refused": result["status"],
        "broken": result["connect"] + result["read"] + result["write"] + result["timeout"]}
