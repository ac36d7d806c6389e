#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What build.sh does in the source, as it is seen there, with this folder beside it: compiles, lays all that goes into the
# packages beside debian/, and makes the packages.
set -euo pipefail
umask 022

packaging=$(cd "$(dirname "$0")" && pwd)
scratch=.build
# Swift's optimizer goes through sets in the order of hashes and of addresses: both are the same in each run then. Without it,
# of two builds one file of some 2,000 had two instructions in another order.
export SWIFT_DETERMINISTIC_HASHING=1
compile=(setarch "$(uname -m)" --addr-no-randomize swift build -c release --static-swift-stdlib --product claviger)

"${compile[@]}"
program=$("${compile[@]}" --show-bin-path)/claviger

stage=$scratch/stage
rm -rf "$stage"
tree=$stage/claviger
mkdir -p "$tree"
cp -R "$packaging/debian" "$tree/debian"
install -m 0755 "$program" "$tree/claviger"
install -m 0644 deploy/systemd/claviger.service "$tree/debian/claviger.service"
install -m 0644 deploy/systemd/claviger.sysusers.conf "$tree/debian/claviger.sysusers"
install -m 0644 deploy/claviger.toml "$tree/claviger.toml.example"
install -m 0644 Package.resolved "$tree/Package.resolved"
mkdir "$tree/docs"
cp -R docs/guides docs/reference "$tree/docs/"

"$packaging/manual.py" --program "$program" --reference docs/reference --version "$CLAVIGER_VERSION" \
    --epoch "$SOURCE_DATE_EPOCH" --output "$tree/man"
mkdir -p "$tree"/completions/{bash,zsh,fish}
# Completions are read by a shell, not run: no first line that names one.
"$program" --generate-completion-script bash | sed '1{/^#!/d}' > "$tree/completions/bash/claviger"
"$program" --generate-completion-script zsh > "$tree/completions/zsh/_claviger"
"$program" --generate-completion-script fish > "$tree/completions/fish/claviger.fish"

"$packaging/sbom.py" --checkouts "$scratch/checkouts" --resolved Package.resolved --version "$CLAVIGER_VERSION" \
    --commit "$CLAVIGER_COMMIT" --epoch "$SOURCE_DATE_EPOCH" --output "$tree/claviger.spdx.json"
"$packaging/notices.py" --checkouts "$scratch/checkouts" --resolved Package.resolved --output "$tree/debian/copyright"

sed "s/@MAINTAINER@/$(sed 's/[&\/]/\\&/g' <<<"$MAINTAINER")/" "$packaging/debian/control.in" > "$tree/debian/control"
rm "$tree/debian/control.in"
if [[ $(sed -n '1s/^claviger (\(.*\)) .*/\1/p' "$tree/debian/changelog") != "$CLAVIGER_VERSION" ]]; then
    # An earlier version by this one's rules: its entry alone.
    printf 'claviger (%s) stable; urgency=medium\n\n  * Packaged by the rules of a later version.\n\n -- @MAINTAINER@  %s\n' \
        "$CLAVIGER_VERSION" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" > "$tree/debian/changelog"
fi
sed -i "s/@MAINTAINER@/$(sed 's/[&\/]/\\&/g' <<<"$MAINTAINER")/" "$tree/debian/changelog"

cd "$tree"
dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo --no-check-builddeps --no-pre-clean
