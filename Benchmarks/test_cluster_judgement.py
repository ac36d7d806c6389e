# SPDX-License-Identifier: Apache-2.0
"""Tests of what the cluster drills are judged by: invented views, answers and rows."""

import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cluster_catalogue  # noqa: E402
import cluster_judgement  # noqa: E402
import cluster_result  # noqa: E402
from cluster_judgement import Absence  # noqa: E402
from cluster_watch import Answer, Sealed, View  # noqa: E402

WORDS = {"+": "alive", "?": "suspect", "-": "dead", "x": "left"}


def views(**seen):
    """Views at seconds 0, 1, 2 … by observer; each letter is what it calls `c`, blank is silence. `a` and `b` live."""
    return {observer: [
        View(float(time), None if letter == " " else {"a": "alive", "b": "alive", "c": WORDS[letter]})
        for time, letter in enumerate(letters)] for observer, letters in seen.items()}


def answers(text, begin=0.0):
    """An asker's answers, one a second: `+` served, `-` blocked, `l` list lost, `5` no HSM, `3` late, a blank none."""
    kinds = {
        "+": (200, None, ""), "-": (400, "InvalidStateException", "blocked by the operator of this key store"),
        "l": (400, "InvalidStateException", "this node has lost its list of blocks"),
        "5": (500, "InternalException", "no HSM"), "3": (503, "DependencyTimeoutException", ""),
        " ": (0, "TimeoutError", "")}
    return [Answer(begin + number, begin + number + 0.5, *kinds[letter]) for number, letter in enumerate(text)]


def row(status=200, name=None, ms=3.0):
    return {"offset": 1.0, "ms": ms, "kind": "encrypt", "status": status, "name": name, "id": "id"}


def bad(status, name):
    """The row of bad ciphertext."""
    return row(status, name) | {"kind": "bad"}


def result(**changes):
    """A drill's result that misses nothing."""
    return {
        "title": "a drill", "rows": [row()], "wrong": [], "p50": 2.0, "p99": 3.0, "p999": 4.0, "slowest": 5.0,
        "known": [("c", "dead", 3.0)], "returns": [(5.0, 5.0)], "orders": [("it was blocked", 2.0, 2.0)], "broken": [],
        "notes": [], "false": [], "suspicions": 0, "late": 1.0, "stolen": 0.0, "loss": None, "ordered_loss": 0.0,
        "packets": 100, "sick": (), "may_fail": ()} | changes


class ViewTests(unittest.TestCase):
    def known(self, seen, **changes):
        absence = Absence("c", tuple(seen), 1.5, **changes)
        return cluster_judgement.seconds_until_known(views(**seen), absence)

    def test_known_when_the_last_one_says_so(self):
        self.assertEqual(self.known({"a": "++??-", "b": "++-+-"}), 2.5)
        self.assertEqual(self.known({"a": "++xx", "b": "++-x"}, called="left"), 1.5)

    def test_who_leaves_is_known_from_its_end_on(self):
        self.assertEqual(self.known({"a": "++xx", "b": "++-x"}, called="left", ended=2.0), 1.0)
        self.assertEqual(self.known({"a": "++xx", "b": "++xx"}, called="left", ended=3.5), 0.0)

    def test_never_known(self):
        for a in ("++??+", "-++++", "++xxx", "++   "):
            with self.subTest(a):
                self.assertEqual(self.known({"a": a, "b": "++---"}), math.inf)
        self.assertEqual(self.known({"a": "+++++-"}, end=4.0), math.inf)

    def whole(self, until=math.inf, **seen):
        return cluster_judgement.seconds_until_whole(views(**seen), ("a", "b", "c"), 1.5, until)

    def test_whole_when_it_stays(self):
        self.assertEqual(self.whole(a="--+++", b="--+++", c="--+++"), 0.0)
        self.assertEqual(self.whole(a="---+++", b="--+-++", c="--+++"), 2.5)
        self.assertEqual(self.whole(a="--++++", b="--++++", c="--  ++"), 2.5)
        for c in ("--++-", "--+++ ", "--++?"):
            with self.subTest(c):
                self.assertEqual(self.whole(a="--++++", b="--++++", c=c), math.inf)

    def test_what_comes_later_is_no_matter(self):
        self.assertEqual(self.whole(until=3.5, a="--++--", b="--++--", c="--++--"), 0.0)
        self.assertEqual(self.whole(until=1.9, a="--++", b="--++", c="--++"), math.inf)

    def false(self, letters, *absences):
        return cluster_judgement.false_deaths(views(a=letters), absences)

    def test_false_deaths(self):
        self.assertEqual(self.false("+++--+-"), [("a", "c", 3.0, "dead"), ("a", "c", 6.0, "dead")])
        self.assertEqual(self.false("+x-"), [("a", "c", 1.0, "left")])
        self.assertEqual(self.false("-"), [("a", "c", 0.0, "dead")])
        self.assertEqual(self.false("++?? +"), [])

    def test_a_death_is_true_while_the_node_is_away(self):
        absence = Absence("c", ("a",), 1.5, 3.5)
        self.assertEqual(self.false("++--+", absence), [])
        self.assertEqual(self.false("++++-", absence), [])  # a second's grace
        self.assertEqual(len(self.false("+++++-", absence)), 1)
        self.assertEqual(len(self.false("+--", absence)), 1)
        self.assertEqual(len(self.false("++--", Absence("b", ("a",), 1.5))), 1)
        self.assertEqual(len(self.false("++--", Absence("c", ("b",), 1.5))), 1)

    def test_suspicions(self):
        self.assertEqual(cluster_judgement.suspicions(views(a="?+??-?", b="++ +")), 3)


