# SPDX-License-Identifier: Apache-2.0
"""What packages are made of, as far as it can be seen without building one; `make package-test` looks at the packages."""
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from checking import DEPLOY, ROOT, run

FOLDER = DEPLOY / "package"
sys.path.insert(0, str(FOLDER))

import manual  # noqa: E402
import notices  # noqa: E402
import resolved  # noqa: E402
import sbom  # noqa: E402

OPTION = {"kind": "option", "isOptional": False, "isRepeating": False, "shouldDisplay": True, "valueName": "file",
          "names": [{"kind": "long", "name": "config"}, {"kind": "short", "name": "c"}],
          "preferredName": {"kind": "long", "name": "config"}, "abstract": "The file, `claviger.toml`.", "defaultValue": "x"}
HELP = {"kind": "flag", "isOptional": True, "isRepeating": False, "shouldDisplay": True, "valueName": "help",
        "names": [{"kind": "long", "name": "help"}], "preferredName": {"kind": "long", "name": "help"}}
PROGRAM = {
    "commandName": "claviger", "abstract": "A proxy.", "shouldDisplay": True, "arguments": [HELP], "subcommands": [
        {"commandName": "serve", "abstract": "Run a node.", "discussion": "One.\n\n.dot begins a line, and \\ is shown.",
         "shouldDisplay": True, "arguments": [OPTION, HELP]},
        {"commandName": "hsm", "abstract": "Look.", "shouldDisplay": True, "arguments": [HELP], "subcommands": [
            {"commandName": "list", "abstract": "Show slots.", "shouldDisplay": True, "arguments": [
                OPTION | {"kind": "positional", "names": [], "valueName": "module", "abstract": "Path.", "isRepeating": True}]}]},
        {"commandName": "inner", "shouldDisplay": False, "arguments": []},
        {"commandName": "help", "abstract": "Help.", "shouldDisplay": True, "arguments": []},
    ]}


def package(licence: str = "Apache-2.0", **more) -> resolved.Package:
    facts = dict(
        identity="swift-x", name="swift-x", location="https://github.com/apple/swift-x.git", version="1.2.3",
        revision="a" * 40, licence=licence, copyrights=("2020 X", "2021 Y"), sha256="b" * 64, texts=("Notice of X\n\nmore",))
    return resolved.Package(**facts | more)


class Manual(unittest.TestCase):
    def setUp(self):
        self.pages = manual.pages(PROGRAM, ROOT / "docs/reference", "9.8.7", 0)

    def test_there_is_a_page_for_every_command_that_is_shown(self):
        self.assertEqual(
            set(self.pages), {"claviger.1", "claviger-serve.1", "claviger-hsm.1", "claviger.toml.5"})

    def test_a_page_has_what_the_help_has(self):
        page = self.pages["claviger-serve.1"]
        self.assertIn('.TH CLAVIGER\\-SERVE 1 "1970-01-01" "Claviger 9.8.7"', page)
        self.assertIn("\\fB\\-c\\fP, \\fB\\-\\-config\\fP \\fIfile\\fP\nThe file, \\fBclaviger.toml\\fP. Default: x.", page)
        self.assertIn("\\fBclaviger serve\\fP \\fB\\-\\-config\\fP\\ \\fIfile\\fP", page)
        # A line that begins with a dot would be an order to roff, and be lost.
        self.assertIn("\n\\&.dot begins a line, and \\e is shown.\n", page)
        self.assertNotIn("help", page)
        self.assertIn(".SS claviger hsm list\nShow slots.\n.TP\n\\fImodule\\fP\nPath. Default: x.", self.pages["claviger-hsm.1"])
        self.assertIn("\\fImodule\\fP ...", self.pages["claviger-hsm.1"])

    def test_exit_statuses_and_every_key_stand_in_the_pages(self):
        self.assertIn("\\fB64\\fP\nthe command line cannot be understood", self.pages["claviger.1"])
        reference = (ROOT / "docs/reference/configuration.md").read_text()
        keys = re.findall(r"(?m)^### `([^`]+)`$", reference)
        self.assertGreater(len(keys), 50)
        page = self.pages["claviger.toml.5"]
        self.assertEqual(re.findall(r"(?m)^\.SS (.+)$", page)[:len(keys)], [manual.escape(key) for key in keys])
        self.assertNotRegex(page, r"\]\(|```|(?m:^\|)")


