# SPDX-License-Identifier: Apache-2.0
"""The stage of the cluster drills: network, nodes and HAProxy, and how all of it becomes whole again."""

import contextlib
import os
import signal
import time

import catalogue
import cluster_balancer
import cluster_network
import cluster_nodes
import cluster_watch
import serving
from cluster_catalogue import MEMBERS, RESERVE

# HSMs of each node.
HSMS = 2
# Seconds that everything may take to be as it was.
PATIENCE = 30
# Seconds that a node may take to end: drain_delay, what is in flight, and some.
ENDING = 25


class Stage:
    """Three nodes and a fourth in reserve, each with HSMs of its own that hold the same keys, behind HAProxy.

    This thread is in the hub's namespace from now on, until the stack is undone.
    """

    def __init__(self, arguments, directory, stack, log):
        stack.callback(cluster_network.exclusive().close)
        numbers = MEMBERS + (RESERVE,)
        self.network = cluster_network.Network(len(numbers))
        stack.callback(self.network.remove)
        stack.enter_context(cluster_network.inside(self.network.hub))
        tokens = serving.Tokens(arguments.claviger, directory, HSMS * len(numbers), log)
        self.faults = serving.Faults(directory, tokens.names, catalogue.LATENCY)
        self._claviger, self._directory, self._tokens = arguments.claviger, directory, tokens
        self._hsms = tokens.faulty(os.path.abspath(arguments.module), self.faults)
        self._cluster = cluster_nodes.Authority(directory, "cluster-ca")
        service = cluster_nodes.Authority(directory, "service-ca")
        addresses = [cluster_network.node_address(number) for number in numbers]
        self._service = service.issue(
            "service", ", ".join([f"DNS:{cluster_nodes.SERVICE}", *(f"IP:{address}" for address in addresses)]))
        self._identities = {
            number: self._cluster.issue(
                cluster_nodes.name_of(number), f"DNS:{cluster_nodes.name_of(number)}.node.claviger")
            for number in numbers}
        # The key of the load, and one to block; what a workload needs to know of HAProxy, and of each node.
        key, self.key = tokens.facts["keys"][:2]
        balancer = f"http://{cluster_network.HUB_ADDRESS}:{cluster_balancer.PORT}"
        self.info = dict(tokens.facts, url=balancer, keys=[key])
        self.infos = {
            cluster_nodes.name_of(number): dict(
                tokens.facts, url=f"https://{cluster_network.node_address(number)}:{cluster_nodes.XKS_PORT}",
                ca=service.certificate, keys=[self.key]) for number in MEMBERS}
        # Whether a block may be in force.
        self.blocked = False
        self._generation = 0
        self.nodes = {}
        self.balancer = cluster_balancer.Balancer(directory, service.certificate)
        stack.callback(self.balancer.stop)
        self.renew()

    @property
    def addresses(self):
        return {node.name: node.address for node in self.nodes.values()}

    def renew(self):
        """Starts all members, with nothing remembered of earlier ones; raises RuntimeError when they do not serve."""
        for node in self.nodes.values():
            self._destroy(node)
        self._generation += 1
        self.blocked = False
        self.network.heal()
        self.faults.clear()
        self.nodes = {number: self._node(number) for number in self._identities}
        for number in MEMBERS:
            self.nodes[number].start()
        complaints = self.wait_until_whole(MEMBERS)
        if complaints:
            raise RuntimeError("the cluster did not come up: " + "; ".join(complaints))

    def _node(self, number):
        directory = os.path.join(self._directory, cluster_nodes.name_of(number))
        hsms = self._hsms[(number - 1) * HSMS:number * HSMS]
        return cluster_nodes.Node(
            self._claviger, number, self.network, directory, cluster_nodes.configuration(
                number, self._tokens, hsms, os.path.join(directory, f"state-{self._generation}"),
                (self._cluster.certificate, *self._identities[number]), self._service))

    def _destroy(self, node):
        if node.runs:
            node.kill()
        # Workers end when their node has; what was stopped does not.
        for pid in self.network.processes(self.network.namespace(node.number)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restore(self):
        """Undoes whatever a drill has done; returns what is still amiss after a time."""
        self.network.heal()
        self.faults.clear()
        complaints = []
        for number, node in self.nodes.items():
            if node.runs:
                node.thaw()
            elif number in MEMBERS:
                node.start()
        complaints += self.dismiss(self.nodes[RESERVE])
        complaints += self.wait_until_whole(MEMBERS)
        if self.blocked:
            status, text = self.nodes[MEMBERS[0]].command("unblock", "--key", self.key)
            self.blocked = status != 0
            if self.blocked:
                complaints.append(f"the block cannot be lifted: {text.strip()}")
        return complaints

    def dismiss(self, node):
        """Ends the node in reserve if it runs, and takes it from HAProxy; returns what went wrong with it."""
        complaints = self.end(node) if node.runs else []
        self.balancer.set(node.name, "maint")
        return complaints

    def end(self, node):
        """Ends a node in good order; returns what went wrong with it."""
        node.terminate()
        status = node.ended(ENDING)
        if status is None:
            self._destroy(node)
            return [f"{node.name} had not ended {ENDING} s after SIGTERM"]
        return [] if status == 0 else [f"{node.name} ended with status {status} after SIGTERM"]

    def wait_until_whole(self, numbers, seconds=PATIENCE, balanced=True):
        """Waits until these nodes serve with all they have, and see each other; unless told otherwise, until HAProxy
        gives them requests, too. Returns what is amiss in the end."""
        end = time.monotonic() + seconds
        while (complaints := self._complaints(numbers, balanced)) and time.monotonic() < end:
            time.sleep(0.05)
        return complaints

    def _complaints(self, numbers, balanced):
        found = []
        names = [self.nodes[number].name for number in numbers]
        for number in numbers:
            node = self.nodes[number]
            if not node.runs:
                found.append(f"{node.name} does not run; its log ends: {node.last_words()[-300:]}")
                continue
            health = node.ask("/health") or {"verdict": "silent"}
            if health["verdict"] != "ACTIVE":
                found.append(f"{node.name} is {health['verdict']}, not ACTIVE")
            seen = node.ask("/cluster/health")
            view = cluster_watch.view_of(seen) if seen else {}
            found += [f"{node.name} sees {name} as {view.get(name, 'unknown')}"
                      for name in names if view.get(name) != "alive"]
        if not found and balanced:
            found += [f"HAProxy does not take {name} for up" for name in self.balancer.wait_until_up(names, 1)]
        return found

    def repeated(self):
        """How many requests HAProxy has repeated at another node."""
        return sum(server["repeated"] for server in self.balancer.servers().values())
