"""Snapshots of parameters: no step half-written, no value torn, whoever writes."""

import threading
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import engine
from engine import nn, sync
from engine.errors import DeadlockError, OperandError, SavedValueChangedError
from engine.hogwild import share, snapshot
from engine.sync import Threads
from tests.threads.scripts import script
from tests.threads.together import PATIENCE, Gate, give_way, repeat, together, until

snapshots: Any = import_module("engine.hogwild.snapshot")  # the functions have the modules' names
train: Any = import_module("engine.hogwild.train")

SIZE = 200_000  # elements: writing and copying them takes long, and lets other threads run


class Unlocked(Threads):
    """Locks that do nothing."""

    lock = staticmethod(nullcontext)  # type: ignore[assignment]


class Counting:
    """Two parameters whose every element says how many steps were written to it."""

    def __init__(self, size: int = SIZE) -> None:
        self.params = [engine.zeros(size, requires_grad=True) for _ in range(2)]
        self.seen = set[float]()
        self.ended = self.watched = False
        self.calls = 0

    def loss(self, rows: Any) -> Any:
        """Every twenty calls, as long as somebody watches, it waits until that one sees more."""
        first, second = self.params
        self.calls += 1
        if self.watched and not self.calls % 20:
            seen = len(self.seen)
            until(lambda: len(self.seen) > seen or not self.watched)
        return -(first.sum() + second.sum())

    def train(self, mode: str, threads: int, steps: int) -> None:
        try:
            engine.hogwild.train(
                self.loss, (np.zeros(steps),), engine.optim.SGD(self.params, lr=1.0), mode=mode,
                threads=threads, batch_size=1,
            )  # fmt: skip
        finally:
            self.ended = True

    def counts(self) -> tuple[float, ...]:
        """What a snapshot says of each parameter; each value must be of one piece."""
        values = [value.numpy() for value in snapshot(self.params)]
        for value in values:
            assert value.min() == value.max(), "torn"
        return tuple(float(value[0]) for value in values)

    def watch(self) -> None:
        """Take snapshots until the training ends; `watched` is set before either begins."""
        try:
            while not self.ended:
                first, second = self.counts()
                assert first == second, "half of a step"
                self.seen.add(first)
                give_way()
        finally:
            self.watched = False


def check_while_training(mode: str, threads: int, steps: int = 150) -> None:
    counting = Counting()
    counting.watched = True
    together(lambda: counting.train(mode, threads, steps), counting.watch)
    assert counting.counts() == (steps, steps)
    assert len(counting.seen) >= 5, "they hardly met"


@pytest.mark.parametrize(("mode", "threads"), [("serial", 1), ("racy", 1), ("locked", 2)])
def test_each_step_is_in_all_values_or_in_none(mode, threads):
    check_while_training(mode, threads)


def test_a_snapshot_that_waits_for_nobody_is_noticed(monkeypatch):
    monkeypatch.setattr(snapshots, "_holding", lambda locks, call: call())
    with pytest.raises(AssertionError, match=r"torn|half of a step"):
        repeat(5, check_while_training, "racy", 1)


def check_parked(mode: str, patience: float = 0.2) -> None:
    """A step is held between its two parameters: the snapshot waits for its end."""
    counting, gate, taken = Counting(10_000), Gate(), list[tuple[float, ...]]()
    points = list[str]()

    def hook(point: str, subject: object) -> None:
        if point == "param.write" and subject is counting.params[1] and not points:
            points.append(point)
            gate.hold()

    def look() -> None:
        gate.reached()
        taker = threading.Thread(target=lambda: taken.append(counting.counts()), daemon=True)
        taker.start()
        taker.join(patience)
        waited = taker.is_alive()
        gate.open()
        taker.join(PATIENCE)
        assert waited, f"it saw {taken}"

    with sync.hooked(hook):
        together(lambda: counting.train(mode, 1, 3), look)
    ((first, second),) = taken
    assert first == second >= 1


@pytest.mark.parametrize("mode", ["serial", "racy", "locked"])
def test_a_snapshot_waits_for_a_step_that_is_half_written(mode):
    check_parked(mode)


@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_writers_without_locks_of_their_own_are_noticed(mode):
    with sync.controlled(Unlocked()), pytest.raises(AssertionError, match="it saw"):
        check_parked(mode, patience=PATIENCE)  # until it has looked, which it does at once


def check_a_run_that_begins_meanwhile() -> None:
    """The copying is held between two parameters while a whole training goes by."""
    counting, seen = Counting(10_000), list[tuple[float, ...]]()
    second = counting.params[1]
    copying = threading.Event()

    def tell(point: str, subject: object) -> None:
        if point == "param.snapshot":
            copying.set()

    taker = threading.Thread(target=lambda: seen.append(counting.counts()), daemon=True)
    with second.grad_lock:
        with sync.hooked(tell):
            taker.start()
            assert copying.wait(PATIENCE)
            taker.join(0.1)  # it has copied the first and waits for the lock of the second
        counting.train("racy", 1, 7)
    taker.join(PATIENCE)
    assert seen == [(7, 7)]


