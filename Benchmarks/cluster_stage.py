# SPDX-License-Identifier: Apache-2.0
"""The stage of the cluster drills: network, nodes and HAProxy, and how all of it becomes whole again."""

import contextlib
import os
import signal
import time

import catalogue
import cluster_balancer
import cluster_delay
import cluster_network
import cluster_nodes
import cluster_watch
import serving
from cluster_catalogue import MEMBERS, RESERVE, Layout

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
        self._stack, self._relays = stack, None
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
        self.info = dict(tokens.facts, url=self.url(0), keys=[key])
        self.infos = {
            cluster_nodes.name_of(number): dict(
                tokens.facts, url=f"https://{cluster_network.node_address(number)}:{cluster_nodes.XKS_PORT}",
                ca=service.certificate, keys=[self.key]) for number in MEMBERS}
        # Others to block, by orders of their own.
        self.spare_keys = tokens.facts["keys"][2:4]
        # What an order may be in force for, in the words of the command.
        self.blocked = ()
        self._generation = 0
        self.nodes = {}
        self._layout = Layout()
        self._has_bootstrap = cluster_nodes.has_bootstrap(arguments.claviger)
        self.balancer = cluster_balancer.Balancer(directory, service.certificate)
        stack.callback(self.balancer.stop)
        self.renew()

    @property
    def addresses(self):
        return {node.name: node.address for node in self.nodes.values()}

    def url(self, number):
        """Where the load finds a node that HAProxy does not choose; with 0, where HAProxy chooses one."""
        port = cluster_balancer.DIRECT_PORT + number if number else cluster_balancer.PORT
        return f"http://{cluster_network.HUB_ADDRESS}:{port}"

    def become(self, drill):
        """Sees to it that there is the cluster that the drill needs."""
        if drill.apart:
            self._begin_anew(drill.layout)
            # The same label, another value.
            for name in self.nodes[drill.apart[1]].hsms:
                self.faults.set(name, f"swap-key {self.key} {self.info['keys'][0]}")
        elif drill.layout != self._layout:
            self._layout = drill.layout
            self.renew()

    def renew(self):
        """Starts all members, with nothing remembered of earlier ones; raises RuntimeError when they do not serve."""
        self._begin_anew(self._layout)
        for number in MEMBERS:
            self.nodes[number].start()
        complaints = self.bootstrap(MEMBERS[0]) or self.wait_until_whole(MEMBERS)
        for number, seconds in self._layout.ahead:
            clock = self.nodes[number].clock()
            if clock is None or abs(clock - time.time() - seconds) > 60:
                complaints.append(f"the clock of {self.nodes[number].name} is not {seconds} s ahead")
        if complaints:
            raise RuntimeError("the cluster did not come up: " + "; ".join(complaints))

    def _begin_anew(self, layout):
        """Ends all nodes, and makes new ones with nothing remembered, which do not run yet."""
        for node in self.nodes.values():
            self._destroy(node)
        self._generation += 1
        self.blocked = ()
        self.network.heal()
        self.faults.clear()
        if self._relays:
            self._relays.stop()
            self._relays = None
        if layout.round_trip:
            self._relays = cluster_delay.started([
                ((cluster_network.HUB_ADDRESS, cluster_network.RELAY_PORT + number),
                 (cluster_network.node_address(number), cluster_nodes.CLUSTER_PORT))
                for number in self._identities], layout.round_trip)
            self._stack.callback(self._relays.stop)
        self.nodes = {number: self._node(number, layout) for number in self._identities}

    def bootstrap(self, number, seconds=PATIENCE):
        """Gives a node the order to be the beginning of a cluster, as soon as it takes orders; returns what is amiss."""
        if not self._has_bootstrap:
            return []
        end, status, text = time.monotonic() + seconds, None, ""
        while status != 0 and time.monotonic() < end:
            status, text = self.nodes[number].command("cluster", "bootstrap")
            time.sleep(0.1)
        return [] if status == 0 else [f"`claviger cluster bootstrap` ended with status {status}: {text.strip()}"]

    def _node(self, number, layout):
        directory = os.path.join(self._directory, cluster_nodes.name_of(number))
        hsms = self._hsms[(number - 1) * HSMS:number * HSMS]
        return cluster_nodes.Node(
            self._claviger, number, self.network, directory, cluster_nodes.configuration(
                number, self._tokens, hsms, os.path.join(directory, f"state-{self._generation}"),
                (self._cluster.certificate, *self._identities[number]), self._service, layout.round_trip > 0),
            dict(layout.ahead).get(number, 0))

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
            status, text = self.nodes[MEMBERS[0]].command("unblock", *self.blocked)
            if status == 0:
                self.blocked = ()
            else:
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

    def _says_its_clock(self, number, health):
        """Whether all that is wrong with a node is its clock, which the drill has put ahead."""
        codes = {condition["code"] for condition in health.get("conditions", []) if condition["severity"] != "note"}
        return number in {ahead for ahead, _ in self._layout.ahead} and codes == {"clock-off"}

    def _complaints(self, numbers, balanced):
        found = []
        names = [self.nodes[number].name for number in numbers]
        for number in numbers:
            node = self.nodes[number]
            if not node.runs:
                found.append(f"{node.name} does not run; its log ends: {node.last_words()[-300:]}")
                continue
            health = node.ask("/health") or {"verdict": "silent"}
            if health["verdict"] != "ACTIVE" and not self._says_its_clock(number, health):
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
