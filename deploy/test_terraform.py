# SPDX-License-Identifier: Apache-2.0
"""The Terraform files. `terraform validate` wants the provider of its registry; what can be known without it is checked
here."""
import re
import unittest

from checking import DEPLOY, run, tool

FOLDER = DEPLOY / "terraform"


class Terraform(unittest.TestCase):
    def setUp(self):
        self.text = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.tf")))
        self.code = re.sub(r"(?m)#.*$", "", self.text)

    def test_terraform_reads_the_files(self):
        # fmt parses the files, and fails where they are no HCL or not in its form.
        result = run(tool("terraform"), "fmt", "-check", "-diff", str(FOLDER))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_variables_are_declared_and_used(self):
        declared = set(re.findall(r'(?m)^variable "(\w+)"', self.code))
        self.assertEqual(declared, set(re.findall(r"\bvar\.(\w+)", self.code)))

    def test_what_is_referred_to_exists(self):
        there = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^resource "(\w+)" "(\w+)"', self.code)}
        named = set(re.findall(r"(?<!\.)\b(aws_\w+\.\w+)", self.code))
        self.assertEqual(named - there, set())
        data = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^data "(\w+)" "(\w+)"', self.code)}
        self.assertEqual(data, set(re.findall(r"\bdata\.(\w+\.\w+)", self.code)))
        [block] = re.findall(r"(?ms)^locals \{\n(.*?)^\}", self.code)
        locals_ = set(re.findall(r"(?m)^  (\w+) =", block))
        self.assertEqual(locals_, set(re.findall(r"\blocal\.(\w+)", self.code)))

    def test_it_says_what_the_nodes_and_kms_expect(self):
        for setting in [
            'path                = "/readyz"', "acceptance_required        = false", "port              = 443",
            "cks.kms.${data.aws_region.current.name}.amazonaws.com", "enable_unhealthy_connection_termination = false",
        ]:
            self.assertIn(setting, self.code)
        defaults = dict(re.findall(r'(?s)variable "(\w+_port)" \{.*?default     = (\d+)', self.code))
        self.assertEqual(defaults, {"xks_port": "8443", "control_port": "8080"})
