"""Which declared outcome a sample belongs to, and what that makes of the run."""

import pytest

from stress.core.outcome import Expect, acceptable, forbidden, grade, interesting, required
from stress.core.result import Row, Verdict, decide, tabulate

OUTCOMES = (
    forbidden("raised *", "nothing may raise"),
    acceptable("raised Stop", "but this"),
    interesting("lost", "may be lost"),
)


def test_an_exact_match_comes_before_a_pattern():
    assert grade(OUTCOMES, "raised Stop").expect is Expect.ACCEPTABLE
    assert grade(OUTCOMES, "raised ValueError").expect is Expect.FORBIDDEN


def test_what_nobody_declared_is_unknown_and_fails():
    outcome = grade(OUTCOMES, "torn")
    assert outcome.expect is Expect.UNKNOWN
    assert outcome.expect.fails


def test_patterns_match_case():
    assert grade(OUTCOMES, "Raised it").expect is Expect.UNKNOWN


def test_a_table_shows_what_was_seen_and_what_was_declared_and_not_seen():
    rows = tabulate(OUTCOMES, {"raised ValueError": 2, "lost": 1})
    assert [(row.key, row.count, row.expect) for row in rows] == [
        ("raised ValueError", 2, "forbidden"),
        ("lost", 1, "interesting"),
        ("raised Stop", 0, "acceptable"),
    ]


def verdict(counts, *, overlap=1.0, minimum=10, idle=(), outcomes=OUTCOMES):
    return decide(tabulate(outcomes, counts), overlap=overlap, minimum=minimum, idle=idle)


def test_pass_needs_evidence():
    assert verdict({"lost": 10}) == (Verdict.PASS, "")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"minimum": 11}, "10 samples, 11 needed"),
        ({"overlap": 0.0}, "never overlapped"),
        ({"idle": [1]}, "actors [1] never entered"),
    ],
)
def test_without_evidence_it_is_inconclusive_and_says_why(missing, words):
    decided, reason = verdict({"lost": 10}, **missing)
    assert decided is Verdict.INCONCLUSIVE
    assert words in reason


def test_a_required_outcome_that_never_shows_is_inconclusive():
    outcomes = (acceptable("kept", ""), required("lost", ""))
    assert verdict({"kept": 20}, outcomes=outcomes)[0] is Verdict.INCONCLUSIVE
    assert verdict({"kept": 20, "lost": 1}, outcomes=outcomes)[0] is Verdict.PASS


@pytest.mark.parametrize("key", ["raised ValueError", "torn"])
def test_one_wrong_sample_fails_whatever_else_is_missing(key):
    decided, reason = verdict({"lost": 1, key: 1}, overlap=0.0, minimum=100)
    assert decided is Verdict.FAIL
    assert key in reason


def test_rows_carry_why():
    assert Row("lost", 1, "interesting", "may be lost") in tabulate(OUTCOMES, {"lost": 1})
