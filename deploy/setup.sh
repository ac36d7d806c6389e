#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Claviger needs from Debian or Ubuntu: only what is missing, and nothing at all, network included, when
# nothing is.
#
# usage: setup.sh [build|run|test|bench|cluster|conformance|screenshots|package|package-test]
# Without a word: what any of these needs, but for `screenshots`, which wants a browser, and packages, which want Debian's
# tools. `build` and `run` install no program that starts a service.
set -euo pipefail

purposes="build run test bench cluster conformance screenshots package package-test"
wanted=${1:-}
if (($# > 1)) || { [[ -n $wanted ]] && [[ " $purposes " != *" $wanted "* ]]; }; then
    echo "setup: \"$*\" is no purpose; say one of: $purposes" >&2
    exit 2
fi

# Each line: a package, what it is for, then the command that succeeds when what we need of it is there, from whatever
# source.
needed() {
    cat <<'LIST'
libssl-dev       build,run,test,bench,cluster,conformance,screenshots,package  header openssl/ssl.h
libsofthsm2-dev  build,run,test,bench,cluster,conformance,screenshots,package  header softhsm/pkcs11.h
libsqlite3-dev   build,run,test,bench,cluster,conformance,screenshots,package  header sqlite3.h
gcc              build,run,test,bench,cluster,conformance,screenshots,package  command -v cc
make             build,run,test,bench,cluster,conformance,screenshots,package  command -v make
softhsm2         run,test,bench,cluster,conformance,screenshots        command -v softhsm2-util
python3          test,bench,cluster,screenshots,package,package-test   command -v python3
python3-botocore test,bench,cluster                                    python3 -c "import botocore.auth"
openssl          test,bench,cluster,screenshots,package-test           command -v openssl
opensc           test                                                  command -v pkcs11-tool
libnss3          test                                                  find /usr/lib -name libsoftokn3.so 2>/dev/null | grep -q .
prometheus       test                                                  command -v promtool && command -v prometheus
python3-jsonschema test                                                python3 -c "import jsonschema; jsonschema.Draft202012Validator"
python3-venv     test,package-test                                     python3 -c "import ensurepip, venv"
python3-yaml     test,package-test                                     python3 -c "import yaml"
systemd          test                                                  command -v systemd-analyze
curl             test,conformance                                      command -v curl
jq               test,conformance                                      command -v jq
wrk              bench                                                 command -v wrk
haproxy          test,cluster                                          command -v haproxy || test -x /usr/sbin/haproxy
iproute2         cluster                                               command -v ip || test -x /usr/sbin/ip
nftables         cluster                                               command -v nft || test -x /usr/sbin/nft
uuid-runtime     conformance                                           command -v uuidgen
xxd              conformance                                           command -v xxd
chromium         screenshots                                           command -v chromium
fonts-inter      screenshots                                           find /usr/share/fonts -iname "Inter*" | grep -q .
debhelper        package,package-test                                  command -v dh
git              package,package-test                                  command -v git
debootstrap      package-test                                          command -v debootstrap || test -x /usr/sbin/debootstrap
gnupg            package-test                                          command -v gpg
lintian          package-test                                          command -v lintian
man-db           package-test                                          command -v man
mandoc           package-test                                          command -v mandoc
zsh              package-test                                          command -v zsh
fish             package-test                                          command -v fish
LIST
}

header() {
    local directory
    for directory in /usr/include /usr/local/include "/usr/include/$(uname -m)-linux-gnu"; do
        [[ -e "$directory/$1" ]] && return 0
    done
    return 1
}

# Not wanted where no purpose is named.
special=" screenshots package-test package,package-test "
missing=()
while read -r package for check; do
    [[ ",$for," == *",$wanted,"* || (-z $wanted && $special != *" $for "*) ]] || continue
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

# What Debian does not have: judges of the files for operation, and OpenTelemetry's messages for the tests of traces. Without
# PyPI the tests that want them are skipped.
from_pypi=(openapi-spec-validator python-hcl2 opentelemetry-proto)
if [[ -z $wanted || $wanted == test ]]; then
    cd "$(dirname "$0")/.."
    if ! .build/python/bin/python3 -c "import openapi_spec_validator, hcl2, opentelemetry.proto.trace.v1.trace_pb2" >/dev/null 2>&1; then
        echo "setup: fetching ${from_pypi[*]} from PyPI into .build/python"
        mkdir -p .build
        python3 -m venv .build/python && .build/python/bin/pip install --quiet --disable-pip-version-check "${from_pypi[@]}" ||
            echo "setup: that did not work; the tests that need them are skipped" >&2
    fi
fi

if ! command -v swift >/dev/null; then
    echo "setup: Swift 6.2 or later is needed and not found: https://www.swift.org/install/linux/" >&2
    exit 1
fi
