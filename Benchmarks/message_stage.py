# SPDX-License-Identifier: Apache-2.0
"""A cluster of three nodes of one version on 127.0.0.1, each reached by its peers through a relay that records."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import tomllib

import message_recorder
import serving
import sigv4
import workload

NAMES = ("node-1", "node-2", "node-3")
# Seconds.
PATIENCE = 40


class Stage:
    """The cluster, made by `claviger dev` of the version that is recorded."""

    def __init__(self, claviger, directory):
        self._claviger, self.directory = claviger, directory
        self._processes = {}
        self.facts = self._make(os.path.join(directory, "dev"))
        self.files = {node["name"]: node["config"] for node in self.facts["nodes"]}
        self._settings = {}
        for name, file in self.files.items():
            with open(file, "rb") as source:
                self._settings[name] = tomllib.load(source)
        self.states = {name: settings["node"]["state_dir"] for name, settings in self._settings.items()}
        self.recorder = message_recorder.Recorder(self._settings[NAMES[0]]["cluster"]["ca"], {
            name: (settings["cluster"]["certificate"], settings["cluster"]["key"])
            for name, settings in self._settings.items()})
        self._rewire()

    def _make(self, state):
        """Tokens, certificates and configurations; the nodes end again, and what they have kept is forgotten."""
        process = subprocess.Popen(
            [self._claviger, "dev", "--nodes", "3", "--hsms", "1", "--state", state, "--listen", "127.0.0.1:0", "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            facts = json.loads(process.stdout.readline())
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("`claviger dev` does not get ready")
        finally:
            process.terminate()
            process.wait()
        for node in facts["nodes"]:
            shutil.rmtree(node["state_dir"])
            os.makedirs(node["state_dir"], mode=0o700)
        return facts

    def _rewire(self):
        relays = {name: serving.free_port() for name in NAMES}
        for name in NAMES:
            settings = self._settings[name]
            target = int(settings["cluster"]["listen"].rpartition(":")[2])
            self.recorder.relay(name, relays[name], target)
            settings["cluster"] |= {
                "advertise": f"127.0.0.1:{relays[name]}",
                "seeds": [f"127.0.0.1:{relays[other]}" for other in NAMES if other != name]}
            with open(self.files[name], "w", encoding="utf-8") as file:
                file.write(serving.configuration_text(settings))

    def settings(self, name):
        """Of its configuration file."""
        return self._settings[name]

    def start(self, name):
        with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._claviger, "serve", "--config", self.files[name]], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def signal(self, name, number):
        self._processes[name].send_signal(number)

    def end(self, name):
        """In good order."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(PATIENCE)

    def close(self):
        for name in list(self._processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(name)

    def command(self, name, *words):
        """By the recorded version's own command line; returns what it printed."""
        return subprocess.run(
            [self._claviger, *words, "--config", self.files[name]], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE, check=False).stdout

    def admin(self, name, method, path, body=None):
        """Asks the admin socket; returns status and text."""
        connection = serving.UnixConnection(os.path.join(self.states[name], "admin.sock"), timeout=PATIENCE)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, body=text, headers={"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
        connection.close()
        return status, text

    def control(self, name, path):
        """What the control listener answers: status and text."""
        address = self._settings[name]["control"]["listen"]
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        connection.request("GET", path)
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
        connection.close()
        return status, text

    def kms(self, name, key, operation, fields):
        """A request as KMS makes it; returns status and the answer's members."""
        info = dict(next(node for node in self.facts["nodes"] if node["name"] == name), **{
            word: self.facts[word] for word in ("access_key_id", "secret", "prefix", "ca")}, keys=[key])
        client = workload.Workload(info, 32, 1)
        path = f"{info['prefix']}/kms/xks/v1/keys/{key}/{operation}"
        data = json.dumps(dict(fields, requestMetadata=workload.metadata(operation.capitalize()))).encode()
        headers = sigv4.signed_post(client.host, path, data, info["access_key_id"], info["secret"])
        connection = client.connect()
        connection.request("POST", path, body=data, headers=headers)
        answer = connection.getresponse()
        status, members = answer.status, json.loads(answer.read())
        connection.close()
        return status, members

    def until(self, what, is_so):
        """Waits until it is so."""
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError, ValueError, KeyError):
                if is_so():
                    return
            if time.monotonic() > end:
                raise RuntimeError(f"not within {PATIENCE} s: {what}")
            time.sleep(0.1)

    def seen(self, name, other):
        """What a node calls another."""
        report = json.loads(self.admin(name, "GET", "/cluster")[1])
        return next((node["liveness"] for node in report["nodes"] if node["name"] == other), None)
