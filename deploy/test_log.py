# SPDX-License-Identifier: Apache-2.0
"""docs/reference/log.md against the sources: every message that a node logs, with its levels and fields, and what each
field means.

After a change: `CLAVIGER_WRITE_REFERENCE=1 python3 -m unittest test_log` here, and read what changed."""
import os
import re
import unittest
from collections import defaultdict

from checking import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "log.md"
BEGIN, END = "<!-- From the sources; test_log.py -->\n", "<!-- End -->\n"
LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")
CALL = re.compile(r"\b\w*[lL]ogger\.(" + "|".join(LEVELS) + r"|log)\(")
NAME = r"\"([A-Za-z][A-Za-z0-9_]*)\""
# A function that is given its message: where it is called.
INDIRECT = {"message": re.compile(r"\bbecameKnown\((\"(?:[^\"\\]|\\.)*\")")}


def end_of_string(text: str, start: int) -> int:
    """The index behind a string literal; what is interpolated may hold others."""
    index = start + 1
    while text[index] != '"':
        if text.startswith("\\(", index):
            index = end_of_brackets(text, index + 1)
        else:
            index += 2 if text[index] == "\\" else 1
    return index + 1


def end_of_brackets(text: str, start: int) -> int:
    """The index behind what begins with a bracket at `start`."""
    depth, index = 0, start
    while True:
        character = text[index]
        if character == '"':
            index = end_of_string(text, index)
            continue
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        index += 1
        if depth == 0:
            return index


def arguments(text: str) -> list[str]:
    """Of a call, without its parentheses: what stands between the commas."""
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == '"':
            index = end_of_string(text, index)
        elif text[index] in "([{":
            index = end_of_brackets(text, index)
        else:
            if text[index] == ",":
                parts.append(text[start:index].strip())
                start = index + 1
            index += 1
    return [part for part in parts + [text[start:].strip()] if part]


def literals(text: str) -> list[str]:
    """The string literals of an expression, not those within others."""
    found, index = [], 0
    while index < len(text):
        if text[index] == '"':
            end = end_of_string(text, index)
            found.append(text[index + 1:end - 1])
            index = end
        else:
            index += 1
    return found


def without_comments(text: str) -> str:
    return re.sub(r"(?m)^\s*//.*$", "", text)


class Sources:
    """What the sources log: for each message its levels and fields."""

    def __init__(self):
        self.levels = defaultdict(set)
        self.fields = defaultdict(set)
        self.unknown = []
        for path in sorted((ROOT / "Sources").rglob("*.swift")):
            text = without_comments(path.read_text())
            for call in CALL.finditer(text):
                end = end_of_brackets(text, call.end() - 1)
                self.note(path.name, text, call[1], arguments(text[call.end():end - 1]))

    def note(self, name: str, text: str, level: str, words: list[str]):
        named = {word.split(":", 1)[0]: word.split(":", 1)[1].strip() for word in words if re.match(r"\w+:", word)}
        levels = {level} if level != "log" else self.levels_of(text, named.get("level", ""))
        message = next(word for word in words if not re.match(r"\w+:", word))
        messages = literals(message)
        if message in INDIRECT:
            messages = [found[1:-1] for found in INDIRECT[message].findall(text)]
        if not messages or not levels or any("\\(" in text for text in messages):
            self.unknown.append(f"{name}: {level}({message})")
        for found in messages:
            self.levels[found] |= levels
            self.fields[found] |= self.fields_of(text, named.get("metadata", ""))
            if "error" in named:
                self.fields[found].add("error")

    @staticmethod
    def levels_of(text: str, expression: str) -> set[str]:
        if re.fullmatch(r"(?:self\.)?\w+(?:\(.*\))?", expression, re.S):
            # A variable, or a function: what it is made from.
            name = re.match(r"(?:self\.)?(\w+)", expression)[1]
            found = re.findall(rf"\blet {name}\b[^=\n]*=(.*)", text)
            for function in re.finditer(rf"\bfunc {name}\([^{{]*{{", text):
                found.append(text[function.end():end_of_brackets(text, function.end() - 1)])
            expression = " ".join(found)
        return set(re.findall(r"\.(" + "|".join(LEVELS) + r")\b", expression))

    @staticmethod
    def fields_of(text: str, expression: str) -> set[str]:
        if re.fullmatch(r"\w+", expression):
            # A variable: how it begins, and what is put into it.
            found = set(re.findall(rf"\b{expression}\[{NAME}\] = ", text))
            for start in re.finditer(rf"\bvar {expression}: Logger\.Metadata = \[", text):
                end = end_of_brackets(text, start.end() - 1)
                found |= Sources.fields_of(text, text[start.end() - 1:end])
            return found
        inner = arguments(expression[1:-1]) if expression.startswith("[") else [expression]
        keys = [re.match(NAME + r"\s*:", word) for word in inner]
        return {key[1] for key in keys if key}

    def table(self) -> str:
        rows = []
        for message in sorted(self.levels, key=str.lower):
            levels = ", ".join(level for level in LEVELS if level in self.levels[message])
            fields = ", ".join(f"`{field}`" for field in sorted(self.fields[message]))
            rows.append(f"| `{message}` | {levels} | {fields} |\n")
        return "| message | level | fields |\n|---|---|---|\n" + "".join(rows)


