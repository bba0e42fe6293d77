"""Functional `grad` reads and writes nothing that threads share."""

import numpy as np
import pytest

import engine
from engine.graph import Leaf
from tests.threads.together import together

SIZE = 10_000


class Trap:
    """Stands in for a field, passes everything through, and counts who touches it."""

    def __init__(self, field):
        self.field = field
        self.touched = 0

    def __get__(self, owner, kind=None):
        self.touched += owner is not None
        return self.field.__get__(owner, kind)

    def __set__(self, owner, value):
        self.touched += 1
        self.field.__set__(owner, value)


@pytest.fixture
def traps(monkeypatch):
    """On every field that accumulation uses."""
    traps = []
    for owner, name in [
        (Leaf, "grad"),
        (Leaf, "face"),
        (Leaf, "lock"),
        (engine.Tensor, "grad"),
    ]:
        field = next(vars(base)[name] for base in owner.__mro__ if name in vars(base))
        traps.append(Trap(field))
        monkeypatch.setattr(owner, name, traps[-1])
    return traps


def network():
    x = engine.randn(SIZE)
    w, b = (engine.randn(SIZE, requires_grad=True) for _ in range(2))
    hidden = (x * w + b).tanh()
    return (hidden * w).exp().mean() + (hidden * b).sum() / SIZE, (w, b)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_grad_no_leaf_and_no_lock_is_touched(traps, workers):
    loss, params = network()
    before = [trap.touched for trap in traps]
    with engine.WorkerPool(workers, heavy=0):
        engine.grad(loss, params, retain_graph=True)
        engine.grad(loss, params, create_graph=True)
        engine.grad(loss, params[0], retain_graph=True)
        engine.grad(loss, [engine.ones(1, requires_grad=True)], allow_unused=True)
    made = 3  # the last line makes a leaf, which sets its three fields
    assert [trap.touched - b for trap, b in zip(traps, before, strict=True)] == [
        made / 3,
        made / 3,
        made / 3,
        0,
    ]


def test_the_traps_see_a_backward(traps):
    loss, _ = network()
    before = [trap.touched for trap in traps]
    loss.backward()
    assert all(trap.touched > b for trap, b in zip(traps[:1] + traps[2:3], before, strict=False))


def test_the_traps_see_a_look_at_grad(traps):
    assert engine.ones(1, requires_grad=True).grad is None
    assert traps[3].touched == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_eight_threads_on_one_graph_each_get_the_serial_answer(workers):
    loss, params = network()
    expected = [g.numpy().tobytes() for g in engine.grad(loss, params, retain_graph=True)]

    def work():
        with engine.WorkerPool(workers, heavy=0):
            return [
                [g.numpy().tobytes() for g in engine.grad(loss, params, retain_graph=True)]
                for _ in range(10)
            ]

    answers = together(*[work] * 8)
    assert answers == [[expected] * 10] * 8
    assert all(p.grad is None for p in params)


def test_threads_that_build_on_a_shared_trunk_get_the_serial_answer():
    x = engine.randn(SIZE, requires_grad=True)
    trunk = x.tanh()

    def work():
        loss = (trunk * trunk).sum()
        return engine.grad(loss, x, retain_graph=True)[0].numpy().tobytes()

    with engine.WorkerPool(0):
        expected = work()
    assert together(*[work] * 8) == [expected] * 8


def test_grads_meet_no_default_that_another_thread_changes():
    loss, params = network()
    expected = [g.numpy().tobytes() for g in engine.grad(loss, params, retain_graph=True)]

    def change():
        for i in range(100):
            engine.set_accumulation(("racy", "locked")[i % 2])
            engine.set_grad_enabled(bool(i % 2))

    def work():
        return [
            [g.numpy().tobytes() for g in engine.grad(loss, params, retain_graph=True)]
            for _ in range(20)
        ]

    *answers, _ = together(work, work, change)
    assert answers == [[expected] * 20] * 2
    assert all(p.grad is None for p in params)


def test_functional_and_accumulating_backwards_do_not_meet():
    x = engine.ones(SIZE, requires_grad=True)

    def functional():
        return [np.unique(engine.grad((x * 3).sum(), x)[0].numpy()).tolist() for _ in range(200)]

    def accumulating():
        for _ in range(200):
            (x * 2).sum().backward()

    got, *_ = together(functional, accumulating, accumulating)
    assert got == [[3.0]] * 200
    assert np.unique(x.grad.numpy()).tolist() == [800.0]
