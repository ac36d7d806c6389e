# SPDX-License-Identifier: Apache-2.0
"""The Terraform modules. `terraform validate` wants the provider of its registry; what can be known without it is checked
here: that they are HCL, that what they name is there, what KMS expects, and checkov's judgement where it is installed."""
import functools
import os
import re
import shutil
import unittest

from checking import DEPLOY, ROOT, pypi, run, tool

WAY = DEPLOY / "terraform"
KEYSTORE = WAY / "keystore"
#: Arguments of aws_kms_custom_key_store in 6.x of the provider; deploy/terraform/README.md says what it lacks.
ARGUMENTS = {
    "count", "lifecycle", "custom_key_store_name", "custom_key_store_type", "xks_proxy_connectivity", "xks_proxy_uri_endpoint",
    "xks_proxy_uri_path", "xks_proxy_vpc_endpoint_service_name", "xks_proxy_authentication_credential",
}


class Terraform(unittest.TestCase):
    def code(self, folder) -> str:
        """What is not a comment."""
        text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
        return re.sub(r"(?m)^\s*#.*$", "", text)

    def blocks(self, folder, kind: str) -> list[dict]:
        """Every block of a kind."""
        return [block for file in parsed(folder) for block in file.get(kind, [])]

    def test_terraform_reads_the_files(self):
        # fmt parses the files, and fails where they are no HCL or not in its form.
        result = run(tool("terraform"), "fmt", "-check", "-diff", "-recursive", str(WAY))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_variables_are_declared_described_and_used(self):
        for folder in (WAY, KEYSTORE):
            code = self.code(folder)
            declared = set(re.findall(r'(?m)^variable "(\w+)"', code))
            self.assertEqual(declared, set(re.findall(r"\bvar\.(\w+)", code)), folder)
            for block in self.blocks(folder, "variable") + self.blocks(folder, "output"):
                for name, body in block.items():
                    self.assertTrue(body.get("description"), name)

    def test_what_is_referred_to_exists(self):
        for folder in (WAY, KEYSTORE):
            code = self.code(folder)
            there = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^resource "(\w+)" "(\w+)"', code)}
            named = set(re.findall(r"(?<!\.)\b(aws_\w+\.\w+)", code))
            self.assertEqual(named - there, set(), folder)
            data = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^data "(\w+)" "(\w+)"', code)}
            self.assertEqual(data, set(re.findall(r"\bdata\.(\w+\.\w+)", code)), folder)
            locals_ = set()
            for block in re.findall(r"(?ms)^locals \{\n(.*?)^\}", code):
                locals_ |= set(re.findall(r"(?m)^  (\w+) +=", block))
            self.assertEqual(locals_, set(re.findall(r"\blocal\.(\w+)", code)), folder)

    def test_it_says_what_the_nodes_and_kms_expect(self):
        code = self.code(WAY)
        for setting in [
            'path                = "/readyz"', "acceptance_required        = false", "port              = 443",
            "cks.kms.${data.aws_region.current.region}.amazonaws.com", "enable_unhealthy_connection_termination = false",
        ]:
            self.assertIn(setting, code)
        defaults = dict(re.findall(r'(?s)variable "(\w+_port)" \{.*?default     = (\d+)', code))
        self.assertEqual(defaults, {"xks_port": "8443", "control_port": "8080"})

    def test_the_key_store_is_one_that_the_provider_can_make(self):
        [store] = [
            block["aws_kms_custom_key_store"]["this"] for block in self.blocks(KEYSTORE, "resource")
            if "aws_kms_custom_key_store" in block
        ]
        self.assertEqual({key for key in store if not key.startswith("__")}, ARGUMENTS)
        self.assertEqual(store["custom_key_store_type"], "EXTERNAL_KEY_STORE")
        [credential] = store["xks_proxy_authentication_credential"]
        self.assertEqual(
            {key for key in credential if not key.startswith("__")}, {"access_key_id", "raw_secret_access_key"})
        [life] = store["lifecycle"]
        self.assertIs(life["prevent_destroy"], True)
        self.assertIn("xks_proxy_authentication_credential", str(life["ignore_changes"]))
        [first] = [block["first_credential"] for block in self.blocks(KEYSTORE, "variable") if "first_credential" in block]
        self.assertIs(first["sensitive"], True)
        # No output hands on what is in it.
        self.assertNotIn("first_credential", (KEYSTORE / "outputs.tf").read_text())

    def test_the_alarms_are_awss_four(self):
        alarms = {}
        for block in self.blocks(KEYSTORE, "resource"):
            alarms |= block.get("aws_cloudwatch_metric_alarm", {})
        limits = {name: (alarm["comparison_operator"], alarm["threshold"]) for name, alarm in alarms.items()}
        self.assertEqual(limits, {
            "certificate": ("LessThanThreshold", 10), "retryable": ("GreaterThanThreshold", 5),
            "non_retryable": ("GreaterThanThreshold", 5), "latency": ("GreaterThanThreshold", 200)})
        runbooks = (DEPLOY.parent / "docs" / "guides" / "runbooks.md").read_text()
        for name, alarm in alarms.items():
            with self.subTest(name):
                [runbook] = re.findall(r"Runbook: (\w+)\.", alarm["alarm_description"])
                self.assertIn(f"## {runbook}\n", runbooks)

    def test_the_readmes_modules_are_given_what_they_have(self):
        text = (WAY / "README.md").read_text()
        calls = re.findall(r'(?ms)^module "\w+" \{\n(.*?)^\}', text)
        self.assertEqual(len(calls), 3)
        for call in calls:
            given = set(re.findall(r"(?m)^  (\w+) +=", call)) - {"source"}
            folder = KEYSTORE if "/keystore" in call else WAY
            declared = self.blocks(folder, "variable")
            names = {name for block in declared for name in block}
            required = {name for block in declared for name, body in block.items() if "default" not in body}
            with self.subTest(call.split("\n")[0]):
                self.assertEqual(given - names, set())
                self.assertEqual(required - given, set())

    def test_checkov_finds_nothing(self):
        """`make checkov` fetches it; it is too large for every test."""
        program = shutil.which("checkov", path=os.environ.get("PATH", "") + f":{ROOT / '.build' / 'checkov' / 'bin'}")
        if program is None:
            raise unittest.SkipTest("checkov is not installed: make checkov fetches it")
        result = run(
            program, "--directory", str(WAY), "--framework", "terraform", "--compact", "--quiet", "--skip-download",
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"LOG_LEVEL": "ERROR"})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("Failed checks: 0", result.stdout)


@functools.cache
def parsed(folder) -> list[dict]:
    """A folder's files, as python-hcl2 reads them; quotation marks around names and texts are left out."""
    hcl2 = pypi("hcl2")
    files = []
    for path in sorted(folder.glob("*.tf")):
        with path.open() as file:
            files.append(plain(hcl2.load(file)))
    return files


def plain(value):
    """python-hcl2 from 5.0 on leaves quotation marks where they stand in the file."""
    if isinstance(value, dict):
        return {plain(key): plain(below) for key, below in value.items()}
    if isinstance(value, list):
        return [plain(below) for below in value]
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


if __name__ == "__main__":
    unittest.main()
