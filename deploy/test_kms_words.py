# SPDX-License-Identifier: Apache-2.0
"""What KMS says: the table behind docs/guides/what-kms-says.md against AWS's service model and this program's sources."""
import re
import unittest

from checking import ROOT, library

TABLE = "\n".join(path.read_text() for path in sorted((ROOT / "Sources" / "Tools" / "KMSWords").glob("*.swift")))
PAGE = (ROOT / "docs" / "guides" / "what-kms-says.md").read_text()
#: Of custom key stores in CloudHSM, which have no proxy.
ABOUT_CLOUDHSM = re.compile("CLUSTER|CLOUDHSM|USER_|SUBNET")


def swift_strings(member: str) -> list[str]:
    """The texts in the lists that follow `member:` in the table, with their parts joined."""
    texts = []
    for block in re.findall(member + r": \[(.*?)\],?\s+(?:\w+:|\n)", TABLE, re.S):
        joined = re.sub(r'"\s*\+\s*"', "", block)
        texts += [text.replace('\\"', '"') for text in re.findall(r'"((?:[^"\\]|\\.)*)"', joined)]
    return texts


class Words(unittest.TestCase):
    def test_every_exception_and_code_of_kms_is_there(self):
        library("botocore")
        import botocore.session
        model = botocore.session.get_session().get_service_model("kms")
        exceptions = {name for name in model.shape_names if re.match(r"(Xks|CustomKeyStore)\w+Exception$", name)}
        exceptions |= {"KMSInvalidStateException", "DisabledException"}
        codes = {code for code in model.shape_for("ConnectionErrorCodeType").enum if not ABOUT_CLOUDHSM.search(code)}
        self.assertGreaterEqual(len(exceptions), 18)
        self.assertEqual(len(codes), 11)
        for name in sorted(exceptions | codes):
            with self.subTest(name):
                self.assertIn(f'"{name}"', TABLE)
                self.assertIn(f"`{name}`", PAGE)

    def test_every_error_name_of_the_api_is_there(self):
        names = re.findall(r'= "(\w+Exception)"', (ROOT / "Sources/Wire/XKSProtocol/XKSError.swift").read_text())
        self.assertEqual(len(names), 12)
        for name in names:
            with self.subTest(name):
                self.assertIn(f'"{name}"', TABLE)

    def test_what_the_node_says_is_in_its_sources(self):
        sources = "\n".join(
            path.read_text() for folder in ("Node/XKSService", "Wire/XKSProtocol") for path in
            sorted((ROOT / "Sources" / folder).rglob("*.swift")))
        texts = swift_strings("nodeSays")
        self.assertGreater(len(texts), 20)
        for text in texts:
            with self.subTest(text):
                self.assertIn(text, sources)

    def test_commands_conditions_and_metrics_that_are_named_exist(self):
        commands = (ROOT / "docs/reference/commands.md").read_text()
        conditions = (ROOT / "docs/reference/conditions.md").read_text()
        metrics = (ROOT / "docs/reference/metrics.md").read_text()
        for name in set(re.findall(r"`claviger ([a-z]+(?: [a-z-]+)?)", PAGE)):
            with self.subTest(name):
                self.assertTrue(f"claviger {name}" in commands or f"{name.split()[0]} " in commands)
        codes = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", " ".join(re.findall(r"conditions? [^\n]*", PAGE))))
        self.assertGreater(len(codes), 8)
        for code in codes - {"server-certificate-refused"}:
            with self.subTest(code):
                self.assertIn(f"## `{code}`", conditions)
        for metric in set(re.findall(r"claviger_[a-z_]+", PAGE)):
            with self.subTest(metric):
                self.assertIn(f"`{metric}`", metrics)


if __name__ == "__main__":
    unittest.main()
