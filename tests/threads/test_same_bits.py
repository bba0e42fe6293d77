"""One backward gives the same bits for any number of workers and any schedule."""

import threading
from functools import partial

import numpy as np
import pytest

import engine
from engine.runtime.ready import Seeded
from tests.properties.dags import build, gradients
from tests.threads.together import give_way

SIZE = 10_000


def bits(grads):
    return [None if g is None else g.tobytes() for g in grads]


@pytest.mark.parametrize("workers", range(1, 5))
def test_two_hundred_schedules_give_the_bits_of_a_sequential_run(workers):
    """Fifty schedules for each number of workers, on graphs that fan in and out."""
    threads = set()

    def hook(point, subject):
        if point == "node.begin":
            threads.add(threading.current_thread().name)
            give_way()

    for seed in range(50):
        graph = build(seed % 5, nodes=25, leaves=3, shape=(SIZE,))
        with engine.WorkerPool(0):
            expected = bits(gradients(graph))
        with (
            engine.sync.hooked(hook),
            engine.WorkerPool(workers, heavy=0, order=partial(Seeded, seed)),
        ):
            assert bits(gradients(graph)) == expected
    assert len(threads) > 1


def test_the_order_of_additions_matters_here():
    """The graphs above could show a difference: added up otherwise, the bits are others."""
    rng = np.random.default_rng(0)
    terms = [rng.standard_normal(SIZE).astype("f4") for _ in range(4)]
    sums = {
        sum([terms[i] for i in order[1:]], terms[order[0]]).tobytes()
        for order in [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)]
    }
    assert len(sums) == 3


def test_matrix_products_too():
    w = [engine.randn(200, 200, requires_grad=True) for _ in range(3)]

    def answer():
        x = engine.ones(64, 200)
        for p in w * 3:
            x = (x @ p).tanh() + x @ (p * 0.5)
        return bits(g.numpy() for g in engine.grad(x.sum(), w))

    with engine.WorkerPool(0):
        expected = answer()
    for seed in range(10):
        with engine.WorkerPool(2, heavy=0, order=partial(Seeded, seed)):
            assert answer() == expected


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_two_to_the_twenty_paths(workers):
    x = engine.ones(SIZE, dtype="f8", requires_grad=True)
    y = x
    for _ in range(20):
        y = y + y
    with engine.WorkerPool(workers, heavy=0):
        y.sum().backward()
    assert np.unique(x.grad.numpy()).tolist() == [2**20]


@pytest.mark.parametrize("workers", [0, 2])
def test_second_derivatives_too(workers):
    x = engine.randn(SIZE, requires_grad=True)

    def answer():
        (slope,) = engine.grad((x.tanh() * x.exp() + x * x).sum(), x, create_graph=True)
        return bits([engine.grad((slope * slope).sum(), x)[0].numpy()])

    with engine.WorkerPool(0):
        expected = answer()
    with engine.WorkerPool(workers, heavy=0):
        for _ in range(10):
            assert answer() == expected
