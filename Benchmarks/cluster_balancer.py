# SPDX-License-Identifier: Apache-2.0
"""The HAProxy before the nodes of a cluster under test, by deploy/haproxy/haproxy.cfg."""

import os
import socket
import subprocess
import time

import cluster_catalogue
import cluster_network
import cluster_nodes

# Where clients find HAProxy, at the hub's address.
PORT = 8000
# Where they find a node that HAProxy does not choose: node n has + n.
DIRECT_PORT = 8000


def balancer_text(text, certificates, directory):
    """deploy/haproxy/haproxy.cfg, `text`, as it is used here: what a service's account and a client's TLS need is left
    out, and a place is kept for a fourth node. Everything else stays. Raises RuntimeError when it is another file by
    now.

    `certificates` is the path of the CA of the nodes' certificates.
    """
    last = f"    server node-3 192.0.2.13:{cluster_nodes.XKS_PORT}\n"
    changes = (
        ("    log /dev/log local0\n    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n",
         "    log stdout format raw local0\n"),
        ("\n    stats socket /run/haproxy/admin.sock mode 660 ",
         f"\n    stats socket {socket_file(directory)} mode 600 "),
        ("\n    bind :443 ssl crt /etc/haproxy/xks.pem alpn http/1.1\n",
         f"\n    bind {cluster_network.HUB_ADDRESS}:{PORT}\n"),
        ("/etc/haproxy/nodes-ca.pem", certificates),
        (last, f"{last}    server node-4 192.0.2.14:{cluster_nodes.XKS_PORT} disabled\n"))
    for old, new in changes:
        if text.count(old) != 1:
            raise RuntimeError(f"haproxy.cfg has {text.count(old)} times instead of once: {old.strip()}")
        text = text.replace(old, new)
    return text + "".join(direct_text(number, certificates) for number in cluster_catalogue.MEMBERS)


def direct_text(number, certificates):
    """A listener that leads to one node only, asks nobody whether it is well, repeats nothing, and gives it the time
    that KMS gives."""
    name, address = cluster_nodes.name_of(number), cluster_network.node_address(number)
    tls = (
        f"ssl verify required ca-file {certificates} sni str({cluster_nodes.SERVICE}) "
        f"verifyhost {cluster_nodes.SERVICE}")
    return f"""
listen {name}-alone
    bind {cluster_network.HUB_ADDRESS}:{DIRECT_PORT + number}
    timeout connect 250ms
    timeout server 250ms
    retries 0
    http-reuse always
    server {name} {address}:{cluster_nodes.XKS_PORT} {tls}
"""


def socket_file(directory):
    return os.path.join(directory, "haproxy.sock")


class Balancer:
    """HAProxy in the hub, by deploy/haproxy/haproxy.cfg. Make it from within the hub's namespace."""

    def __init__(self, directory, certificates):
        original = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "deploy", "haproxy", "haproxy.cfg")
        with open(original, encoding="utf-8") as file:
            text = balancer_text(file.read(), certificates, directory)
        configuration_file = os.path.join(directory, "haproxy.cfg")
        with open(configuration_file, "w", encoding="utf-8") as file:
            file.write(text)
        self._socket = socket_file(directory)
        with open(os.path.join(directory, "haproxy.log"), "ab") as log:
            self.process = subprocess.Popen(
                [cluster_network.tool("haproxy"), "-db", "-f", configuration_file], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, process_group=0)

    def order(self, text):
        """Tells the runtime API something; returns its answer. Raises OSError when it does not listen."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(self._socket)
            client.sendall(text.encode() + b"\n")
            answer = b""
            while data := client.recv(65536):
                answer += data
        return answer.decode()

    def servers(self):
        """By node: its state in HAProxy's words, how many requests it got, how many were repeated elsewhere."""
        if self.process.poll() is not None:
            raise RuntimeError(f"HAProxy ended with status {self.process.returncode}; haproxy.log says why")
        return servers_of(self.order("show stat xks 4 -1"))

    def set(self, name, state):
        """`ready` or `maint`."""
        answer = self.order(f"set server xks/{name} state {state}").strip()
        if answer:
            raise RuntimeError(f"HAProxy does not set {name} to {state}: {answer}")

    def wait_until_up(self, names, seconds):
        """Returns those of the nodes that HAProxy does not take for up in the end."""
        end = time.monotonic() + seconds
        while True:
            try:
                seen = self.servers()
            except OSError:
                seen = {}
            # "UP 1/2" is on its way down.
            missing = [name for name in names if seen.get(name, {}).get("status") != "UP"]
            if not missing or time.monotonic() > end:
                return missing
            time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


def servers_of(listing):
    """What `show stat` lists, CSV with a heading (HAProxy's management guide, 9.1)."""
    heading, *lines = [line for line in listing.removeprefix("# ").splitlines() if line]
    names = heading.split(",")
    rows = [dict(zip(names, line.split(","))) for line in lines]
    return {
        row["svname"]: {
            "status": row["status"], "requests": int(row["stot"] or 0), "repeated": int(row["wredis"] or 0)}
        for row in rows}
