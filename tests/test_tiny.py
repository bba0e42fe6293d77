"""The whole product on one screen, in less than a second. Run this first."""

import threading

import numpy as np
import pytest

import engine
from engine.nn import functional as F


def test_tiny_backward():
    x = engine.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (x @ x).relu().sum().backward()
    assert x.grad.tolist() == [[7, 11], [9, 13]]


def test_tiny_second_order():
    x = engine.tensor(2.0, requires_grad=True)
    (slope,) = engine.grad(x**3, x, create_graph=True)
    (bend,) = engine.grad(slope, x)
    assert (slope.item(), bend.item(), x.grad) == (12, 12, None)


@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_tiny_two_threads_on_one_leaf(mode):
    w = engine.zeros(10_000, requires_grad=True)
    w.sum().backward()  # the first gradient is made by one
    start = threading.Barrier(2)

    def work():
        with engine.accumulation(mode):
            start.wait()
            for _ in range(20):
                w.sum().backward()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = w.grad.numpy()
    assert counts.max() <= 41
    assert counts.min() >= (41 if mode == "locked" else 2)


def test_tiny_functional_gradients_touch_nothing():
    w = engine.ones(3, requires_grad=True)
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(engine.grad((w * w).sum(), w)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [g.tolist() for g in found] == [[2, 2, 2]] * 2
    assert w.grad is None


@pytest.mark.parametrize("mode", ["serial", "racy", "locked"])
def test_tiny_hogwild(mode):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 8)).astype("f4")
    y = (x[:, 0] > x[:, 1]).astype("i8")
    engine.manual_seed(0)
    w1, w2 = (engine.randn(n, m).mul_(0.3).requires_grad_() for n, m in ((16, 8), (2, 16)))

    def loss(x, y):
        return F.cross_entropy(F.linear(F.relu(F.linear(x, w1)), w2), y)

    before = loss(x, y).item()
    optimizer = engine.optim.SGD([w1, w2], lr=0.5)
    result = engine.hogwild.train(loss, (x, y), optimizer, mode=mode, epochs=2, batch_size=16)
    assert result.steps == 32
    assert loss(x, y).item() < before / 2
