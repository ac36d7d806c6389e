# SPDX-License-Identifier: Apache-2.0
"""The aws commands: every option, value and length against the service models that AWS's own tools are made from."""
import json
import os
import re
import shlex
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from checking import DEPLOY, library, tool

FOLDER = DEPLOY / "aws"
SCRIPT = FOLDER / "create-custom-key-store.sh"
#: Options of the aws program itself.
OWN_OPTIONS = {"--query", "--output", "--region"}

#: Stands for the aws program: notes its arguments and the files that they name, and answers like KMS.
FAKE = r'''#!/usr/bin/env python3
import json, os, stat, sys
files = {}
for word in sys.argv[1:]:
    if word.startswith("file://"):
        path = word.removeprefix("file://")
        files[word] = {"text": open(path).read(), "mode": stat.S_IMODE(os.stat(path).st_mode)}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps({"words": sys.argv[1:], "files": files}) + "\n")
answers = {
    "create-custom-key-store": "cks-1234567890abcdef0", "connect-custom-key-store": "",
    "describe-custom-key-stores": os.environ.get("STATE", "CONNECTED\tNone"),
    "create-key": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
print(answers[sys.argv[2]])
'''
CONSOLE = {
    "XksProxyUriPath": "/my-key-store/kms/xks/v1",
    "XksProxyAuthenticationCredential": {
        "AccessKeyId": "BETWEEN2TECHNIQUE2EXTRAS", "RawSecretAccessKey": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="},
}
SERVICE = "com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef0"


class Commands(unittest.TestCase):
    def setUp(self):
        library("botocore")
        import botocore.session
        from botocore import xform_name
        self.session = botocore.session.get_session()
        self.option = lambda member: "--" + xform_name(member, "-")

    def check(self, words: list[str], files: dict[str, str]) -> dict:
        """Turns one command (without `aws`) into the API's parameters and holds them to the model."""
        service, command, *rest = words
        model = self.session.get_service_model(service)
        operations = {self.option(name).removeprefix("--"): name for name in model.operation_names}
        self.assertIn(command, operations)
        shape = model.operation_model(operations[command]).input_shape
        members = {self.option(name): name for name in shape.members}
        parameters = {}
        while rest:
            option = rest.pop(0)
            if option in OWN_OPTIONS:
                rest.pop(0)
                continue
            negated = option.replace("--no-", "--")
            if option not in members and negated in members:
                parameters[members[negated]] = False
                self.assertEqual(shape.members[members[negated]].type_name, "boolean")
                continue
            self.assertIn(option, members, command)
            member = shape.members[members[option]]
            value = rest.pop(0)
            text = files[value] if value.startswith("file://") else value
            parameters[members[option]] = self.value(member, text)
        self.assertEqual(set(shape.required_members) - set(parameters), set())
        self.hold(parameters, shape, command)
        return parameters

    def value(self, member, text: str):
        if member.type_name == "structure":
            return json.loads(text)
        if member.type_name == "list":
            return text.split()
        return int(text) if member.type_name == "integer" else text

    def hold(self, value, shape, place: str):
        """Types, members, lengths, patterns, ranges, enumerations."""
        limits = shape.metadata
        if shape.type_name == "structure":
            self.assertEqual(set(value) - set(shape.members), set(), place)
            self.assertEqual(set(shape.required_members) - set(value), set(), place)
            for name, below in value.items():
                self.hold(below, shape.members[name], f"{place}.{name}")
        elif shape.type_name == "list":
            for below in value:
                self.hold(below, shape.member, place)
        elif shape.type_name == "string":
            self.assertIsInstance(value, str, place)
            self.assertGreaterEqual(len(value), limits.get("min", 0), place)
            self.assertLessEqual(len(value), limits.get("max", len(value)), place)
            if "pattern" in limits:
                self.assertRegex(value, re.compile(f"\\A(?:{limits['pattern']})\\Z"), place)
            if shape.enum:
                self.assertIn(value, shape.enum, place)
        elif shape.type_name == "integer":
            self.assertGreaterEqual(value, limits.get("min", value), place)
            self.assertLessEqual(value, limits.get("max", value), place)

    def test_the_readmes_commands(self):
        credential = json.dumps(CONSOLE["XksProxyAuthenticationCredential"])
        lines = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("aws ")]
        self.assertGreater(len(lines), 10)
        for line in lines:
            with self.subTest(line):
                self.check(shlex.split(line)[1:], {"file://credential.json": credential})

    def script(self, *arguments: str, state: str = "CONNECTED\tNone") -> tuple[subprocess.CompletedProcess, list[dict]]:
        """Runs the script with a program in aws's place; returns the commands that it gave."""
        tool("jq")
        with tempfile.TemporaryDirectory() as scratch:
            fake = Path(scratch) / "aws"
            fake.write_text(FAKE)
            fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
            console = Path(scratch) / "console.json"
            console.write_text(json.dumps(CONSOLE))
            calls = Path(scratch) / "calls"
            environment = os.environ | {"PATH": f"{scratch}:{os.environ['PATH']}", "CALLS": str(calls), "STATE": state}
            result = subprocess.run(
                [str(SCRIPT), *arguments, "--console-file", str(console)], env=environment, capture_output=True,
                text=True, timeout=60)
            return result, [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    def check_script(self, *arguments: str) -> dict[str, dict]:
        result, calls = self.script(
            "--name", "my-key-store", "--endpoint", "https://xks.example.com", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        done = {}
        for call in calls:
            secret = CONSOLE["XksProxyAuthenticationCredential"]["RawSecretAccessKey"]
            self.assertNotIn(secret, " ".join(call["words"]), "the secret is an argument")
            for file in call["files"].values():
                self.assertEqual(file["mode"], 0o600)
            files = {name: file["text"] for name, file in call["files"].items()}
            done[call["words"][1]] = self.check(call["words"], files)
        return done

    def test_the_script_over_the_internet(self):
        done = self.check_script("--key", "orders")
        made = done["create-custom-key-store"]
        self.assertEqual(made["CustomKeyStoreType"], "EXTERNAL_KEY_STORE")
        self.assertEqual(made["XksProxyConnectivity"], "PUBLIC_ENDPOINT")
        self.assertEqual(made["XksProxyUriPath"], CONSOLE["XksProxyUriPath"])
        self.assertEqual(made["XksProxyAuthenticationCredential"], CONSOLE["XksProxyAuthenticationCredential"])
        self.assertNotIn("XksProxyVpcEndpointServiceName", made)
        self.assertEqual((done["create-key"]["Origin"], done["create-key"]["XksKeyId"]), ("EXTERNAL_KEY_STORE", "orders"))

    def test_the_script_by_a_vpc_endpoint_service(self):
        made = self.check_script("--vpc-endpoint-service", SERVICE)["create-custom-key-store"]
        self.assertEqual(made["XksProxyConnectivity"], "VPC_ENDPOINT_SERVICE")
        self.assertEqual(made["XksProxyVpcEndpointServiceName"], SERVICE)

    def test_the_script_says_when_kms_cannot_connect(self):
        result, calls = self.script(
            "--name", "n", "--endpoint", "https://xks.example.com", "--key", "orders",
            state="FAILED\tXKS_PROXY_NOT_REACHABLE")
        self.assertEqual(result.returncode, 1)
        self.assertIn("XKS_PROXY_NOT_REACHABLE", result.stderr)
        self.assertNotIn("create-key", [call["words"][1] for call in calls])

    def test_the_script_asks_for_what_is_missing(self):
        result, calls = self.script("--name", "n")
        self.assertEqual((result.returncode, calls), (2, []))
        self.assertIn("--endpoint", result.stderr)
