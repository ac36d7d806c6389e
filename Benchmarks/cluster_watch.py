# SPDX-License-Identifier: Apache-2.0
"""Looking at a cluster from outside: what each node says of the others, what it answers, and whether the machine lets
anybody work."""

import collections
import dataclasses
import http.client
import json
import threading
import time

import cluster_nodes
import load
import quiet
import serving
import workload

# Seconds between two questions to one control listener.
SAMPLING = 0.05
# Seconds between two requests of an asker to one node.
ASKING = 0.02


@dataclasses.dataclass
class View:
    """How a node saw the cluster at a moment of the monotonic clock: liveness by name, `None` where it said nothing."""

    time: float
    nodes: dict | None


def view_of(health):
    """The view that `/cluster/health` tells."""
    return {node["name"]: node["liveness"] for node in health["nodes"]}


class Watch:
    """Asks every node every 50 ms how it sees the cluster, each on a thread of its own: one that hangs delays no other.

    Use it as a context; `views` has what was seen, by node.
    """

    def __init__(self, addresses, port=cluster_nodes.CONTROL_PORT):
        """`addresses` by node's name."""
        self.views = {name: [] for name in addresses}
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(name, address, port), daemon=True)
            for name, address in addresses.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def latest(self, name):
        views = self.views[name]
        return views[-1].nodes if views else None

    def _look(self, name, address, port):
        connection = http.client.HTTPConnection(address, port, timeout=1)
        due = time.monotonic()
        while not self._ending.wait(max(due - time.monotonic(), 0)):
            due = max(due + SAMPLING, time.monotonic())
            try:
                nodes = view_of(serving.ask(connection, "/cluster/health"))
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                connection.close()
                nodes = None
            self.views[name].append(View(time.monotonic(), nodes))
        connection.close()


@dataclasses.dataclass
class Answer:
    """One request of an asker: monotonic times, status (0: none), and what a refusal says."""

    sent: float
    answered: float
    status: int
    name: str | None = None
    message: str = ""


class Askers:
    """Encrypts with one key on each node directly, one request after another. Use it as a context."""

    def __init__(self, infos, interval=ASKING):
        """`infos` by node's name: what a workload needs to know, and `ca` for HTTPS."""
        self.answers = {name: collections.deque() for name in infos}
        self._interval = interval
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(name, info), daemon=True) for name, info in infos.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def so_far(self, name):
        """A copy of the answers of a node."""
        return list(self.answers[name])

    def _ask(self, name, info):
        line = Line(info)
        while not self._ending.wait(self._interval):
            answer, _ = line.ask("encrypt", workload.encrypt_body(32, cdiv=False))
            self.answers[name].append(answer)
        line.close()


@dataclasses.dataclass
class Sealed:
    """A request to encrypt: when it was sent, its status, and what each node then answered who was to open it."""

    sent: float
    status: int
    opened: dict
    # Of what was made: the body of a request to open it.
    body: dict | None = None
    # The label of the key that it was found to be made with; `None` while that is not known.
    key: str | None = None


class Exchange:
    """Has nodes encrypt with one key, one after another, and has every node open what came of it. Use it as a context."""

    def __init__(self, infos, interval=ASKING):
        """`infos` by node's name, as for `Askers`."""
        # Pairs: the node that was asked to encrypt, and what came of it.
        self.sealed = []
        self._infos, self._interval = infos, interval
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def _run(self):
        lines = {name: Line(info) for name, info in self._infos.items()}
        while lines and not self._ending.wait(self._interval):
            for maker, line in lines.items():
                body = workload.encrypt_body(32, cdiv=False)
                answer, text = line.ask("encrypt", body)
                one = Sealed(answer.sent, answer.status, {})
                if answer.status == 200:
                    plaintext = body.pop("plaintext")
                    one.body = body | json.loads(text)
                    one.opened = {name: self._open(other, one.body, plaintext) for name, other in lines.items()}
                self.sealed.append((maker, one))
        for line in lines.values():
            line.close()

    @staticmethod
    def _open(line, body, plaintext):
        answer, text = line.ask("decrypt", body | {"requestMetadata": workload.metadata("Decrypt")})
        if answer.status == 200 and json.loads(text)["plaintext"] != plaintext:
            return dataclasses.replace(answer, status=400, name="another plaintext")
        return answer


def find_keys(info, labels, made):
    """Finds out which of the keys of a node has made each of these: whose key opens it. `made` are `Sealed`."""
    for label in labels:
        line = Line(dict(info, keys=[label]))
        for one in made:
            # A wrong key opens nothing (AES-GCM). What a busy machine has no time for is asked again.
            for _ in range(3):
                answer, _ = line.ask("decrypt", one.body | {"requestMetadata": workload.metadata("Decrypt")})
                if answer.status == 200:
                    one.key = label
                if 200 <= answer.status < 500 and answer.status != 429:
                    break
        line.close()


class Line:
    """A connection to one node that is made anew when it breaks."""

    def __init__(self, info):
        self._work = workload.Workload(info, 32, 0)
        self._connection = None

    def ask(self, operation, body):
        """The answer, and its text."""
        sent = time.monotonic()
        try:
            self._connection = self._connection or self._work.connect(timeout=1)
            status, text = self._work.ask(self._connection, operation, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(sent, time.monotonic(), 0, type(error).__name__), b""
        return Answer(sent, time.monotonic(), status, *refusal(status, text)), text

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


def refusal(status, text):
    """Error name and message of an answer; neither of a good one."""
    if status == 200:
        return None, ""
    try:
        return load.error_name(status, text), str(json.loads(text).get("errorMessage", ""))
    except (ValueError, AttributeError):
        return load.error_name(status, text), ""


def disturbance(until):
    """Sleeps 5 ms over and over until a monotonic time.

    Returns the most milliseconds by which it woke up late, and the seconds of CPU that the host kept.
    """
    before, worst = quiet.stolen_seconds(), 0.0
    while (now := time.monotonic()) < until:
        time.sleep(0.005)
        worst = max(worst, time.monotonic() - now - 0.005)
    return worst * 1000, quiet.stolen_seconds() - before
