"""Scenarios in a suite of the user's: each verdict is what pytest makes of it."""

import os
from pathlib import Path

import pytest

from tests.stress.plugged import PLUGIN

pytest_plugins = ["pytester"]

TOP = Path(__file__).parents[2]

SCENARIOS = """
    import signal, threading
    from dataclasses import replace
    from stress.core.outcome import acceptable, forbidden
    from stress.core.scenario import Observation, Scenario, Skip

    def work(state, index):
        threading.Event().wait(0.001)

    def die(state, index):
        signal.raise_signal(signal.SIGSEGV)

    def hang(state, index):
        if index:
            threading.Event().wait()

    def skip(params):
        raise Skip("only on Tuesdays")

    KEPT = lambda params: [acceptable("kept", ""), forbidden("lost", "must not be")]
    FINE = Scenario(
        1, "fine", "", "trials", lambda params: None, work, lambda state: Observation({"kept": 1}),
        {"racy": KEPT, "locked": KEPT}, minimum=lambda params: 3,
    )
    SCENARIOS = (
        FINE,
        replace(FINE, name="loses", arbiter=lambda state: Observation({"lost": 1})),
        replace(FINE, name="dies", actor=die),
        replace(FINE, name="hangs", actor=hang),
        replace(FINE, name="skipped", prepare=skip),
    )
"""

TEST = """
    import pytest

    @pytest.mark.stress_scenarios("mine.py", seconds=0.05, limit=2.0, modes=("racy",){more})
    def test_mine(stress_run):
        assert stress_run().trials >= 3
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs a suite of the user's in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(TOP), os.environ.get("PYTHONPATH", ""))))
    pytester.makepyfile(mine=SCENARIOS)

    def run(test, *options):
        pytester.makepyfile(test_suite=test)
        return pytester.runpytest_subprocess(*PLUGIN, "-rsf", *options)

    return run


def test_each_verdict_is_what_pytest_makes_of_it(suite):
    ended = suite(TEST.format(more=""))
    ended.assert_outcomes(passed=1, failed=3, skipped=1)
    ended.stdout.fnmatch_lines_random(
        [
            "*_ test_mine?loses-racy-2x10000? _*",
            "FAIL: forbidden outcome 'lost': must not be",
            "lost * forbidden *must not be",  # the outcomes that were seen
            "*_ test_mine?dies-racy-2x10000? _*",
            "CRASH: the process died: SIGSEGV",
            "TIMEOUT: no progress for 2 s",
            "*, line * in hang",
            "SKIPPED * SKIPPED: only on Tuesdays",
        ]
    )


def test_the_marker_narrows_down_what_is_run(suite):
    ended = suite(TEST.format(more=", threads=(2, 3), sizes=(5,)"), "--collect-only", "-q")
    names = [line.partition("::")[2] for line in ended.outlines if "::" in line]
    assert len(names) == 10
    assert "test_mine[fine-racy-3x5]" in names


@pytest.mark.parametrize(
    ("test", "fix"),
    [
        ("def test_mine(stress_run): pass", "stress_run needs @pytest.mark.stress_scenarios(file"),
        (TEST.format(more="").replace("mine.py", "theirs.py"), "theirs.py: there is no such file"),
        (TEST.format(more=", colour=1"), "colour"),
        (TEST.format(more=", threads=2"), "threads must be a tuple of whole numbers from 2 on"),
        (TEST.format(more=", sizes=(1.5,)"), "sizes must be a tuple of whole numbers from 1 on"),
        (TEST.format(more=", seed=None"), "seed must be a whole number"),
        (TEST.replace("limit=2.0", "limit=0.1").format(more=""), "limit must be a number from 1"),
        (TEST.replace("0.05", "'1'").format(more=""), "seconds must be a number more than 0"),
        (TEST.replace('"racy"', '"lockd"').format(more=""), "a tuple of modes, of racy, locked"),
        (TEST.replace('("racy",)', '"racy"').format(more=""), "a tuple of modes, of racy, locked"),
        (TEST.replace('"racy"', '"ordered"').format(more=""), "it has fine (racy, locked), loses"),
    ],
)
def test_wrong_usage_is_told_with_its_fix(suite, test, fix):
    ended = suite(test)
    assert ended.ret != 0
    assert fix in ended.stdout.str() + ended.stderr.str()


def test_the_plugin_costs_a_session_that_does_not_use_it_next_to_nothing(suite):
    ended = suite("""
        import sys

        def test_nothing_is_imported():
            assert "numpy" not in sys.modules
            assert "engine" not in sys.modules
    """)
    ended.assert_outcomes(passed=1)
