"""The scenarios of order, errors, tasks, modes and locks fail on engines that are broken."""

import subprocess
import sys
from collections import Counter
from contextvars import copy_context
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from engine import modes
from engine.graph import Leaf
from engine.hogwild.train import Job
from engine.opnode import OpNode
from engine.optim import SGD
from engine.runtime import accumulate as policies
from engine.runtime import execute
from engine.runtime.accumulate import merge, reproducible
from engine.runtime.accumulate.tickets import Tickets
from engine.runtime.handle import Handle
from engine.runtime.pool import WorkerPool
from engine.runtime.ready import Newest
from stress.core.child import Child, Hang
from stress.core.runner import Budget, run
from stress.core.scenario import Params
from stress.scenarios import process, tasks
from stress.scenarios.common import Way
from stress.scenarios.modes import WHOSE
from stress.scenarios.process import ended
from tests.stress.broken import (
    BY_NAME,
    LARGE,
    add,
    break_commit,
    caught,
)
from tests.stress.broken import without_leaf_locks as without_leaf_locks


def every(number, broken, sound):
    """``broken`` at every so many calls, else ``sound``."""
    calls: Counter[str] = Counter()

    def call(*args, **keywords):
        calls["all"] += 1
        return (broken if calls["all"] % number == 0 else sound)(*args, **keywords)

    return call


# Bits, dtypes


def test_tickets_that_nobody_waits_for_are_caught(monkeypatch):
    monkeypatch.setattr(Tickets, "arrive", lambda self, number, fold: fold())
    assert caught("accumulate.bits", "ordered", "other bits", "exact")


def test_a_sum_that_is_not_exact_is_caught(monkeypatch):
    monkeypatch.setattr(
        reproducible, "merge", lambda leaf, cells, key, exactly: merge.merge(leaf, cells, key)
    )
    assert caught("accumulate.bits", "reproducible", "other bits", "in order")


def test_a_gradient_of_another_dtype_is_caught(monkeypatch):
    def narrow(leaf, g):
        total = g if leaf.grad is None else leaf.grad + g
        leaf.grad = total.astype("f4" if total.dtype == "f8" else total.dtype)

    break_commit(monkeypatch, narrow)
    assert caught("accumulate.dtypes", "locked", "another shape or dtype")


def test_a_leaf_of_integers_is_caught(monkeypatch):
    zeros = engine.zeros
    monkeypatch.setattr(
        engine,
        "zeros",
        lambda *a, requires_grad=False, **k: zeros(
            *a, requires_grad=requires_grad and k["dtype"] not in ("int64", "bool"), **k
        ),
    )
    for mode in ("locked", "functional"):
        assert caught("accumulate.dtypes", mode, "integer leaf")


def test_an_imaginary_part_that_is_dropped_is_caught(monkeypatch):
    break_commit(monkeypatch, lambda leaf, g: add(leaf, g.real.astype(g.dtype)))
    assert caught("accumulate.dtypes", "locked", "torn", "lost")


@pytest.mark.usefixtures("without_leaf_locks")
@pytest.mark.parametrize(
    ("name", "keys"), [("accumulate.scattered", ("torn", "lost")), ("reset.read", ("locked torn",))]
)
def test_ten_thousand_scattered_elements_tear_where_there_is_no_lock(name, keys):
    assert caught(name, "locked", *keys)


# Shared graphs, resets, steps


@pytest.mark.parametrize("name", ["sharing.twice", "sharing.released"])
def test_a_graph_that_two_may_consume_is_caught(monkeypatch, name):
    monkeypatch.setattr(execute, "_claim", lambda plan: ())
    pull = OpNode.pull

    def keep(self, g, wanted, retain):
        return pull(self, g, wanted, True)

    monkeypatch.setattr(OpNode, "pull", keep)
    assert caught(name, "locked", "2 won")


def test_a_take_in_two_steps_is_unexplained(monkeypatch):
    def take(self):
        taken = None if self.grad is None else np.array(self.grad)
        self.grad = self.face = None  # what arrived since the copy is gone
        return taken

    monkeypatch.setattr(Leaf, "take", take)
    assert caught("reset.history", "locked", "unexplained", "raised *", size=LARGE)


def test_a_zeroing_without_the_lock_is_caught(monkeypatch):
    def zero_grad(self, set_to_none=True):
        if self.grad is not None:
            for part in np.array_split(self.grad.numpy(), 200):
                part[...] = 0

    monkeypatch.setattr(engine.Tensor, "zero_grad", zero_grad, raising=False)
    assert caught("reset.third", "locked", "torn", "outside", size=LARGE)


