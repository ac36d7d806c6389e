#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges what `make package` made: packages by lintian, SBOM by spdx-tools, man pages by mandoc and man, completions by their
shells, sums and a signature by sha256sum and gpg, the program by what it needs of the machine.

usage: judge.py DIRECTORY

Python's spdx_tools must be there (PyPI: spdx-tools). Each judgement says what it looked at; the first that fails ends it.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Shared libraries that a program may need. Swift's are none of them.
LIBRARIES = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libsqlite3.so.0", "libz.so.1",
             "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


class Failure(Exception):
    """Something is not as it must be."""


def expect(condition: object, text: str) -> None:
    if not condition:
        raise Failure(text)


def run(*words: object, check: bool = True, **more) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, **more)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def only(directory: Path, pattern: str) -> Path:
    found = sorted(directory.glob(pattern))
    expect(len(found) == 1, f"{directory} has {len(found)} files {pattern}; one is wanted: an empty folder, then make package")
    return found[0]


def lintian(packages: list[Path]) -> None:
    """Debian's policy, as far as a program can see it. Warnings are shown."""
    said = run("lintian", "--fail-on", "error", "--tag-display-limit", "0", "--allow-root", *packages, check=False)
    print(said.stdout, end="")
    expect(said.returncode == 0, f"lintian found errors: {said.stderr}")


def sbom(file: Path, program: str) -> None:
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    document = parse_file(str(file))
    wrong = validate_full_spdx_document(document, "SPDX-2.3")
    expect(not wrong, f"{file.name}: " + "; ".join(message.validation_message for message in wrong))
    pins = re.findall(r'"identity" : "([^"]+)"', (file.parent / program).read_text())
    named = {package.spdx_id.removeprefix("SPDXRef-Package-") for package in document.packages}
    expect(len(pins) > 20 and set(pins) <= named, f"{file.name} does not name {sorted(set(pins) - named)}")
    for package in document.packages:
        if package.spdx_id.removeprefix("SPDXRef-Package-") in pins:
            expect(package.version and package.checksums, f"{package.name} has no version or no digest")


def sums(directory: Path) -> None:
    """The sums hold; one changed byte, of a file or of the sums, is noticed; the key given signs."""
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=directory)
    version = re.search(r"claviger_([^_]+)\.spdx\.json", (directory / "SHA256SUMS").read_text())[1]
    with tempfile.TemporaryDirectory() as scratch:
        keys, copy = Path(scratch, "keys"), Path(scratch, "copy")
        keys.mkdir(mode=0o700)
        copy.mkdir()
        for file in directory.iterdir():
            if file.is_file() and not file.name.startswith("SHA256SUMS"):
                shutil.copy(file, copy)
        environment = os.environ | {"GNUPGHOME": str(keys), "SIGN_KEY": "release@example.com"}
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "release@example.com", "ed25519", "sign", "1d",
            env=environment)
        run(HERE / "sums.sh", copy, version, env=environment)
        verify = ["gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS"]
        run(*verify, cwd=copy, env=environment)
        expect((copy / "SHA256SUMS").read_text() == (directory / "SHA256SUMS").read_text(), "the sums are not the same")
        signed = (copy / "SHA256SUMS").read_text()
        (copy / "SHA256SUMS").write_text(signed.replace("a", "b", 1))
        expect(run(*verify, cwd=copy, env=environment, check=False).returncode != 0, "changed sums pass for signed")
        (copy / "SHA256SUMS").write_text(signed)
        file = only(copy, "*.spdx.json")
        file.write_bytes(file.read_bytes()[:-1] + b" ")
        said = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=copy, check=False)
        expect(said.returncode != 0, "a changed file has the sum of the one before")
        run("gpgconf", "--kill", "gpg-agent", env=environment)


def manual(tree: Path) -> None:
    pages = sorted((tree / "usr/share/man").glob("man*/*.gz"))
    said = run(tree / "usr/bin/claviger", "--help").stdout.split("SUBCOMMANDS:")[1]
    commands = set(re.findall(r"(?m)^  ([a-z-]+) ", said))
    expect(len(commands) > 15, f"the help names {commands}")
    missing = {f"claviger-{command}.1.gz" for command in commands} - {page.name for page in pages}
    expect(not missing, f"there is no page for {missing}")
    for page in pages:
        lint = run("mandoc", "-T", "lint", "-W", "warning", page, check=False)
        expect(not lint.stdout, lint.stdout)
        environment = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
        formatted = run("man", "--warnings", "--local-file", page, env=environment)
        expect(not formatted.stderr, f"{page.name}: {formatted.stderr}")
        expect("NAME" in formatted.stdout, f"{page.name} has no name")


def completions(tree: Path) -> None:
    share = tree / "usr/share"
    bash = share / "bash-completion/completions/claviger"
    said = run("bash", "-c", f'source {bash}; complete -p claviger; COMP_WORDS=(claviger se); COMP_CWORD=1; COMP_LINE="claviger se"; '
               f'COMP_POINT=11; _claviger claviger se claviger; echo "${{COMPREPLY[@]}}"')
    expect("serve" in said.stdout, f"bash completes `claviger se` to {said.stdout} {said.stderr}")
    run("zsh", "-n", share / "zsh/vendor-completions/_claviger")
    fish = share / "fish/vendor_completions.d/claviger.fish"
    said = run("fish", "--no-config", "-c", f'source {fish}; complete --do-complete "claviger se"')
    expect("serve" in said.stdout, f"fish completes `claviger se` to {said.stdout} {said.stderr}")


def program(tree: Path, symbols: Path) -> None:
    file = tree / "usr/bin/claviger"
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "--dynamic", file).stdout))
    expect(needed and needed <= LIBRARIES, f"it needs {needed - LIBRARIES} of the machine")
    sections = run("readelf", "--sections", "--wide", file).stdout
    expect(".symtab" not in sections and ".debug_info" not in sections, "it has symbols")
    [build] = re.findall(r"Build ID: ([0-9a-f]+)", run("readelf", "--notes", file).stdout)
    debug = symbols / "usr/lib/debug/.build-id" / build[:2] / f"{build[2:]}.debug"
    expect(debug.exists(), f"the symbols are not those of the program: no {debug.relative_to(symbols)}")
    expect(".debug_info" in run("readelf", "--sections", "--wide", debug).stdout, f"{debug.name} has no symbols")
    # No path of the machine that built it: neither the checkout's nor a home.
    for path in {str(ROOT), os.path.expanduser("~")} - {"/"}:
        for where in (file, debug):
            expect((path + "/").encode() not in where.read_bytes(), f"{where.name} names {path}")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: judge.py DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1]).resolve()
    try:
        packages = [only(directory, "claviger_*.deb"), only(directory, "claviger-dbgsym_*.deb")]
        with tempfile.TemporaryDirectory() as scratch:
            trees = [Path(scratch, package.name.split("_")[0]) for package in packages]
            for package, tree in zip(packages, trees):
                run("dpkg-deb", "--extract", package, tree)
            for name, judgement in {
                "lintian": lambda: lintian(packages),
                "program": lambda: program(*trees),
                "manual": lambda: manual(trees[0]),
                "completions": lambda: completions(trees[0]),
                "sbom": lambda: sbom(only(directory, "*.spdx.json"), only(directory, "*.Package.resolved").name),
                "sums and signature": lambda: sums(directory),
            }.items():
                print(f"- {name}", flush=True)
                judgement()
    except (Failure, OSError, subprocess.SubprocessError, ImportError) as failure:
        print(f"judge.py: {failure}", file=sys.stderr)
        return 1
    print("Nothing is wrong with the packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
