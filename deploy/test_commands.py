# SPDX-License-Identifier: Apache-2.0
"""The command line in the sources against docs/reference/commands.md: exit statuses, and what the shell completes."""
import re
import unittest

from checking import ROOT

COMMANDS = ROOT / "Sources" / "claviger"
SOURCE = "\n".join(path.read_text() for path in sorted(COMMANDS.rglob("*.swift")))
SECTION = (ROOT / "docs" / "reference" / "commands.md").read_text().partition("## Exit statuses\n")[2].partition("\n## ")[0]


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first line begins so."""
    table = SECTION[SECTION.index(head):].split("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]


class ExitStatuses(unittest.TestCase):
    def test_each_has_one_meaning_and_all_are_listed(self):
        named = re.findall(r"static let (\w+) = ExitCode\((\d+)\)", SOURCE)
        self.assertGreaterEqual(len(named), 6)
        numbers = [number for _, number in named]
        # Until then 3 was "cannot start" and "a node has not confirmed it".
        self.assertEqual(len(numbers), len(set(numbers)), named)
        listed = [(name.strip("`"), number) for number, name, _ in rows("| status |")[2:] if name]
        self.assertEqual(sorted(named), sorted(listed))
        # What ends before the program's first statement.
        start = re.search(r"exit_status_start = (\d+)",
                          (ROOT / "Sources" / "Base" / "ProcessStart" / "start.c").read_text())[1]
        self.assertIn(("start", start), named)

    def test_no_command_makes_up_a_status(self):
        made = re.findall(r"ExitCode\((?!\d+\)\n)([^)]+)\)", SOURCE)
        # LibraryProcess hands on the status of its child, which is this very program.
        self.assertEqual([text for text in made if text != "status"], [])

    def test_every_command_is_listed_with_the_statuses_that_its_help_names(self):
        head, *body = [row for row in rows("| | 0 |") if not set(row[0]) <= {"-"} or not row[0]]
        listed = {}
        for row in body:
            for name in re.findall(r"`([^`]+)`", row[0]):
                listed[name] = {head[index] for index, cell in enumerate(row) if index and cell}
        for block in re.findall(r"CommandConfiguration\((.*?)\n\n", SOURCE, re.S):
            name = re.search(r'commandName: "([^"]+)"', block)[1]
            if "subcommands" in block or "shouldDisplay: false" in block or name.startswith("claviger"):
                continue
            found = [entry for entry in listed if entry == name or entry.endswith(" " + name)]
            with self.subTest(name):
                self.assertTrue(found)
                text = re.sub(r'"\s*\+\s*"', "", block)
                statuses = set(re.findall(r"[Ss]tatus (\d+)", text))
                self.assertTrue(any(statuses <= listed[entry] for entry in found), (statuses, found))


class Completion(unittest.TestCase):
    def test_what_takes_a_file_or_a_directory_says_so_to_the_shell(self):
        found = 0
        for kind, words, name in re.findall(r"@(Option|Argument)\((.*?)\)\n\s+var (\w+)", SOURCE, re.S):
            if not re.search(r"\b([Ff]iles?|[Dd]irectory|library)\b", words):
                continue
            if name in ("name", "profile"):
                continue
            found += 1
            with self.subTest(name):
                self.assertRegex(words, r"completion: \.(file\(|directory)")
        self.assertGreaterEqual(found, 14)


class OneVoice(unittest.TestCase):
    def test_all_that_commands_say_goes_through_one_place(self):
        """What `print` writes is buffered: it would come after what follows, and nobody would see that it cannot be written."""
        self.assertEqual(re.findall(r"(?m)^.*(?<![\w.])(?:print|fputs|debugPrint)\(.*$", SOURCE), [])
