#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what is in the program: SPDX 2.3 in JSON, of the packages that the build used, what they bring, and Swift's runtime.

usage: sbom.py --checkouts DIRECTORY --resolved FILE --version VERSION --commit COMMIT --epoch SECONDS --output FILE

Two runs of one build give the same bytes. The digest of a package is that of `git archive --format=tar REVISION`.
"""
import argparse
import json
import re
import time
from pathlib import Path

import resolved

NOTHING = "NOASSERTION"


def identifier(*words: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def entry(name: str, version: str, licence: str, owners: str, location: str, **more) -> dict:
    return {
        "SPDXID": more.pop("spdx"), "name": name, "versionInfo": version, "downloadLocation": location,
        "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence, "copyrightText": owners, **more,
    }


def package_entries(package: resolved.Package) -> list[dict]:
    """A package, and after it what it brings with it."""
    repository = package.location.removeprefix("https://").removesuffix(".git")
    whole = entry(
        package.name, package.version, package.licence, "\n".join(f"Copyright {line}" for line in package.copyrights),
        f"git+{package.location}@{package.revision}", spdx=identifier("Package", package.identity),
        supplier=f"Organization: {repository.split('/')[1]}",
        sourceInfo=f"Git revision {package.revision}. The SHA256 is that of `git archive --format=tar` of it.",
        checksums=[{"algorithm": "SHA256", "checksumValue": package.sha256}],
        externalRefs=[{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:swift/{repository}@{package.version}",
        }])
    brought = [
        entry(
            part.name, version, part.licence, f"Copyright {part.copyright}", part.home,
            spdx=identifier("Embedded", package.identity, part.name), sourceInfo=f"In {package.name}, {part.path}.")
        for part, version in package.embedded
    ]
    return [whole, *brought]


def document(packages: list[resolved.Package], version: str, commit: str, epoch: int, swift: str) -> dict:
    program = entry(
        "claviger", version, "Apache-2.0", NOTHING, NOTHING, spdx="SPDXRef-Package-claviger",
        sourceInfo=f"Git commit {commit}.", primaryPackagePurpose="APPLICATION")
    runtime = entry(
        "swift-runtime", swift, "Apache-2.0 WITH Swift-exception AND Unicode-3.0",
        "Copyright Apple Inc. and the Swift project authors; Copyright Unicode, Inc.", "https://www.swift.org/install/linux/",
        spdx="SPDXRef-Package-swift-runtime",
        sourceInfo="Standard library, concurrency, dispatch and Foundation with ICU, linked in (--static-swift-stdlib).")
    entries, relationships = [program, runtime], [
        ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Package-claviger"),
        ("SPDXRef-Package-claviger", "STATIC_LINK", "SPDXRef-Package-swift-runtime"),
    ]
    for package in packages:
        whole, *brought = package_entries(package)
        entries += [whole, *brought]
        relationships.append(("SPDXRef-Package-claviger", "DEPENDS_ON", whole["SPDXID"]))
        relationships += [(whole["SPDXID"], "CONTAINS", part["SPDXID"]) for part in brought]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"claviger-{version}", "documentNamespace": f"https://spdx.org/spdxdocs/claviger-{version}-{commit}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "creators": [f"Tool: claviger-sbom-{version}"],
        },
        "packages": entries,
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in relationships
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkouts", required=True, type=Path)
    parser.add_argument("--resolved", required=True, type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    packages = resolved.packages(arguments.resolved, arguments.checkouts)
    made = document(packages, arguments.version, arguments.commit, arguments.epoch, resolved.compiler())
    arguments.output.write_text(json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
