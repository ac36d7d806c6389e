# SPDX-License-Identifier: Apache-2.0
"""Tests of bench_compare.py."""

import json
import os
import sys
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_compare  # noqa: E402


def slices(*rates):
    return [{"rate": rate, "p50": 1.0, "p99": 2.0} for rate in rates]


class BenchCompareTests(unittest.TestCase):
    def test_neighbours_are_compared_and_not_means(self):
        """A host that becomes twice as fast half way through favours neither."""
        results = {"wrk": slices(100, 100, 200), "bench": slices(95, 96, 190)}
        self.assertAlmostEqual(bench_compare.ratio(results), 0.95)
        self.assertEqual(bench_compare.missed({("encrypt", "tls"): results}), [])
        slow = {"wrk": slices(100, 100, 200), "bench": slices(80, 96, 160)}
        self.assertEqual(len(bench_compare.missed({("encrypt", "tls"): slow})), 1)
        self.assertIn("0.950", bench_compare.table({("encrypt", "tls"): results}))

    def test_a_report_is_read_and_failed_requests_end_it(self):
        def report(failures):
            trial = {"goodPerSecond": 1234.5, "p50": 0.5, "p99": 1.5, "failures": failures}
            return json.dumps({"findings": [{"trials": [trial]}]})
        self.assertEqual(bench_compare.parse(report([]))["rate"], 1234.5)
        for text in (report([{"what": "429", "requests": 3}]), "", "{}", '{"findings": []}'):
            with self.assertRaises(RuntimeError):
                bench_compare.parse(text)

    def test_the_secret_is_no_argument(self):
        info = {
            "url": "https://127.0.0.1:1", "prefix": "/a", "keys": ["foo"], "access_key_id": "A" * 20,
            "secret": "s" * 43, "ca": "/ca.pem"}
        arguments = types.SimpleNamespace(connections=16, threads=1, size=32, seconds=2)
        line = bench_compare.bench_command("claviger", info, "/secret", "encrypt+CDIV", arguments)
        self.assertNotIn(info["secret"], " ".join(line))
        self.assertIn("encrypt-integrity", line)
        self.assertEqual(line[-2:], ["--ca", "/ca.pem"])


if __name__ == "__main__":
    unittest.main()
