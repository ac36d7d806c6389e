# SPDX-License-Identifier: Apache-2.0
"""Of all that the nodes of a cluster have said, one message of each kind."""

import json
import os


def _gossip(exchange):
    return json.loads(exchange.body) if exchange.path == "/cluster/v1/gossip" else None


def _answer(exchange):
    return json.loads(exchange.answer_body) if exchange.answer_body else {}


def tells_drained(exchange):
    """Whether the sender says that it has drained an HSM, and does not serve keys."""
    message = _gossip(exchange)
    return bool(message) and any(hsm["isDrained"] for hsm in message["facts"]["hsms"]) and bool(
        message["facts"]["unservedKeys"])


def _kind(word, receiver=True, answer=None):
    def is_it(exchange):
        message = _gossip(exchange)
        return bool(message) and message["kind"] == word and ("receiver" in message) == receiver and (
            answer is None or _answer(exchange)["kind"] == answer)
    return is_it


def _update(word):
    def is_it(exchange):
        message = _gossip(exchange)
        return bool(message) and any(update["liveness"] == word for update in message["updates"])
    return is_it


def _page(exchange):
    message = _gossip(exchange)
    return bool(message) and message["kind"] == "exchange" and any(
        "facts" in update for update in message["updates"]) and any(
        "facts" in update for update in _answer(exchange)["updates"])


def _blocks(exchange):
    if exchange.path != "/cluster/v1/blocks":
        return False
    mine, theirs = json.loads(exchange.body), _answer(exchange)["list"]
    return len(mine["blocks"]) == 4 and len(mine["lifts"]) == 1 and len(theirs["lifts"]) == 1


def _canaries(is_trusted):
    def is_it(exchange):
        if exchange.path != "/cluster/v1/canaries":
            return False
        pages = json.loads(exchange.body), _answer(exchange)
        return any(page["canaries"] for page in pages) and is_trusted == any(
            canary["isTrusted"] for page in pages for canary in page["canaries"])
    return is_it


def _forward(operation, status):
    def is_it(exchange):
        return exchange.path == "/cluster/v1/forward" and f"/{operation}\"".encode() in exchange.body and (
            f"claviger-status: {status}".encode() in exchange.answer)
    return is_it


# By the name of the files.
KINDS = {
    "gossip-contact": _kind("exchange", receiver=False),
    "gossip-exchange": _page,
    "gossip-ping": _kind("ping", answer="ack"),
    "gossip-drained": tells_drained,
    "gossip-ping-request": _kind("pingRequest", answer="nack"),
    "gossip-suspect": _update("suspect"),
    "gossip-dead": _update("dead"),
    "gossip-leave": _kind("leave", answer="ack"),
    "gossip-left": _update("left"),
    "blocks": _blocks,
    "canaries": _canaries(is_trusted=False),
    "canaries-trusted": _canaries(is_trusted=True),
    "forward-encrypt": _forward("encrypt", 200),
    "forward-decrypt": _forward("decrypt", 200),
    "forward-invalid": _forward("decrypt", 400),
}


def write(exchanges, directory):
    """The first of each kind; raises RuntimeError when there is none of one."""
    os.makedirs(directory)
    for name, is_it in KINDS.items():
        exchange = next((exchange for exchange in exchanges if is_it(exchange)), None)
        if exchange is None:
            raise RuntimeError(f"nobody has said anything of the kind {name}")
        for what, message in (("request", exchange.request), ("answer", exchange.answer)):
            with open(os.path.join(directory, f"{name}.{what}.http"), "wb") as file:
                file.write(message)