@pytest.mark.usefixtures("without_leaf_locks")
def test_an_addition_without_the_lock_is_seen_by_readers(monkeypatch):
    monkeypatch.setattr(engine.Tensor, "grad_lock", engine.sync.lock(), raising=False)
    assert caught("reset.read", "locked", "locked torn", size=LARGE)


def test_a_step_that_reads_twice_is_caught(monkeypatch):
    monkeypatch.setattr(SGD, "zero_grad", every(7, lambda self: None, SGD.zero_grad))
    assert caught("step.counted", "locked", "twice")


def test_a_functional_gradient_that_depends_on_others_is_caught(monkeypatch):
    grad = engine.grad
    wrong = every(20, lambda *a, **k: tuple(g * 2 for g in grad(*a, **k)), grad)
    monkeypatch.setattr(engine, "grad", wrong)
    assert caught("sharing.functional", "functional", "wrong")


def test_a_walk_that_loses_is_caught(monkeypatch):
    break_commit(monkeypatch, every(10, lambda leaf, g: None, add))
    for name in ("sharing.retained", "nesting.hooked", "nesting.deep", "tasks.inside"):
        assert caught(name, "locked", "lost"), name


# Errors


def test_a_backward_that_raises_and_writes_is_caught(monkeypatch):
    def commit_first(task):
        task.policy.commit()
        raise_first(task)

    raise_first = execute._raise_first
    monkeypatch.setattr(execute, "_raise_first", commit_first)
    assert caught("errors.one", "locked", "written")


def test_an_error_that_is_not_told_is_caught(monkeypatch):
    def last_alone(task):
        raise task.errors[-1][-1]

    monkeypatch.setattr(execute, "_raise_first", last_alone)
    assert caught("errors.two", "locked", "not the first", "an error is lost")


def test_a_commit_that_asks_nobody_is_caught(monkeypatch):
    monkeypatch.setattr(Handle, "claim", lambda self, task: None)
    monkeypatch.setattr(Handle, "_is_stopped", lambda self: False)
    assert caught("errors.cancelled", "locked", "told True, but done", "done, but *")


def test_a_write_between_that_is_not_noticed_is_caught(monkeypatch):
    monkeypatch.setattr(OpNode, "_raise_changed", lambda self, checks: None)
    assert caught("saved.written", "locked", "not noticed")


# Tasks


def test_the_newest_task_first_is_unexplained(monkeypatch):
    def newest(self):
        with self._lock:
            if self._backlog:
                return self._backlog.popitem(last=True)[0].run
            self.idle += not self._closed
        return None

    monkeypatch.setattr(WorkerPool, "_next", newest)
    assert caught("tasks.history", "locked", "unexplained")


def test_a_task_that_nobody_is_told_of_is_caught(monkeypatch):
    monkeypatch.setattr(tasks, "PATIENCE", 0.2)
    enqueue = WorkerPool.enqueue
    monkeypatch.setattr(WorkerPool, "enqueue", every(20, lambda self, task: True, enqueue))
    assert caught("tasks.woken", "locked", "asleep")


def test_nodes_in_another_order_are_caught(monkeypatch):
    class Oldest(Newest):
        """The oldest of what is ready."""

        def __init__(self):
            super().__init__()
            self.push = self.positions.append
            self.pop = lambda: self.positions.pop(self.positions.index(max(self.positions)))

    init = WorkerPool.__init__
    monkeypatch.setattr(WorkerPool, "__init__", partial_method(init, order=Oldest))
    assert caught("pool.newest", "locked", "out of order")


def partial_method(method, **fixed):
    """``method`` with some keywords given."""
    return lambda self, *args, **keywords: method(self, *args, **{**keywords, **fixed})


def test_who_waits_far_longer_than_the_others_starves():
    trial: Any = SimpleNamespace(
        fixture=SimpleNamespace(params=Params("racy"), trap=None),
        way=Way("racy"), leaf=engine.zeros(1), seen=["done"] * 4,
        waits=[0.001, 0.001, 0.002, 0.1],
    )  # fmt: skip
    assert "late" not in tasks.judge_waits(trial).outcomes  # no more than others may be
    trial.waits[-1] = 0.5
    seen = tasks.judge_waits(trial)
    assert (seen.outcomes["late"], seen.outcomes["done"]) == (1, 4)
    assert "median 1.50 ms" in seen.note
    trial.waits[:] = [0.2, 0.3, 0.4, 2.0]  # a busy machine lets all of them wait
    assert "late" not in tasks.judge_waits(trial).outcomes


# Modes


def test_a_worker_with_modes_of_its_own_is_caught(monkeypatch):
    monkeypatch.setattr(modes.Snapshot, "run", lambda seen, function, **also: function())
    assert caught("modes.carried", "locked", "other modes in a *", "raised *")


