#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs AWS's public test client for XKS proxies (aws-samples/aws-kms-xksproxy-test-client) against a development node:
# over HTTPS, then with mutual TLS, where the client also tries certificates that must be refused.
#
# usage: conformance.sh CLAVIGER CLIENT-DIRECTORY
set -euo pipefail

if (($# != 2)) || [[ ! -x $1 || ! -x $2/test-xks-proxy ]]; then
    echo "usage: conformance.sh CLAVIGER CLIENT-DIRECTORY" >&2
    exit 2
fi
claviger=$(realpath "$1")
client=$(realpath "$2")
for tool in curl jq uuidgen xxd; do
    command -v "$tool" >/dev/null || {
        echo "conformance: the test client needs $tool (apt-get install curl jq uuid-runtime xxd)" >&2
        exit 1
    }
done

scratch=$(mktemp -d)
node=
stop() {
    if [[ -n $node ]]; then
        kill "$node" 2>/dev/null || true
        wait "$node" 2>/dev/null || true
        node=
    fi
}
trap 'stop; rm -rf "$scratch"' EXIT

# Starts a node with the given options; sets `info` to its JSON line.
start() {
    local ready lines
    exec {lines}< <(exec "$claviger" dev --json --state "$scratch/state" --listen 127.0.0.1:0 "$@" \
        2>>"$scratch/node.log")
    node=$!
    if ! read -r -t 120 info <&"$lines" || ! read -r -t 120 ready <&"$lines" || [[ $ready != ready ]]; then
        echo "conformance: the node did not become ready; the end of its log:" >&2
        tail -n 20 "$scratch/node.log" >&2
        exit 1
    fi
}

field() { jq -r "$1" <<<"$info"; }

# Runs the client and counts; the client ends with status 0 either way.
run_client() {
    local name=$1 mtls=$2
    # Through a pipe: the client opens /dev/stderr anew, which would truncate a file.
    (
        cd "$client"
        XKS_PROXY_HOST=$(field '.url | ltrimstr("https://")') URI_PREFIX=$(field '.prefix | ltrimstr("/")') \
            SIGV4_ACCESS_KEY_ID=$(field .access_key_id) SIGV4_SECRET_ACCESS_KEY=$(field .secret) \
            SCHEME=https:// SECURE="--cacert $(field .ca)" MTLS=$mtls ANSI_ESCAPE=0 \
            ./test-xks-proxy -a
    ) 2>&1 | cat >"$scratch/client.log" || true
    local passed failed
    passed=$(grep -c 'PASSED with expected response' "$scratch/client.log" || true)
    failed=$(grep -c 'FAILED with unexpected response' "$scratch/client.log" || true)
    # The tests with bad client certificates want the words "handshake failure"; our TLS library sends the alert that
    # names the cause (docs/internals/decisions/0006). What counts is that the handshake ended in an alert.
    if [[ -n $mtls ]]; then
        local refused
        refused=$(awk '/Testing GetHealthStatus via mTLS with a/ { negative = 1; alert = 0 }
            negative && /\(IN\), TLS alert, (unknown CA|certificate expired|bad certificate|certificate unknown)/ { alert = 1 }
            negative && /FAILED with unexpected response/ { refused += alert; negative = 0 }
            END { print refused + 0 }' "$scratch/client.log")
        passed=$((passed + refused)) failed=$((failed - refused))
        echo "$name: $refused bad client certificates refused in the handshake, with the alert that says why"
    fi
    echo "$name: $passed tests passed, $failed failed"
    if ((failed != 0 || passed < 49)); then
        cat "$scratch/client.log" >&2
        echo "conformance: $name: not all tests passed" >&2
        exit 1
    fi
}

start
run_client HTTPS ""
stop
start --mutual-tls
run_client "mutual TLS" "--key $(field .client_key) --cert $(field .client_certificate)"
stop
