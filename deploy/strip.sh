#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes of a built program one that is installed, DIRECTORY/NAME, and one file beside it with what debuggers need,
# DIRECTORY/NAME.debug. The program names the file and its checksum, so that debuggers find it and refuse another's.
#
# usage: strip.sh PROGRAM DIRECTORY
set -euo pipefail

if (($# != 2)); then
    echo "usage: strip.sh PROGRAM DIRECTORY" >&2
    exit 2
fi
program=$1
directory=$2
name=$(basename -- "$program")

mkdir -p -- "$directory"
# Under other names first: what is there is either whole or that of the last time.
work=$(mktemp -d -- "$directory/.strip.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
objcopy --only-keep-debug -- "$program" "$work/$name.debug"
chmod 0644 -- "$work/$name.debug"
objcopy --strip-all --add-gnu-debuglink="$work/$name.debug" -- "$program" "$work/$name"
mv -f -- "$work/$name.debug" "$work/$name" "$directory/"

echo "$directory/$name: $(($(stat -c %s -- "$directory/$name") / 1000000)) MB," \
    "its symbols $directory/$name.debug: $(($(stat -c %s -- "$directory/$name.debug") / 1000000)) MB"
