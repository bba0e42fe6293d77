"""What a search came to is the verdict on one configuration; PASS only where something raced."""

from contextlib import contextmanager
from functools import partial
from itertools import count
from math import inf
from time import monotonic
from typing import Any

import pytest

from engine import sync
from stress.core.child import Crash, Failure, Hang
from stress.core.scenario import Skip
from stress.explore import trial, work
from stress.explore.campaign import explore_all
from stress.explore.checkpoint import Checkpoint
from stress.explore.explore import Plan, conclude
from stress.explore.search import Settings
from stress.explore.show import deadlock_table
from tests.stress.explore.toys import (
    COUNT,
    HERE,
    LOSING,
    Cell,
    Dies,
    aim,
    all_schedules,
    searched,
    steps,
    toy,
)


def judged(found, tmp_path, child: Any = HERE, minimise=False, **options):
    return conclude(found, Plan(found.settings, minimise, tmp_path), child, **options)


# -- could anything race? --------------------------------------------------------------------------


def plain(state, index):
    """Loses updates, and comes to no point."""
    value = state.value
    state.value = value + 1


def announced(state, index):
    """The same, as docs/stress.md shows it."""
    value = state.value
    if hook := sync.hook:
        hook("my.point", state)
    state.value = value + 1


def test_actors_without_a_point_do_not_race(tmp_path):
    bare = toy(plain, setup=lambda params: Cell(), arbiter=COUNT.arbiter)
    found = searched(bare)
    assert (found.exhausted, found.tally.racing) == (True, 0)
    result = judged(found, tmp_path).result
    assert result.verdict == "INCONCLUSIVE"
    assert "no actor came to a point" in result.reason
    assert "engine.sync.hook" in result.reason


def test_a_point_of_ones_own_is_announced_and_the_race_found(tmp_path):
    own = toy(announced, setup=lambda params: Cell(), arbiter=COUNT.arbiter)
    assert judged(searched(own), tmp_path).result.verdict == "FAIL"
    assert any("my.point" in str(schedule.events) for schedule in all_schedules(own))


def test_one_actor_with_points_is_enough(tmp_path):
    """The other one may come to none, and still be in the middle of it."""
    found = searched(toy(lambda state, index: steps(1)(state, index) if index else None))
    assert 0 < found.tally.racing < found.tally.schedules
    assert judged(found, tmp_path).result.verdict == "PASS"


# -- what happens to a process ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(Hang(1.0, "s"), "TIMEOUT"), (Crash(-11, "s"), "CRASH"), (Failure("E", "s"), "ERROR")],
)
@pytest.mark.parametrize(("minimise", "last"), [(False, 1), (True, 1), (True, 2)])
def test_a_process_that_dies_at_the_replay_is_a_result(error, verdict, minimise, last, tmp_path):
    result = judged(searched(COUNT), tmp_path, Dies(error, last), minimise).result
    assert (result.verdict, result.stacks) == (verdict, "s")
    assert "when the schedule of 'lost' was run again: toy:" in result.reason


def test_a_scenario_that_does_not_apply_is_skipped(tmp_path):
    @contextmanager
    def prepare(params):
        if params.threads:
            raise Skip("no such device here")
        yield

    found = searched(toy(steps(1), prepare=prepare))
    assert found.decided
    result = judged(found, tmp_path).result
    assert (result.verdict, result.reason) == ("SKIPPED", "no such device here")


# -- within the budget -----------------------------------------------------------------------------


def test_what_has_no_time_left_is_not_begun(tmp_path):
    settings = Settings()
    targets = [aim(toy(steps(2), name=f"toy {index}")) for index in range(50)]
    plan, none = Plan(settings, False, tmp_path), Checkpoint(None, settings)
    explored = list(explore_all(targets, plan, none, 0.0, 1))
    assert {item.result.reason for item in explored} == {
        "the budget ended before its first schedule"
    }
    assert len(explored) == 50


def test_nothing_is_made_smaller_when_time_is_up(tmp_path):
    (found,) = judged(searched(COUNT), tmp_path, minimise=True, ends=monotonic()).findings
    assert found.smaller == "not tried, time was up"
    assert found.reproduced == 10


@pytest.mark.parametrize(("late", "times"), [(True, 1), (False, 10)])
def test_what_does_not_fail_is_run_again_once_when_time_is_up(late, times, tmp_path):
    ends = monotonic() if late else inf
    (finding,) = judged(searched(LOSING), tmp_path, ends=ends).findings
    assert (finding.reproduced, finding.times) == (times, times)


def test_what_is_stuck_is_run_once_and_is_no_deadlock(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "Lab", partial(trial.Lab, patience=0.5))
    runs, was = count(), trial.Lab.run
    monkeypatch.setattr(trial.Lab, "run", lambda *args: (next(runs), was(*args))[1])

    def actor(state, index):
        with state:
            steps(1)([], index)

    def real(params):
        with sync.controlled(sync.Threads()):
            return sync.lock()

    found = searched(toy(actor, setup=real))
    assert "stuck" in found.tally.outcomes
    assert next(runs) == 2 * found.tally.schedules - 1
    (finding,) = judged(found, tmp_path).findings
    assert deadlock_table(finding.replayed.schedule).title == "who waits for what"
