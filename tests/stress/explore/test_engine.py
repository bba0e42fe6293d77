"""The engine as it is keeps its promises in every schedule; broken on purpose, it is caught.

Each mutant is found within 100 schedules, and the schedule comes to the same 50 times of 50.
"""

from contextlib import ExitStack, nullcontext

import pytest

import engine
from engine import graph
from engine.runtime import accumulate
from engine.runtime.accumulate import locked, merge
from stress.core.outcome import acceptable
from stress.core.scenario import Params
from stress.explore.search import Search, Settings, work_through
from stress.explore.work import Request, repeat
from stress.scenarios import SCENARIOS
from tests.stress.explore.toys import HERE, aim, nothing, toy

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def searched(scenario, mode, size, **settings):
    found = Search(aim(scenario, Params(mode, 2, size, explored=True)), Settings(**settings))
    work_through(found, [HERE], 40.0, lambda search: None)
    return found


def caught(scenario, mode, size, key, **settings):
    """Whether ``key`` is among what fails within 100 schedules, and is replayed 50 of 50."""
    settings = {"schedules": 100, **settings}
    found = searched(scenario, mode, size, **settings)
    assert found.tally.failed, found.tally
    assert not found.tally.unsteady
    worst, example = next(
        (worst, example)
        for worst, example in found.tally.examples.items()
        if example.expect in ("forbidden", "unknown")
    )
    assert key in worst
    request = Request(found.target, example.decisions, times=50)
    replayed = repeat(request, lambda number: None)
    assert replayed.problem == ""
    return replayed.outcomes == {worst: 50}


@pytest.mark.parametrize("mode", ["locked", "reproducible", "functional"])
@pytest.mark.parametrize("name", ["accumulate.ones", "accumulate.first"])
def test_nothing_is_lost_in_any_schedule(name, mode):
    found = searched(BY_NAME[name], mode, 4, bound=1)
    assert found.exhausted
    assert set(found.tally.outcomes) == {"kept"}
    assert not found.tally.unsteady


@pytest.mark.parametrize(("size", "key"), [(1, "lost"), (4, "torn")])
def test_racy_can_lose_and_tear_and_shows_it(size, key):
    found = searched(BY_NAME["accumulate.sizes"], "racy", size, bound=1)
    assert found.exhausted
    assert found.tally.outcomes[key]
    assert not found.tally.failed
    assert found.tally.examples[f"kept, {key}"].number <= 100


@pytest.fixture
def racy_for_locked(monkeypatch):
    monkeypatch.setitem(accumulate.POLICIES, "locked", accumulate.Racy)


@pytest.mark.parametrize(("size", "key"), [(1, "lost"), (4, "torn")])
@pytest.mark.parametrize("strategy", ["dfs", "random", "pct"])
@pytest.mark.usefixtures("racy_for_locked")
def test_a_lock_that_is_not_taken_is_caught(size, key, strategy):
    assert caught(BY_NAME["accumulate.sizes"], "locked", size, key, strategy=strategy, bound=1)


def crossing(state, index):
    """Two leaves, met in opposite orders."""
    a, b = state if index == 0 else state[::-1]
    engine.backward([a.exp(), b.exp()], [engine.ones(1)] * 2, accumulation="locked")


CROSSING = toy(
    crossing,
    setup=lambda params: [engine.zeros(1, requires_grad=True) for _ in range(2)],
    arbiter=nothing,
    outcomes={"locked": lambda params: [acceptable("kept", "")]},
)


def all_locks_at_once(self):
    with ExitStack() as held:
        for leaf, cells, key in self.contributions():
            held.enter_context(leaf.lock)
            merge.merge(leaf, cells, key)


def test_locks_taken_crosswise_are_caught(monkeypatch):
    assert searched(CROSSING, "locked", 1, bound=1).exhausted
    monkeypatch.setattr(locked.Locked, "commit", all_locks_at_once)
    assert caught(CROSSING, "locked", 1, "deadlock")


@pytest.fixture
def leaves_without_a_lock(monkeypatch):
    make = graph.Leaf.__init__

    def unlocked(self, *args):
        make(self, *args)
        self.lock = nullcontext()

    monkeypatch.setattr(graph.Leaf, "__init__", unlocked)


@pytest.mark.parametrize(
    ("name", "size", "key"),
    [("accumulate.first", 1, "lost"), ("accumulate.first", 4, "lost"),
     ("accumulate.sizes", 1, "lost"), ("accumulate.sizes", 4, "torn")],
)  # fmt: skip
@pytest.mark.usefixtures("leaves_without_a_lock")
def test_a_lock_that_does_nothing_is_caught(name, size, key):
    """The lost first write, the lost update and the torn array."""
    assert caught(BY_NAME[name], "locked", size, key)


def test_a_wake_up_that_is_dropped_is_caught(monkeypatch):
    """The caller waits for ever for the worker that helps it."""
    from engine.runtime.task import GraphTask

    def conclude(self):
        with self.lock:
            self.outstanding -= 1

    def actor(state, index):
        x = engine.ones(4, requires_grad=True)
        with engine.WorkerPool(1, heavy=0):
            (x.exp() + x.tanh()).sum().backward()

    pooled = toy(actor, crew=lambda params: 1)
    found = searched(pooled, "racy", 4, bound=1, schedules=20)
    assert set(found.tally.outcomes) == {"kept"}
    monkeypatch.setattr(GraphTask, "conclude", conclude)
    assert caught(pooled, "racy", 4, "deadlock")