def test_a_run_that_begins_meanwhile_is_waited_for_too():
    check_a_run_that_begins_meanwhile()


def test_a_run_that_is_not_looked_for_is_noticed(monkeypatch):
    monkeypatch.setattr(train, "writing", lambda writers: nullcontext())
    with pytest.raises(AssertionError):
        check_a_run_that_begins_meanwhile()


def test_steps_of_an_optimizer_are_not_torn():
    """Threads of one's own: each value is of one piece, though not all of one step."""
    counting = Counting()
    optimizer = engine.optim.SGD(share(counting.params), lr=1.0)
    for p in counting.params:
        p.grad = engine.full((SIZE,), -1.0)

    def step() -> None:
        for _ in range(60):
            optimizer.step()
        counting.ended = True

    def watch() -> None:
        while not counting.ended:
            counting.counts()
            give_way()

    together(step, watch)
    assert counting.counts() == (60, 60)


def test_under_a_lock_that_a_step_may_wait_for_it_is_refused():
    counting = Counting(3)
    refused = []

    def loss(rows: Any) -> Any:
        with counting.params[0].grad_lock, pytest.raises(DeadlockError, match="grad_lock"):
            snapshot(counting.params)
        refused.append(True)
        assert snapshot([engine.ones(1)])[0] == 1  # of others it can be taken
        return Counting.loss(counting, rows)

    engine.hogwild.train(loss, (np.zeros(2),), engine.optim.SGD(counting.params, lr=1.0))
    assert refused
    with counting.params[0].grad_lock:
        assert counting.counts() == (1, 1)  # nobody trains any more


def test_a_step_may_take_a_snapshot():
    counting = Counting(3)
    seen = []

    def loss(rows: Any) -> Any:
        seen.append(counting.counts()[0])
        return Counting.loss(counting, rows)

    optimizer = engine.optim.SGD(counting.params, lr=1.0)
    engine.hogwild.train(loss, (np.zeros(5),), optimizer, mode="serial", batch_size=1)
    assert seen == [0, 1, 2, 3, 4]


def test_in_the_child_of_a_fork_nobody_is_waited_for():
    script(
        """if True:
        import os, threading, warnings
        import numpy as np, engine
        from engine import sync
        w = engine.zeros(4, requires_grad=True)
        held, go = threading.Event(), threading.Event()
        def hook(point, subject):
            if point == "param.write":
                held.set(); go.wait(20)
        def train():
            engine.hogwild.train(
                lambda rows: w.sum(), (np.zeros(1),), engine.optim.SGD([w], lr=1.0))
        with sync.hooked(hook):
            trainer = threading.Thread(target=train); trainer.start(); held.wait(20)
            warnings.simplefilter("ignore")
            child = os.fork()
            if not child:
                engine.hogwild.snapshot([w]); os._exit(7)
            _, status = os.waitpid(child, 0)
            go.set(); trainer.join()
        assert os.waitstatus_to_exitcode(status) == 7
        """
    )


def test_what_comes_back_is_apart():
    w = engine.ones(3, requires_grad=True)
    (copy,) = snapshot([w])
    assert not copy.requires_grad
    assert not np.shares_memory(copy.numpy(), w.detach().numpy())
    assert (copy.shape, copy.dtype) == (w.shape, w.dtype)


def test_its_versions_are_counted_also_of_shared_parameters():
    (w,) = share([engine.ones(3, requires_grad=True)])
    (copy,) = snapshot([w])
    loss = (engine.ones(3, requires_grad=True) * copy).sum()
    copy.mul_(2)
    with pytest.raises(SavedValueChangedError):
        loss.backward()


def test_of_a_module_it_is_a_state_dict():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    taken = snapshot(net)
    assert list(taken) == list(net.state_dict())
    with engine.no_grad():
        for p in net.parameters():
            p.zero_()
    net.load_state_dict(taken)
    assert (net.state_dict()["0.weight"] == taken["0.weight"]).all()


def test_of_a_mapping_it_has_the_names_and_of_nothing_it_is_nothing():
    w = engine.ones(2, requires_grad=True)
    assert (snapshot({"w": w})["w"] == 1).all()
    assert snapshot([]) == []
    assert snapshot({}) == {}
    frozen = engine.full((2,), 5.0)
    assert (snapshot(iter([frozen]))[0] == 5).all()


@pytest.mark.parametrize("wrong", [[np.ones(3)], [None], {"w": 1.0}])
def test_what_is_no_tensor_is_refused(wrong):
    with pytest.raises(OperandError, match="only Tensors can be copied"):
        snapshot(wrong)


def test_one_tensor_is_refused_with_the_way_out():
    with pytest.raises(OperandError, match=r"pass a list, \[p\]"):
        snapshot(engine.ones(3))
