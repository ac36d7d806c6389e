# SPDX-License-Identifier: Apache-2.0
"""A bare Debian in a folder, in which packages are installed and nodes run: without Swift, and without a running systemd."""
import http.client
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

#: Signals, mounts and files of the folder only: nothing is shared with the host but its kernel and loopback.
SUITE = "bookworm"


class Failure(Exception):
    """Something is not as it must be."""


def mirror() -> str:
    """Where this host gets its own packages of the suite from."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"], check=True,
        capture_output=True, text=True).stdout
    for line in targets.splitlines():
        uri, release = line.split()
        if release == SUITE:
            return uri
    raise RuntimeError(f"this host's apt knows no packages of {SUITE}: sources.list(5)")


def expect(condition: object, text: str) -> None:
    if not condition:
        raise Failure(text)


def make_base(base: Path) -> None:
    """A minimal Debian, made once: what debootstrap makes of nothing but the required packages."""
    if (base / ".whole").exists():
        return
    shutil.rmtree(base, ignore_errors=True)
    base.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["debootstrap", "--variant=minbase", SUITE, str(base), mirror()], check=True)
    (base / ".whole").touch()


class Root:
    """A copy of the base. The caller is in a mount namespace of its own."""

    def __init__(self, base: Path, path: Path):
        self.path = path
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(path)], check=True)
        (path / ".whole").unlink(missing_ok=True)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", str(path / name)], check=True)
        # By what the host itself reaches Debian with.
        for name in ("etc/resolv.conf", "etc/hosts"):
            shutil.copy(f"/{name}", path / name)
        for file in Path("/etc/apt/apt.conf.d").iterdir():
            if re.search(r"(?i)proxy|verify", file.read_text()):
                shutil.copy(file, path / "etc/apt/apt.conf.d" / file.name)
        self._started: list[Node] = []

    def run(self, *command: str, check: bool = True, seconds: float = 900, user: str | None = None):
        """Runs a command in the folder to its end; as `user` with that user's groups and no privileges at all."""
        words = [*by(user), *command] if user else list(command)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        done = subprocess.run(
            ["chroot", str(self.path), *words], capture_output=True, text=True, timeout=seconds, env=environment)
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done

    def write(self, name: str, text: str, mode: int, owner: str = "root:claviger") -> None:
        file = self.path / name.lstrip("/")
        file.write_text(text)
        file.chmod(mode)
        self.run("chown", owner, name)

    def start(self, name: str, words: list[str], control: int) -> "Node":
        node = Node(self, name, words, control)
        self._started.append(node)
        return node

    def files(self) -> set[str]:
        """Everything but what is no part of the folder, and the package manager's own notes."""
        found = subprocess.run(
            ["find", ".", "-xdev", "(", "-path", "./proc", "-o", "-path", "./dev", "-o", "-path", "./sys", "-o", "-path",
             "./tmp", "-o", "-path", "./var/lib/dpkg", "-o", "-path", "./var/cache", "-o", "-path", "./var/lib/apt", "-o",
             "-path", "./var/log", "-o", "-path", "./run", ")", "-prune", "-o", "-print"],
            cwd=self.path, check=True, capture_output=True, text=True).stdout
        return set(found.splitlines())

    def end(self) -> None:
        for node in self._started:
            node.kill()
        for name in ("proc", "dev"):
            subprocess.run(["umount", "--recursive", "--lazy", str(self.path / name)], check=False)


def by(user: str) -> list[str]:
    """What runs a command as the unit would: its user, that user's groups, no capabilities, none to be gained."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all"]


class Node:
    """A node that runs in the folder as the package's user."""

    def __init__(self, root: Root, name: str, words: list[str], control: int):
        self.root, self.name, self.control = root, name, control
        self._log = open(root.path.parent / f"{name}.log", "ab")
        self._words = ["chroot", str(root.path), *by("claviger"), *words]
        self.process = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._words, stdout=self._log, stderr=self._log, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def ready(self, seconds: float = 60) -> None:
        """Waits until it says that it can serve."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            expect(self.process.poll() is None, f"{self.name} ended with {self.process.poll()}:\n{self.last_words()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=2)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.05)
        raise Failure(f"{self.name} was not ready in {seconds} s:\n{self.last_words()}")

    def stop(self) -> None:
        """As `systemctl stop`: it must end by itself, with status 0, in TimeoutStopSec."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end in 30 s after SIGTERM:\n{self.last_words()}") from None
        expect(status == 0, f"{self.name} ended with status {status}:\n{self.last_words()}")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def last_words(self) -> str:
        return Path(self._log.name).read_text(errors="replace")[-2000:]
