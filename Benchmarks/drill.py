#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes workers away from a development node under load, and counts what its clients notice.

Connections encrypt and decrypt at a steady rate, with the node's default deadlines; every plaintext is compared, and
every ciphertext is opened once more at the end. Meanwhile each worker is killed in turn (SIGKILL), then one is stopped
(SIGSTOP), which is what a call that never returns looks like.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.request

import processes
import workload


class Client(threading.Thread):
    """One connection that encrypts, then decrypts what came, over and over at its share of the rate."""

    def __init__(self, load, interval):
        super().__init__(daemon=True)
        self.load, self.interval = load, interval
        self.latencies, self.failures, self.wrong, self.made = [], [], 0, []
        self.ending = threading.Event()

    def run(self):
        connection = self.load.connect()
        next_time = time.monotonic() + random.random() * self.interval
        while not self.ending.is_set():
            body = workload.encrypt_body(self.load.size, cdiv=False)
            answer = self._call(connection, "encrypt", body)
            if answer is not None:
                plaintext = body.pop("plaintext")
                sealed = body | answer
                self.made.append((plaintext, sealed))
                opened = self._call(connection, "decrypt", sealed)
                if opened is not None and opened["plaintext"] != plaintext:
                    self.wrong += 1
            next_time += self.interval
            self.ending.wait(max(0, next_time - time.monotonic()))

    def _call(self, connection, operation, body):
        began = time.monotonic()
        try:
            return self.load.call(connection, operation, body)
        except (OSError, RuntimeError) as error:
            self.failures.append(str(error))
            connection.close()
            return None
        finally:
            self.latencies.append((time.monotonic() - began) * 1000)


def workers(node):
    """Name and state of each HSM as the control listener tells them."""
    with urllib.request.urlopen(node.info["control_url"] + "/health", timeout=5) as answer:
        return {hsm["name"]: hsm["state"] for hsm in json.load(answer)["hsms"]}


def children(node):
    """Process ids of the workers by HSM."""
    found = {}
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            if parent == node.process.pid:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
                    words = line.read().split("\0")
                if len(words) > 2 and words[1] == "hsm-worker":
                    found[words[2]] = int(pid)
        except (OSError, ValueError):
            continue
    return found


def wait_for(what, seconds, condition):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.005)
    raise RuntimeError(f"{what} did not happen within {seconds} s")


def replaced(node, name, old):
    """Waits until another worker serves; returns the seconds it took."""
    return wait_for(
        f"a new worker for {name}", 15,
        lambda: children(node).get(name, old) != old and workers(node)[name] == "active")


def nothing(_node, seconds):
    time.sleep(seconds)
    return ""


def kill_each(node, seconds):
    times = []
    for name, pid in sorted(children(node).items()):
        os.kill(pid, signal.SIGKILL)
        times.append(replaced(node, name, pid))
        time.sleep(seconds / 3)
    return "back after " + ", ".join(f"{value:.2f}" for value in times) + " s"


def stop_one(node, seconds):
    name, pid = sorted(children(node).items())[0]
    os.kill(pid, signal.SIGSTOP)
    took = replaced(node, name, pid)
    time.sleep(seconds)
    return f"replaced after {took:.2f} s"


SITUATIONS = [("nothing happens", nothing), ("each worker is killed", kill_each), ("one worker is stopped", stop_one)]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def run(arguments):
    """Prints a row for each situation; returns whether nobody noticed anything."""
    scratch = tempfile.mkdtemp(prefix="claviger-drill-")
    node = None
    clean = True
    try:
        with open(arguments.log, "wb") as log:
            node = processes.Node(
                arguments.claviger, os.path.join(scratch, "state"), True, arguments.hsms, log, arguments.dev)
        node.wait_until_ready()
        load = workload.Workload(node.info, 32, 0)
        print(f"{'situation':<24}{'requests':>9}{'failed':>8}{'wrong':>7}{'lost':>6}"
              f"{'p50 ms':>8}{'p99 ms':>8}{'slowest':>9}  workers")
        for title, happen in SITUATIONS:
            interval = 2 * arguments.connections / arguments.rate
            clients = [Client(load, interval) for _ in range(arguments.connections)]
            for client in clients:
                client.start()
            note = happen(node, arguments.seconds)
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join(10)
            clean &= report(title, load, clients, note)
        return clean
    finally:
        if node:
            node.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def report(title, load, clients, note):
    latencies = [value for client in clients for value in client.latencies]
    failures = [text for client in clients for text in client.failures]
    wrong = sum(client.wrong for client in clients)
    connection = load.connect()
    lost = 0
    for plaintext, sealed in (one for client in clients for one in client.made):
        lost += load.call(connection, "decrypt", sealed)["plaintext"] != plaintext
    print(f"{title:<24}{len(latencies):>9}{len(failures):>8}{wrong:>7}{lost:>6}{percentile(latencies, 0.5):>8.1f}"
          f"{percentile(latencies, 0.99):>8.1f}{max(latencies):>9.1f}  {note}", flush=True)
    for text in failures[:3]:
        print(f"  {text}")
    return not failures and not wrong and not lost


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", required=True, metavar="FILE", help="the program, built for release")
    parser.add_argument("--connections", type=int, default=32, help="(default: 32)")
    parser.add_argument("--rate", type=int, default=500, help="requests per second in all (default: 500)")
    parser.add_argument("--seconds", type=int, default=6, help="length of each situation (default: 6)")
    parser.add_argument("--hsms", type=int, default=3, help="SoftHSM tokens (default: 3)")
    parser.add_argument("--log", default=os.devnull, metavar="FILE", help="where the node's log goes")
    parser.add_argument("dev", nargs="*", help="further options of `claviger dev`, after --")
    arguments = parser.parse_args()
    try:
        clean = run(arguments)
    except RuntimeError as error:
        sys.exit(f"drill: {error}")
    print("nobody noticed anything" if clean else "drill: requests failed, or answers were wrong")
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
