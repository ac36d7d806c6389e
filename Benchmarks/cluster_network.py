# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a cluster: a namespace for each node and one for everybody else, and packets to lose.

The nodes' namespaces hang on a bridge in the hub, where load balancer and clients are. Nothing of it is in the host's
own namespace: no link, no address, no route, and no packet of a drill leaves the machine. Packets between two nodes are
dropped where they come in, by nftables; what the hub says to the nodes always arrives.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time

# Addresses for documentation (RFC 5737), those of deploy/haproxy/haproxy.cfg: node n has .10 + n.
HUB_ADDRESS = "192.0.2.1"
# At the hub: where a node is reached by its peers when the network is to be slow; node n has + n.
RELAY_PORT = 17440
PREFIX = "claviger-drill-"
_CLONE_NEWNET = 0x40000000
_TABLE = "inet claviger_drill"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(RuntimeError):
    """This machine, or this user, cannot have such a network; the text says why, and what mends it."""


def node_address(number):
    return f"192.0.2.{10 + number}"


def tool(name):
    """The path of a program that may stand where only root's PATH leads."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise Unavailable(f"{name} is not installed")
    return path


def _run(*words, text=None):
    """Runs a program of the system to its end; returns what it printed, and raises RuntimeError when it fails."""
    result = subprocess.run(words, input=text, capture_output=True, text=True, timeout=30, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(words)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def inside(namespace):
    """This thread, and what it starts, is in a namespace; then it is where it was."""
    with open("/proc/thread-self/ns/net", "rb") as before, open(f"/run/netns/{namespace}", "rb") as target:
        _setns(target.fileno())
        try:
            yield
        finally:
            _setns(before.fileno())


def exclusive(file="/run/claviger-cluster-drills.lock"):
    """Sees to it that there is one run at a time; hold what it returns open.

    A lock of lockf(3) ends with this process: children do not inherit it.
    """
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root: run this with sudo")
    lock = open(file, "w", encoding="ascii")
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Unavailable(f"another run has not ended: it holds {file}") from error
    return lock


def input_rules(others, cut, share):
    """What nft is told of packets that come in at a node: those from other nodes are counted, those from `cut` dropped,
    and of the rest a share. One transaction: at no time is there no rule."""
    rules = [f"ip saddr {_set(others)} counter name seen"] if others else []
    if cut:
        rules.append(f"ip saddr {_set(cut)} counter name lost drop")
    if share and others:
        rules.append(f"ip saddr {_set(others)} numgen random mod 1000 < {round(share * 1000)} counter name lost drop")
    return "\n".join([f"flush chain {_TABLE} input"] + [f"add rule {_TABLE} input {rule}" for rule in rules])


class Network:
    """Namespaces `…hub` and `…1` to `…n`. What an earlier run left under these names is removed first."""

    def __init__(self, count, prefix=PREFIX):
        self._ip, self._nft = tool("ip"), tool("nft")
        self._prefix = prefix
        self._numbers = range(1, count + 1)
        self.hub = prefix + "hub"
        # Pairs of nodes that hear nothing of each other, and the share of packets between nodes that is lost.
        self._cuts, self._share = set(), 0.0
        self.remove()
        try:
            self._make()
        except RuntimeError as error:
            self.remove()
            raise Unavailable(f"no network of namespaces can be made here: {error}") from error

    def namespace(self, number):
        return f"{self._prefix}{number}"

    def _make(self):
        hub = self.hub
        self._add(hub)
        _run(self._ip, "-n", hub, "link", "add", "bridge", "type", "bridge")
        _run(self._ip, "-n", hub, "address", "add", f"{HUB_ADDRESS}/24", "dev", "bridge")
        _run(self._ip, "-n", hub, "link", "set", "bridge", "up")
        for number in self._numbers:
            name = self.namespace(number)
            self._add(name)
            _run(self._ip, "link", "add", f"node-{number}", "netns", hub, "type", "veth",
                 "peer", "name", "eth0", "netns", name)
            _run(self._ip, "-n", hub, "link", "set", f"node-{number}", "master", "bridge", "up")
            _run(self._ip, "-n", name, "address", "add", f"{node_address(number)}/24", "dev", "eth0")
            _run(self._ip, "-n", name, "link", "set", "eth0", "up")
            self._rules(number, f"""
                table {_TABLE} {{
                    counter seen {{ }}
                    counter lost {{ }}
                    chain input {{ type filter hook input priority 0; policy accept; }}
                }}""")
        self._apply()

    def _add(self, name):
        _run(self._ip, "netns", "add", name)
        _run(self._ip, "-n", name, "link", "set", "lo", "up")

    def _rules(self, number, text):
        _run(self._ip, "netns", "exec", self.namespace(number), self._nft, "-f", "-", text=text)

    def _apply(self):
        for number in self._numbers:
            others = [other for other in self._numbers if other != number]
            cut = [other for other in others if frozenset((number, other)) in self._cuts]
            self._rules(number, input_rules(others, cut, self._share))

    def cut(self, number, others):
        """From now on no packet comes from the node to the others, and none from them to it."""
        self._cuts |= {frozenset((number, other)) for other in others}
        self._apply()

    def lose(self, share):
        """From now on each packet between two nodes is lost with a probability of `share`."""
        self._share = share
        self._apply()

    def heal(self):
        """Every packet arrives again."""
        if self._cuts or self._share:
            self._cuts, self._share = set(), 0.0
            self._apply()

    def packets(self):
        """How many packets between nodes there were since the beginning, and how many of them were lost."""
        seen = lost = 0
        for number in self._numbers:
            listing = json.loads(_run(
                self._ip, "netns", "exec", self.namespace(number), self._nft, "-j", "list", "counters"))
            counters = {entry["counter"]["name"]: entry["counter"]["packets"]
                        for entry in listing["nftables"] if "counter" in entry}
            seen, lost = seen + counters["seen"], lost + counters["lost"]
        return seen, lost

    def processes(self, namespace):
        """The ids of the processes in a namespace, but for this one."""
        return [int(word) for word in _run(self._ip, "netns", "pids", namespace).split() if int(word) != os.getpid()]

    def remove(self):
        """Kills what runs in these namespaces, and removes them; their links go with them."""
        names = [line.split()[0] for line in _run(self._ip, "netns", "list").splitlines() if line]
        for name in names:
            if not name.startswith(self._prefix):
                continue
            end = time.monotonic() + 10
            while (pids := self.processes(name)) and time.monotonic() < end:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
            _run(self._ip, "netns", "delete", name)


def _set(numbers):
    return "{ " + ", ".join(node_address(number) for number in numbers) + " }"
