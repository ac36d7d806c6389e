# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven through its DevTools pipe: pages looked at as people see them."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class BrowserError(Exception):
    """The browser did not do what it was asked, in words."""


class Browser:
    """One Chromium with one page. A context manager: it ends with its block, whatever happens in it."""

    def __init__(self, program="chromium", ignores_certificates=False):
        self.program = shutil.which(program)
        if self.program is None:
            raise BrowserError(f"there is no {program}: deploy/setup.sh screenshots installs it")
        self.ignores_certificates = ignores_certificates

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="browser.")
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        arguments = [
            self.program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.directory}",
            "--no-first-run", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--password-store=basic", "--font-render-hinting=none",
        ]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        if self.ignores_certificates:
            arguments.append("--ignore-certificate-errors")

        # DevTools reads from descriptor 3 and writes to 4; what is moved may stand on one of the two already.
        def connect():
            reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser))
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            arguments + ["about:blank"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=connect, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.waiting = b""
        self.number = 0
        self.session = None
        self.events = []
        try:
            targets = self.send("Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            self.session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
            # As a window in front has it: without it nothing is drawn as focused.
            self.send("Emulation.setFocusEmulationEnabled", enabled=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.writer, self.reader):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        shutil.rmtree(self.directory, ignore_errors=True)

    # What is asked of it

    def send(self, method, seconds=30, **parameters):
        """One command; returns its result. Events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = self._receive(end, method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def _receive(self, end, what):
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.reader], [], [], max(end - time.monotonic(), 0))
            if not ready:
                raise BrowserError(f"no answer to {what} in time")
            received = os.read(self.reader, 1 << 20)
            if not received:
                raise BrowserError("the browser has ended")
            self.waiting += received
        message, _, self.waiting = self.waiting.partition(b"\0")
        return json.loads(message)

    def wait(self, event, seconds=30):
        """The parameters of the next event of this name, one that has come already included."""
        end = time.monotonic() + seconds
        while True:
            for index, known in enumerate(self.events):
                if known["method"] == event:
                    del self.events[: index + 1]
                    return known["params"]
            answer = self._receive(end, event)
            if "method" in answer:
                self.events.append(answer)

    # What people do

    def view(self, width, height=900, dark=False, media=None):
        """The size of the window, in CSS pixels, and the colours that its user prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if width < 700 else 1,
            mobile=width < 700)
        self.send(
            "Emulation.setEmulatedMedia", media=media or "",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def headers(self, fields):
        """Header fields of every request from now on."""
        self.send("Network.setExtraHTTPHeaders", headers=fields)

    def scripts(self, are_on):
        self.send("Emulation.setScriptExecutionDisabled", value=not are_on)

    def open(self, url):
        """Returns the status of the answer once the page has loaded."""
        self.events.clear()
        answer = self.send("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")
        status = None
        while status is None:
            received = self.wait("Network.responseReceived")
            if received["type"] == "Document":
                status = received["response"]["status"]
        self.wait("Page.loadEventFired")
        return status

    def evaluate(self, expression):
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails'].get('text')}")
        return answer["result"].get("value")

    def complaints(self):
        """What the browser has logged of the page: refused by its policy, not found, errors of scripts."""
        self.evaluate("1")
        logged = [event["params"]["entry"]["text"] for event in self.events if event["method"] == "Log.entryAdded"]
        thrown = [
            event["params"]["exceptionDetails"].get("text", "") for event in self.events
            if event["method"] == "Runtime.exceptionThrown"
        ]
        return logged + thrown

    def picture(self, path):
        """The whole page as PNG, also what is below the window's lower edge."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))
