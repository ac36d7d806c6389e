# SPDX-License-Identifier: Apache-2.0
"""The Swift packages that a build used, by Package.resolved and their checkouts: version, licence, digest, notices."""
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Embedded:
    """Somebody else's code that a package brings with it."""

    package: str
    #: Folder or file in the package.
    path: str
    name: str
    licence: str
    copyright: str
    #: A file of the package, and what in it is the version.
    version: tuple[str, str]
    home: str


#: A package that comes with more of somebody else's code is not noticed by itself: look at `find checkouts -name '*.c'`.
EMBEDDED = [
    Embedded(
        "swift-nio", "Sources/CNIOLLHTTP", "llhttp", "MIT", "2018 Fedor Indutny",
        ("Sources/CNIOLLHTTP/include/c_nio_llhttp.h",
         r"VERSION_MAJOR (\d+)\n.*VERSION_MINOR (\d+)\n.*VERSION_PATCH (\d+)"),
        "https://github.com/nodejs/llhttp"),
    Embedded(
        "swift-nio", "Sources/CNIOSHA1", "sha1.c of WIDE", "BSD-3-Clause", "1995, 1996, 1997, 1998 WIDE Project",
        ("Sources/CNIOSHA1/c_nio_sha1.c", r"\$KAME: sha1\.c,v ([\d.]+)"), "https://www.kame.net"),
    Embedded(
        "swift-nio-extras", "Sources/CNIOExtrasZlib", "zlib", "Zlib", "1995-2026 Jean-loup Gailly and Mark Adler",
        ("Sources/CNIOExtrasZlib/vendored-zlib.version", r"(\S+)"), "https://zlib.net"),
    Embedded(
        "swift-crypto", "Sources/CXKCP", "XKCP", "CC0-1.0",
        "Guido Bertoni, Joan Daemen, Michaël Peeters and Gilles Van Assche, who waived all copyright",
        ("Sources/CXKCP/vendored-sources.txt", r"-g([0-9a-f]+)\)"), "https://github.com/XKCP/XKCP"),
    Embedded(
        "swift-nio-ssl", "Sources/CNIOBoringSSL", "BoringSSL", "Apache-2.0", "The BoringSSL Authors",
        ("Sources/CNIOBoringSSL/hash.txt", r"revision ([0-9a-f]{40})"), "https://boringssl.googlesource.com/boringssl"),
    Embedded(
        "swift-crypto", "Sources/CCryptoBoringSSL", "BoringSSL", "Apache-2.0", "The BoringSSL Authors",
        ("Sources/CCryptoBoringSSL/hash.txt", r"revision ([0-9a-f]{40})"),
        "https://boringssl.googlesource.com/boringssl"),
    Embedded(
        "tomlkit", "Sources/CTOML/Sources/toml.hpp", "toml++", "MIT", "Mark Gillard <mark.gillard@outlook.com.au>",
        ("Sources/CTOML/Sources/toml.hpp", r"LIB_MAJOR (\d+)\n.*LIB_MINOR (\d+)\n.*LIB_PATCH (\d+)"),
        "https://github.com/marzer/tomlplusplus"),
]


@dataclass(frozen=True)
class Package:
    identity: str
    name: str
    location: str
    version: str
    revision: str
    #: An SPDX expression.
    licence: str
    #: "2017-2018 Apple Inc. and the SwiftNIO project authors", each line of its notice or licence.
    copyrights: tuple[str, ...]
    #: SHA-256 of `git archive --format=tar REVISION`.
    sha256: str
    #: Texts that have to be handed on: its NOTICE, and its licence where that is not Debian's copy of Apache-2.0.
    texts: tuple[str, ...] = field(repr=False)
    embedded: tuple[tuple[Embedded, str], ...] = ()


def licence_of(text: str) -> str:
    """The SPDX expression of a licence's text; an error where it is none of those that have been looked at."""
    if "Apache License" in text:
        exception = "Runtime Library Exception" in text
        return "Apache-2.0 WITH Swift-exception" if exception else "Apache-2.0"
    if "Permission is hereby granted, free of charge, to any person obtaining" in text:
        return "MIT"
    raise SystemExit("resolved.py: a licence that is neither Apache-2.0 nor MIT; look at it, and add it:\n" + text[:400])


def git(checkout: Path, *words: str) -> bytes:
    command = ["git", "-c", "safe.directory=*", "-C", str(checkout), *words]
    return subprocess.run(command, check=True, capture_output=True, timeout=300).stdout


def read(pin: dict, checkouts: Path) -> Package:
    """A package as it lies in its checkout, which must be its revision and unchanged."""
    location, state = pin["location"], pin["state"]
    name = location.rsplit("/", 1)[-1].removesuffix(".git")
    checkout = checkouts / name
    if (head := git(checkout, "rev-parse", "HEAD").decode().strip()) != state["revision"]:
        raise SystemExit(f"resolved.py: {checkout} is at {head}, Package.resolved says {state['revision']}")
    if git(checkout, "status", "--porcelain", "--untracked-files=no").strip():
        raise SystemExit(f"resolved.py: {checkout} has been changed: what is built is not {name} {state['version']}")
    [licence_file] = [path for path in sorted(checkout.iterdir()) if path.stem.upper() in ("LICENSE", "LICENCE")]
    licence = licence_file.read_text()
    notices = [path.read_text().strip() for path in sorted(checkout.glob("NOTICE*"))]
    kind = licence_of(licence)
    lines = re.findall(r"(?im)^\W*copyright (?:\(c\) )?(\d{4}.*|\(c\).*)$", "\n".join([*notices, licence]))
    owners = tuple(dict.fromkeys(re.sub(r"^\([cC]\) ", "", line).strip() for line in lines))
    embedded = tuple(
        (part, version_of(part, checkout)) for part in EMBEDDED if part.package == pin["identity"])
    texts = tuple(notices if kind.startswith("Apache-2.0") else [*notices, licence.strip()])
    return Package(
        identity=pin["identity"], name=name, location=location, version=state.get("version", state["revision"]),
        revision=state["revision"], licence=kind, copyrights=owners or (f"the {name} project authors",),
        sha256=hashlib.sha256(git(checkout, "archive", "--format=tar", state["revision"])).hexdigest(),
        texts=texts, embedded=embedded)


def version_of(part: Embedded, checkout: Path) -> str:
    if not (checkout / part.path).exists():
        raise SystemExit(f"resolved.py: {checkout} has no {part.path} any more: adjust EMBEDDED")
    file, pattern = part.version
    found = re.search(pattern, (checkout / file).read_text())
    if not found:
        raise SystemExit(f"resolved.py: no version of {part.name} in {checkout / file}: adjust EMBEDDED")
    return ".".join(found.groups())


def packages(resolved: Path, checkouts: Path) -> list[Package]:
    """Every package of Package.resolved, by identity."""
    pins = json.loads(resolved.read_text())["pins"]
    return [read(pin, checkouts) for pin in sorted(pins, key=lambda pin: pin["identity"])]


def compiler() -> str:
    """`6.3.1`: of the Swift whose runtime is linked in."""
    said = subprocess.run(["swift", "--version"], check=True, capture_output=True, text=True, timeout=60).stdout
    return re.search(r"Swift version (\S+)", said)[1]
