# SPDX-License-Identifier: Apache-2.0
"""Tests of the benchmark's own parts: python3 -m unittest discover -s Benchmarks"""

import json
import os
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare  # noqa: E402
import operating  # noqa: E402
import processes  # noqa: E402
import sigv4  # noqa: E402
import workload  # noqa: E402
import wrk  # noqa: E402


class SignatureTests(unittest.TestCase):
    def test_published_example(self):
        """The IAM ListUsers example of AWS's Signature Version 4 documentation."""
        header = sigv4.authorization(
            "GET", "/",
            {"Host": "iam.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
             "X-Amz-Date": "20150830T123600Z"},
            b"", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "20150830T123600Z",
            service="iam", query="Action=ListUsers&Version=2010-05-08")
        self.assertEqual(
            header,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")

    def test_secret_body_and_path_change_the_signature(self):
        def sign(path="/a", body=b"x", secret="s"):
            return sigv4.signed_post("h", path, body, "A", secret, date="20260101T000000Z")["authorization"]
        self.assertEqual(sign(), sign())
        self.assertEqual(len({sign(), sign(path="/b"), sign(body=b"y"), sign(secret="t")}), 4)


class ProxyStandIn(BaseHTTPRequestHandler):
    """Checks the signature as a proxy would, and answers encrypt with what a decrypt needs."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        given = self.headers["authorization"]
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        expected = sigv4.authorization(
            "POST", self.path, {name: self.headers[name] for name in names}, body, "A" * 20, "s" * 43, "us-east-1",
            self.headers["x-amz-date"])
        request = json.loads(body)
        self.server.seen.append((self.path, request))
        status = 200 if given == expected else 401
        answer = json.dumps({
            "ciphertext": request.get("plaintext", ""), "initializationVector": "AAAA", "authenticationTag": "BBBB",
        }).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class WorkloadTests(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), ProxyStandIn)
        self.server.seen = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.load = workload.Workload(
            {"url": f"http://127.0.0.1:{self.server.server_port}", "prefix": "/p", "access_key_id": "A" * 20,
             "secret": "s" * 43, "keys": ["foo"]}, size=32, count=4)

    def test_wrk_sends_requests_that_verify(self):
        for kind in workload.KINDS:
            with self.subTest(kind), tempfile.TemporaryDirectory() as scratch:
                file = os.path.join(scratch, "requests.lua")
                self.load.write(kind, file)
                self.server.seen.clear()
                result = wrk.run(self.load.info["url"], file, threads=1, connections=2, seconds=1)
                self.assertGreater(result["requests"], 0)
                self.assertEqual((result["refused"], result["broken"]), (0, 0))
                self.assertGreater(result["p99"], 0)
                path, request = self.server.seen[-1]
                self.assertTrue(path.endswith("/kms/xks/v1/health" if kind == "health" else
                                              f"/kms/xks/v1/keys/foo/{kind.split('+')[0]}"))
                self.assertEqual("ciphertextDataIntegrityValueAlgorithm" in request, kind == "encrypt+CDIV")
                self.assertEqual("ciphertext" in request, kind == "decrypt")
                self.assertEqual("plaintext" in request, kind.startswith("encrypt"))

    def test_a_refusal_is_an_error(self):
        self.load.info["secret"] = "t" * 43
        connection = self.load.connect()
        self.addCleanup(connection.close)
        with self.assertRaisesRegex(RuntimeError, "401"):
            self.load.call(connection, "health", {})


class ParserTests(unittest.TestCase):
    def test_lua_strings_keep_line_ends_and_quotes(self):
        self.assertEqual(workload.lua_string('a"b\\c\r\n'), '"a\\"b\\\\c\\r\\n"')

    def test_wrk_without_result(self):
        with self.assertRaises(RuntimeError):
            wrk.parse("unable to connect to 127.0.0.1:1\n")

    def test_cpu_of_this_process_grows(self):
        before = processes.cpu_microseconds(os.getpid())
        sum(range(3_000_000))
        self.assertGreater(processes.cpu_microseconds(os.getpid()), before + 1000)


class CompareTests(unittest.TestCase):
    """Two builds, of which the first takes half the CPU in whatever state the host is."""

    @staticmethod
    def slices(*costs):
        return [{"rate": 1e6 / cost, "cpu": cost, "p50": 1.0, "p99": 2.0, "refused": 0, "broken": 0} for cost in costs]

    def test_the_last_statement_allows_what_is_asked_and_no_other_one_fits(self):
        statements = operating.statements(20)
        self.assertEqual(len({statement["Sid"] for statement in statements}), 20)
        self.assertEqual(statements[-1]["Principal"], "*")
        principal = workload.metadata("Encrypt")["awsPrincipalArn"]
        for statement in statements[:-1]:
            self.assertNotEqual(statement["Principal"]["AWS"], principal)

    def test_what_lies_side_by_side_is_compared(self):
        # The medians, 300 and 200, would say the opposite.
        ours, theirs = self.slices(50, 300, 400), self.slices(100, 200, 800)
        self.assertEqual(compare.ratio(ours, theirs, "cpu"), 0.5)
        self.assertEqual(compare.ratio(ours, theirs, "rate"), 2)

    def test_builds_without_a_partner_are_no_pair(self):
        with self.assertRaises(ValueError):
            compare.ratio(self.slices(1), self.slices(1, 2), "cpu")

    def test_the_table_names_the_ratio_and_failures(self):
        ours, theirs = self.slices(100, 100), self.slices(200, 200)
        theirs[1]["broken"] = 3
        text = compare.table({"this": ours, "other": theirs})
        self.assertIn("This build takes 0.500 times the CPU of the other, and answers 2.000 times", text)
        self.assertEqual([line.split()[-1] for line in text.splitlines()[1:3]], ["0", "3"])


if __name__ == "__main__":
    unittest.main()
