# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile, read as text: building an image wants a daemon and the network."""
import json
import re
import unittest

from checking import DEPLOY, ROOT

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"


class Docker(unittest.TestCase):
    def setUp(self):
        joined = DOCKERFILE.read_text().replace("\\\n", " ")
        self.steps = [
            (word.upper(), rest.strip())
            for word, rest in (line.split(None, 1) for line in joined.splitlines() if line and not line.startswith("#"))
        ]
        starts = [index for index, (word, _) in enumerate(self.steps) if word == "FROM"]
        self.assertEqual(len(starts), 3)
        self.build, self.image = self.steps[:starts[1]], self.steps[starts[2]:]

    def test_what_is_copied_is_there_and_not_left_out(self):
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        sources = [word for step, rest in self.build if step == "COPY" for word in rest.split()[:-1]]
        self.assertIn("Sources", sources)
        for source in sources:
            name = source.replace("[d]", "d")
            self.assertIn(f"!{name}", ignored)
            # Package.resolved is there once dependencies have been resolved.
            self.assertTrue(name == "Package.resolved" or (ROOT / name).exists(), name)
        # Every directory that Package.swift describes must be in the build, or it refuses.
        package = (ROOT / "Package.swift").read_text()
        for directory in {path.split("/")[0] for path in re.findall(r'path: "([^"]+)"', package)} | {"Sources", "Tests"}:
            self.assertIn(directory, sources)

    def test_it_builds_what_make_release_builds(self):
        [release] = re.findall(r"(?m)^RELEASE := \$\(SWIFT\) (build .*)$", (ROOT / "Makefile").read_text())
        [command] = [rest for step, rest in self.build if step == "RUN" and "swift build" in rest]
        self.assertIn("swift " + release.replace("-c ", "--configuration "), " ".join(command.split()))
        minimum = re.search(r"swift-tools-version: (\d+\.\d+)", (ROOT / "Package.swift").read_text())[1]
        tag = re.match(r"swift:(\d+\.\d+)-(\w+) ", self.build[0][1])
        self.assertGreaterEqual(tuple(map(int, tag[1].split("."))), tuple(map(int, minimum.split("."))))
        # Built and run on the same release of Debian.
        self.assertEqual(self.image[0][1], f"debian:{tag[2]}-slim")

    def test_it_runs_without_privileges_and_ends_in_good_order(self):
        steps = dict(self.image)
        user = int(steps["USER"].split(":")[0])
        self.assertGreater(user, 0)
        self.assertEqual(steps["STOPSIGNAL"], "SIGTERM")
        self.assertEqual(json.loads(steps["ENTRYPOINT"]), ["/usr/bin/claviger"])
        self.assertEqual(json.loads(steps["CMD"])[0], "serve")
        after = [word for word, _ in self.image].index("USER")
        self.assertNotIn("RUN", [word for word, _ in self.image[after:]])
