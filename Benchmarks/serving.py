# SPDX-License-Identifier: Apache-2.0
"""Nodes of `claviger serve` over SoftHSM tokens, with faults to order, and what their control listener tells."""

import dataclasses
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import tomllib

import processes

HERE = os.path.dirname(os.path.abspath(__file__))


def toml(value):
    """A value as TOML: what configurations of a node consist of."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(content)}" for name, content in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(content) for content in value) + "]"
    # Strings, numbers and booleans are written as JSON writes them.
    return json.dumps(value)


def configuration_text(configuration):
    """The tables of a configuration, given as what tomllib makes of one."""
    lines = []
    for name, content in configuration.items():
        for table in content if isinstance(content, list) else [content]:
            lines.append(f"[[{name}]]" if isinstance(content, list) else f"[{name}]")
            lines += [f"{key} = {toml(value)}" for key, value in table.items()]
            lines.append("")
    return "\n".join(lines)


class Faults:
    """The control files of the fault-injecting module, one for each HSM."""

    def __init__(self, directory, names, always):
        """`always` are lines that hold whatever else is said, but for a function that is delayed otherwise."""
        # In a directory of their own: beside a node's files a library reads nothing that came after its start.
        own = os.path.join(directory, "faults")
        os.makedirs(own, exist_ok=True)
        self._files = {name: os.path.join(own, name) for name in names}
        self.hold(always)

    def hold(self, always):
        """Lifts the faults of all HSMs, and says what holds from now on whatever else is said."""
        self._always = always
        self.clear()

    def file(self, name):
        return self._files[name]

    def set(self, name, *lines):
        """Replaces the faults of one HSM; without lines, lifts them."""
        delayed = {line.split()[1] for line in lines if line.startswith("delay ")}
        kept = [line for line in self._always if line.split()[1] not in delayed]
        file = self._files[name]
        with open(file + ".new", "w", encoding="ascii") as target:
            target.write("\n".join(["[*]", *kept, *lines, ""]))
        # A reader sees the old file or the new one, never a part of it.
        os.rename(file + ".new", file)

    def clear(self):
        for name in self._files:
            self.set(name)


def workers_of(node):
    """Process ids of a node's workers by HSM."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            if parent == node:
                with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as line:
                    words = line.read().split("\0")
                if len(words) > 2 and words[1] == "hsm-worker":
                    found.setdefault(words[2], []).append(int(entry))
        except (OSError, ValueError, IndexError):
            continue
    return found


@dataclasses.dataclass
class Sample:
    """What a node said of its HSMs at a moment of the monotonic clock; no HSM where it said nothing."""

    time: float
    # By HSM: state, whether it serves the key, reason for the state.
    hsms: dict

    def whole(self, name):
        """Whether the HSM is active, and serves the key."""
        return name in self.hsms and self.hsms[name][0] == "active" and self.hsms[name][1]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(connection, path):
    """The JSON that a GET brings; raises OSError, HTTPException or ValueError when there is none."""
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def sample_of(health, status, key):
    """The sample that follows from the control listener's `/health`, and, unless it is `None`, from the admin socket's
    `/status`, which tells what each HSM has shown of each key."""
    serving = {hsm["name"] for hsm in health["hsms"]}
    if status is not None:
        rows = [row for row in status["keys"] if row["label"] == key and not row.get("disputed")]
        serving = {name for row in rows for name, cell in row["cells"].items() if cell in ("proven", "unprovable")}
    return Sample(time.monotonic(), {
        hsm["name"]: (hsm["state"], hsm["name"] in serving, hsm.get("reason")) for hsm in health["hsms"]})