def test_a_context_that_stays_behind_is_caught(monkeypatch):
    def emptied():
        context = copy_context()
        context.run(WHOSE.set, None)
        return context

    monkeypatch.setattr(modes, "copy_context", emptied)
    assert caught("modes.carried", "locked", "other modes in a *")


def test_modes_that_threads_share_are_caught(monkeypatch):
    monkeypatch.setattr(modes, "state", SimpleNamespace(**modes.ThreadState().fields()))
    assert caught("modes.isolated", "locked", "foreign", "raised *")


# Locks, Hogwild, processes


def test_a_commit_beside_the_lock_is_a_race(monkeypatch):
    def commit(self):
        for leaf, cells, key in self.contributions():
            hook: Any = engine.sync.hook
            hook("grad.commit", leaf)
            add(leaf, cells[key])

    monkeypatch.setattr(policies.Locked, "commit", commit)
    assert caught("audit.accesses", "locked", "race")


def test_a_lock_with_two_holders_is_caught(without_leaf_locks):
    assert caught("audit.accesses", "locked", "intruder", size=LARGE)


def test_a_step_of_hogwild_that_is_dropped_is_caught(monkeypatch):
    monkeypatch.setattr(Job, "_step", every(3, lambda self, batch, tally: None, Job._step))
    assert caught("hogwild.dense", "locked", "steps missing")


def both_locks(self):
    """Commit while holding the locks of all leaves, in the order of the contributions."""
    several = list(self.contributions())
    for leaf, _, _ in several:
        leaf.lock.acquire()
        np.ones(LARGE).sum()  # long enough for another to take the other one
    for leaf, cells, key in several:
        add(leaf, cells[key])
        leaf.lock.release()


def deadlocked(name, report):
    """Run a scenario with that, in a child."""
    setattr(policies.Locked, "commit", both_locks)  # noqa: B010 - mypy refuses an assignment
    return run(BY_NAME[name], Params("locked"), Budget(20.0), report)


def test_two_locks_at_once_are_a_deadlock():
    with Child() as child, pytest.raises(Hang) as caught:
        child.call(deadlocked, "nesting.abba", 4.0)
    assert "both_locks" in caught.value.stacks


def test_a_process_that_complains_or_hangs_is_told_so(monkeypatch):
    fate, said, _ = ended("no such life", Params("locked"))
    assert fate == "complained"
    assert "KeyError" in said
    monkeypatch.setattr(process, "LIMIT", 0.01)
    monkeypatch.setattr(process, "ENOUGH", 0.0)  # it computes, but has had its time
    assert ended("deep", Params("locked"))[0] == "hung"


def test_what_a_process_finds_wrong_is_told():
    said: Any = SimpleNamespace(
        returncode=0, communicate=lambda timeout: ("3 nodes are left\nleaving 0.0\n", "")
    )
    assert process.watched(said)[0] == "wrong"
    said.communicate = lambda timeout: (f"took 3.5\nnoted well\nleaving {monotonic()}\n", "")
    assert process.watched(said) == ("clean", "well", 3.5)
    died: Any = SimpleNamespace(returncode=-11, communicate=lambda timeout: ("", ""))
    assert process.watched(died)[0] == "died"


def test_processes_that_were_only_slow_prove_nothing(monkeypatch):
    monkeypatch.setattr(process, "ended", lambda name, params: ("slow", "", 25.0))
    result = run(BY_NAME["process.memory"], Params("locked"), Budget(0.01, patience=0.01))
    assert result.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("seconds", "calm", "fate"), [(0.1, 0.1, "clean"), (5.0, 0.1, "late"), (5.0, 1.0, "slow")]
)
def test_who_takes_longer_than_the_machine_explains_is_late(monkeypatch, seconds, calm, fate):
    took = {"exit_idle": seconds, "nothing": calm}
    monkeypatch.setattr(process, "ended", lambda name, params: ("clean", "", took[name]))
    life = process.Life(Params("locked"), "exit_idle")
    process.act(life, 0)
    assert life.fate == fate


@pytest.mark.parametrize(
    ("program", "works"), [("time.sleep(60)", False), ("while True: pass", True)]
)
def test_who_computes_does_not_hang(monkeypatch, program, works):
    command = [sys.executable, "-c", f"import time\nprint(flush=True)\n{program}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()  # it has started
            sleep(0.0 if works else 1.0)  # and sleeps
            assert process.is_at_work(child.pid) == works
            monkeypatch.setattr(process, "ENOUGH", 0.0)
            assert not process.is_at_work(child.pid)
        finally:
            child.kill()
