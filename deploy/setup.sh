#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building, running and testing Claviger needs from Debian or Ubuntu: only what is missing, and nothing at
# all, network included, when nothing is.
set -euo pipefail

# Each line: a package, then the command that succeeds when what we need of it is there, from whatever source.
needed() {
    cat <<'LIST'
libssl-dev       header openssl/ssl.h
libsofthsm2-dev  header softhsm/pkcs11.h
softhsm2         command -v softhsm2-util
opensc           command -v pkcs11-tool
libsqlite3-dev   header sqlite3.h
libnss3          find /usr/lib -name libsoftokn3.so 2>/dev/null | grep -q .
gcc              command -v cc
make             command -v make
curl             command -v curl
jq               command -v jq
openssl          command -v openssl
wrk              command -v wrk
python3          command -v python3
python3-botocore python3 -c "import botocore.auth"
python3-yaml     python3 -c "import yaml"
haproxy          command -v haproxy || test -x /usr/sbin/haproxy
iproute2         command -v ip || test -x /usr/sbin/ip
nftables         command -v nft || test -x /usr/sbin/nft
systemd          command -v systemd-analyze
LIST
}

header() {
    local directory
    for directory in /usr/include /usr/local/include "/usr/include/$(uname -m)-linux-gnu"; do
        [[ -e "$directory/$1" ]] && return 0
    done
    return 1
}

missing=()
while read -r package check; do
    eval "$check" >/dev/null 2>&1 || missing+=("$package")
done < <(needed)

if ((${#missing[@]})); then
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || {
            echo "setup: these packages are missing, and there is no sudo to install them: ${missing[*]}" >&2
            echo "setup: as root: apt-get update && apt-get install ${missing[*]}" >&2
            exit 1
        }
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || {
        echo "setup: this is no Debian or Ubuntu; install what corresponds to: ${missing[*]}" >&2
        exit 1
    }
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

if ! command -v swift >/dev/null; then
    echo "setup: Swift 6.2 or later is needed and not found: https://www.swift.org/install/linux/" >&2
    exit 1
fi
