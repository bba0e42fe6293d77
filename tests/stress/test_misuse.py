"""Scenarios that are written wrongly: none of them passes, and each is told what is wrong."""

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stress import cli
from stress.core.child import Child
from stress.core.job import Job, isolated
from stress.core.outcome import acceptable, forbidden
from stress.core.runner import Budget, run
from stress.core.scenario import Observation, Params, Scenario
from stress.core.source import SourceError, asked, load

PARAMS = Params("racy")
KEPT = (acceptable("kept", ""), forbidden("lost", "must not be"))
STRING: Any = "kept"
HERE = str(Path(__file__))


def nothing(*_):
    """An actor, or a setup."""


def kept(state):
    return Observation({"kept": 1}, overlapped=True)


def no_table(*_):
    raise KeyError("no table")


def leave(*_):
    sys.exit(0)


class Mute(Exception):
    def __str__(self):
        raise TypeError("no words")


def mute(*_):
    raise Mute


FORKED: list[int] = []


def fork(state, index):
    FORKED.append(os.fork())  # and the fork goes on as if it were the actor


@contextmanager
def left(params):
    leave()
    yield params


FINE = Scenario(
    1, "fine", "", "trials", nothing, nothing, kept, {"racy": lambda params: KEPT},
    minimum=lambda params: 3,
)  # fmt: skip

SCENARIOS = [
    FINE,
    replace(FINE, name="outcomes", outcomes={"racy": no_table}),
    replace(FINE, name="strings", outcomes={"racy": lambda params: [STRING]}),
    replace(FINE, name="crew", crew=no_table),
    replace(FINE, name="nobody", crew=lambda params: 0),
    replace(FINE, name="prepare", prepare=left),
    replace(FINE, name="setup", setup=leave),
    replace(FINE, name="arbiter", arbiter=leave),
    replace(FINE, name="nothing seen", arbiter=nothing),
    replace(FINE, name="mute", setup=mute),
    replace(FINE, name="fine too"),
]
FORKS = replace(FINE, name="forks", actor=fork)  # beside the list: it cannot be explored

