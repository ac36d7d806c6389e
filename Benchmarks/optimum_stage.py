# SPDX-License-Identifier: Apache-2.0
"""The nodes that a line needs, their HSMs as the line says, and what is read from them."""

import contextlib
import json
import math
import os
import signal
import subprocess
import time

import cluster_nodes
import cluster_watch
import optimum_calls
import processes
import serving

# Seconds that everything may take to be ready.
PATIENCE = 40
# Seconds between two questions to peers.
SAMPLING = 0.02
# The path of the second key store, and so on.
STORE = "/optimum/store-{}"


class Stage:
    """Tokens, and what nodes over them share."""

    def __init__(self, claviger, module, directory, count, log):
        self.claviger, self.module, self.directory, self.log = claviger, os.path.abspath(module), directory, log
        self.tokens = serving.Tokens(claviger, directory, count, log)
        # Made when a line needs a cluster.
        self._authority, self._identities = None, {}
        self.has_bootstrap = "bootstrap" in subprocess.run(
            [claviger, "cluster", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            check=False).stdout

    def identity(self, number):
        """CA, certificate and key of a node of a cluster."""
        if not self._authority:
            self._authority = cluster_nodes.Authority(self.directory, "cluster")
        if number not in self._identities:
            name = cluster_nodes.name_of(number)
            self._identities[number] = (
                self._authority.certificate, *self._authority.issue(name, f"DNS:{name}.node.claviger"))
        return self._identities[number]


class Nodes:
    """The nodes of one line, with nothing remembered of another one. Use it as a context."""

    def __init__(self, stage, line, name):
        self._stage, self._line = stage, line
        self._directory = os.path.join(stage.directory, name)
        os.makedirs(self._directory)
        names = stage.tokens.names[:len(line.hsms)]
        self._faults = serving.Faults(self._directory, stage.tokens.names, ())
        # In a directory of their own: beside a node's files a library makes none.
        counts = os.path.join(self._directory, "counts")
        os.makedirs(counts, exist_ok=True)
        self._counts = [os.path.join(counts, name) for name in names]
        for number, hsm in enumerate(line.hsms):
            self.set_law(number, hsm.law)
        self._ports = [serving.free_port() for _ in range(line.nodes)]
        self._logs = [os.path.join(self._directory, f"log-{number}") for number in range(line.nodes)]
        self._read = [0] * line.nodes
        self._stopped = []
        self.nodes = []

    def __enter__(self):
        try:
            for number in range(self._line.nodes):
                self.nodes.append(self._start(number))
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        self._workers = self.workers()
        self._read = [os.path.getsize(log) for log in self._logs]
        return self

    def __exit__(self, *_):
        self.thaw()
        for node in self.nodes:
            node.stop()

    def _start(self, number):
        with open(self._logs[number], "ab") as log:
            return serving.Node(
                self._stage.claviger, os.path.join(self._directory, cluster_nodes.name_of(number)),
                self.configuration(number), self._stage.tokens.facts, log)

    def configuration(self, number):
        """A node's configuration, but for its listeners and its state directory."""
        line, tokens = self._line, self._stage.tokens
        base = tokens.configuration
        tables = tokens.faulty(self._stage.module, self._faults)
        hsms = [
            table | {"sessions": hsm.lanes, "tier": hsm.tier, "weight": hsm.weight,
                     "env": table["env"] | {"FAULTY_PKCS11_COUNTS": counts}}
            for table, hsm, counts in zip(tables, line.hsms, self._counts) if hsm.node == number]
        configuration = dict(base, hsm=hsms, xks=base["xks"] | line.xks, keystore=self._stores())
        if line.nodes > 1:
            ca, certificate, key = self._stage.identity(number)
            addresses = [f"127.0.0.1:{port}" for port in self._ports]
            configuration["node"] = base["node"] | {"id": cluster_nodes.name_of(number)}
            configuration["cluster"] = {
                "listen": addresses[number], "advertise": addresses[number], "seeds": addresses, "ca": ca,
                "certificate": certificate, "key": key}
        return configuration

    def _stores(self):
        """The key stores: the first is that of the tokens' maker, the others are like it."""
        first, line = self._stage.tokens.configuration["keystore"][0], self._line
        if not line.stores:
            return [first]
        names = self._stage.tokens.names
        return [
            first | {"hsms": [names[hsm] for hsm in hsms]} | ({"path_prefix": STORE.format(store)} if store else {})
            for store, hsms in enumerate(line.stores)]

    def infos(self):
        """What a workload needs to know: for each stream, of each node."""
        return [[node.info | ({"prefix": STORE.format(stream.store)} if stream.store else {}) for node in self.nodes]
                for stream in self._line.streams]

    def _wait(self):
        if self._line.nodes > 1 and self._stage.has_bootstrap:
            self._bootstrap()
        for node in self.nodes:
            missing = node.wait_until_whole(PATIENCE)
            if missing:
                raise RuntimeError(f"{', '.join(missing)} did not become active")
        everybody, end = set(range(len(self.nodes))), time.monotonic() + PATIENCE
        while self._line.nodes > 1 and not all(map(self._all_see, everybody)):
            if time.monotonic() > end:
                raise RuntimeError("the nodes do not see each other")
            time.sleep(SAMPLING)

    def _bootstrap(self):
        file = os.path.join(self._directory, cluster_nodes.name_of(0), "claviger.toml")
        end, status = time.monotonic() + PATIENCE, None
        while status != 0:
            done = subprocess.run(
                [self._stage.claviger, "cluster", "bootstrap", "--config", file], stdin=subprocess.DEVNULL,
                stdout=self._stage.log, stderr=self._stage.log, timeout=60, check=False)
            status = done.returncode
            if status and time.monotonic() > end:
                raise RuntimeError(f"`claviger cluster bootstrap` ended with status {status}; nodes.log says why")

    def _all_see(self, number):
        """Whether all peers see a node alive."""
        for peer, node in enumerate(self.nodes):
            if peer in self._stopped:
                continue
            try:
                view = cluster_watch.view_of(node.ask("/cluster/health"))
            except (OSError, ValueError, KeyError):
                return False
            if peer != number and view.get(cluster_nodes.name_of(number)) != "alive":
                return False
        return True

    def set_law(self, number, law):
        """How an HSM is from now on."""
        name = self._stage.tokens.names[number]
        self._faults.set(name, *law.lines(), *self._line.hsms[number].also)

    def calls(self):
        """Calls to each HSM so far."""
        return [optimum_calls.counted(file) for file in self._counts]

    def workers(self):
        """Process ids of all workers, by HSM."""
        return {name: pids for node in self.nodes for name, pids in node.workers().items()}

    def replaced(self):
        """HSMs with another worker than in the beginning."""
        return sorted(name for name, pids in self.workers().items() if set(pids) != set(self._workers.get(name, ())))

    def freeze(self, numbers):
        """Stops all processes of some nodes."""
        self._stopped = list(numbers)
        for number in numbers:
            self._signal(number, signal.SIGSTOP)

    def thaw(self):
        """Lets them go on."""
        for number in self._stopped:
            self._signal(number, signal.SIGCONT)
        self._stopped = []

    def _signal(self, number, which):
        node = self.nodes[number]
        for pid in [node.process.pid, *(pid for pids in node.workers().values() for pid in pids)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def seconds_until_alive(self, number, patience=15.0):
        """From now until all peers see the node alive; infinite when they never do."""
        began = time.monotonic()
        while not self._all_see(number):
            if time.monotonic() - began > patience:
                return math.inf
            time.sleep(SAMPLING)
        return time.monotonic() - began

    def cpu_seconds(self):
        """Processor time of nodes and workers so far; a worker that has gone has used none."""
        total = 0.0
        for pid in [node.process.pid for node in self.nodes] + sum(self.workers().values(), []):
            with contextlib.suppress(RuntimeError):
                total += processes.cpu_microseconds(pid) / 1e6
        return total

    def state_lines(self):
        """Lines `hsm state` of each HSM since the beginning."""
        found = {}
        for log, read in zip(self._logs, self._read):
            with open(log, encoding="utf-8", errors="replace") as file:
                file.seek(read)
                for text in file:
                    if '"hsm state"' in text:
                        name = json.loads(text).get("hsm", "an HSM")
                        found[name] = found.get(name, 0) + 1
        return found

    def told_p99(self):
        """The 99th percentile of the slowest HSM as the nodes tell it, milliseconds; `None` when they tell none."""
        told = []
        for node in self.nodes:
            for hsm in node.ask("/status", admin=True)["hsms"]:
                told.append(hsm.get("latencyMicroseconds", {}).get("p99", math.nan) / 1000)
        return max(told) if told and not any(map(math.isnan, told)) else None