class AnswerTests(unittest.TestCase):
    def test_refused_when_nothing_is_served_any_more(self):
        def refused(text):
            return cluster_judgement.seconds_until_refused(answers(text), 1.0)
        self.assertEqual(refused("++--"), 1.5)
        self.assertEqual(refused("+-+-"), 2.5)
        self.assertEqual(refused("-- -"), 0.5)
        self.assertEqual(refused("++ 3-"), 3.5)
        for text in ("++--+", "+++", "++ 3", "-"):
            with self.subTest(text):
                self.assertEqual(refused(text), math.inf)

    def test_served_when_nothing_is_refused_any_more(self):
        def served(text):
            return cluster_judgement.seconds_until_served(answers(text), 1.0)
        self.assertEqual(served("--++3+"), 1.5)
        self.assertEqual(served("-+-+"), 2.5)
        self.assertEqual(served("--+-"), math.inf)

    def test_strange_refusals(self):
        def strange(text, end=9.0):
            return len(cluster_judgement.strange_refusals(answers(text), 0.5, end))
        self.assertEqual(strange("5+- 3-"), 0)
        self.assertEqual([strange("+5"), strange("+l"), strange("+5l5")], [1, 1, 2])
        self.assertEqual(strange("+-5", end=2.0), 0)


class RequirementTests(unittest.TestCase):
    def test_limits(self):
        self.assertEqual(
            [getattr(cluster_judgement, f"LONGEST_{name}") for name in (
                "UNKNOWN", "BLOCK", "HEALED_BLOCK", "HEALING", "START")], [3.0, 2.0, 5.0, 5.0, 10.0])

    def test_nothing_missed(self):
        self.assertEqual(cluster_judgement.misses(result()), [])
        self.assertEqual(cluster_judgement.misses(result(loss=0.21, ordered_loss=0.2)), [])
        self.assertEqual(cluster_judgement.misses(result(rows=[row(), bad(400, "InvalidCiphertextException")])), [])
        self.assertEqual(
            cluster_judgement.misses(result(rows=[row(), bad(500, "InternalException")], sick=(0.0, 9.0))), [])

    def test_each_requirement(self):
        for changes in (
                {"rows": [row(), row(500, "InternalException")]}, {"rows": [row(), bad(500, "InternalException")]},
                {"rows": [row(), bad(404, "KeyNotFoundException")], "sick": (0.0, 9.0)}, {"wrong": [(1.0, "another plaintext", "id")]},
                {"known": [("c", "dead", 3.1)]}, {"known": [("c", "dead", math.inf)]}, {"returns": [(5.1, 5.0)]},
                {"returns": [(math.inf, 5.0)]}, {"orders": [("it was blocked", 2.1, 2.0)]},
                {"orders": [("it was blocked", math.inf, 2.0)]}, {"false": [("a", "c", 1.0, "dead")]},
                {"broken": ["a node ended"]}, {"loss": 0.1, "ordered_loss": 0.2}, {"loss": 0.0, "ordered_loss": 0.2}):
            with self.subTest(changes):
                self.assertEqual(len(cluster_judgement.misses(result(**changes))), 1)

    def test_a_drill_on_a_busy_machine_is_worthless(self):
        late = [row(200, "good, but after 250 ms"), row(503, "DependencyTimeoutException"), row()]
        self.assertTrue(cluster_judgement.is_worthless(result(rows=late, late=51.0)))
        self.assertTrue(cluster_judgement.is_worthless(result(false=[("a", "c", 1.0, "dead")], late=501.0)))
        for changes in ({"late": 50.0}, {"wrong": [(1.0, "x", "id")]}, {"broken": ["a node ended"]},
                        {"false": [("a", "c", 1.0, "dead")]}, {"rows": [row(0, "connection closed")]}):
            with self.subTest(changes):
                self.assertFalse(cluster_judgement.is_worthless(result(**({"rows": late, "late": 51.0} | changes))))

    def test_remarks(self):
        self.assertEqual(cluster_judgement.remarks(result()), ["it was blocked after 2.00 s"])
        self.assertEqual(len(cluster_judgement.remarks(result(
            notes=["so"], suspicions=2, loss=0.2, late=21.0, stolen=0.2, orders=[("it was", math.inf, 2.0)]))), 5)

    def test_table_is_aligned(self):
        none = {"known": [], "returns": [], "orders": []}
        lines = [cluster_judgement.heading(), cluster_judgement.line(result(rows=[row()] * 12_000)),
                 cluster_judgement.line(result(**none)), cluster_judgement.line(result(rows=[], **none)),
                 cluster_judgement.line(result(known=[("c", "dead", 1.0), ("c", "dead", math.inf)]))]
        self.assertEqual(len({len(text) for text in lines}), 1)
        self.assertEqual(
            lines[1].split()[2:], ["12,000", "0", "0", "2.0", "3.0", "4.0", "5.0", "3.00", "0", "5.00", "2.00"])
        self.assertEqual(lines[2].split()[-4:], ["-", "0", "-", "-"])
        self.assertEqual(lines[3].split()[5:9], ["-"] * 4)
        self.assertIn("never", lines[4])

    def test_every_title_fits_the_table(self):
        for drill in cluster_catalogue.drills(20):
            self.assertLessEqual(len(drill.title), cluster_judgement.COLUMNS[0][1])


