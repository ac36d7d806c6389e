#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes SHA256SUMS of what build.sh made of a version, and signs it by the key SIGN_KEY where one is given (SHA256SUMS.asc).
#
# usage: sums.sh DIRECTORY VERSION
set -euo pipefail

if (($# != 2)); then
    echo "usage: sums.sh DIRECTORY VERSION" >&2
    exit 2
fi
cd "$1"
version=$2
# A signature of other sums must not lie beside these.
rm -f SHA256SUMS.asc
sha256sum -- claviger_"$version"_*.deb claviger-dbgsym_"$version"_*.deb claviger_"$version".spdx.json \
    claviger_"$version".Package.resolved > SHA256SUMS
if [[ -n ${SIGN_KEY:-} ]]; then
    gpg --batch --yes --local-user "$SIGN_KEY" --armor --detach-sign --output SHA256SUMS.asc SHA256SUMS
fi
