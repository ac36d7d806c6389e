# SPDX-License-Identifier: Apache-2.0
"""What is asked of the node: pre-signed requests, as text for wrk."""

import base64
import http.client
import json
import os
import ssl
import urllib.parse
import uuid

import sigv4

KINDS = ("encrypt", "encrypt+CDIV", "decrypt", "health")


def metadata(operation):
    return {
        "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
        "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "kmsOperation": operation,
        "kmsRequestId": str(uuid.uuid4()),
    }


def encrypt_body(size, cdiv):
    body = {
        "requestMetadata": metadata("Encrypt"),
        "additionalAuthenticatedData": base64.b64encode(b"project=nile,department=marketing").decode(),
        "plaintext": base64.b64encode(os.urandom(size)).decode(),
        "encryptionAlgorithm": "AES_GCM",
    }
    if cdiv:
        body["ciphertextDataIntegrityValueAlgorithm"] = "SHA_256"
    return body


class Workload:
    """Makes requests for one node: `size` bytes of plaintext each; `count` different ones in a file for wrk.

    `info` has what `claviger dev --json` prints. Requests go to the first of its keys.
    """

    def __init__(self, info, size, count):
        self.info = info
        self.size = size
        self.count = count
        url = urllib.parse.urlsplit(info["url"])
        self.host = url.netloc
        self.hostname, self.port, self.scheme = url.hostname, url.port, url.scheme
        self._ciphertexts = None

    def _path(self, operation):
        tail = "health" if operation == "health" else f"keys/{self.info['keys'][0]}/{operation}"
        return f"{self.info['prefix']}/kms/xks/v1/{tail}"

    def signed(self, operation, body):
        path = self._path(operation)
        data = json.dumps(body, separators=(",", ":")).encode()
        headers = sigv4.signed_post(self.host, path, data, self.info["access_key_id"], self.info["secret"])
        return path, headers, data

    def request(self, operation, body):
        """A whole HTTP/1.1 request, signed now."""
        path, headers, data = self.signed(operation, body)
        lines = [f"POST {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def ask(self, connection, operation, body):
        """One request; returns status and text of its answer."""
        path, headers, data = self.signed(operation, body)
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def call(self, connection, operation, body):
        """One request with its answer; raises RuntimeError unless it is 200."""
        status, text = self.ask(connection, operation, body)
        if status != 200:
            raise RuntimeError(f"{operation} was answered with {status}: {text[:300]!r}")
        return json.loads(text)

    def connect(self, timeout=10):
        if self.scheme == "http":
            return http.client.HTTPConnection(self.hostname, self.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.info["ca"])
        return http.client.HTTPSConnection(self.hostname, self.port, timeout=timeout, context=context)

    def _decrypt_bodies(self):
        # Ciphertexts stay good; only the signatures around them are made anew.
        if self._ciphertexts is None:
            connection = self.connect()
            self._ciphertexts = []
            for _ in range(self.count):
                body = encrypt_body(self.size, cdiv=False)
                answer = self.call(connection, "encrypt", body)
                del body["plaintext"]
                self._ciphertexts.append(body | answer)
            connection.close()
        return [body | {"requestMetadata": metadata("Decrypt")} for body in self._ciphertexts]

    def bodies(self, kind):
        if kind == "decrypt":
            return self._decrypt_bodies()
        if kind == "health":
            return [
                {"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": str(uuid.uuid4())}}
                for _ in range(self.count)]
        return [encrypt_body(self.size, kind == "encrypt+CDIV") for _ in range(self.count)]

    def write(self, kind, file):
        """Writes requests signed now, good for five minutes, as a Lua table for requests.lua."""
        operation = kind.split("+")[0]
        with open(file, "w", encoding="ascii") as target:
            target.write("return {\n")
            for body in self.bodies(kind):
                target.write("  ")
                target.write(lua_string(self.request(operation, body).decode()))
                target.write(",\n")
            target.write("}\n")


def lua_string(text):
    """A quoted Lua string of printable ASCII, carriage returns and newlines."""
    escapes = {"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'
