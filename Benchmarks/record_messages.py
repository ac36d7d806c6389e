#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what nodes of a version say to each other and to people, and what they keep, for Tests/CompatibilityTests.

A cluster of three nodes on 127.0.0.1, each with a SoftHSM token of its own that holds the same keys, is led through what
nodes have messages for: a start, orders to block and to lift, an HSM that is drained, requests that are passed on, a node
that falls silent, one that leaves. All of it passes relays (message_recorder.py). Then one message of each kind is chosen
and written, with the answers of the admin socket and the store.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile

import message_choice
import message_stage


def play(stage):
    """Leads the cluster through what nodes have messages for; returns the admin socket's answers by name."""
    answers, names = {}, message_stage.NAMES
    for name in names:
        stage.start(name)
    stage.until("all see each other", lambda: all(
        stage.seen(one, other) == "alive" for one in names for other in names if one != other))
    stage.until("all have proven their keys", lambda: all(
        cell == "proven" for name in names for key in json.loads(stage.admin(name, "GET", "/status")[1])["keys"]
        if key["label"] in ("foo", "bar") for cell in key["cells"].values()))
    stage.until("they tell each other how they prove them", lambda: any(
        message_choice.KINDS["canaries"](one) for one in stage.recorder.exchanges()))
    stage.command("node-1", "key", "trust", "bar", "--hsm", "hsm-1")
    orders(stage, answers)
    forwards(stage)
    for name, path in (("status", "/status"), ("cluster", "/cluster"), ("blocks", "/blocks")):
        answers[name] = stage.admin("node-2", "GET", path)
    answers["health"] = stage.control("node-2", "/health")
    answers["cluster-health"] = stage.control("node-2", "/cluster/health")
    for name, path in (
            ("no-outlook", "/blocks/outlook"), ("no-forget", "/key/foo/forget"),
            ("no-node-forget", "/cluster/node-3/forget?user=alice"), ("no-bootstrap", "/cluster/bootstrap"),
            ("unknown-hsm", "/hsm/hsm-9/drain")):
        body = {"user": "alice"} if name == "no-bootstrap" else (
            {"key": "foo", "reason": "r", "user": "alice"} if name == "no-outlook" else None)
        answers[name] = stage.admin("node-2", "POST", path, body)
    # One falls silent, comes back, and leaves.
    others = names[:2]
    stage.signal("node-3", signal.SIGSTOP)
    stage.until("node-3 is dead", lambda: all(stage.seen(name, "node-3") == "dead" for name in others))
    stage.until("one tells the other", lambda: any(
        message_choice.KINDS["gossip-dead"](one) for one in stage.recorder.exchanges()))
    stage.signal("node-3", signal.SIGCONT)
    stage.until("node-3 is back", lambda: all(stage.seen(name, "node-3") == "alive" for name in others))
    stage.end("node-3")
    stage.until("node-3 has left", lambda: all(stage.seen(name, "node-3") == "left" for name in others))
    return answers


def orders(stage, answers):
    for words in (
            ("--principal", "arn:aws:iam::111122223333:role/example-*"), ("--keystore", "/another/store"),
            ("--key", "decrypt_only_key", "--expires", "3650d")):
        stage.command("node-1", "block", *words, "--reason", "recorded, with a \"quote\" and a / slash")
    answers["block"] = stage.admin(
        "node-2", "POST", "/blocks", {"everything": True, "reason": "everything", "user": "alice"})
    order = json.loads(answers["block"][1])["order"]
    stage.until("the order is confirmed", lambda: json.loads(
        stage.admin("node-2", "GET", f"/blocks/orders/{order}")[1])["isFinished"])
    answers["progress"] = stage.admin("node-2", "GET", f"/blocks/orders/{order}")
    answers["lift"] = stage.admin("node-2", "POST", "/blocks/lift", {"everything": True, "user": "bob"})


def forwards(stage):
    """Of a node whose only HSM is drained."""
    stage.command("node-1", "hsm", "drain", "hsm-1")
    text = {"additionalAuthenticatedData": "YWFk", "encryptionAlgorithm": "AES_GCM"}
    status, sealed = stage.kms("node-1", "foo", "encrypt", dict(
        text, plaintext="cGxhaW50ZXh0", ciphertextDataIntegrityValueAlgorithm="SHA_256"))
    if status != 200:
        raise RuntimeError(f"the request is not passed on: {status} {sealed}")
    parts = {
        name: sealed[name] for name in ("ciphertext", "initializationVector", "authenticationTag", "ciphertextMetadata")
        if name in sealed}
    stage.kms("node-1", "foo", "decrypt", dict(text, **parts))
    stage.kms("node-1", "foo", "decrypt", dict(text, **parts, additionalAuthenticatedData="b3RoZXI="))
    stage.until("the others know that it is drained", lambda: any(
        message_choice.tells_drained(one) for one in stage.recorder.exchanges()))
    stage.command("node-1", "hsm", "undrain", "hsm-1")


def write_store(state, target):
    """Tables and rows as SQL, and what else lies in the state directory."""
    os.makedirs(target)
    with sqlite3.connect(os.path.join(state, "claviger.sqlite")) as database:
        with open(os.path.join(target, "claviger.sql"), "w", encoding="utf-8") as file:
            for name in ("application_id", "user_version"):
                file.write(f"PRAGMA {name} = {database.execute(f'PRAGMA {name}').fetchone()[0]};\n")
            file.writelines(line + "\n" for line in database.iterdump())
    shutil.copy(os.path.join(state, "claviger.sqlite.made"), target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", metavar="FILE", required=True, help="the program of the version to be recorded")
    parser.add_argument("--into", metavar="DIR", required=True, help="a new directory, named as the version")
    arguments = parser.parse_args()
    os.makedirs(arguments.into)
    with tempfile.TemporaryDirectory(prefix="claviger-record-") as directory, contextlib.ExitStack() as stack:
        stage = message_stage.Stage(os.path.abspath(arguments.claviger), directory)
        stack.callback(stage.close)
        answers = play(stage)
        # Its store is kept: with an HSM that an operator has drained.
        stage.command("node-1", "hsm", "drain", "hsm-1")
        stage.end("node-1")
        message_choice.write(stage.recorder.exchanges(), os.path.join(arguments.into, "cluster"))
        write_store(stage.states["node-1"], os.path.join(arguments.into, "store"))
        os.makedirs(os.path.join(arguments.into, "admin"))
        for name, (status, text) in answers.items():
            with open(os.path.join(arguments.into, "admin", f"{name}.{status}.json"), "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
