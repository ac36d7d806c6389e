# SPDX-License-Identifier: Apache-2.0
"""The node that is attacked: with TLS, a cluster's listener, two HSMs, and a log that somebody reads."""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time

import cluster_nodes
import serving

# Seconds that everything may take to be as it was.
PATIENCE = 30
HSMS = 2
# What each call of an HSM takes.
LATENCY = ("delay C_Encrypt 2ms", "delay C_Decrypt 2ms")
# The node, and the one whose certificate is stolen.
NODE, STOLEN = "attacked", "stolen"


class LogReader:
    """Reads a pipe, at most so many bytes a second, into a file."""

    def __init__(self, path, rate):
        self._path, self._rate = path, rate
        self._end, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        # A tenth of a second's worth at a time.
        size = self._rate // 10 if self._rate else 65_536
        with open(self._path, "ab", buffering=0) as file:
            while data := os.read(self._end, size):
                file.write(data)
                if self._rate:
                    time.sleep(len(data) / self._rate)
        os.close(self._end)

    def hand_over(self):
        """The node has the writing end now; the reader ends when the node does."""
        os.close(self.writer)

    def text(self):
        with open(self._path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def join(self):
        self._thread.join(PATIENCE)


class Target:
    """A node under attack, in processes of its own, with nothing remembered of earlier ones."""

    def __init__(self, stage, number, attack):
        self.directory = os.path.join(stage.directory, f"{number}-{attack.name}")
        os.makedirs(self.directory, mode=0o700)
        self._claviger, self._has_bootstrap = stage.claviger, stage.has_bootstrap
        self.stolen = stage.identities[STOLEN]
        self.outcome_file = os.path.join(self.directory, "outcome", "lines")
        os.makedirs(os.path.dirname(self.outcome_file))
        self.log = LogReader(os.path.join(self.directory, "log"), attack.log_rate)
        self.cluster_port = serving.free_port()
        self.node = self._started(stage, attack)
        self.log.hand_over()
        self.facts = self._facts(stage)

    @property
    def configuration(self):
        return os.path.join(self.directory, "node", "claviger.toml")

    @property
    def state(self):
        return os.path.join(self.directory, "node", "state")

    def _started(self, stage, attack):
        tokens = stage.tokens
        certificate, key = stage.identities[NODE]
        service_certificate, service_key = stage.service
        hsms = tokens.faulty(stage.module, stage.faults)
        if attack.library:
            hsms[0] = hsms[0] | {"module": stage.rogue, "env": hsms[0]["env"] | {
                "ROGUE_MODULE": hsms[0]["module"], "ROGUE_ACT": attack.library, "ROGUE_OUTCOME": self.outcome_file,
                "ROGUE_ADMIN": os.path.join(self.state, "admin.sock"), "ROGUE_FILES": ":".join(
                    [os.path.join(self.state, "claviger.sqlite"), key, service_key, hsms[1]["pin"]["file"],
                     tokens.configuration["keystore"][0]["credentials"][0]["secret"]["file"]])}}
        xks = {name: value for name, value in tokens.configuration["xks"].items() if name != "plaintext"}
        address = f"127.0.0.1:{self.cluster_port}"
        configuration = dict(
            tokens.configuration, node={"id": NODE}, hsm=hsms,
            xks=xks | {"certificate": service_certificate, "key": service_key},
            cluster={"listen": address, "advertise": address, "seeds": [], "ca": stage.authority.certificate,
                     "certificate": certificate, "key": key})
        words = ["prlimit", f"--nofile={attack.descriptors}:{attack.descriptors}"] if attack.descriptors else []
        return serving.Node(
            self._claviger, os.path.join(self.directory, "node"), configuration, tokens.facts, self.log.writer, words)

    def _facts(self, stage):
        """What attackers need to know."""
        info = self.node.info
        info["url"], info["ca"] = info["url"].replace("http:", "https:"), stage.service_authority.certificate
        ports = {name: int(info[url].rsplit(":", 1)[1]) for name, url in (("xks", "url"), ("control", "control_url"))}
        return {
            "xks": ("127.0.0.1", ports["xks"]), "control": ("127.0.0.1", ports["control"]),
            "cluster": ("127.0.0.1", self.cluster_port), "admin": os.path.join(self.state, "admin.sock"),
            "path": f"{info['prefix']}/kms/xks/v1/keys/{info['keys'][0]}/encrypt"}

    def begin(self):
        """Waits until the node serves; raises RuntimeError when it does not."""
        end, status, text = time.monotonic() + PATIENCE, None if self._has_bootstrap else 0, ""
        while status != 0:
            if self.node.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"`claviger cluster bootstrap` ended with status {status}: {text.strip()}")
            status, text = self.command("cluster", "bootstrap")
            time.sleep(0.05)
        missing = self.node.wait_until_whole(PATIENCE)
        if missing:
            raise RuntimeError(f"{', '.join(missing)} did not become active")

    def command(self, *words, seconds=20):
        """Gives the node an order by the command line; returns exit status (`None`: no end) and what was printed."""
        try:
            result = subprocess.run(
                [self._claviger, *words, "--config", self.configuration], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            return None, (error.stdout or b"").decode()
        return result.returncode, result.stdout

    def memory(self):
        """Resident memory of the node's process, MiB; 0 when it is gone."""
        try:
            with open(f"/proc/{self.node.process.pid}/status", encoding="ascii") as file:
                return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS:"))
        except (OSError, StopIteration):
            return 0.0

    def has_on_disk(self, principal):
        """Whether the store has a block of this principal: read by another process, as after a crash of the node."""
        file = os.path.join(self.state, "claviger.sqlite")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=2)) as store:
            return any(principal in repr(row) for row in store.execute("SELECT * FROM block"))

    def outcome(self):
        """What the library has tried, a line each."""
        try:
            with open(self.outcome_file, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except OSError:
            return []

    def refuse(self, serial):
        """Has the node refuse a certificate; returns what is amiss."""
        with open(self.configuration, encoding="utf-8") as file:
            text = file.read()
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(text.replace("[cluster]\n", f'[cluster]\nrefused = ["{serial}"]\n'))
        status, printed = self.command("reload")
        return [] if status == 0 else [f"`claviger reload` ended with status {status}: {printed.strip()[:300]}"]

    def stop(self):
        self.node.stop()
        self.log.join()


class Stage:
    """What the nodes of all rows share: tokens, certificates, the libraries."""

    def __init__(self, arguments, directory, stack, hsms=HSMS):
        self.directory, self.claviger = directory, os.path.abspath(arguments.claviger)
        self.module = os.path.abspath(arguments.module)
        self.has_bootstrap = cluster_nodes.has_bootstrap(self.claviger)
        log = stack.enter_context(open(os.path.join(directory, "tokens.log"), "ab"))
        self.tokens = serving.Tokens(self.claviger, directory, hsms, log)
        self.faults = serving.Faults(directory, self.tokens.names, LATENCY)
        self.authority = cluster_nodes.Authority(directory, "cluster-ca")
        self.identities = {
            name: self.authority.issue(name, f"DNS:{name}.node.claviger") for name in (NODE, STOLEN)}
        self.service_authority = cluster_nodes.Authority(directory, "service-ca")
        self.service = self.service_authority.issue("service", "DNS:localhost, IP:127.0.0.1")
        self.rogue = os.path.join(directory, "rogue.so")
        source = os.path.join(serving.HERE, "rogue-pkcs11.c")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", self.rogue, source, "-ldl", "-lpthread"], check=True, timeout=60)
        self._stack, self._number = stack, 0

    def target(self, attack):
        """A new node, which serves."""
        self._number += 1
        target = Target(self, self._number, attack)
        self._stack.callback(target.stop)
        target.begin()
        return target