class Node:
    """`claviger serve` as a child process. Its listeners get ports that were free a moment ago."""

    def __init__(self, claviger, directory, configuration, facts, log, words=()):
        """`words` stand before the program's: of a command that changes something and then becomes it."""
        os.makedirs(directory, mode=0o700, exist_ok=True)
        xks, control = free_port(), free_port()
        whole = dict(configuration)
        whole["node"] = dict(configuration["node"], state_dir=os.path.join(directory, "state"))
        whole["xks"] = dict(configuration["xks"], listen=f"127.0.0.1:{xks}")
        whole["control"] = dict(configuration.get("control", {}), listen=f"127.0.0.1:{control}")
        os.makedirs(whole["node"]["state_dir"], mode=0o700, exist_ok=True)
        file = os.path.join(directory, "claviger.toml")
        with open(file, "w", encoding="utf-8") as target:
            target.write(configuration_text(whole))
        self.names = [hsm["name"] for hsm in whole["hsm"]]
        # What a workload needs to know.
        self.info = dict(facts, url=f"http://127.0.0.1:{xks}", control_url=f"http://127.0.0.1:{control}")
        self._control = http.client.HTTPConnection("127.0.0.1", control, timeout=1)
        self._admin = UnixConnection(os.path.join(whole["node"]["state_dir"], "admin.sock"), timeout=1)
        self.process = subprocess.Popen(
            [*words, claviger, "serve", "--config", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, path, admin=False):
        """What the control listener says, or the admin socket; raises OSError or ValueError when there is nothing."""
        connection = self._admin if admin else self._control
        # The node may have closed an idle one.
        connection.close()
        try:
            return ask(connection, path)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def sample(self, with_key):
        """Asks for the HSMs' states, and, if wanted, whether they serve the key that the load uses.

        Raises RuntimeError when the node has ended.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"the node ended with status {self.process.returncode}; its log says why")
        try:
            status = ask(self._admin, "/status") if with_key else None
            return sample_of(ask(self._control, "/health"), status, self.info["keys"][0])
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            self._control.close()
            self._admin.close()
            return Sample(time.monotonic(), {})

    def wait_until_whole(self, seconds, samples=None):
        """Waits until every HSM is active and serves the key; returns the names of those that do not in the end.

        Appends what it saw to `samples`.
        """
        end = time.monotonic() + seconds
        while True:
            sample = self.sample(with_key=True)
            if samples is not None:
                samples.append(sample)
            missing = [name for name in self.names if not sample.whole(name)]
            if not missing or sample.time > end:
                return missing
            time.sleep(0.025)

    def workers(self):
        """Process ids of the workers by HSM."""
        return workers_of(self.process.pid)

    def signal(self, names, number):
        """Sends a signal to the workers of some HSMs in one moment; returns how many there were."""
        workers = self.workers()
        pids = [pid for name in names for pid in workers.get(name, [])]
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        return len(pids)

    def stop(self):
        self._control.close()
        self._admin.close()
        if self.process.poll() is None:
            self.signal(self.names, signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Tokens:
    """SoftHSM tokens with the same keys, made by `claviger dev`, which is then ended; and what to do with them.

    `configuration` is that of `claviger dev`, `facts` what it said of itself.
    """

    def __init__(self, claviger, directory, count, log):
        self._claviger, self._directory, self._log = claviger, directory, log
        state = os.path.join(directory, "dev")
        node = processes.Node(claviger, state, True, count, log, [])
        try:
            node.wait_until_ready()
            self.facts = node.info
        finally:
            node.stop()
        with open(os.path.join(state, "claviger.toml"), "rb") as file:
            self.configuration = tomllib.load(file)
        self.names = [hsm["name"] for hsm in self.configuration["hsm"]]

    def node(self, name, hsms, settings=None):
        """Starts a node over some HSMs, given as tables of the configuration; `settings` are more keys of `[node]`."""
        directory = os.path.join(self._directory, name)
        configuration = dict(self.configuration, hsm=hsms, node=self.configuration["node"] | (settings or {}))
        return Node(self._claviger, directory, configuration, self.facts, self._log)

    def faulty(self, module, faults, sessions=4, depth=1):
        """The HSMs behind the fault-injecting module, with so many lanes, and so many requests on a lane at a time.

        The development node's own settings are for SoftHSM alone, which computes; behind the module an HSM is one that
        is waited for.
        """
        return [
            hsm | {"sessions": sessions, "depth": depth, "module": module, "env": hsm["env"] | {
                "FAULTY_PKCS11_MODULE": hsm["module"], "FAULTY_PKCS11_CONTROL": faults.file(hsm["name"])}}
            for hsm in self.configuration["hsm"]]

    def copies(self):
        """The HSMs with copies of the tokens, and without faults."""
        return [
            copied(hsm, os.path.join(self._directory, "copies", hsm["name"])) for hsm in self.configuration["hsm"]]


def copied(hsm, directory):
    """The HSM with a copy of its token in a new directory."""
    original = hsm["env"]["SOFTHSM2_CONF"]
    shutil.copytree(os.path.dirname(original), directory)
    file = os.path.join(directory, os.path.basename(original))
    with open(original, encoding="utf-8") as source:
        text = source.read().replace(os.path.dirname(original), directory)
    with open(file, "w", encoding="utf-8") as target:
        target.write(text)
    return hsm | {"env": hsm["env"] | {"SOFTHSM2_CONF": file}}


def crowded(hsm, directory, count):
    """The HSM with a copy of its token in a new directory that holds so many AES keys of others besides.

    A directory in memory: SoftHSM syncs each key to the disk. Raises RuntimeError when the keys cannot be made.
    """
    result = copied(hsm, directory)
    program = os.path.join(directory, "fill-token")
    module = hsm["env"].get("FAULTY_PKCS11_MODULE", hsm["module"])
    for words in (
            ["cc", "-O2", "-o", program, os.path.join(HERE, "fill-token.c"), "-ldl"],
            [program, module, hsm["token"]["label"], hsm["pin"]["file"], str(count)]):
        done = subprocess.run(
            words, env=dict(os.environ, SOFTHSM2_CONF=result["env"]["SOFTHSM2_CONF"]), capture_output=True, text=True,
            timeout=600, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return result


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