WRONG = {
    "outcomes": "KeyError: 'no table'",
    "strings": "outcomes['racy'] must be a list of what acceptable()",
    "crew": "KeyError: 'no table'",
    "nobody": "crew(params) must be a whole number from 1 on, got 0",
    "prepare": "SystemExit: 0",
    "setup": "SystemExit: 0",
    "arbiter": "SystemExit: 0",
    "mute": "Mute (asked for its message, it raised TypeError)",
    "nothing seen": "the arbiter must return an Observation, not None",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_written_wrongly_is_an_error_that_says_so(name):
    job = Job(HERE, name, PARAMS, Budget(0.01, 0.1, 20.0))
    with Child() as child:
        result = isolated(child, job)
    assert result.verdict == "ERROR"
    assert WRONG[name] in result.reason
    assert name in ("strings", "nobody", "nothing seen") or "test_misuse.py" in result.stacks


def test_under_control_it_is_an_error_as_well_and_the_others_are_explored(capsys):
    code = cli.main(["explore", "--all", "--scenarios", HERE, "--jobs", "1"])
    said = capsys.readouterr().out
    assert code == 3
    for name, reason in WRONG.items():
        for size in (1, 4):
            assert f"{name} racy size {size}: ERROR: " in said
        assert reason in said
    for name in ("fine", "fine too"):
        assert f"{name} racy size 4: INCONCLUSIVE: nothing could race" in said


@pytest.mark.parametrize(
    ("outcomes", "fix"),
    [
        (["kept"], "a dict from outcome to samples, not a list"),
        ({1: 1}, "named by a string, not by 1"),
        ({"kept": "1"}, "samples of 'kept' must be a whole number from 0 on, got '1'"),
        ({"kept": 0.5}, "samples of 'kept' must be a whole number from 0 on, got 0.5"),
        ({"kept": 2, "lost": -1}, "samples of 'lost' must be a whole number from 0 on, got -1"),
    ],
)
def test_an_observation_is_a_count_of_outcomes(outcomes, fix):
    with pytest.raises((TypeError, ValueError), match=fix):
        Observation(outcomes)


def test_truth_and_numbers_of_numpy_count():
    counts: dict[str, Any] = {"kept": np.True_, "lost": np.int64(2), "torn": False}
    seen = Observation(counts).outcomes
    assert seen == {"kept": 1, "lost": 2, "torn": 0}
    assert {type(count) for count in seen.values()} == {int}


def test_an_outcome_that_is_counted_as_none_ends_no_run_early():
    never = replace(
        FINE, arbiter=lambda state: Observation({"kept": 1, "lost": 0}, overlapped=True)
    )
    result = run(replace(never, minimum=lambda params: 50), PARAMS, Budget(0.0, 20.0))
    assert (result.verdict, result.samples) == ("PASS", 50)


def test_a_failure_says_where_the_actor_raised():
    result = run(replace(FINE, actor=no_table), PARAMS, Budget(0.0, 20.0))
    assert result.verdict == "FAIL"
    assert "in no_table" in result.stacks
    allowed = {"racy": lambda params: [*KEPT, acceptable("raised KeyError", "")]}
    fine = replace(FINE, actor=no_table, outcomes=allowed)
    assert run(fine, PARAMS, Budget(0.0, 0.1)).stacks == ""


@pytest.mark.parametrize(
    ("part", "wrong", "fix"),
    [
        ("sizes", no_table, "its sizes raised KeyError: 'no table'"),
        ("sizes", lambda edge: (), r"its sizes must be whole numbers from 1 on, got \(\)"),
        ("sizes", lambda edge: (1.5,), "whole numbers from 1 on"),
        ("tags", no_table, "its tags raised KeyError"),
        ("tags", lambda params: None, "a set of strings, got None"),
        ("explore", no_table, "its explore raised KeyError"),
        ("explore", lambda params: [1], "a tuple of Params"),
    ],
)
def test_what_is_asked_before_anything_runs_names_the_scenario(part, wrong, fix):
    with pytest.raises(SourceError, match=f"'fine': .*{fix}"):
        asked(replace(FINE, **{part: wrong}), part, PARAMS)


@pytest.mark.parametrize("words", [["run"], ["list", "--json"], ["explore", "--all"]])
def test_it_is_wrong_usage_and_not_an_end_of_the_harness(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "mine.py"
    path.write_text(
        Path(HERE).read_text("utf-8").partition("SCENARIOS =")[0]
        + "bad = dict(sizes=no_table, explore=no_table)\nSCENARIOS = [replace(FINE, **bad)]\n"
    )
    assert cli.main([*words, "--scenarios", str(path)]) == 4
    assert "'no table'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("last", "fix"),
    [
        ("sys.exit(0)", "line 2: SystemExit: 0"),
        ("1 / 0", "line 2: ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_a_file_that_ends_while_it_is_read_gives_no_verdict(
    last, fix, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "mine.py"
    path.write_text(f"import sys\n{last}\n")
    assert cli.main(["list", "--scenarios", str(path)]) == 4
    assert fix in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcomes", "fix"),
    [
        (None, "no dict from mode to a function of the params"),
        ({"racy": KEPT}, "no dict from mode to a function of the params"),
        ({"racy": nothing, "lokced": nothing}, "'lokced', which is none of the modes racy, locked"),
    ],
)
def test_a_table_is_looked_at_when_the_file_is_read(outcomes, fix, monkeypatch):
    module = type(sys)("misused")
    vars(module)["SCENARIOS"] = [replace(FINE, outcomes=outcomes)]
    monkeypatch.setitem(sys.modules, "misused", module)
    with pytest.raises(SourceError, match=fix):
        load("misused")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_that_comes_back_from_an_actor_ends_there():
    result = run(FORKS, PARAMS, Budget(0.05, 5.0))
    assert result.verdict == "PASS"
    assert FORKED
    assert {os.waitpid(pid, 0)[1] for pid in FORKED} == {0}  # each of them has ended


def test_an_exception_that_has_no_words_is_an_outcome_all_the_same():
    result = run(replace(FINE, actor=mute), PARAMS, Budget(0.05, 5.0))
    assert (result.verdict, result.rows[0].key) == ("FAIL", "raised Mute")
    assert "it raised TypeError" in result.notes[0]
