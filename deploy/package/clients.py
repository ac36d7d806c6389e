# SPDX-License-Identifier: Apache-2.0
"""Clients of two nodes, as KMS behind a load balancer is one: a request that finds one node closed goes to the other."""
import base64
import http.client
import json
import ssl
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks"))

import sigv4  # noqa: E402
import workload  # noqa: E402


class Clients:
    """Asks the nodes at `ports`; `load` encrypts and decrypts without a pause until its context ends."""

    def __init__(self, ports: list[int], authority: Path, prefix: str, key: str, access_key_id: str, secret: str):
        self._ports, self._path = ports, f"{prefix}/kms/xks/v1/keys/{key}"
        self._context = ssl.create_default_context(cafile=str(authority))
        self._access_key_id, self._secret = access_key_id, secret
        self.answered, self.turned, self.failed = 0, 0, []

    def ask(self, port: int, operation: str, body: dict) -> tuple[int, dict]:
        data, host = json.dumps(body).encode(), f"127.0.0.1:{port}"
        path = f"{self._path}/{operation}"
        headers = sigv4.signed_post(host, path, data, self._access_key_id, self._secret)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=self._context)
        try:
            connection.request("POST", path, data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def encrypt(self, port: int, plaintext: bytes) -> dict:
        """What `decrypt` takes."""
        body = workload.encrypt_body(32, cdiv=False) | {"plaintext": base64.b64encode(plaintext).decode()}
        status, answer = self.ask(port, "encrypt", body)
        if status != 200:
            raise RuntimeError(f"encrypt was answered with {status}: {answer}")
        del body["plaintext"]
        return body | answer | {"requestMetadata": workload.metadata("Decrypt")}

    def decrypt(self, port: int, sealed: dict) -> bytes:
        status, answer = self.ask(port, "decrypt", sealed)
        if status != 200:
            raise RuntimeError(f"decrypt was answered with {status}: {answer}")
        return base64.b64decode(answer["plaintext"])

    def load(self, sealed: dict, plaintext: bytes) -> "Load":
        return Load(self, sealed, plaintext)

    def somewhere(self, count: int, sealed: dict, plaintext: bytes) -> None:
        """One encryption and one decryption, first at one node, then at the other."""
        order = self._ports[count % 2:] + self._ports[:count % 2]
        said = []
        for port in order:
            try:
                self.encrypt(port, plaintext)
                if self.decrypt(port, sealed) != plaintext:
                    said.append("another plaintext")
                    break
                self.answered += 1
                return
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                said.append(f"{type(error).__name__}: {error}")
                self.turned += 1
        self.failed.append("; ".join(said))


class Load:
    """Requests one after another, on a thread, while the context lasts."""

    def __init__(self, clients: Clients, sealed: dict, plaintext: bytes):
        self._clients, self._sealed, self._plaintext = clients, sealed, plaintext
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self._clients

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(30)

    def _run(self) -> None:
        count = 0
        while not self._ending.is_set():
            self._clients.somewhere(count, self._sealed, self._plaintext)
            count += 1
