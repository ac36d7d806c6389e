#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages out of what the program says of itself and of the reference of the configuration.

usage: manual.py --program FILE --reference DIRECTORY --version VERSION --epoch SECONDS --output DIRECTORY

Writes claviger.1, a page for each command (claviger-serve.1, …; commands below a command stand on its page), and
claviger.toml.5. The text of the commands is that of `--help`; that of claviger.toml.5 is configuration.md in the
reference directory, which a test compares with the source; the exit statuses are the table in commands.md beside it.
"""
import argparse
import json
import re
import subprocess
import time
from pathlib import Path

FILES = [
    ("/etc/claviger/claviger.toml", "The configuration, claviger.toml(5)."),
    ("/etc/claviger/pins/", "PINs of HSMs, one file each, which systemd hands to the node as credentials."),
    ("/var/lib/claviger/", "What the node keeps: blocks, proofs of keys, what it knows of its cluster; and its admin socket."),
    ("/etc/claviger/claviger.toml.example", "A configuration to begin with."),
]


def escape(text: str) -> str:
    """Text that roff prints as it is, on one line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("\n", " ")
    return "\\&" + text if text[:1] in ".'" else text


def inline(text: str) -> str:
    """A paragraph of Markdown with its code in bold, and its links as their words."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    parts = re.split(r"`([^`]*)`|(?<![\w*\"])\*(\w[^*]*)\*", text)
    told = ""
    for index in range(0, len(parts), 3):
        told += escape(parts[index]).removeprefix("\\&") if index else escape(parts[index])
        if index + 2 < len(parts):
            code, emphasis = parts[index + 1], parts[index + 2]
            told += f"\\fB{escape(code)}\\fP" if code is not None else f"\\fI{escape(emphasis)}\\fP"
    return "\\&" + told if told[:1] in ".'" else told


def title(name: str, section: int, version: str, epoch: int) -> list[str]:
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    manual = "File formats" if section == 5 else "Claviger"
    return [
        f'.TH {escape(name).upper() if section == 1 else escape(name)} {section} "{date}" "Claviger {version}" "{manual}"',
        ".nh", ".ad l",
    ]


def flag(name: dict) -> str:
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def value(argument: dict) -> str:
    return f"\\fI{escape(argument.get('valueName', 'value'))}\\fP"


def shown(command: dict) -> list[dict]:
    """The arguments of its own: --help and --version are every command's, and stand in claviger(1)."""
    return [
        a for a in command.get("arguments", [])
        if a["shouldDisplay"] and not (a["kind"] == "flag" and a["valueName"] in ("help", "version"))
    ]


def below(command: dict) -> list[dict]:
    return [c for c in command.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]


def synopsis(path: str, command: dict) -> list[str]:
    words = []
    for argument in shown(command):
        if argument["kind"] == "positional":
            word = value(argument)
        else:
            word = f"\\fB{escape(flag(argument['preferredName']))}\\fP"
            word += "" if argument["kind"] == "flag" else "\\ " + value(argument)
        word += " ..." if argument["isRepeating"] else ""
        words.append(f"[{word}]" if argument["isOptional"] else word)
    if below(command):
        words.append("\\fIcommand\\fP ...")
    return [".PP", " ".join([f"\\fB{escape(path)}\\fP", *words])]


def options(command: dict) -> list[str]:
    lines = []
    for argument in shown(command):
        if argument["kind"] == "positional":
            head = value(argument)
        else:
            head = ", ".join(f"\\fB{escape(flag(name))}\\fP" for name in sorted(argument["names"], key=lambda n: n["kind"] == "long"))
            head += "" if argument["kind"] == "flag" else " " + value(argument)
        text = argument.get("abstract", "")
        if argument.get("defaultValue"):
            text = f"{text} Default: {argument['defaultValue']}.".strip()
        lines += [".TP", head, inline(text) or "\\&"]
    return lines


def discussion(command: dict) -> list[str]:
    lines = []
    for paragraph in [command.get("abstract", ""), *command.get("discussion", "").split("\n\n")]:
        if paragraph.strip():
            lines += [".PP", inline(paragraph.strip())]
    return lines


def page(lines: list[str]) -> str:
    """The lines of a page, less the paragraphs' beginnings that a heading makes already."""
    kept = [line for before, line in zip(["", *lines], lines) if not (line == ".PP" and before[:3] in (".SH", ".SS"))]
    return "\n".join(kept) + "\n"


def command_page(command: dict, version: str, epoch: int) -> str:
    name = f"claviger-{command['commandName']}"
    path = f"claviger {command['commandName']}"
    lines = title(name, 1, version, epoch)
    abstract = command["abstract"].rstrip(".")
    lines += [".SH NAME", f"{escape(name)} \\- {escape(abstract)}", ".SH SYNOPSIS"]
    inner = below(command)
    for each, words in [(c, f"{path} {c['commandName']}") for c in inner] or [(command, path)]:
        lines += synopsis(words, each)
    lines += [".SH DESCRIPTION", *discussion(command)]
    if inner:
        lines.append(".SH COMMANDS")
        for each in inner:
            lines += [f".SS {escape(path)} {escape(each['commandName'])}", *discussion(each), *options(each)]
    elif shown(command):
        lines += [".SH OPTIONS", *options(command)]
    lines += [".SH EXIT STATUS", "As in", ".BR claviger (1)."]
    lines += [".SH SEE ALSO", ".BR claviger (1),", ".BR claviger.toml (5)"]
    return page(lines)


