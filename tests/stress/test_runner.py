"""The runner reports what happened, and passes nothing without evidence."""

import sys
import threading
from typing import Any

import numpy as np
import pytest

from stress.core.outcome import acceptable, forbidden, interesting, required
from stress.core.runner import Budget, overlapped, run
from stress.core.scenario import Observation, Params, Scenario, one_actor

QUICK = Budget(seconds=0.02, patience=0.2)
PARAMS = Params("racy", threads=2, size=10_000)


def add(state, index):
    """Long enough for two of them to meet."""
    for _ in range(200):
        np.add(state[index], 1.0, out=state[index])


def scenario(**changes):
    return Scenario(
        **{
            "number": 99,
            "name": "test",
            "title": "a test",
            "unit": "trials",
            "setup": lambda params: np.zeros((params.threads, params.size)),
            "actor": add,
            "arbiter": lambda state: Observation({"kept": 1}),
            "outcomes": {"racy": lambda params: [acceptable("kept", "")]},
            "minimum": lambda params: 3,
            **changes,
        }
    )


def test_a_run_with_evidence_passes():
    result = run(scenario(), PARAMS, Budget(0.02, patience=10.0))
    assert (result.verdict, result.reason) == ("PASS", "")
    assert result.samples == result.trials >= 3
    assert result.overlap


def test_every_actor_runs_once_in_every_trial():
    counts = []

    def actor(state, index):
        state.append(index)

    def arbiter(state):
        counts.append(sorted(state))
        return Observation({"kept": 1})

    patient = Budget(0.02, patience=20.0)
    run(scenario(setup=lambda params: [], actor=actor, arbiter=arbiter), PARAMS, patient)
    assert len(counts) >= 3
    assert all(seen == [0, 1] for seen in counts)


def test_a_forbidden_outcome_fails_and_is_told_with_its_reason():
    outcomes = {"racy": lambda params: [forbidden("kept", "must not be")]}
    result = run(scenario(outcomes=outcomes), PARAMS, QUICK)
    assert result.verdict == "FAIL"
    assert "must not be" in result.reason


def test_an_undeclared_outcome_fails():
    result = run(scenario(arbiter=lambda state: Observation({"odd": 1})), PARAMS, QUICK)
    assert (result.verdict, result.rows[0].expect) == ("FAIL", "unknown")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_an_actor_raises_is_an_outcome(error):
    def actor(state, index):
        if index == 1:
            raise error("boom")

    result = run(scenario(actor=actor), PARAMS, QUICK)
    assert result.verdict == "FAIL"
    assert result.rows[0].key == f"raised {error.__name__}"
    assert "actor 1" in result.notes[0]
    assert "boom" in result.notes[0]


@pytest.mark.parametrize("part", ["setup", "arbiter"])
def test_what_the_scenarios_own_code_raises_is_an_error_of_the_harness(part):
    def broken(_):
        raise ZeroDivisionError("oops")

    result = run(scenario(**{part: broken}), PARAMS, QUICK)
    assert result.verdict == "ERROR"
    assert "oops" in result.reason
    assert "broken" in result.stacks


@pytest.mark.parametrize(
    "seen",
    [
        None,
        Observation({"kept": 1}, lost=float("nan"), offered=1),  # type: ignore[arg-type]
        Observation({"kept": 1}, lost=1, offered=float("inf")),  # type: ignore[arg-type]
    ],
)
def test_an_arbiter_that_returns_what_cannot_be_counted_is_an_error(seen):
    result = run(scenario(arbiter=lambda state: seen), PARAMS, QUICK)
    assert result.verdict == "ERROR"
    assert "judge" in result.stacks


def test_counts_of_numpy_do_not_overflow():
    large: Any = np.int64(2**40)
    seen = Observation({"kept": 1}, lost=large, offered=4 * large)
    loss = run(scenario(arbiter=lambda state: seen), PARAMS, Budget(0.02, 10.0)).loss
    assert loss is not None
    assert type(loss.lost) is int
    assert 0.0 < loss.low <= 0.25 <= loss.high < 1.0


def test_actors_that_never_overlap_are_inconclusive():
    never = scenario(arbiter=lambda state: Observation({"kept": 1}, overlapped=False))
    result = run(never, PARAMS, QUICK)
    assert (result.verdict, result.overlap) == ("INCONCLUSIVE", 0.0)
    assert "overlap" in result.reason


def test_one_actor_alone_cannot_race():
    result = run(scenario(crew=one_actor), PARAMS, QUICK)
    assert (result.verdict, result.overlap) == ("INCONCLUSIVE", 0.0)


def test_too_few_samples_are_inconclusive():
    result = run(scenario(minimum=lambda params: 10**9), PARAMS, QUICK)
    assert result.verdict == "INCONCLUSIVE"
    assert "1,000,000,000 needed" in result.reason


def test_a_required_outcome_is_waited_for_and_missed():
    outcomes = {"racy": lambda params: [acceptable("kept", ""), required("lost", "")]}
    result = run(scenario(outcomes=outcomes), PARAMS, QUICK)
    assert result.verdict == "INCONCLUSIVE"
    assert result.seconds >= QUICK.patience


def test_a_run_goes_on_until_there_is_evidence():
    trials = iter(range(10**9))

    def arbiter(state):
        return Observation({"kept": 1}, overlapped=next(trials) == 40)

    result = run(scenario(arbiter=arbiter), PARAMS, Budget(seconds=0.0, patience=20.0))
    assert (result.verdict, result.trials) == ("PASS", 41)


def test_losses_are_counted_and_notes_kept():
    outcomes = {"racy": lambda params: [interesting("lost", "")]}
    arbiter = lambda state: Observation({"lost": 2}, lost=5, offered=100, note="one")  # noqa: E731
    result = run(scenario(outcomes=outcomes, arbiter=arbiter), PARAMS, QUICK)
    assert result.samples == 2 * result.trials
    assert result.loss is not None
    assert result.loss.lost == 5 * result.trials
    assert result.loss.rate == pytest.approx(0.05)
    assert result.notes == ("one",)
    assert result.interesting == result.samples


def test_the_fixture_is_prepared_once_and_closed():
    seen = []

    class Fixture:
        def __enter__(self):
            seen.append("enter")
            return np.zeros((2, 10_000))

        def __exit__(self, *_):
            seen.append("exit")

    run(scenario(prepare=lambda params: Fixture(), setup=np.copy), PARAMS, QUICK)
    assert seen == ["enter", "exit"]


def test_the_switch_interval_is_put_back():
    before = sys.getswitchinterval()
    run(scenario(), PARAMS, QUICK)
    assert sys.getswitchinterval() == before


def test_an_interrupt_ends_the_actors_before_it_is_raised():
    def interrupt(samples):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario(minimum=lambda params: 10**9), PARAMS, Budget(60.0), interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("actor")]


@pytest.mark.parametrize(
    ("spans", "met"),
    [
        ([(0, 5), (4, 9)], True),
        ([(4, 9), (0, 5)], True),
        ([(0, 4), (4, 9)], False),
        ([(0, 9), (1, 2), (3, 4)], True),
        ([(0, 1), (2, 3), (3, 4)], False),
        ([(0, 9)], False),
    ],
)
def test_overlap_of_spans(spans, met):
    assert overlapped(spans) is met
