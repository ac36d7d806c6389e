#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs libFuzzer on each target, one after another: fuzz.sh PROGRAM SECONDS [TARGET …]
#
# What is new and reaches further goes to .build-fuzz/corpus/TARGET, what was found to .build-fuzz/findings/TARGET-….
# A finding belongs into the corpus of FuzzReplayTests, with its mend.
set -euo pipefail
program=$1 seconds=$2
shift 2
cd "$(dirname "$0")/.."
kept=Tests/FuzzReplayTests/Corpus
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(ls "$kept")
found=()
mkdir -p .build-fuzz/findings
for target in "${targets[@]}"; do
    grown=.build-fuzz/corpus/$target log=.build-fuzz/findings/$target.log
    mkdir -p "$grown"
    echo "== $target, $seconds s"
    # Swift's own memory is not what the leak checker of the address sanitizer understands.
    if ! ASAN_OPTIONS=detect_leaks=0 SWIFT_BACKTRACE=enable=no CLAVIGER_FUZZ_TARGET=$target "$program" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix=".build-fuzz/findings/$target-" "$grown" "$kept/$target" >"$log" 2>&1; then
        found+=("$target")
        tail -n 30 "$log"
        continue
    fi
    grep -E "number_of_executed_units|new_units_added" "$log" || true
done
if ((${#found[@]})); then
    echo "findings: ${found[*]}; inputs and logs are in .build-fuzz/findings"
    exit 1
fi
echo "nothing was found"
