#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Debian packages of a source tree: claviger (program, unit, man pages, completions) and claviger-dbgsym (what
# debuggers need); beside them an SBOM (SPDX 2.3), Package.resolved and SHA256SUMS.
#
# usage: build.sh [--source DIRECTORY] [--output DIRECTORY] [--scratch DIRECTORY] [--at DIRECTORY] [--previous VERSION]
#
# --source    a checkout of Claviger; without it, this one.
# --output    where the packages go; without it, .build/package in the source. What is there of the same name is replaced.
# --scratch   what the compiler makes; without it, .build-package in the source. What is there is used again.
# --at        where the source is seen while it is built; without it, /usr/src/claviger. Elsewhere, other packages come out.
# --previous  packages a source of an earlier version, by this version's rules: for tests of an upgrade.
#
# SIGN_KEY    a key of gpg's, by which SHA256SUMS is signed (SHA256SUMS.asc).
# MAINTAINER  who stands in the packages as the one to write to.
#
# The source is seen at one place while it is built, wherever it lies: Swift's compiler writes paths of sources and of its
# module cache into programs, and -file-prefix-map takes out only some of them (not #filePath, not the cache's names). The time of everything is that of the
# commit. Two builds of a commit with one Package.resolved and one compiler give the same packages (reproduce.sh).
# Needs Swift, and a user who may make mount namespaces (root, or anybody where the kernel lets them).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

if [[ ${1:-} == --inside ]]; then
    # In the namespace: the second half.
    source=$2 scratch=$3 at=$4
    parent=$(dirname "$at")
    hold=$(mktemp -d)
    # The three places first: the mount over the parent may hide them.
    mount -t tmpfs tmpfs "$hold"
    mkdir "$hold/$(basename "$at")" "$hold/packaging"
    mount --bind "$source" "$hold/$(basename "$at")"
    mount --bind "$scratch" "$hold/$(basename "$at")/.build"
    mount --bind "$here" "$hold/packaging"
    mount --rbind "$hold" "$parent"
    umount --recursive "$hold"
    rmdir "$hold"
    # Temporary files of its own: their path is written into symbols, and SwiftPM's lock is there, by the path of the source,
    # so that two builds would wait for each other.
    mount -t tmpfs tmpfs /tmp
    cd "$at"
    exec "$parent/packaging/stage.sh"
fi

source=$(cd "$here/../.." && pwd)
output=
scratch=
at=/usr/src/claviger
previous=
while (($#)); do
    case $1 in
        --source) source=$(cd "$2" && pwd); shift 2 ;;
        --output) output=$2; shift 2 ;;
        --scratch) scratch=$2; shift 2 ;;
        --at) at=$2; shift 2 ;;
        --previous) previous=$2; shift 2 ;;
        *) sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2 ;;
    esac
done
output=${output:-$source/.build/package}
maintainer=${MAINTAINER:-Claviger maintainers <claviger@example.com>}

version=$(sed -n 's/^ *static let version = "\(.*\)"$/\1/p' "$source/Sources/claviger/Claviger.swift")
latest=$(sed -n '1s/^claviger (\(.*\)) .*/\1/p' "$here/debian/changelog")
if [[ $version != "${previous:-$latest}" ]]; then
    echo "build: the source is version $version, and the packages would be ${previous:-$latest}: adjust debian/changelog" >&2
    exit 2
fi
commit=$(git -C "$source" rev-parse HEAD)
epoch=$(git -C "$source" log -1 --format=%ct)
# Read outside: in the namespace the source may belong to somebody else in git's eyes.
if [[ -n $(git -C "$source" status --porcelain --untracked-files=no) ]]; then
    echo "build: there are changes that are not in commit $commit: nobody can build these packages again" >&2
fi

scratch=${scratch:-$source/.build-package}
mkdir -p "$output" "$scratch" "$source/.build"
scratch=$(cd "$scratch" && pwd)
namespace=(--mount --propagation private)
((EUID == 0)) || namespace+=(--user --map-root-user)
# Nothing else of the environment: of TMPDIR is known that it gets into symbols (of macros' expansions).
env -i PATH="$PATH" HOME="$HOME" LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH="$epoch" CLAVIGER_COMMIT="$commit" \
    CLAVIGER_VERSION="$version" MAINTAINER="$maintainer" \
    unshare "${namespace[@]}" "$here/build.sh" --inside "$source" "$scratch" "$at"

built=$scratch/stage
( umask 022
  for file in "$built"/claviger_*.deb "$built"/claviger-dbgsym_*.deb; do
      install -m 0644 "$file" "$output/"
  done
  install -m 0644 "$built/claviger/claviger.spdx.json" "$output/claviger_$version.spdx.json"
  install -m 0644 "$built/claviger/Package.resolved" "$output/claviger_$version.Package.resolved"
  "$here/sums.sh" "$output" "$version" )
echo "$output:"
cat "$output/SHA256SUMS"
