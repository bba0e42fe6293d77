"""The scenarios pass on the engine, and fail on engines that were broken on purpose."""

from collections import Counter
from contextlib import nullcontext
from time import monotonic
from typing import Any

import numpy as np
import pytest

import engine
from engine import sync
from engine.graph import Leaf
from engine.runtime import accumulate as policies
from engine.runtime.accumulate import merge
from engine.runtime.task import GraphTask
from stress.core.runner import Budget, run
from stress.core.scenario import Params
from stress.core.stats import rule_of_three
from stress.scenarios import SCENARIOS

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
SHORT = Budget(seconds=0.05, patience=40.0)
LARGE = 1_000_000  # additions of this size meet each other on every build

RUNS = [(scenario, mode) for scenario in SCENARIOS for mode in scenario.modes]


def verdict_on(name, mode, size=10_000, threads=2, budget=SHORT):
    return run(BY_NAME[name], Params(mode, threads, size), budget)


def caught(name, mode, *keys, size=10_000, within=30.0):
    """Whether the scenario fails with one of the outcomes ``keys``, in any of a few short runs."""
    deadline = monotonic() + within
    while monotonic() < deadline:
        result = verdict_on(name, mode, size)
        if result.verdict == "FAIL":
            return any(row.key in keys for row in result.rows if row.count)
    return False


# On the engine as it is


def test_names_are_unique_and_numbers_are_those_of_the_list():
    assert len(BY_NAME) == len(SCENARIOS)
    assert {scenario.number for scenario in SCENARIOS} <= set(range(1, 40))


@pytest.mark.parametrize(
    ("scenario", "mode"), RUNS, ids=[f"{scenario.name}-{mode}" for scenario, mode in RUNS]
)
def test_every_scenario_passes_in_every_mode(scenario, mode):
    budget = Budget(seconds=0.05, patience=5.0 if mode == "racy" else 40.0)
    result = run(scenario, Params(mode), budget)
    if mode == "racy" and result.verdict == "INCONCLUSIVE":
        assert "never seen" in result.reason  # with the GIL, 10 000 elements lose little
    else:
        assert (result.verdict, result.reason) == ("PASS", "")
    assert result.overlap


@pytest.mark.parametrize("threads", [3, 4])
def test_more_threads_than_cores(threads):
    assert verdict_on("accumulate.sizes", "locked", threads=threads).verdict == "PASS"
    assert verdict_on("reset.take", "locked", threads=threads).verdict == "PASS"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_dtypes(dtype):
    for name in ("accumulate.sizes", "pool.fanout"):
        params = Params("locked", 2, 10_000, dtype)
        assert run(BY_NAME[name], params, SHORT).verdict == "PASS"


def test_racy_loses_and_the_loss_is_measured():
    result = verdict_on("accumulate.ones", "racy", LARGE)
    assert result.verdict == "PASS", result.reason
    assert result.loss.lost > 0
    assert 0 < result.loss.low <= result.loss.rate <= result.loss.high < 1


def test_locked_loses_none_of_a_hundred_thousand():
    result = verdict_on("accumulate.ones", "locked", budget=Budget(0.05, patience=40.0))
    assert result.samples >= 100_000
    assert result.loss.lost == 0
    assert result.loss.high == rule_of_three(result.samples)


# On engines that are broken


class NoLocks(sync.Threads):
    """Locks that lock nothing."""

    @staticmethod
    def rlock():
        return nullcontext()


@pytest.fixture
def without_leaf_locks():
    with sync.controlled(NoLocks()):
        yield


@pytest.mark.usefixtures("without_leaf_locks")
@pytest.mark.parametrize("name", ["accumulate.ones", "accumulate.sizes"])
def test_a_lock_that_locks_nothing_is_caught(name):
    assert caught(name, "locked", "lost", "torn", size=LARGE)


def break_commit(monkeypatch, merge):
    """Let ``merge(leaf, g)``, called under the leaf's lock, do what a commit does with a leaf."""

    def commit(self):
        for position, g in self.staged.items():
            leaf = self.nodes[position]
            with leaf.lock:
                merge(leaf, g)

    monkeypatch.setattr(policies.Locked, "commit", commit)


def add(leaf, g):
    """What a sound commit does."""
    if leaf.grad is None:
        leaf.grad = g.copy()
    else:
        np.add(leaf.grad, g, out=leaf.grad)


def rebind(leaf, g):
    """A new sum in place of the old one, as ``p.grad = p.grad + g`` makes it."""
    grad = leaf.grad
    leaf.grad = g.copy() if grad is None else grad + g


@pytest.mark.usefixtures("without_leaf_locks")
@pytest.mark.parametrize("name", ["accumulate.ones", "accumulate.sizes", "reset.take"])
def test_rebinding_instead_of_adding_in_place_is_caught(monkeypatch, name):
    break_commit(monkeypatch, rebind)
    assert caught(name, "locked", "lost", size=LARGE)


