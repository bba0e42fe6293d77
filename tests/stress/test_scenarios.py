"""The scenarios pass on the engine, and those that count contributions fail on broken ones."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import engine
from engine import sync
from engine.graph import Leaf
from engine.hogwild.update import Apply, Locked
from engine.runtime import accumulate as policies
from engine.runtime.accumulate import merge
from engine.runtime.pool import WorkerPool
from engine.runtime.task import GraphTask
from stress.core.child import Child, Hang
from stress.core.runner import Budget, run
from stress.core.scenario import Params
from stress.core.stats import rule_of_three
from stress.scenarios import SCENARIOS, common, nesting, tasks
from tests.stress.broken import BY_NAME, LARGE, SHORT, add, break_commit, caught, verdict_on
from tests.stress.broken import without_leaf_locks as without_leaf_locks

# Every configuration that belongs to a quick run; of the processes, which are long, one mode.
RUNS = [
    (scenario, mode, size)
    for scenario in SCENARIOS
    for mode in scenario.modes
    for size in scenario.sizes(501)
    if "quick" in scenario.tags(Params(mode, size=size))
    or (scenario.name.startswith("process.") and mode == "locked" and size <= 100_000)
]


# On the engine as it is


def test_names_are_unique_and_numbers_are_those_of_the_list():
    assert len(BY_NAME) == len(SCENARIOS)
    assert {scenario.number for scenario in SCENARIOS} == set(range(1, 40))  # 40 is the selftest


def test_every_scenario_belongs_to_a_default_run_in_some_mode():
    for scenario in SCENARIOS:
        tags = [
            scenario.tags(Params(mode, size=size))
            for mode in scenario.modes
            for size in scenario.sizes(501)
        ]
        assert any("slow" not in found for found in tags), scenario.name


@pytest.mark.parametrize(
    ("scenario", "mode", "size"), RUNS, ids=[f"{run[0].name}-{run[1]}-{run[2]}" for run in RUNS]
)
def test_every_scenario_passes(scenario, mode, size):
    result = run(scenario, Params(mode, size=size), Budget(0.02, patience=40.0))
    assert (result.verdict, result.reason) == ("PASS", ""), result.notes
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
    ones = replace(BY_NAME["accumulate.ones"], minimum=lambda params: 100_000)
    result = run(ones, Params("locked"), Budget(0.05, patience=90.0))
    assert result.samples >= 100_000
    assert result.loss is not None
    assert result.loss.lost == 0
    assert result.loss.high == rule_of_three(result.samples)


# On engines that are broken


@pytest.mark.usefixtures("without_leaf_locks")
@pytest.mark.parametrize("name", ["accumulate.ones", "accumulate.sizes"])
def test_a_lock_that_locks_nothing_is_caught(name):
    assert caught(name, "locked", "lost", "torn", size=LARGE)


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


@pytest.mark.parametrize("name", ["nesting.abba", "tasks.inside"])
@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_what_is_done_twice_counts_twice_in_racy_as_well(monkeypatch, name, mode):
    """Each by each: nothing else than the arbiter may tell that from a loss, which racy allows."""
    contribute = common.Way.__call__
    calls: Counter[str] = Counter()

    def twice(self, *args, **keywords):
        calls["all"] += 1
        if calls["all"] % 10 == 0:
            contribute(self, *args, **{**keywords, "retain": True})
        return contribute(self, *args, **keywords)

    monkeypatch.setattr(common.Way, "__call__", twice)
    assert caught(name, mode, "doubled")


@pytest.mark.parametrize(
    "name", ["accumulate.ones", "step.counted", "nesting.abba", "tasks.inside", "hogwild.snapshot"]
)
def test_a_sum_that_is_no_whole_number_is_caught(monkeypatch, name):
    """So little that rounding it would hide it."""
    break_commit(monkeypatch, lambda leaf, g: add(leaf, g * 1.001))
    write = Locked.write
    monkeypatch.setattr(Locked, "write", lambda self, o, i, g: write(self, o, i, g * 1.001))
    assert caught(name, "locked", "strange", "steps lost")


def test_a_zeroing_that_spares_is_caught(monkeypatch):
    monkeypatch.setattr(engine.Tensor, "zero_grad", lambda self, **how: None, raising=False)
    for mode in ("racy", "locked"):
        assert caught("reset.zero", mode, "spared")
        result = verdict_on("reset.third", mode, budget=Budget(0.05, patience=0.2))
        assert result.verdict == "INCONCLUSIVE"  # it has seen nothing that was zeroed


def test_a_step_that_is_not_written_is_caught(monkeypatch):
    """Neither weight: they are alike at any time."""
    commit = Apply._write
    calls: Counter[str] = Counter()

    def forgetful(self):
        calls["all"] += 1
        if calls["all"] % 20:
            commit(self)

    monkeypatch.setattr(Apply, "_write", forgetful)
    assert caught("hogwild.snapshot", "locked", "steps lost")


def test_a_pool_that_is_shut_down_and_takes_tasks_is_caught(monkeypatch):
    """Whoever helps would run them himself."""
    monkeypatch.setattr(tasks, "PATIENCE", 0.2)
    enqueue = WorkerPool.enqueue
    monkeypatch.setattr(
        WorkerPool, "enqueue", lambda self, task: self._closed or enqueue(self, task)
    )
    assert caught("tasks.resized", "locked", "asleep")


def test_a_commit_that_no_finalizer_may_interrupt_is_caught():
    with Child() as child, pytest.raises(Hang) as stuck:
        child.call(interrupted, "nesting.collected", 3.0)
    assert "__del__" in stuck.value.stacks


def interrupted(name, report):
    """Run a scenario in a child, where who commits may not commit once more meanwhile."""
    commit, alone = policies.Locked.commit, sync.lock()

    def once(self):
        with alone:
            commit(self)

    setattr(policies.Locked, "commit", once)  # noqa: B010 - mypy refuses an assignment
    return run(BY_NAME[name], Params("locked"), Budget(20.0), report)


def test_garbage_that_dies_too_late_is_no_evidence(monkeypatch):
    monkeypatch.setattr(nesting, "EVERY", 10**9)
    result = verdict_on("nesting.collected", "locked", budget=Budget(0.05, patience=0.2))
    assert (result.verdict, result.overlap) == ("INCONCLUSIVE", 0.0)


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
    for name in ("accumulate.ones", "pool.order", "sharing.functional", "tasks.woken"):
        assert caught(name, "functional", "touched .grad read"), name


def test_a_functional_gradient_that_is_wrong_is_caught(monkeypatch):
    grad: Any = engine.grad
    calls: Counter[str] = Counter()

    def sometimes_wrong(*args, **keywords):
        calls["all"] += 1
        factor = 2 if calls["all"] % 10 == 0 else 1
        return tuple(result * factor for result in grad(*args, **keywords))

    monkeypatch.setattr(engine, "grad", sometimes_wrong)
    for name in ("accumulate.ones", "accumulate.first", "disjoint.networks", "reset.third"):
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
