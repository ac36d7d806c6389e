# SPDX-License-Identifier: Apache-2.0
"""The nodes of a cluster under test, each as a process in its namespace, and their certificates."""

import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import subprocess

import cluster_network
import serving

# The ports that deploy/haproxy/haproxy.cfg knows, and that of the cluster listener.
XKS_PORT, CONTROL_PORT, CLUSTER_PORT = 8443, 8080, 7443
# The name in the nodes' certificates, as deploy/haproxy/haproxy.cfg asks for it.
SERVICE = "xks.example.com"


class Authority:
    """A CA made by openssl, as a PKI that is not Claviger's own."""

    _EXTENSIONS = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign"

    def __init__(self, directory, name):
        self._directory = directory
        self.certificate = os.path.join(directory, f"{name}.pem")
        self._key = os.path.join(directory, f"{name}-key.pem")
        self._make(name, self.certificate, self._key, self._EXTENSIONS, [])

    def issue(self, name, alternatives):
        """Makes a certificate; returns the paths of it and of its key. `alternatives`: as in `DNS:a, IP:192.0.2.1`."""
        certificate, key = (os.path.join(self._directory, name + suffix) for suffix in (".pem", "-key.pem"))
        extensions = [
            "basicConstraints = critical, CA:FALSE", "keyUsage = critical, digitalSignature",
            "extendedKeyUsage = serverAuth, clientAuth", f"subjectAltName = {alternatives}"]
        self._make(name, certificate, key, "\n".join(extensions), ["-CA", self.certificate, "-CAkey", self._key])
        return certificate, key

    @staticmethod
    def _make(name, certificate, key, extensions, issuer):
        # The settings come over standard input; there is no request in between.
        settings = (
            f"[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n[name]\nCN = {name}\n"
            f"[extensions]\n{extensions}\n")
        result = subprocess.run(
            [cluster_network.tool("openssl"), "req", "-x509", "-config", "/dev/stdin", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "60", "-out", certificate, "-keyout", key, *issuer],
            input=settings, capture_output=True, text=True, timeout=30, check=False)
        if result.returncode:
            raise RuntimeError(f"openssl makes no certificate for {name}: {result.stderr.strip()}")


class Node:
    """One node, whose process may come and go; its state directory stays."""

    def __init__(self, claviger, number, network, directory, configuration, ahead=0):
        """`configuration` is written as it is; the log goes to a file beside it. The node's time of day is so many
        seconds ahead."""
        self.number, self.name = number, name_of(number)
        self.address = cluster_network.node_address(number)
        self.hsms = [hsm["name"] for hsm in configuration["hsm"]]
        # The program that it is started with, and that gives it orders.
        self.program = claviger
        self._network, self._namespace = network, network.namespace(number)
        os.makedirs(configuration["node"]["state_dir"], mode=0o700, exist_ok=True)
        self.configuration = os.path.join(directory, "claviger.toml")
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(serving.configuration_text(configuration))
        self._log = os.path.join(directory, "log")
        self._state = configuration["node"]["state_dir"]
        self._environment = ahead_environment(directory, ahead) if ahead else None
        self.process = None

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        with open(self._log, "ab") as log, cluster_network.inside(self._namespace):
            # In a process group of its own: Ctrl-C ends the drill, and the drill ends the nodes.
            self.process = subprocess.Popen(
                [self.program, "serve", "--config", self.configuration], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, process_group=0, env=self._environment)

    def kill(self):
        """Kills the node's process, not its workers: they must notice themselves."""
        self.process.kill()
        self.process.wait()

    def forget(self):
        """The node has an empty state directory, as on a new disk. It must not run."""
        shutil.rmtree(self._state)
        os.makedirs(self._state, mode=0o700)

    def forget_store(self):
        """The node's store is taken away, as for a program that does not read it. It must not run."""
        for name in os.listdir(self._state):
            if name.startswith("claviger.sqlite"):
                os.remove(os.path.join(self._state, name))

    def clock(self):
        """Unix seconds at which it wrote its last line; `None` when that has no time."""
        try:
            return datetime.datetime.fromisoformat(json.loads(self.last_words())["timestamp"]).timestamp()
        except (ValueError, KeyError, TypeError):
            return None

    def freeze(self):
        """Stops all of the node's processes, as a virtual machine is stopped."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in self._network.processes(self._namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def terminate(self):
        """Asks the node to end in good order; `ended` tells of it."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self, seconds):
        """Waits for the end; returns the exit status, `None` when the process goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self):
        """The last line of its log."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()
        return lines[-1] if lines else "nothing"

    def command(self, *words, seconds=60):
        """Gives the node an order by the command line; returns exit status (`None`: no end) and what was printed."""
        try:
            result = subprocess.run(
                [self.program, *words, "--config", self.configuration], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            return None, (error.stdout or b"").decode()
        return result.returncode, result.stdout

    def ask(self, path, timeout=1):
        """What the control listener says; `None` when it says nothing."""
        connection = http.client.HTTPConnection(self.address, CONTROL_PORT, timeout=timeout)
        try:
            return serving.ask(connection, path)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def serves(self):
        """Whether all of its HSMs are active."""
        health = self.ask("/health")
        return bool(health) and all(hsm["state"] == "active" for hsm in health["hsms"])


def ahead_environment(directory, seconds):
    """The environment of a process whose time of day is so many seconds ahead."""
    library = os.path.join(directory, "clock-ahead.so")
    faults = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "TestSupport", "PreloadedFaults")
    subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-I", os.path.join(faults, "include"), "-o", library,
         os.path.join(faults, "clock.c"), "-ldl"], check=True, timeout=60)
    return dict(os.environ, LD_PRELOAD=library, CLOCK_AHEAD_SECONDS=str(seconds))


def has_bootstrap(claviger):
    """Whether the program knows the order that begins a cluster: earlier builds begin without."""
    return "bootstrap" in subprocess.run(
        [claviger, "cluster", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        check=False).stdout


def name_of(number):
    return f"node-{number}"


def cluster_address(number, is_far):
    """Where a node's peers reach it; a far one by a relay in the hub."""
    if is_far:
        return f"{cluster_network.HUB_ADDRESS}:{cluster_network.RELAY_PORT + number}"
    return f"{cluster_network.node_address(number)}:{CLUSTER_PORT}"


def configuration(number, tokens, hsms, state, cluster, service, is_far=False):
    """A node's configuration. `cluster`: path of the CA, certificate and key; `service`: certificate and key. Nodes that
    are far from each other are in sites of their own."""
    address = cluster_network.node_address(number)
    ca, certificate, key = cluster
    base = tokens.configuration
    xks = {name: value for name, value in base["xks"].items() if name != "plaintext"}
    return dict(
        base,
        node={"id": name_of(number), "site": f"drill-{number}" if is_far else "drill", "state_dir": state},
        xks=xks | {"listen": f"{address}:{XKS_PORT}", "certificate": service[0], "key": service[1]},
        control={"listen": f"{address}:{CONTROL_PORT}"},
        cluster={
            "listen": f"{address}:{CLUSTER_PORT}", "advertise": cluster_address(number, is_far),
            # The first three; a fourth node finds the cluster by them.
            "seeds": [cluster_address(seed, is_far) for seed in (1, 2, 3)],
            "ca": ca, "certificate": certificate, "key": key},
        hsm=hsms)