@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_a_first_write_outside_the_lock_is_caught(monkeypatch, mode):
    def merge(leaf, g):
        if leaf.grad is not None:
            add(leaf, g)
            return
        leaf.lock.release()  # whoever waits finds None as well
        try:
            first = g.copy()
        finally:
            leaf.lock.acquire()
        leaf.grad = first

    break_commit(monkeypatch, merge)
    assert caught("accumulate.first", mode, "lost", size=LARGE)


@pytest.mark.parametrize("name", ["accumulate.ones", "accumulate.sizes", "reset.take"])
def test_a_contribution_that_counts_twice_is_caught(monkeypatch, name):
    times: Counter[str] = Counter()

    def merge(leaf, g):
        add(leaf, g)
        times["merged"] += 1
        if times["merged"] % 10 == 0:
            add(leaf, g)

    break_commit(monkeypatch, merge)
    assert caught(name, "locked", "doubled")


def test_an_alias_of_the_callers_array_is_caught(monkeypatch):
    monkeypatch.setattr(merge, "private", lambda cells, key: cells[key])
    assert caught("accumulate.first", "locked", "aliased")


def test_a_take_that_is_no_swap_is_caught(monkeypatch):
    def take(self):
        taken = None if self.grad is None else self.grad.copy()
        self.grad = self.face = None  # what arrived since the copy is gone
        return taken

    monkeypatch.setattr(Leaf, "take", take)
    assert caught("reset.take", "locked", "lost", "torn", size=LARGE)


def test_a_zero_that_zeroes_in_place_without_the_lock_is_caught(monkeypatch):
    def zero_grad(self, set_to_none=True):
        if self.grad is not None:
            for part in np.array_split(self.grad.numpy(), 20):
                part[...] = 0

    monkeypatch.setattr(engine.Tensor, "zero_grad", zero_grad, raising=False)
    assert caught("reset.zero", "locked", "torn", size=LARGE)


def test_a_reset_that_lets_accumulation_raise_is_caught(monkeypatch):
    def merge(leaf, g):
        if leaf.grad is None:
            leaf.grad = g.copy()
            return
        leaf.lock.release()
        g = g.copy()
        leaf.lock.acquire()  # leaf.grad may be None by now
        leaf.grad += g

    break_commit(monkeypatch, merge)
    assert caught("reset.zero", "locked", "raised TypeError", size=LARGE)


def test_a_functional_gradient_that_touches_grad_is_caught(monkeypatch):
    grad = engine.grad

    def touching(outputs, inputs, *args, **keywords):
        inputs[0].grad  # noqa: B018 - a mere read
        return grad(outputs, inputs, *args, **keywords)

    monkeypatch.setattr(engine, "grad", touching)
    for scenario in SCENARIOS:
        if "functional" in scenario.modes:
            assert caught(scenario.name, "functional", "touched .grad read"), scenario.name


def test_a_functional_gradient_that_is_wrong_is_caught(monkeypatch):
    grad: Any = engine.grad
    calls: Counter[str] = Counter()

    def sometimes_wrong(*args, **keywords):
        calls["all"] += 1
        factor = 2 if calls["all"] % 10 == 0 else 1
        return tuple(result * factor for result in grad(*args, **keywords))

    monkeypatch.setattr(engine, "grad", sometimes_wrong)
    for name in ("accumulate.ones", "accumulate.first", "disjoint.networks"):
        assert caught(name, "functional", "wrong"), name


@pytest.mark.parametrize(("name", "key"), [("pool.fanout", "lost"), ("pool.order", "out of turn")])
def test_a_contribution_dropped_on_its_way_through_the_graph_is_caught(monkeypatch, name, key):
    gather = GraphTask.gather
    calls: Counter[str] = Counter()

    def forgetful(self, position, slot, g):
        calls["all"] += 1
        return gather(self, position, slot, None if calls["all"] % 50 == 0 else g)

    monkeypatch.setattr(GraphTask, "gather", forgetful)
    assert caught(name, "locked", key)


def test_a_node_that_does_not_wait_for_its_whole_gradient_is_caught(monkeypatch):
    gather = GraphTask.gather
    calls: Counter[str] = Counter()

    def hasty(self, position, slot, g):
        complete = gather(self, position, slot, g)
        calls["all"] += 1
        if calls["all"] % 50 == 0 and not complete and self.gathers[position].totals[0] is not None:
            self.gathers[position].owned[0] = False  # what is still to come makes a sum of its own
            return True
        return complete

    monkeypatch.setattr(GraphTask, "gather", hasty)
    assert caught("pool.order", "locked", "out of turn", "raised IndexError")