class BlockTests(unittest.TestCase):
    """An order at 1.2 s; answers take half a second."""

    def judged(self, seen, far=(), **times):
        block = cluster_result.Block(1.2, tuple(name for name in seen if name not in far), far, ended=1.3, **times)
        orders, broken = cluster_result.judged_block(block, {name: answers(text) for name, text in seen.items()})
        return [round(taken, 1) for _, taken, _ in orders], broken

    def test_blocked_and_free_again(self):
        self.assertEqual(self.judged({"a": "++---++", "b": "+----++"}, lifted=4.8), ([1.3, 0.7], []))
        self.assertEqual(self.judged({"a": "++---++", "b": "+++++++"}, lifted=4.8), ([math.inf, 0.7], []))
        self.assertEqual(self.judged({"a": "++---++", "b": "+----+-"}, lifted=4.8), ([1.3, math.inf], []))

    def test_other_refusals_are_told(self):
        for text in ("-+---", "5+---", "++--5", "++--l"):
            with self.subTest(text):
                self.assertEqual(len(self.judged({"a": text})[1]), 1)

    def test_beyond_a_cut_the_block_comes_with_the_healing(self):
        def far(text):
            return self.judged({"a": "++------", "b": text}, far=("b",), healed=4.2)
        self.assertEqual(far("+++++---"), ([1.3, 1.3], []))
        self.assertEqual(far("++++++++")[0], [1.3, math.inf])
        self.assertEqual(len(far("++------")[1]), 1)
        self.assertEqual(len(far("++   ---")[1]), 1)

    def test_the_block_outlives_the_nodes(self):
        def killed(text):
            return self.judged({"a": text}, killed=1.4, lifted=5.8)
        self.assertEqual(killed("++  --++"), ([0.7], []))
        self.assertEqual(len(killed("++  +-++")[1]), 1)
        self.assertEqual(len(killed("++    ++")[1]), 1)
        self.assertEqual(len(killed("++  --5+")[1]), 0)
        self.assertEqual(len(killed("++  5-++")[1]), 1)

    def test_a_block_that_ends_by_itself_holds_until_then(self):
        # From 1.2 s to 5.3 s.
        def lasted(text):
            return self.judged({"a": text, "b": "++---" + "+" * 5}, lasts=4.0)
        self.assertEqual(lasted("++----++++"), ([1.3, 1.3, 1.2], []))
        # It was over too early, or too late.
        self.assertEqual(self.judged({"a": "++-+++++++"}, lasts=4.0)[0][0], math.inf)
        self.assertEqual(self.judged({"a": "++----++++"}, lasts=4.0), ([1.3, 1.2], []))
        self.assertEqual(self.judged({"a": "++--------"}, lasts=4.0)[0], [1.3, math.inf])

    def test_a_node_that_began_with_nothing_serves_nothing_until_it_knows(self):
        def wiped(text):
            return self.judged({"a": "++-----+++", "b": text}, wiped="b", healed=4.2, lifted=6.8)
        self.assertEqual(wiped("++- ll--++"), ([1.3, 1.7, 0.7], []))
        orders, broken = wiped("++- ++--++")
        self.assertEqual(len(broken), 1)
        self.assertEqual(wiped("++- ll--ll")[0][1], math.inf)
        self.assertEqual(wiped("++- llllll")[0][1], math.inf)

    def test_names_of_those_that_have_not_confirmed(self):
        text = """Blocked: key "bar". The block's id is 5d1f0c8e9a7b4c3d5d1f0c8e9a7b4c3d.
              node-1       2 ms  confirmed
            1 of 3 nodes have it on disk. NOT CONFIRMED: node-2,
            node-3. A node that cannot be reached gets it as soon as it can."""
        self.assertEqual(cluster_result.unconfirmed(text), {"node-2", "node-3"})
        self.assertEqual(cluster_result.unconfirmed("All 3 nodes have it on disk."), set())


