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

#: Stands for the aws program: notes its arguments and the files that they name, and answers like KMS, which has one key
#: store at most besides another one.
FAKE = r'''#!/usr/bin/env python3
import json, os, stat, sys
files = {}
for word in sys.argv[1:]:
    if word.startswith("file://"):
        path = word.removeprefix("file://")
        files[word] = {"text": open(path).read(), "mode": stat.S_IMODE(os.stat(path).st_mode)}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps({"words": sys.argv[1:], "files": files}) + "\n")
state = os.environ["STATE_FILE"]
world = json.load(open(state))
store, command = world.get("store"), sys.argv[2]
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
connection = store and store["ConnectionState"]

def fail(exception):
    print(f"\nAn error occurred ({exception}) when calling the operation: no", file=sys.stderr)
    sys.exit(254)

answer = ""
if command == "describe-custom-key-stores":
    answer = json.dumps({"CustomKeyStores": [{"CustomKeyStoreName": "other", "ConnectionState": "CONNECTED"}] + ([store] if store else [])})
    # Some time has passed when it is asked again.
    if connection == "CONNECTING":
        store |= dict(zip(("ConnectionState", "ConnectionErrorCode"), os.environ["STATE"].split("\t")))
    elif connection == "DISCONNECTING":
        store["ConnectionState"] = "DISCONNECTED"
elif command == "create-custom-key-store":
    if store:
        fail("CustomKeyStoreNameInUseException")
    answer = "cks-1234567890abcdef0"
    world["store"] = {
        "CustomKeyStoreId": answer, "CustomKeyStoreName": options["--custom-key-store-name"],
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE", "ConnectionState": "DISCONNECTED",
        "XksProxyConfiguration": {
            "UriEndpoint": options["--xks-proxy-uri-endpoint"], "UriPath": options["--xks-proxy-uri-path"]}}
    if "--xks-proxy-vpc-endpoint-service-name" in options:
        world["store"]["XksProxyConfiguration"]["VpcEndpointServiceName"] = options["--xks-proxy-vpc-endpoint-service-name"]
elif command == "connect-custom-key-store":
    if connection != "DISCONNECTED":
        fail("CustomKeyStoreInvalidStateException")
    store["ConnectionState"] = "CONNECTING"
elif command == "disconnect-custom-key-store":
    if connection not in ("CONNECTED", "FAILED"):
        fail("CustomKeyStoreInvalidStateException")
    store["ConnectionState"] = "DISCONNECTING"
elif command == "update-custom-key-store":
    if connection not in ("CONNECTED", "DISCONNECTED"):
        fail("CustomKeyStoreInvalidStateException")
elif command == "create-key":
    if connection != "CONNECTED":
        fail("CustomKeyStoreInvalidStateException")
    if options["--xks-key-id"] in world.setdefault("keys", []):
        fail("XksKeyAlreadyInUseException")
    if options["--xks-key-id"] == "absent":
        fail("XksKeyNotFoundException")
    world["keys"].append(options["--xks-key-id"])
    answer = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
json.dump(world, open(state, "w"))
print(answer)
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

    def script(
            self, *arguments: str, state: str = "CONNECTED\tNone", world: dict | None = None
    ) -> tuple[subprocess.CompletedProcess, list[dict]]:
        """Runs the script with a program in aws's place; returns the commands that it gave.

        state: what comes of connecting. world: what KMS has, which the script changes.
        """
        tool("jq")
        with tempfile.TemporaryDirectory() as scratch:
            fake = Path(scratch) / "aws"
            fake.write_text(FAKE)
            fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
            console = Path(scratch) / "console.json"
            console.write_text(json.dumps(CONSOLE))
            calls = Path(scratch) / "calls"
            kms = Path(scratch) / "kms.json"
            kms.write_text(json.dumps(world or {}))
            environment = os.environ | {
                "PATH": f"{scratch}:{os.environ['PATH']}", "CALLS": str(calls), "STATE": state, "STATE_FILE": str(kms),
                "CLAVIGER_POLL_S": "0"}
            result = subprocess.run(
                [str(SCRIPT), *arguments, "--console-file", str(console)], env=environment, capture_output=True,
                text=True, timeout=60)
            if world is not None:
                world |= json.loads(kms.read_text())
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

    def test_the_script_by_a_vpc_endpoint_service_of_another_account(self):
        model = self.session.get_service_model("kms").operation_model("CreateCustomKeyStore").input_shape
        if "XksProxyVpcEndpointServiceOwner" not in model.members:
            raise unittest.SkipTest("this botocore is older than owners of endpoint services")
        made = self.check_script("--vpc-endpoint-service", SERVICE, "--vpc-endpoint-service-owner", "444455556666")
        self.assertEqual(made["create-custom-key-store"]["XksProxyVpcEndpointServiceOwner"], "444455556666")
        result, calls = self.script(*self.START, "--vpc-endpoint-service-owner", "444455556666")
        self.assertEqual((result.returncode, calls), (2, []))

    def test_the_script_says_when_kms_cannot_connect(self):
        result, calls = self.script(
            "--name", "n", "--endpoint", "https://xks.example.com", "--key", "orders",
            state="FAILED\tXKS_PROXY_NOT_REACHABLE")
        self.assertEqual(result.returncode, 1)
        self.assertIn("XKS_PROXY_NOT_REACHABLE", result.stderr)
        self.assertNotIn("create-key", [call["words"][1] for call in calls])

    START = ("--name", "n", "--endpoint", "https://xks.example.com", "--key", "orders")

    def again(self, *arguments: str, world: dict, state: str = "CONNECTED\tNone") -> list[str]:
        """Runs the script once more; returns the names of the commands that changed something, each held to the model."""
        result, calls = self.script(*arguments, state=state, world=world)
        self.assertEqual(result.returncode, 0, result.stderr)
        for call in calls:
            self.check(call["words"], {name: file["text"] for name, file in call["files"].items()})
        return [call["words"][1] for call in calls if not call["words"][1].startswith("describe")]

    def test_what_has_failed_is_taken_up(self):
        """Before, the second run ended with CustomKeyStoreNameInUseException."""
        world = {}
        result, _ = self.script(*self.START, state="FAILED\tINVALID_CREDENTIALS", world=world)
        self.assertEqual(result.returncode, 1)
        self.assertIn("run this again", result.stderr)
        self.assertEqual(
            self.again(*self.START, world=world),
            ["disconnect-custom-key-store", "update-custom-key-store", "connect-custom-key-store", "create-key"])
        # All is done: the credential is given once more, which changes nothing, and the key has its KMS key.
        self.assertEqual(self.again(*self.START, world=world), ["update-custom-key-store", "create-key"])
        self.assertEqual(world["keys"], ["orders"])
        # A key that was refused ends it; the others are there.
        result, _ = self.script(*self.START, "--key", "absent", "--key", "more", world=world)
        self.assertEqual(result.returncode, 1)
        self.assertIn("XksKeyNotFoundException", result.stderr)
        self.again(*self.START, "--key", "more", world=world)
        self.assertEqual(world["keys"], ["orders", "more"])

    def test_each_state_is_taken_up(self):
        for state, expected in {
                "DISCONNECTED": ["update-custom-key-store", "connect-custom-key-store", "create-key"],
                "DISCONNECTING": ["update-custom-key-store", "connect-custom-key-store", "create-key"],
                "CONNECTING": ["update-custom-key-store", "create-key"],
                "CONNECTED": ["update-custom-key-store", "create-key"]}.items():
            with self.subTest(state):
                world = {}
                self.script(*self.START, world=world)
                world["keys"] = []
                world["store"]["ConnectionState"] = state
                self.assertEqual(self.again(*self.START, world=world), expected)

    def test_another_key_store_of_the_name_is_left_alone(self):
        world = {}
        self.script(*self.START, world=world)
        for other in (
                ("--name", "n", "--endpoint", "https://other.example.com"),
                ("--name", "n", "--endpoint", "https://xks.example.com", "--vpc-endpoint-service", SERVICE)):
            result, calls = self.script(*other, world=world)
            self.assertEqual(result.returncode, 1)
            self.assertIn("another one", result.stderr)
            self.assertEqual([call["words"][1] for call in calls], ["describe-custom-key-stores"])

    def test_the_script_asks_for_what_is_missing(self):
        result, calls = self.script("--name", "n")
        self.assertEqual((result.returncode, calls), (2, []))
        self.assertIn("--endpoint", result.stderr)
