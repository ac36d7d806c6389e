# SPDX-License-Identifier: Apache-2.0
"""docs/reference/openapi.yaml: that it is an OpenAPI document, and names what the sources name. EndToEndTests compare it with
a node's answers."""
import re
import unittest

from checking import ROOT, library, pypi


class OpenAPI(unittest.TestCase):
    def setUp(self):
        library("yaml")
        library("jsonschema")
        import openapi
        self.openapi = openapi
        self.api = openapi.document()

    def test_it_is_an_openapi_document(self):
        validator = pypi("openapi_spec_validator")
        validator.validate(self.api)
        del self.api["components"]["schemas"]["Live"]
        with self.assertRaises(Exception):
            validator.validate(self.api)

    def test_every_path_of_the_control_listener_is_there(self):
        source = (ROOT / "Sources/Node/ControlPlane/ControlAnswer.swift").read_text()
        paths = set(re.findall(r'case "(/[a-z/]+)"', source))
        self.assertGreaterEqual(len(paths), 6)
        self.assertEqual(paths, {path for path in self.api["paths"] if "{" not in path} - {"/"})

    def test_every_error_name_is_there(self):
        names = re.findall(r'= "(\w+Exception)"', (ROOT / "Sources/Wire/XKSProtocol/XKSError.swift").read_text())
        self.assertEqual(self.api["components"]["schemas"]["XKSError"]["properties"]["errorName"]["enum"], names)

    def test_the_version_is_the_programs(self):
        [version] = re.findall(r'static let version = "([^"]+)"', (ROOT / "Sources/claviger/Claviger.swift").read_text())
        self.assertEqual(self.api["info"]["version"], version)

    def test_a_wrong_answer_is_found(self):
        def found(**answer) -> list[str]:
            return self.openapi.differences(
                [{"method": "GET", "path": "/livez", "status": 200, "contentType": "application/json"} | answer], self.api)

        self.assertEqual(found(body='{"live": true}'), [])
        self.assertIn("'more' was unexpected", found(body='{"live": true, "more": 1}')[0])
        self.assertIn("'live' is a required property", found(body="{}")[0])
        self.assertIn("no such status", found(body="{}", status=500)[0])
        self.assertIn("no content of", found(body="", contentType="text/html; charset=utf-8")[0])
        self.assertIn("no such operation", found(body="{}", path="/nowhere")[0])
        error = {"method": "POST", "path": "/{prefix}/kms/xks/v1/health", "status": 418}
        self.assertIn("is not one of", found(**error, body='{"errorName": "TeapotException"}')[0])


if __name__ == "__main__":
    unittest.main()