class ResultTests(unittest.TestCase):
    def test_direct_requests_to_a_node_without_hsms_count_like_those_of_the_load(self):
        forwarding = cluster_result.Forwarding("a", 0.5, 6.1)
        seen = answers("+5+3+ +5")
        for answer in seen:
            answer.answered = answer.sent + 0.2
        rows = cluster_result.direct_rows(forwarding, seen, 0.5)
        self.assertEqual([(row["offset"], row["status"]) for row in rows],
                         [(0.5, 500), (1.5, 200), (2.5, 503), (3.5, 200), (4.5, 0)])
        self.assertEqual({round(row["ms"]) for row in rows}, {200})
        self.assertEqual(cluster_judgement.misses(result(rows=rows)), ["3 requests failed"])
        late = cluster_result.direct_rows(forwarding, answers("++"), 0.5)
        self.assertEqual([row["name"] for row in late], ["good, but after 250 ms"])

    def sealed(self, *made):
        """Requests to encrypt: maker, second, what both nodes answered when they opened it (`-`: nothing was made), and
        the key that it was made with, `foo` unless it is said."""
        kinds = {"+": (200, None), "i": (400, "InvalidCiphertextException"), "5": (500, "InternalException"),
                 "l": (400, "InvalidStateException")}
        return [(maker, Sealed(second, 500 if opened == "-" else 200, {} if opened == "-" else {
            name: Answer(second, second, *kinds[letter]) for name, letter in zip("ab", opened)}, {}, *(key or ["foo"])))
            for maker, second, opened, *key in made]

    def contest(self, *made, verdicts=None, together=1.0):
        contest = cluster_result.Contest(("a", "b"), together, verdicts or {"a": "DEGRADED", "b": "DEGRADED"})
        return cluster_result.judged_contest(contest, self.sealed(*made))[0]

    def test_one_side_of_a_contest_encrypts_and_nothing_is_refused_for_good(self):
        self.assertEqual(self.contest(("a", 2.0, "+5"), ("b", 2.0, "5+"), ("a", 17.0, "++"), ("b", 17.0, "-")), [])
        self.assertEqual(self.contest(("a", 2.0, "+l"), ("a", 17.0, "++")), [])
        # Who passes requests on makes ciphertext, too.
        self.assertEqual(self.contest(("a", 17.0, "++"), ("b", 17.0, "++")), [])
        self.assertEqual(len(self.contest(("a", 17.0, "++"), ("b", 17.0, "++", "bar"))), 1)
        self.assertEqual(self.contest(("a", 2.0, "++"), ("b", 2.0, "++", "bar"), ("a", 17.0, "++")), [])
        self.assertEqual(len(self.contest(("a", 17.0, "++", None))), 1)
        self.assertEqual(len(self.contest(("a", 2.0, "++"), ("a", 17.0, "-"))), 1)
        self.assertEqual(len(self.contest(("a", 2.0, "+i"), ("a", 17.0, "++"))), 1)
        self.assertEqual(len(self.contest(("a", 17.0, "++"), verdicts={"a": "ACTIVE", "b": "DEGRADED"})), 1)
        self.assertEqual(len(self.contest(("a", 17.0, "++"), ("b", 17.0, "++"), together=math.inf)), 1)

    def test_summary(self):
        drill = cluster_catalogue.drills(20)[0]
        record = cluster_result.Record(broken=["so"], notes=["and so"])
        absences = [Absence("c", ("a",), 1.5, 4.5), Absence("c", ("a",), 7.5, called="left")]
        record.excused += absences
        record.noticed.append(absences[0])
        record.returns.append(cluster_result.Return(4.5, ("a",), 5.0))
        seen = views(a="+++--+++xx", b="++++++++-")
        outcome = {"answers": [
            (0.5, 9.0, "encrypt", 200, None, "id", 1), (0.6, 7.0, "decrypt", 500, "X", "id", 1)],
                   "wrong": [], "lateness": [1.0, 30.0]}
        found = cluster_result.summary(drill, record, 1.0, seen, {}, outcome)
        self.assertEqual(found["known"], [("c", "dead", 1.5)])
        # At 8 s it has left again, which is another matter.
        self.assertEqual(found["returns"], [(0.0, 5.0)])
        self.assertEqual(found["false"], [("b", "c", 7.0, "dead")])
        self.assertEqual((found["p50"], found["slowest"], found["late"]), (7.0, 9.0, 30.0))
        self.assertEqual((found["broken"], found["notes"], len(found["rows"])), (["so"], ["and so"], 2))
        self.assertEqual(cluster_result.summary(drill, record, 1.0, seen, {})["rows"], [])

    def test_summary_of_what_nodes_answered_directly(self):
        drill = cluster_catalogue.drills(20)[0]
        record = cluster_result.Record(
            block=cluster_result.Block(1.2, ("a",), ()), forwarding=cluster_result.Forwarding("b", 0.5, 9.0))
        found = cluster_result.summary(drill, record, 0.0, views(), {"a": answers("++-5"), "b": answers("+++5+3")})
        self.assertEqual([round(taken, 1) for _, taken, _ in found["orders"]], [1.3])
        self.assertEqual((len(found["broken"]), found["notes"], len(found["rows"])), (1, [], 5))
        self.assertEqual(found["may_fail"], ())

    def test_where_peers_are_far_a_second_is_for_learning(self):
        drill = next(drill for drill in cluster_catalogue.drills(20) if drill.name == "far")
        record = cluster_result.Record(forwarding=cluster_result.Forwarding("b", 4.5))
        outcome = {"answers": [(time, 9.0, "encrypt", 500, "X", "id", 1) for time in (3.4, 3.6, 4.4, 4.6)], "wrong": [],
                   "lateness": []}
        found = cluster_result.summary(drill, record, 1.0, views(), {}, outcome)
        self.assertEqual(found["may_fail"], (3.5, 4.5))
        self.assertEqual(cluster_judgement.misses(result(**{name: found[name] for name in ("rows", "may_fail")})),
                         ["2 requests failed"])


if __name__ == "__main__":
    unittest.main()
