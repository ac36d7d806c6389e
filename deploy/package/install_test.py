#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs packages of `make package` on a bare Debian in a folder, and uses them as an operator would.

usage: install_test.py [--packages DIRECTORY] [--previous DIRECTORY] [--base DIRECTORY]

Two nodes serve a SoftHSM token from there, under load, while the package is upgraded from that in --previous (without it,
from itself) and each node is started anew; no request may be lost, and what the version before encrypted must open. Then the
package is removed and purged, and nothing of it may be left but what policy allows. As root; nothing leaves the folder.
"""
import argparse
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import clients
from stage_root import Failure, Root, expect, make_base

ROOT = Path(__file__).resolve().parents[2]
UNIT = "lib/systemd/system/claviger.service"
ACCESS_KEY_ID = "BETWEEN2TECHNIQUE2EXTRAS"
PLAINTEXT = b"what version before sealed: 32 B."
#: What the nodes' package does not bring by itself, and a node over SoftHSM needs.
BESIDE = ["softhsm2", "opensc", "systemd", "libsqlite3-0", "libstdc++6", "zlib1g"]
#: What may be there after a purge: the user, whose number nobody else shall get, and what the test itself put there.
ALLOWED = re.compile(
    r"\./etc/(passwd|group|g?shadow|subuid|subgid)-?$|\./etc/\.pwd\.lock$|\./etc/claviger(/|$)|\./etc/ld\.so\.cache$")


def deb(directory: Path, name: str = "claviger") -> Path:
    found = sorted(directory.glob(f"{name}_*_*.deb"))
    expect(len(found) == 1, f"{directory} has {len(found)} packages {name}; one is wanted: an empty folder, then make package")
    return found[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Test:
    def __init__(self, root: Root, new: Path, previous: Path):
        self.root, self.new, self.previous = root, new, previous
        self.secret = secrets.token_hex(32)
        self.ports = [free_port() for _ in range(4)]
        self.nodes = []

    def step(self, text: str) -> None:
        print(f"- {text}", flush=True)

    def everything(self) -> None:
        self.root.run("apt-get", "update", "-q")
        self.root.run("apt-get", "install", "-yq", "--no-install-recommends", *BESIDE)
        expect(self.root.run("sh", "-c", "command -v swift", check=False).returncode != 0, "there is Swift in the folder")
        before = self.root.files()
        self.install()
        self.configure()
        sealed = self.serve()
        self.upgrade(sealed)
        self.take_away(before)

    def unpack(self, package: Path) -> None:
        shutil.copy(package, self.root.path / "tmp")
        self.root.run("apt-get", "install", "-yq", "--no-install-recommends", f"/tmp/{package.name}")

    def install(self) -> None:
        self.step(f"install {self.previous.name}")
        self.unpack(self.previous)
        inside = self.root.path
        said = self.root.run("claviger", "--version").stdout.strip()
        expect(said.split()[-1] == self.previous.name.split("_")[1], f"{self.previous.name} has {said}")
        # Not enabled, and not to be started by chance: there is no configuration yet.
        expect(not (inside / "etc/systemd/system/multi-user.target.wants/claviger.service").is_symlink(), "it is enabled")
        expect(not (inside / "etc/claviger/claviger.toml").exists(), "there is a configuration that nobody wrote")
        modes = self.root.run(
            "stat", "--format=%U:%G %a", "/etc/claviger", "/etc/claviger/tls", "/etc/claviger/pins", "/var/lib/claviger").stdout
        wanted = ["root:claviger 750", "root:claviger 750", "root:root 700", "claviger:claviger 700"]
        expect(modes.split("\n")[:4] == wanted, f"owners and modes are {modes.split(chr(10))}")
        shell = self.root.run("getent", "passwd", "claviger").stdout.strip().split(":")
        expect(shell[5:] == ["/var/lib/claviger", "/usr/sbin/nologin"], f"the user is {shell}")
        said = self.root.run("systemd-analyze", "verify", "--man=no", "claviger.service", check=False)
        expect((said.returncode, said.stderr) == (0, ""), f"systemd-analyze verify: {said.stderr}")
        for path in ("usr/share/bash-completion/completions/claviger", "usr/share/zsh/vendor-completions/_claviger",
                     "usr/share/fish/vendor_completions.d/claviger.fish", "usr/share/man/man1/claviger-serve.1.gz",
                     "usr/share/man/man5/claviger.toml.5.gz", "usr/share/doc/claviger/copyright"):
            expect((inside / path).stat().st_size > 100, f"{path} is empty")

    def configure(self) -> None:
        self.step("configure two nodes over a token of SoftHSM")
        root = self.root
        root.run("usermod", "--append", "--groups", "softhsm", "claviger")
        root.run("chmod", "2770", "/var/lib/softhsm/tokens")
        module = "/usr/lib/softhsm/libsofthsm2.so"
        root.run("softhsm2-util", "--init-token", "--free", "--label", "xks", "--so-pin", "87654321", "--pin", "12345678",
                 user="claviger")
        root.run("pkcs11-tool", "--module", module, "--token-label", "xks", "--login", "--pin", "12345678", "--keygen",
                 "--key-type", "AES:32", "--label", "foo", "--sensitive", user="claviger")
        self.certificates()
        root.write("/etc/claviger/hsm-a.pin", "12345678\n", 0o640)
        root.write("/etc/claviger/secret", self.secret + "\n", 0o640)
        for number, name in enumerate(("claviger", "second")):
            state = "/var/lib/claviger" + ("/second" if number else "")
            root.write(f"/etc/claviger/{name}.toml", f"""
