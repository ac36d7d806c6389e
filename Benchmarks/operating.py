# SPDX-License-Identifier: Apache-2.0
"""What operators switch on at a development node: policy, audit log, and a Prometheus that asks for its metrics."""

import json
import os
import subprocess
import threading
import urllib.request

FEATURES = ("policy", "audit", "metrics")


def statements(count):
    """So many, of which the last allows what the workload asks; the others name other keys, principals and conditions."""
    others = []
    for number in range(count - 1):
        arn = f"arn:aws:iam::2109876543{number:02}:role/team-{number}"
        others.append({
            "Sid": f"Team{number}",
            "Effect": "Deny" if number % 4 == 0 else "Allow",
            "Principal": {"AWS": arn},
            "Action": "xks:Encrypt" if number % 2 else "xks:*",
            "Resource": f"team-{number}-*",
            "Condition": {"StringEquals": {"kmsViaService": f"s3.region-{number}.amazonaws.com"}},
        })
    return others + [{
        "Sid": "Account", "Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": "*",
        "Condition": {"ArnLike": {"awsPrincipalArn": "arn:aws:iam::123456789012:*"}},
    }]


def give_policy(claviger, state, count=20):
    """Writes a policy, has every key store of a development node's file use it, and reloads."""
    policy = os.path.join(state, "policy.json")
    with open(policy, "w", encoding="utf-8") as target:
        json.dump({"Version": "2012-10-17", "Statement": statements(count)}, target)
    file = os.path.join(state, "claviger.toml")
    with open(file, encoding="utf-8") as source:
        text = source.read()
    with open(file, "w", encoding="utf-8") as target:
        target.write(text.replace("[[keystore]]\n", f"[[keystore]]\npolicy = {json.dumps(policy)}\n"))
    subprocess.run([claviger, "reload", "--config", file], check=True, stdout=subprocess.DEVNULL)


class Scraper:
    """Asks for metrics once a second, which is more than any Prometheus does."""

    def __init__(self, control_url):
        self._url = control_url + "/metrics"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.pages = 0
        self._thread.start()

    def _run(self):
        while not self._over.wait(1):
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                if b"claviger_" in answer.read():
                    self.pages += 1

    def stop(self):
        self._over.set()
        self._thread.join(timeout=10)
