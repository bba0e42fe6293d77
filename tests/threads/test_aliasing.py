"""A gradient shares memory with nothing: not with another gradient, a seed, or what was saved."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

import engine

SIZE = 50


def graphs():
    """Rules that pass `g` on, views of it, or what they saved."""
    return {
        "identity": lambda a, b: a + 0.0,
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "same twice": lambda a, b: a + a + b,
        "reshape": lambda a, b: a.reshape(5, 10).reshape(SIZE) + b,
        "index": lambda a, b: a[:] + b[::1],
        "product": lambda a, b: a * b,
        "through both": lambda a, b: (a + b) * (a + b),
        "broadcast": lambda a, b: a.sum() + b,
        "transposed": lambda a, b: a.reshape(5, 10).T.reshape(SIZE) + b,
    }


def memory(*tensors):
    return [t.detach().numpy() for t in tensors if t is not None]


def apart(*arrays):
    return not any(np.shares_memory(one, two) for one, two in combinations(arrays, 2))


@pytest.mark.parametrize("name", graphs())
@pytest.mark.parametrize("mode", ["locked", "racy"])
@pytest.mark.parametrize("workers", [0, 2])
def test_grads_seeds_and_data_are_apart(name, mode, workers):
    a, b = (engine.randn(SIZE, requires_grad=True) for _ in range(2))
    y = graphs()[name](a, b)
    seed = engine.ones_like(y)
    kept: list[Any] = []
    y.register_hook(kept.append)
    with engine.WorkerPool(workers, heavy=0):
        y.backward(seed, accumulation=mode, retain_graph=True)
        assert apart(*memory(a, b, a.grad, b.grad, seed))
        assert apart(*memory(a.grad, b.grad, *kept))
        before = [g.copy() for g in memory(a.grad, b.grad)]
        y.backward(seed, accumulation=mode)  # adds in place: to nothing else
    assert apart(*memory(a, b, a.grad, b.grad, seed))
    assert (seed.numpy() == 1).all()
    for g, once in zip(memory(a.grad, b.grad), before, strict=True):
        np.testing.assert_allclose(g, 2 * once, rtol=1e-6)


@pytest.mark.parametrize("name", graphs())
def test_functional_gradients_are_apart(name):
    a, b = (engine.randn(SIZE, requires_grad=True) for _ in range(2))
    y = graphs()[name](a, b)
    seed = engine.ones_like(y)
    grads = engine.grad(y, [a, b, a], seed, allow_unused=True)
    assert apart(*memory(a, b, seed, *grads))


def test_gradients_of_inner_tensors_are_apart():
    a = engine.randn(SIZE, requires_grad=True)
    inner = a + 1
    inner.retain_grad()
    outer = inner + 1
    seed = engine.ones(SIZE)
    outer.backward(seed)
    assert apart(*memory(a.grad, inner.grad, seed, outer))
    assert apart(*memory(*engine.grad(inner.exp() + 1, [inner, a], seed)))


@pytest.mark.parametrize("mode", ["locked", "racy"])
def test_a_leaf_that_is_its_own_root_copies_the_seed(mode):
    a, seed = engine.randn(SIZE, requires_grad=True), engine.ones(SIZE)
    a.backward(seed, accumulation=mode)
    a.backward(seed, accumulation=mode)
    assert apart(*memory(a, a.grad, seed))
    assert (seed.numpy() == 1).all()
    assert (a.grad.numpy() == 2).all()


def test_what_a_hook_returns_stays_the_hooks():
    mine = engine.full((SIZE,), 5.0)
    a = engine.randn(SIZE, requires_grad=True)
    a.register_hook(lambda g: mine)
    for _ in range(3):
        a.sum().backward()
    assert (mine.numpy() == 5).all()
    assert (a.grad.numpy() == 15).all()
    assert apart(*memory(a.grad, mine))


def test_what_a_hook_keeps_is_not_added_to():
    a, kept = engine.randn(SIZE, requires_grad=True), []
    a.register_hook(lambda g: kept.append(g.numpy()[5:10]))  # a view keeps the whole alive
    for _ in range(3):
        a.sum().backward()
    assert all((view == 1).all() for view in kept)
    assert (a.grad.numpy() == 3).all()


def test_scalars_get_arrays_of_their_own():
    a, b = (engine.tensor(2.0, requires_grad=True) for _ in range(2))
    (a + b).backward()
    a.backward()
    assert apart(*memory(a, b, a.grad, b.grad))
    assert (a.grad.item(), b.grad.item()) == (2.0, 1.0)


def test_a_taken_gradient_is_written_to_by_nobody():
    a = engine.randn(SIZE, requires_grad=True)
    a.sum().backward()
    taken = a.take_grad()
    a.sum().backward()
    assert (taken.numpy() == 1).all()
    assert apart(*memory(taken, a.grad))


def test_gradients_are_contiguous_and_writeable():
    a = engine.randn(4, 5, requires_grad=True)
    a.T.sum(axis=0).sum().backward()
    grad = a.grad.numpy()
    assert grad.flags.c_contiguous
    assert grad.flags.writeable