[node]
id = "node-{number + 1}"
state_dir = "{state}"
drain_delay = "1s"
[xks]
listen = "127.0.0.1:{self.ports[number]}"
certificate = "tls/cert.pem"
key = "tls/key.pem"
[control]
listen = "127.0.0.1:{self.ports[number + 2]}"
[[hsm]]
name = "hsm-a"
module = "{module}"
token = {{ label = "xks" }}
pin = {{ file = "hsm-a.pin" }}
[[keystore]]
path_prefix = "/test"
keys = ["foo"]
credentials = [{{ access_key_id = "{ACCESS_KEY_ID}", secret = {{ file = "secret" }} }}]
""", 0o640)
            root.run("install", "-d", "-o", "claviger", "-g", "claviger", "-m", "0700", state)
            root.run("claviger", "check", "--config", f"/etc/claviger/{name}.toml", user="claviger")

    def certificates(self) -> None:
        folder = self.root.path / "etc/claviger/tls"
        with tempfile.TemporaryDirectory() as scratch:
            made = subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{scratch}/key.pem",
                 "-out", f"{scratch}/cert.pem"], capture_output=True, text=True)
            expect(made.returncode == 0, made.stderr)
            for name in ("cert.pem", "key.pem"):
                self.root.write(f"/etc/claviger/tls/{name}", Path(scratch, name).read_text(), 0o640)
        self.authority = folder / "cert.pem"

    def serve(self) -> dict:
        self.step("start both, the first by the unit's ExecStart, as the unit's user")
        unit = (self.root.path / UNIT).read_text()
        [line] = re.findall(r"(?m)^ExecStart=(.*)$", unit)
        expect("\nUser=claviger\n" in unit, "the unit has no user")
        second = line.replace("/etc/claviger/claviger.toml", "/etc/claviger/second.toml")
        for number, words in enumerate((line, second)):
            self.nodes.append(self.root.start(f"node-{number + 1}", words.split(), self.ports[number + 2]))
        for node in self.nodes:
            node.ready()
        self.clients = clients.Clients(self.ports[:2], self.authority, "/test", "foo", ACCESS_KEY_ID, self.secret)
        sealed = self.clients.encrypt(self.ports[0], PLAINTEXT)
        expect(self.clients.decrypt(self.ports[1], sealed) == PLAINTEXT, "another plaintext came back")
        return sealed

    def upgrade(self, sealed: dict) -> None:
        self.step(f"upgrade to {self.new.name} under load")
        (self.root.path / "etc/claviger/tls").chmod(0o755)
        with self.clients.load(sealed, PLAINTEXT) as told:
            self.unpack(self.new)
            # The file has changed below running nodes: they go on as they were.
            undisturbed = (told.turned, len(told.failed))
            for node in self.nodes:
                node.stop()
                node.start()
                node.ready()
        expect(undisturbed == (0, 0), f"while dpkg was at work: {undisturbed[0]} turned away, failed: {told.failed[:3]}")
        expect(not told.failed, f"{len(told.failed)} of {told.answered} requests were lost: {told.failed[:3]}")
        expect(told.answered >= 10, f"only {told.answered} requests were answered")
        version = self.new.name.split("_")[1]
        for port in self.ports[:2]:
            expect(self.clients.decrypt(port, sealed) == PLAINTEXT, "another plaintext came back")
        said = self.root.run("claviger", "status", "--json", "--config", "/etc/claviger/claviger.toml").stdout
        expect(f'"version":"{version}"' in said, f"the node does not say that it is {version}: {said[:300]}")
        # What an administrator made of a directory is not made undone.
        expect((self.root.path / "etc/claviger/tls").stat().st_mode & 0o777 == 0o755, "the upgrade changed a mode")
        print(f"  {told.answered} requests answered, {told.turned} went to the other node, none lost", flush=True)

    def take_away(self, before: set[str]) -> None:
        self.step("stop, remove, purge")
        for node in self.nodes:
            node.stop()
        root = self.root
        root.run("apt-get", "remove", "-yq", "claviger")
        for path in ("usr/bin/claviger", UNIT, "usr/share/man/man1/claviger.1.gz"):
            expect(not (root.path / path).exists(), f"{path} is there after it was removed")
        for path in ("etc/claviger/claviger.toml", "etc/claviger/claviger.toml.example", "var/lib/claviger"):
            expect((root.path / path).exists(), f"{path} went with the package, before the purge")
        root.run("apt-get", "purge", "-yq", "claviger")
        left = {path for path in root.files() - before if not ALLOWED.match(path)}
        mine = {path for path in left if path.startswith("./var/lib/softhsm/")}
        expect(left <= mine, f"left after the purge: {sorted(left - mine)[:20]}")
        kept = {path.name for path in (root.path / "etc/claviger").iterdir()}
        expect(kept == {"claviger.toml", "second.toml", "secret", "hsm-a.pin", "tls"}, f"/etc/claviger holds {kept}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=ROOT / ".build/package")
    parser.add_argument("--previous", type=Path)
    parser.add_argument("--base", type=Path, default=ROOT / ".build/bookworm")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("install_test.py: it needs root, for chroot and mounts", file=sys.stderr)
        return 2
    if os.environ.get("CLAVIGER_MOUNTS") != "own":
        # All mounts end with this process, however it ends.
        os.environ["CLAVIGER_MOUNTS"] = "own"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    scratch, root = Path(tempfile.mkdtemp(prefix="claviger-package-")), None
    try:
        new = deb(arguments.packages)
        make_base(arguments.base)
        root = Root(arguments.base, scratch / "root")
        Test(root, new, deb(arguments.previous) if arguments.previous else new).everything()
    except (Failure, RuntimeError, OSError, subprocess.SubprocessError) as failure:
        print(f"install_test.py: {failure}", file=sys.stderr)
        return 1
    finally:
        if root:
            root.end()
        # Whatever is still mounted there is the host's own.
        subprocess.run(["rm", "--recursive", "--force", "--one-file-system", str(scratch)], check=False)
    print("The package installs, serves, upgrades, and goes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