class LogReference(unittest.TestCase):
    sources = Sources()

    def test_every_call_is_understood(self):
        self.assertEqual(self.sources.unknown, [])
        self.assertGreater(len(self.sources.levels), 60)
        # One of each kind: a message that is chosen, a level that is, metadata in a variable.
        self.assertIn("hsm undrained", self.sources.levels)
        self.assertEqual(self.sources.levels["key proven"], {"debug", "info"})
        self.assertLessEqual({"listener", "kind", "address", "detail"}, self.sources.fields["turned away"])

    def test_every_message_is_in_the_reference(self):
        text = DOCUMENT.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        right = before + BEGIN + self.sources.table() + END + after
        if "CLAVIGER_WRITE_REFERENCE" in os.environ:
            DOCUMENT.write_text(right)
        self.assertEqual(DOCUMENT.read_text(), right)

    def test_every_field_has_a_meaning(self):
        section = DOCUMENT.read_text().partition("## Fields of events\n")[2].partition("\n## ")[0]
        explained = set()
        for row in re.findall(r"(?m)^\| (`.*?`) \| .+ \|$", section):
            explained |= set(re.findall(r"`([^`]+)`", row))
        named = set().union(*self.sources.fields.values())
        self.assertEqual(named - explained, set(), "fields without a meaning")
        self.assertEqual(explained - named, set(), "fields that nothing has")

    def test_every_field_of_a_request_has_a_meaning(self):
        source = (ROOT / "Sources" / "Node" / "Observability" / "RequestLog.swift").read_text()
        section = DOCUMENT.read_text().partition("## Requests\n")[2].partition("\n## ")[0]
        names = set(re.findall(r'line\.add\("(\w+)"', source))
        self.assertGreater(len(names), 25)
        rows = "\n".join(re.findall(r"(?m)^\| (.*?) \|", section))
        self.assertEqual(names - set(re.findall(r"`(\w+)`", rows)), set())

    def test_every_kind_of_peer_that_is_turned_away_is_named(self):
        source = (ROOT / "Sources" / "Base" / "ConnectionLimits" / "RefusalKind.swift").read_text()
        body = source.partition("package enum RefusalKind")[2].partition("package var likelyCause")[0]
        kinds = {raw or name for name, raw in re.findall(r'(?m)^    case (\w+)(?: = "([^"]+)")?$', body)}
        self.assertGreater(len(kinds), 25)
        section = DOCUMENT.read_text().partition("## Peers that were turned away\n")[2].partition("\n## ")[0]
        named = {kind for row in re.findall(r"(?m)^\| (`[a-z-]+`) \|", section.partition("| kind |")[2])
                 for kind in re.findall(r"`([^`]+)`", row)}
        self.assertEqual(kinds, named)

    def test_every_short_name_of_a_refused_signature_is_named(self):
        names = set()
        for path in (ROOT / "Sources" / "Wire" / "SigV4").glob("*.swift"):
            for body in re.findall(r"var code[^{]*: String \{(.*?)\n    \}", path.read_text(), re.S):
                names |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', body))
        self.assertIn("clock-skew", names)
        text = (ROOT / "docs" / "reference" / "authentication.md").read_text()
        self.assertEqual({name for name in names if f"`{name}`" not in text}, set())
