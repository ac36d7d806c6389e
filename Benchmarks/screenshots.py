# SPDX-License-Identifier: Apache-2.0
"""Pictures of the status page of a real cluster: healthy, degraded and down, light and dark, on a desk and on a phone.

Three nodes of `claviger serve` over SoftHSM tokens, with a certificate and a token at their control listeners, under a little
load. Each page is also looked through: its structure, its contrast, what a keyboard reaches, what the browser complains of.
"""

import argparse
import base64
import contextlib
import json
import math
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request

import cluster_nodes
import page_check
import serving
import workload
from browser import Browser, BrowserError

SITES = {"node-1": "frankfurt", "node-2": "frankfurt", "node-3": "ashburn"}
VIEWS = {"desk": 1280, "phone": 390}
TOKEN = base64.b16encode(os.urandom(24)).decode()


class Cluster:
    """Three nodes in a directory. A context manager: they end with its block."""

    def __init__(self, claviger, directory):
        self.claviger, self.directory = claviger, directory
        self.nodes = {}
        authority = cluster_nodes.Authority(directory, "people")
        self.certificate, self.key = authority.issue("control", "DNS:localhost, IP:127.0.0.1")
        self.context = ssl.create_default_context(cafile=authority.certificate)
        self.token = os.path.join(directory, "control.token")
        with open(os.open(self.token, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(TOKEN + "\n")

    def __enter__(self):
        try:
            self.info = self._make()
            for node in self.info["nodes"]:
                self._configure(node)
                self.start(node["name"])
            self.wait("ACTIVE", lambda health: all(node["liveness"] == "alive" for node in health["nodes"]))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.nodes.values():
            process.terminate()
        for process in self.nodes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _make(self):
        """Tokens, keys, certificates and configurations, as the development cluster makes them."""
        state = os.path.join(self.directory, "state")
        made = subprocess.Popen(
            [self.claviger, "dev", "--nodes", "3", "--hsms", "2", "--state", state, "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            info = json.loads(made.stdout.readline())
            if made.stdout.readline().strip() != "ready":
                raise RuntimeError("the development cluster did not come up")
        finally:
            made.terminate()
            made.wait()
        return info

    def _configure(self, node):
        with open(node["config"], "rb") as file:
            configuration = tomllib.load(file)
        configuration["node"]["site"] = SITES[node["name"]]
        configuration["control"] |= {
            "certificate": self.certificate, "key": self.key, "token": {"file": self.token}, "show_keys": True}
        configuration["keystore"][0]["keys"] = ["foo", "bar"]
        node["control_url"] = node["control_url"].replace("http://127.0.0.1", "https://localhost")
        node["config"] = os.path.join(self.directory, node["name"] + ".toml")
        node["hsms"] = {hsm["name"]: os.path.dirname(hsm["env"]["SOFTHSM2_CONF"]) for hsm in configuration["hsm"]}
        with open(node["config"], "w", encoding="utf-8") as file:
            file.write(serving.configuration_text(configuration))

    def node(self, name):
        return next(node for node in self.info["nodes"] if node["name"] == name)

    def start(self, name):
        with open(os.path.join(self.directory, name + ".log"), "ab") as log:
            self.nodes[name] = subprocess.Popen(
                [self.claviger, "serve", "--config", self.node(name)["config"]], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)

    def kill(self, name):
        self.nodes[name].kill()
        self.nodes[name].wait()

    def lose(self, name, hsm):
        """The token is gone, and the worker that has it: what comes in its place finds none."""
        tokens = os.path.join(self.node(name)["hsms"][hsm], "tokens")
        os.rename(tokens, tokens + ".gone")
        os.mkdir(tokens)
        for worker in serving.workers_of(self.nodes[name].pid)[hsm]:
            os.kill(worker, signal.SIGKILL)

    def order(self, name, *words):
        state = os.path.join(os.path.dirname(self.node(name)["hsms"]["hsm-1"]), "node")
        subprocess.run([self.claviger, *words, "--state-dir", state], check=True, capture_output=True, timeout=60)

    def ask(self, path):
        request = urllib.request.Request(
            self.node("node-1")["control_url"] + path, headers={"Authorization": "Bearer " + TOKEN})
        with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
            return answer.read().decode()

    def wait(self, verdict, enough=lambda health: True, seconds=90):
        """Waits until node-1 says this of the cluster."""
        end = time.monotonic() + seconds
        health = None
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                health = json.loads(self.ask("/cluster/health"))
                if health["verdict"] == verdict and enough(health):
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the cluster is not {verdict}: {health}")


class Load:
    """A little traffic, in waves, from a thread that ends with the block."""

    def __init__(self, cluster, rate):
        self.cluster, self.rate = cluster, rate
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(name,), daemon=True) for name in SITES]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(15)

    def _run(self, name):
        node = self.cluster.node(name)
        work = workload.Workload(self.cluster.info | {"url": node["url"]}, 256, 1)
        connection, began = None, time.monotonic()
        while not self.over.is_set():
            try:
                connection = connection or work.connect(2)
                work.ask(connection, "encrypt", workload.encrypt_body(256, False))
            except OSError:
                connection = None
            passed = time.monotonic() - began
            pace = self.rate * (1 + 0.35 * math.sin(passed / 17) + 0.15 * math.sin(passed / 3.1))
            self.over.wait(1 / max(pace, 1))


class Photographer:
    """Looks at a page in all views, and keeps what was found."""

    def __init__(self, browser, cluster, directory):
        self.browser, self.cluster, self.directory = browser, cluster, directory
        self.findings = []
        fields = {"Authorization": "Bearer " + TOKEN}
        browser.headers(fields)

    def take(self, state):
        url = self.cluster.node("node-1")["control_url"] + "/"
        self._note(state, page_check.structure(self.cluster.ask("/")))
        for view, width in VIEWS.items():
            for dark in (False, True):
                name = f"{state}-{view}-{'dark' if dark else 'light'}"
                self.browser.view(width, dark=dark)
                if self.browser.open(url) != 200:
                    raise RuntimeError("the page is not answered")
                self._note(name, self.browser.evaluate(page_check.CONTRAST))
                self._note(name, self.browser.evaluate(page_check.REACH))
                self._note(name, self.browser.complaints())
                self.browser.picture(os.path.join(self.directory, name + ".png"))
                print(name)

    def refreshes(self):
        """The page changes by itself with its script, and is whole without one."""
        url = self.cluster.node("node-1")["control_url"] + "/"
        clock = "document.querySelector('#asof time').textContent"
        self.browser.view(VIEWS["desk"])
        self.browser.open(url)
        before, end = self.browser.evaluate(clock), time.monotonic() + 15
        while self.browser.evaluate(clock) == before:
            if time.monotonic() > end:
                return self._note("script", ["the page does not refresh itself"])
            time.sleep(0.2)
        self._note("script", self.browser.complaints())
        self.browser.scripts(False)
        self.browser.open(url)
        self.browser.picture(os.path.join(self.directory, "without-script.png"))
        self.browser.scripts(True)
        self.browser.view(800, media="print")
        self.browser.open(url)
        self.browser.picture(os.path.join(self.directory, "print.png"))
        return None

    def _note(self, where, findings):
        self.findings += [f"{where}: {finding}" for finding in findings]


def photograph(cluster, browser, directory, seconds):
    photographer = Photographer(browser, cluster, directory)
    with Load(cluster, 12):
        time.sleep(seconds)
        photographer.take("healthy")
        photographer.refreshes()
        # While all nodes can confirm it.
        cluster.order("node-1", "block", "--key", "bar", "--reason", "for the picture")
        cluster.lose("node-1", "hsm-2")
        cluster.kill("node-3")
        cluster.wait("DEGRADED", lambda health: any(node["liveness"] == "dead" for node in health["nodes"]))
        time.sleep(12)
        photographer.take("degraded")
        for name, hsm in (("node-1", "hsm-1"), ("node-2", "hsm-1"), ("node-2", "hsm-2")):
            cluster.lose(name, hsm)
        cluster.wait("UNAVAILABLE")
        time.sleep(12)
        photographer.take("down")
    return photographer.findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claviger", required=True, help="the program")
    parser.add_argument("--to", default=".build/screenshots", help="directory for the pictures (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=90, help="of traffic before the first picture (default: 90)")
    options = parser.parse_args()
    os.makedirs(options.to, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="screenshots.")
    try:
        # The certificate comes from an authority that this machine does not know; curl and Python have checked it.
        with Browser(ignores_certificates=True) as browser, Cluster(options.claviger, directory) as cluster:
            findings = photograph(cluster, browser, options.to, options.seconds)
    except (BrowserError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"screenshots: {error}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for finding in findings:
        print(f"found: {finding}", file=sys.stderr)
    print(f"{options.to}: look at each of them")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
