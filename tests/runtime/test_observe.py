"""Observers: what they are told, where, and that they cannot break what they watch."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import engine
from engine import modes, sync
from engine.errors import OperandError
from engine.graph import Leaf
from engine.runtime.observe import METHODS
from tests.threads.together import Gate, together


class Log(engine.Observer):
    """Notes what it is told, and in which thread."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, str]] = []  # append is atomic

    def names(self) -> list[str]:
        return [name for name, *_ in self.told]

    def subjects(self, name: str) -> list[Any]:
        return [subject for told, subject, _ in self.told if told == name]


def _method(name: str) -> Any:
    def tell(self: Log, subject: Any) -> None:
        self.told.append((name, subject, threading.current_thread().name))

    return tell


for _name in dict.fromkeys(METHODS.values()):
    setattr(Log, _name, _method(_name))


class Boom(Exception):
    """What observers here raise."""


class Failing(engine.Observer):
    """Raises at each event of one kind."""

    def __init__(self, name: str) -> None:
        self.calls = 0
        setattr(self, name, self._fail)

    def _fail(self, subject: Any) -> None:
        self.calls += 1
        raise Boom


def leaf(size: int = 3, grad: bool = False) -> Any:
    x = engine.ones(size, requires_grad=True)
    if grad:
        x.grad = engine.zeros(size)
    return x


NODES = ["node_begin", "node_end"]


# What they are told


@pytest.mark.parametrize(
    ("mode", "grad", "expected"),
    [
        ("locked", True, [*NODES * 3, "accumulate"]),
        ("reproducible", True, [*NODES * 3, "accumulate"]),
        ("ordered", True, [*NODES * 3, "accumulate"]),
        ("racy", False, [*NODES * 3, "accumulate"]),
        ("racy", True, [*NODES * 2, "node_begin", "accumulate", "node_end"]),
    ],
)
def test_the_events_of_a_backward(mode, grad, expected):
    x = leaf(grad=grad)
    loss = (x * 2).sum()
    with engine.observe(Log()) as log:
        loss.backward(accumulation=mode)
    assert log.names() == ["task_begin", *expected, "task_end"]
    assert (x.grad == 2).all()


def test_a_functional_grad_accumulates_nothing():
    x = leaf()
    with engine.observe(Log()) as log:
        engine.grad((x * 2).sum(), x)
    assert log.names() == ["task_begin", *NODES * 3, "task_end"]


def test_what_the_events_are_about():
    x = leaf()
    y = x.exp()
    with engine.observe(Log()) as log:
        y.sum().backward()
    assert y.grad_fn in log.subjects("node_begin")
    (where,) = log.subjects("accumulate")
    assert isinstance(where, Leaf)
    begun, ended = log.subjects("task_begin") + log.subjects("task_end")
    assert begun is ended
    assert not begun.failed


def test_a_sparse_contribution_is_one_too():
    x = engine.zeros(5, 2, requires_grad=True)
    x.grad = engine.zeros(5, 2)
    with engine.observe(Log()) as log:
        out = engine.nn.functional.embedding(engine.tensor([1, 3]), x, sparse=True)
        out.sum().backward(accumulation="racy")
    assert log.names().count("accumulate") == 1


def test_updates_are_told_of_before_they_are_made():
    x = leaf()
    x.grad = engine.ones(3)
    seen = []

    class Updates:
        def update(self, parameter):
            seen.append((parameter, parameter.tolist()))

    with engine.observe(Updates()):
        engine.optim.SGD([x], lr=1.0).step()
        engine.hogwild.train(
            lambda rows: x.sum(), (np.zeros(1),), engine.optim.SGD([x], lr=1.0), mode="racy"
        )
    assert seen == [(x, [1, 1, 1])]  # threads of `train` are others'
    seen.clear()
    with engine.observe(Updates(), everywhere=True):
        engine.hogwild.train(
            lambda rows: x.sum(), (np.zeros(2),), engine.optim.SGD([x], lr=1.0), batch_size=1
        )
    assert [subject for subject, _ in seen] == [x, x]


def test_a_backward_that_raises_ends_and_says_so():
    x = leaf()
    x.register_hook(lambda g: 1 / 0)
    with engine.observe(Log()) as log, pytest.raises(ZeroDivisionError):
        x.sum().backward()
    assert log.names()[-1] == "task_end"
    assert log.subjects("task_end")[0].failed
    assert "accumulate" not in log.names()


# Where


def test_workers_tell_those_of_the_thread_that_they_help():
    x = engine.ones(50, 50, requires_grad=True)
    gate = Gate()
    y = x.exp()
    other = x.tanh()

    def helped(g: Any) -> None:
        if threading.current_thread().name.startswith("engine-worker"):
            gate.open()
        else:
            gate.hold()  # until a worker has the other one

    y.register_hook(helped)
    other.register_hook(helped)
    with engine.observe(Log()) as log, engine.WorkerPool(1, heavy=0):
        (y + other).sum().backward()
    threads = {thread for name, _, thread in log.told if name == "node_begin"}
    assert threads == {"MainThread", "engine-worker-0"}
    assert log.subjects("hand_off")


def test_a_submitted_task_is_told_of_to_those_of_its_submitter():
    x = leaf()
    loss = x.sum()
    with engine.WorkerPool(1), engine.observe(Log()) as log:
        engine.submit(loss.backward).result()
    assert log.names()[0] == "task_begin"
    assert modes.state.observers == ()


