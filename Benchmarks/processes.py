# SPDX-License-Identifier: Apache-2.0
"""The node under test, its CPU time, and the bare PKCS#11 call to compare with."""

import json
import os
import select
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def cpu_microseconds(pid):
    """CPU time of a process so far, in the scheduler's own nanosecond account: all threads, ended ones included.

    The clock of another process, as clock_getcpuclockid(3) makes its number (Linux: the complement of the process id,
    shifted by three, with CPUCLOCK_SCHED in the lowest bits).
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1000
    except OSError as error:
        raise RuntimeError(f"process {pid} of the node is gone: {error}") from error


class Node:
    """`claviger dev` as a child process, with a state directory of its own."""

    def __init__(self, claviger, state, plaintext, hsms, log, extra):
        arguments = [claviger, "dev", "--json", "--state", state, "--listen", "127.0.0.1:0", "--hsms", str(hsms)]
        if plaintext:
            arguments.append("--plaintext")
        self.process = subprocess.Popen(arguments + extra, stdout=subprocess.PIPE, stderr=log)
        self._lines = self.process.stdout
        self.info = None

    def wait_until_ready(self, seconds=60):
        """Reads the JSON line and `ready`; raises RuntimeError when they do not come."""
        self.info = json.loads(self._line(seconds))
        line = self._line(seconds)
        if line.strip() != "ready":
            raise RuntimeError(f"the node said {line!r} instead of ready")
        # Whatever it may print later must not fill the pipe.
        threading.Thread(target=self._drain, daemon=True).start()

    def _line(self, seconds):
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._lines], [], [], seconds)[0]:
                raise RuntimeError(f"the node printed nothing for {seconds} s")
            byte = os.read(self._lines.fileno(), 1)
            if not byte:
                raise RuntimeError(f"the node ended with status {self.process.wait()}; its log says why")
            line += byte
        return line.decode()

    def _drain(self):
        while os.read(self._lines.fileno(), 65536):
            pass

    def cpu(self):
        """Microseconds of CPU, node and workers together."""
        return sum(cpu_microseconds(pid) for pid in [self.process.pid, *self.info["worker_pids"]])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class BareCall:
    """Times C_EncryptInit + C_Encrypt on the first HSM of a node, beside the node."""

    def __init__(self, scratch, state, module):
        self.program = os.path.join(scratch, "bare-pkcs11")
        subprocess.run(
            ["cc", "-O2", "-o", self.program, os.path.join(HERE, "bare-pkcs11.c"), "-ldl"], check=True)
        hsm = os.path.join(state, "hsm-1")
        self.environment = dict(os.environ, SOFTHSM2_CONF=os.path.join(hsm, "softhsm2.conf"))
        self.arguments = [module, "claviger-dev-hsm-1", os.path.join(hsm, "pin"), "foo"]

    def run(self, size, milliseconds):
        """CPU and wall-clock microseconds of one call with `size` bytes of data."""
        output = subprocess.run(
            [self.program, *self.arguments, str(size), str(milliseconds)], env=self.environment, check=True,
            capture_output=True, text=True).stdout
        return json.loads(output)
