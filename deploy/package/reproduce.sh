#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the packages of the checked-out commit twice, each from a clean clone in a folder of its own, and compares them.
# Status 1, and the files that differ, unless all are the same bytes.
#
# usage: reproduce.sh [--against DIRECTORY]
#
# --against  packages that are there already: one build, compared with them. For who wants to check a published version:
#            put its Package.resolved (claviger_VERSION.Package.resolved) into the root of the source first.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
first=
case ${1:-} in
    "") ;;
    --against) first=$(cd "$2" && pwd) ;;
    *) echo "usage: reproduce.sh [--against DIRECTORY]" >&2; exit 2 ;;
esac
if [[ -n $(git -C "$source" status --porcelain --untracked-files=no) ]]; then
    echo "reproduce: there are changes that are not in a commit; commit them first" >&2
    exit 2
fi
if [[ ! -e $source/Package.resolved ]]; then
    echo "reproduce: there is no Package.resolved, which says which packages a build takes: \`swift package resolve\`" >&2
    exit 2
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# In folders of names of unlike lengths: what takes a path from there is found.
build() {
    git clone --quiet "$source" "$work/$1"
    cp "$source/Package.resolved" "$work/$1/"
    "$work/$1/deploy/package/build.sh" --output "$work/out-$1" > "$work/$1.log" 2>&1 || {
        tail -n 40 "$work/$1.log" >&2
        echo "reproduce: the build failed" >&2
        exit 1
    }
    rm -rf -- "${work:?}/$1"
}

if [[ -z $first ]]; then
    build one
    first=$work/out-one
fi
build another-of-the-same-commit
second=$work/out-another-of-the-same-commit
cat "$second/SHA256SUMS"
if ! diff "$first/SHA256SUMS" "$second/SHA256SUMS"; then
    echo "reproduce: two builds of $(git -C "$source" rev-parse HEAD) differ; diffoscope shows where" >&2
    exit 1
fi
echo "Two builds of $(git -C "$source" rev-parse HEAD), the same bytes."