class Contents(unittest.TestCase):
    def test_an_sbom_names_each_package_and_what_it_brings(self):
        part = resolved.EMBEDDED[0]
        made = sbom.document([package(embedded=((part, "9.3"),))], "0.2.0", "c" * 40, 0, "6.3")
        entries = {entry["name"]: entry for entry in made["packages"]}
        self.assertEqual(set(entries), {"claviger", "swift-runtime", "swift-x", part.name})
        self.assertEqual(
            entries["swift-x"]["externalRefs"][0]["referenceLocator"], "pkg:swift/github.com/apple/swift-x@1.2.3")
        self.assertEqual(entries["swift-x"]["checksums"], [{"algorithm": "SHA256", "checksumValue": "b" * 64}])
        self.assertEqual(made["creationInfo"]["created"], "1970-01-01T00:00:00Z")
        kinds = {(r["spdxElementId"], r["relationshipType"]) for r in made["relationships"]}
        self.assertIn(("SPDXRef-Package-swift-x", "CONTAINS"), kinds)

    def test_notices_go_with_the_program_and_every_licence_has_its_text(self):
        parts = tuple((part, "1") for part in resolved.EMBEDDED)
        text = notices.text([package(), package("MIT", name="y"), package("Apache-2.0 WITH Swift-exception", embedded=parts)], "6")
        self.assertIn("Comment: its notice:\n Notice of X\n .\n more\n", text)
        used = set(re.findall(r"(?m)^Files: .*\n(?:Copyright: .*\n(?: .*\n)*)License: (.*)$", text))
        given = set(re.findall(r"(?m)^License: (.*)\n .", text))
        self.assertEqual(used, given)
        self.assertEqual(used & {"MIT", "Zlib", "CC0-1.0", "BSD-3-Clause"}, {"MIT", "Zlib", "CC0-1.0", "BSD-3-Clause"})

    def test_a_licence_that_nobody_has_looked_at_ends_it(self):
        self.assertEqual(resolved.licence_of("Apache License\n…\nRuntime Library Exception"), "Apache-2.0 WITH Swift-exception")
        with self.assertRaises(SystemExit):
            resolved.licence_of("GNU GENERAL PUBLIC LICENSE")

    def test_a_checkout_that_is_not_what_was_resolved_ends_it(self):
        with tempfile.TemporaryDirectory() as scratch:
            checkout = Path(scratch) / "swift-x"
            checkout.mkdir()
            git = ["git", "-C", str(checkout), "-c", "user.name=x", "-c", "user.email=x@example.com"]
            (checkout / "LICENSE.txt").write_text("Apache License\nCopyright 2020 X\n")
            for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
                subprocess.run([*git, *words], check=True)
            head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
            pin = {"identity": "swift-x", "location": "https://github.com/apple/swift-x.git",
                   "state": {"revision": head, "version": "1.0.0"}}
            self.assertEqual(resolved.read(pin, Path(scratch)).copyrights, ("2020 X",))
            (checkout / "LICENSE.txt").write_text("Apache License, changed\n")
            with self.assertRaisesRegex(SystemExit, "changed"):
                resolved.read(pin, Path(scratch))
            with self.assertRaisesRegex(SystemExit, "Package.resolved says 0000"):
                resolved.read(pin | {"state": {"revision": "0" * 40}}, Path(scratch))


class Rules(unittest.TestCase):
    def test_the_package_is_of_the_version_of_the_source(self):
        version = re.search(
            r'static let version = "(.+)"', (ROOT / "Sources/claviger/Claviger.swift").read_text())[1]
        changelog = (FOLDER / "debian/changelog").read_text()
        self.assertTrue(changelog.startswith(f"claviger ({version}) "), changelog[:40])
        guide = (ROOT / "docs/guides/install.md").read_text()
        self.assertEqual(set(re.findall(r"claviger_(\d[\d.]*\d)[_.]", guide)), {version})
        image = (DEPLOY / "kubernetes/kustomization.yaml").read_text()
        self.assertIn(f'newTag: "{version}"', image)

    def test_a_source_of_another_version_is_refused(self):
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch)
            (source / "Sources/claviger").mkdir(parents=True)
            (source / "Sources/claviger/Claviger.swift").write_text('    static let version = "7.0.0"\n')
            said = run(str(FOLDER / "build.sh"), "--source", scratch)
        self.assertEqual(said.returncode, 2)
        self.assertIn("7.0.0", said.stderr)

    def test_the_compiler_runs_in_the_same_order_each_time(self):
        """Without either, of two builds one object had two instructions in another order."""
        stage = (FOLDER / "stage.sh").read_text()
        before, _, compiled = stage.partition('\n"${compile[@]}"\n')
        self.assertTrue(compiled)
        self.assertIn("\nexport SWIFT_DETERMINISTIC_HASHING=1\n", before)
        self.assertRegex(before, r"(?m)^compile=\(setarch .* --addr-no-randomize swift build ")

    def test_nothing_starts_a_node_that_is_not_configured_or_restarts_one(self):
        rules = (FOLDER / "debian/rules").read_text()
        self.assertIn("dh_installsystemd --no-enable --no-start --no-stop-on-upgrade", rules)
        # With these debhelper stops nothing at a removal either.
        self.assertRegex((FOLDER / "debian/claviger.prerm").read_text(), r'"\$1" = remove .*\n +deb-systemd-invoke stop ')

    def test_both_images_run_alike(self):
        def steps(name):
            text = (DEPLOY / "docker" / name).read_text().replace("\\\n", " ")
            last = text[text.rindex("\nFROM debian"):]
            return [line for line in last.splitlines() if line and not line.startswith(("#", "COPY"))]

        self.assertEqual(steps("Dockerfile"), steps("Dockerfile.package"))
        text = (DEPLOY / "docker/Dockerfile.package").read_text()
        self.assertIn("/tree/usr/bin/claviger /usr/bin/claviger", text)


if __name__ == "__main__":
    unittest.main()
