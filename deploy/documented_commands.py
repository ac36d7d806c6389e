# SPDX-License-Identifier: Apache-2.0
"""Every command of the program that a document shows, against what the program takes.

usage: documented_commands.py FILE: what `claviger --experimental-dump-help` prints. Prints each that has a subcommand or an
option that there is not, then how many were looked at; ends with 1 where there was one.
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Not listed by help: of the argument parser itself, and of the node's own processes.
UNLISTED = {"--help", "-h", "--version", "--generate-completion-script"}
HIDDEN = {"hsm-worker", "hsm-provision", "hsm-look", "run-as"}


def commands(help_: dict) -> dict[tuple[str, ...], tuple[set[str], bool]]:
    """By its path: the options of a command, and whether it has subcommands."""
    found = {}

    def walk(command: dict, path: tuple[str, ...]) -> None:
        names = [name for argument in command.get("arguments", []) for name in argument.get("names") or []]
        options = {("--" if name["kind"] == "long" else "-") + name["name"] for name in names}
        below = [sub for sub in command.get("subcommands", []) if sub["commandName"] != "help"]
        found[path] = (options | UNLISTED, bool(below))
        for sub in below:
            walk(sub, (*path, sub["commandName"]))

    walk(help_["command"], ())
    return found


def shown(text: str) -> list[str]:
    """Commands in a document: in its sentences, and in blocks for the shell."""
    found = re.findall(r"`(claviger [^`\n]+)`", text)
    for block in re.findall(r"(?ms)^```(?:sh|bash|)\n(.*?)^```", text):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.match(r"\s*(?:\$ |sudo )?(?:/usr/bin/)?(claviger .*)", line)
            if match:
                found.append(match[1].split(" #")[0])
    return found


def fault(command: str, known: dict) -> str | None:
    """What of it the program does not take."""
    words = command.split()[1:]
    path = ()
    while words and (*path, words[0]) in known:
        path = (*path, words.pop(0))
    options, has_subcommands = known[path]
    if words and has_subcommands and re.fullmatch(r"[a-z][a-z-]*", words[0]) and words[0] not in HIDDEN:
        return f"no subcommand {words[0]}"
    for word in words:
        match = re.match(r"\[?(--[a-z-]+)", word)
        if match and match[1] not in options:
            return f"no option {match[1]}"
    return None


def main() -> int:
    known = commands(json.loads(Path(sys.argv[1]).read_text()))
    pages = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]
    faults = looked = 0
    for page in pages:
        for command in shown(page.read_text()):
            looked += 1
            if wrong := fault(command, known):
                faults += 1
                print(f"{page.relative_to(ROOT)}: {command}: {wrong}")
    print(looked)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
