#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says to a node of another version what today's version would say, from Tests/CompatibilityTests/Today.

The tests read these texts by a copy of the other version's decoders. This shows that its program reads them, too: to be
run by hand, when a text has changed. A node of a cluster that `claviger dev` of that version has made is told them, by the
certificate of another one. Ends with status 1 when anything is refused, or has no effect.
"""

import argparse
import contextlib
import http.client
import json
import os
import ssl
import sys
import tempfile

import message_stage

TODAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "CompatibilityTests", "Today")
# In this order.
GOSSIP = ("gossip-contact", "gossip-exchange", "gossip-ping", "gossip-leave")


class Peer:
    """The other node, as node-1 of today's version."""

    def __init__(self, stage):
        settings = stage.settings("node-3")["cluster"]
        own = stage.settings("node-1")["cluster"]
        self._address = settings["listen"]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.load_verify_locations(own["ca"])
        self._context.load_cert_chain(own["certificate"], own["key"])
        self._sequence = 0

    def tell(self, path, body, **fields):
        """Returns status, header fields and body of the answer."""
        connection = http.client.HTTPSConnection(self._address, timeout=10, context=self._context)
        connection.request("POST", f"/cluster/v1/{path}", body=body, headers={
            "Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in fields.items()}})
        answer = connection.getresponse()
        result = answer.status, answer.headers, answer.read()
        connection.close()
        return result

    def gossip(self, name):
        """As it stands in the file, but for a number of its own."""
        self._sequence += 1
        return self.tell("gossip", json.dumps(text(name) | {"sequence": self._sequence}).encode())


def text(name):
    with open(os.path.join(TODAY, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


def told(stage, peer):
    """Yields what was said, and what is wrong about the answer; `None` where nothing is."""
    for name in GOSSIP:
        status, _, body = peer.gossip(name)
        kind = json.loads(body)["kind"] if status == 200 else None
        expected = "exchange" if text(name)["kind"] == "exchange" else "ack"
        yield name, None if kind == expected else f"status {status}, kind {kind}"
        if name == "gossip-ping":
            yield "node-1 is a member", None if stage.seen("node-3", "node-1") else "nobody has heard of it"
    yield "node-1 has left", None if stage.seen("node-3", "node-1") == "left" else "it has not"
    status, _, body = peer.tell("blocks", json.dumps(text("blocks-request")).encode())
    blocks = json.loads(body)["list"]["blocks"] if status == 200 else []
    ids = {block["id"] for block in text("blocks-request")["blocks"]}
    yield "blocks-request", None if ids <= {block["id"] for block in blocks} else f"status {status}, {len(blocks)} blocks"
    in_force = {block["id"] for block in json.loads(stage.admin("node-3", "GET", "/blocks")[1])["blocks"]}
    yield "the blocks are in force", None if ids <= in_force else "they are not"
    # What today's node answers is sent to it as a request, too: both have the form of a list.
    status, _, _ = peer.tell("blocks", json.dumps(text("blocks-answer")["list"]).encode())
    yield "blocks-answer", None if status == 200 else f"status {status}"
    for name in ("canaries-request", "canaries-answer"):
        status, _, _ = peer.tell("canaries", json.dumps(text(name)).encode())
        yield name, None if status == 200 else f"status {status}"
    head = json.dumps(text("forward-head")).encode()
    status, fields, _ = peer.tell(
        "forward", len(head).to_bytes(4, "big") + head + b"{}", claviger_budget_us="2000000")
    # Nobody has signed it: that it says so shows that it has read it.
    yield "forward-head", None if status == 200 and fields["claviger-status"] else f"status {status}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", required=True, help="the other version's program")
    arguments = parser.parse_args()
    is_well = True
    with tempfile.TemporaryDirectory(prefix="claviger-tell-") as directory, contextlib.ExitStack() as stack:
        stage = message_stage.Stage(os.path.abspath(arguments.claviger), directory)
        stack.callback(stage.close)
        stage.start("node-3")
        stage.until("it answers", lambda: stage.admin("node-3", "GET", "/status")[0] == 200)
        for name, complaint in told(stage, Peer(stage)):
            print(f"{name}: {complaint or 'as it must be'}")
            is_well = is_well and complaint is None
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