def test_a_task_that_outlives_the_block_goes_on_unheard():
    x, gate = leaf(), Gate()
    with engine.WorkerPool(1):
        with engine.observe(Log()) as log:
            held = engine.submit(gate.hold)
            gate.reached()
            handle = engine.submit(x.sum().backward)
        gate.open()
        held.result()
        handle.result()
    assert log.told == []


def test_other_threads_are_heard_only_everywhere():
    x = leaf()

    def other() -> None:
        x.sum().backward()

    with engine.observe(Log()) as mine, engine.observe(Log(), everywhere=True) as all_:
        together(other)
    assert not mine.told
    assert all_.names()[0] == "task_begin"


def test_no_engine_lock_is_held_while_they_run():
    x, seen = leaf(grad=True), []

    class Locking:
        def _look(self, subject: Any) -> None:
            def look() -> None:
                with x.grad_lock:
                    engine.stats()
                engine.hogwild.snapshot([x])

            together(look)
            seen.append(subject)

        task_begin = node_begin = node_end = accumulate = update = task_end = _look

    with engine.observe(Locking(), everywhere=True):
        x.sum().backward()
        x.sum().backward(accumulation="racy")
        optimizer = engine.optim.SGD([x], lr=1.0)
        optimizer.step()
        for mode in ("racy", "locked"):
            engine.hogwild.train(lambda rows: x.sum(), (np.zeros(1),), optimizer, mode=mode)
    assert len(seen) > 20


# That they cannot break what they watch


@pytest.mark.parametrize("name", ["task_begin", "node_begin", "node_end", "accumulate", "task_end"])
@pytest.mark.parametrize("mode", ["locked", "racy"])
def test_one_that_raises_is_heard_at_the_end_of_the_block(name, mode):
    x = leaf(grad=True)
    observer = Failing(name)

    def watched() -> None:
        with engine.observe(observer), engine.observe(log):
            x.sum().backward(accumulation=mode)
            x.sum().backward(accumulation=mode)
            assert (x.grad == 2).all()

    log = Log()
    with pytest.raises(Boom):
        watched()
    assert observer.calls == 1  # told no more
    assert log.names().count("task_end") == 2  # others are
    assert sync.observer is None


def test_what_it_raised_is_a_note_where_the_block_raises():
    x = leaf()

    def watched() -> None:
        with engine.observe(Failing("node_begin")):
            x.sum().backward()
            raise KeyError

    with pytest.raises(KeyError) as caught:
        watched()
    assert caught.value.__notes__ == ["before that an observer had failed with Boom()"]


def test_ctrl_c_in_one_is_ctrl_c():
    x = leaf(grad=True)

    class Interrupted:
        def node_begin(self, node):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), engine.observe(Interrupted()):
        x.sum().backward()
    assert (x.grad == 0).all()
    x.sum().backward()
    assert (x.grad == 1).all()


def test_a_backward_of_its_own_is_not_told_of():
    x = leaf()

    class Nested(Log):
        def task_begin(self, task):
            (x * 1).sum().backward()

    with engine.observe(Nested()) as nested:
        x.sum().backward()
    assert nested.names() == [*NODES * 2, "accumulate", "task_end"]
    assert (x.grad == 2).all()


def test_the_bits_are_those_of_a_backward_that_nobody_watches():
    def gradient() -> bytes:
        engine.manual_seed(0)
        x = engine.randn(40, 40).requires_grad_()
        with engine.WorkerPool(2, heavy=0):
            (x.exp().sum() + (x @ x).tanh().sum() + x.sin().sum()).backward()
        return bytes(x.grad.numpy().tobytes())

    alone = gradient()
    with engine.observe(engine.Trace()), engine.measuring():
        assert gradient() == alone


def test_racy_additions_are_not_widened():
    """A `sync.hook` splits them; an observer must not."""
    x = leaf(grad=True)
    points: list[str] = []
    with sync.hooked(lambda point, subject: points.append(point)):
        x.sum().backward(accumulation="racy")
    assert "grad.read" in points
    with engine.observe(Log()) as log:
        x.sum().backward(accumulation="racy")
    assert log.names().count("accumulate") == 1


def test_a_hook_and_observers_are_both_told():
    x, points = leaf(), list[str]()
    with sync.hooked(lambda point, subject: points.append(point)), engine.observe(Log()) as log:
        x.sum().backward()
    assert points.count("node.begin") == log.names().count("node_begin") == 2


# Blocks


def test_blocks_nest_and_leave_nothing():
    x = leaf()
    with engine.observe(Log()) as outer:
        with engine.observe(Log()) as inner:
            x.sum().backward()
        x.sum().backward()
    x.sum().backward()
    assert outer.names().count("task_end") == 2
    assert inner.names().count("task_end") == 1
    assert sync.observer is None
    assert modes.state.observers == ()


def test_threads_that_watch_at_once_do_not_turn_each_other_off():
    x = leaf()

    def watch() -> int:
        heard = 0
        for _ in range(200):
            with engine.observe(Log()) as log:
                x.sum().backward()
            heard += log.names().count("task_end")
        return heard

    assert together(watch, watch, watch) == [200] * 3
    assert sync.observer is None


def test_an_observer_is_no_leak():
    x = leaf()
    gc.collect()
    gc.disable()
    try:
        with engine.observe(engine.Trace()):
            loss = x.exp().sum()
            node = weakref.ref(loss.grad_fn)
            loss.backward()
            del loss
            assert node() is None
    finally:
        gc.enable()


def test_what_has_no_method_of_an_observer_is_refused():
    with pytest.raises(OperandError, match="none of an observer's methods: task_begin"):
        engine.observe(object()).__enter__()
    with engine.observe(engine.Observer()):
        leaf().sum().backward()