def exit_statuses(commands: str) -> list[tuple[str, str]]:
    """The first table of "Exit statuses" in the reference of the commands: status and meaning. 0.1.0 had none."""
    section = commands.partition("## Exit statuses")[2].split("\nWith more", 1)[0]
    return re.findall(r"(?m)^\| (\d+) \|[^|]*\| (.+) \|$", section)


def overview(root: dict, reference: Path, version: str, epoch: int) -> str:
    lines = title("claviger", 1, version, epoch)
    lines += [".SH NAME", f"claviger \\- {escape(root['abstract'].rstrip('.'))}", ".SH SYNOPSIS", ".PP"]
    lines += ["\\fBclaviger\\fP \\fIcommand\\fP [\\fIoptions\\fP]", ".PP", "\\fBclaviger\\fP \\fIcommand\\fP \\fB\\-\\-help\\fP"]
    lines += [".SH DESCRIPTION", *discussion(root), ".SH COMMANDS"]
    for command in below(root):
        lines += [".TP", f"\\fBclaviger\\-{escape(command['commandName'])}\\fP(1)", escape(command["abstract"])]
    lines += [".SH OPTIONS", ".TP", "\\fB\\-\\-version\\fP", "Show the version.", ".TP"]
    lines += ["\\fB\\-h\\fP, \\fB\\-\\-help\\fP", "Show help. Every command has these two.", ".TP"]
    lines += ["\\fB\\-\\-generate\\-completion\\-script\\fP \\fIshell\\fP", "Print completions for bash, zsh or fish."]
    statuses = exit_statuses((reference / "commands.md").read_text())
    lines += [".SH EXIT STATUS"] if statuses else []
    for status, meaning in statuses:
        lines += [".TP", f"\\fB{status}\\fP", inline(meaning)]
    lines.append(".SH FILES")
    for path, text in FILES:
        lines += [".TP", f"\\fI{escape(path)}\\fP", escape(text)]
    pages = ",\n".join(f".BR claviger\\-{escape(c['commandName'])} (1)" for c in below(root))
    lines += [".SH SEE ALSO", ".BR claviger.toml (5),", pages]
    return page(lines)


def markdown(text: str) -> list[str]:
    """The Markdown that the reference of the configuration is written in: headings, paragraphs, lists, tables, code."""
    lines, code = [], False
    for block in re.split(r"\n\n+", text):
        fenced = block.startswith("```")
        if code or fenced:
            body = block.split("\n")
            if fenced:
                lines += [".PP", ".RS 4", ".EX"]
                body = body[1:]
            else:
                lines.append("")
            code = body[-1] != "```"
            lines += [escape(line) for line in (body if code else body[:-1])]
            lines += [] if code else [".EE", ".RE"]
        elif found := re.match(r"(#+) (.*)", block):
            heading = re.sub(r"`", "", found[2])
            lines.append({2: ".SH ", 3: ".SS "}[len(found[1])] + escape(heading))
        elif block.startswith("- "):
            for item in re.split(r"(?m)^- ", block)[1:]:
                lines += [".IP \\(bu 2", inline(item)]
        elif block.startswith("|"):
            for row in block.split("\n"):
                cells = [cell.strip() for cell in row.strip("|").split(" | ")]
                if not re.fullmatch(r"[-|: ]+", row):
                    lines += [".TP", inline(cells[0].strip()) or "\\&", inline(" - ".join(cells[1:])) or "\\&"]
        else:
            lines += [".PP", inline(block)]
    return lines


def configuration_page(reference: Path, version: str, epoch: int) -> str:
    text = (reference / "configuration.md").read_text().strip()
    heading, _, rest = text.partition("\n\n")
    if not heading.startswith("# "):
        raise SystemExit("manual.py: configuration.md does not begin with its heading")
    lines = title("claviger.toml", 5, version, epoch)
    lines += [".SH NAME", "claviger.toml \\- configuration of a Claviger node", ".SH DESCRIPTION", *markdown(rest)]
    lines += [".SH FILES", ".TP", "\\fI/etc/claviger/claviger.toml\\fP", "Where the service looks for it."]
    lines += [".SH SEE ALSO", ".BR claviger (1),", ".BR claviger\\-check (1)"]
    return page(lines)


def pages(root: dict, reference: Path, version: str, epoch: int) -> dict[str, str]:
    """Each page by the name of its file."""
    made = {"claviger.1": overview(root, reference, version, epoch)}
    for command in below(root):
        made[f"claviger-{command['commandName']}.1"] = command_page(command, version, epoch)
    made["claviger.toml.5"] = configuration_page(reference, version, epoch)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--reference", required=True, type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    said = subprocess.run(
        [arguments.program, "--experimental-dump-help"], check=True, capture_output=True, text=True, timeout=60).stdout
    arguments.output.mkdir(parents=True, exist_ok=True)
    root = json.loads(said)["command"]
    for name, text in pages(root, arguments.reference, arguments.version, arguments.epoch).items():
        (arguments.output / name).write_text(text)


if __name__ == "__main__":
    main()
