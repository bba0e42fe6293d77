"""Programs at random: shared subexpressions, broadcasting and reductions, to second order.

Each is checked against finite differences, against PyTorch where it is installed, and bit for bit
against itself with workers that take every node.
"""

import random

import numpy as np
import pytest

import engine

VALUES = np.array([0.3, -0.2, 0.5, 0.1, -0.4, 0.2])
DIRECTION = np.array([1.0, -0.5, 0.25, 0.75, -1.0, 0.5])
STEP = 1e-6
BLOCKS, PER_BLOCK = 8, 25


STEPS = [
    lambda lib, a, b: a.tanh(),
    lambda lib, a, b: a.sigmoid() * a,
    lambda lib, a, b: (a * 0.3).exp(),
    lambda lib, a, b: (a * a + 1).log(),
    lambda lib, a, b: (a * a + 0.5).sqrt(),
    lambda lib, a, b: a / (a * a + 2),
    lambda lib, a, b: a.sin() - a.cos(),
    lambda lib, a, b: (a + 3) ** 3 * 0.01,
    lambda lib, a, b: 2**a,
    lambda lib, a, b: a.reshape(-1, 1)[:4] * b.reshape(-1)[:2],
    lambda lib, a, b: a.reshape(-1, 1)[:3] - b.reshape(-1)[:2],
    lambda lib, a, b: a.reshape(-1, 1)[:2] @ b.reshape(1, -1)[:, :3],
    lambda lib, a, b: a.reshape(2, -1).softmax(dim=1),
    lambda lib, a, b: a.reshape(2, -1).log_softmax(dim=0),
    lambda lib, a, b: a.reshape(-1, 2).logsumexp(dim=0),
    lambda lib, a, b: a.reshape(2, -1).mean(dim=1, keepdim=True) + a.reshape(2, -1),
    lambda lib, a, b: a.reshape(-1, 2).swapaxes(0, 1).reshape(-1)[-2:],
    lambda lib, a, b: a.reshape(-1)[[0, 1, 0, 1]],
    lambda lib, a, b: lib.maximum(a, a * 0.5 - 0.013),
]


def program(lib, seed, w):
    """A number, computed from six by a few steps that depend on the seed alone."""
    pick = random.Random(seed)
    tensors = [w.reshape(2, 3), w.reshape(3, 2) * 0.5, w]
    for _ in range(pick.randrange(4, 12)):
        tensors.append(pick.choice(STEPS)(lib, pick.choice(tensors), pick.choice(tensors)))
    total = (w * 0).sum()
    for t in tensors[-4:]:
        total = total + (t * t).sum() + t.mean()
    return total


def leaf(lib, values):
    return lib.tensor(np.array(values), requires_grad=True)


def slope(lib, seed, values):
    w = leaf(lib, values)
    (g,) = lib.autograd.grad(program(lib, seed, w), w)
    return np.array(g.tolist())


def bend(lib, seed, values):
    """The second derivative along a direction."""
    w = leaf(lib, values)
    (g,) = lib.autograd.grad(program(lib, seed, w), w, create_graph=True)
    (h,) = lib.autograd.grad((g * lib.tensor(DIRECTION)).sum(), w)
    return np.array(h.tolist())


def value(seed, values):
    with engine.no_grad():
        return program(engine, seed, leaf(engine, values)).item()


@pytest.mark.parametrize("block", range(BLOCKS))
def test_against_differences(block):
    for seed in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        first = [
            (value(seed, VALUES + step) - value(seed, VALUES - step)) / (2 * STEP)
            for step in STEP * np.eye(len(VALUES))
        ]
        np.testing.assert_allclose(slope(engine, seed, VALUES), first, rtol=1e-5, atol=1e-6)
        above, below = (slope(engine, seed, VALUES + s * STEP * DIRECTION) for s in (1, -1))
        second = (above - below) / (2 * STEP)
        np.testing.assert_allclose(bend(engine, seed, VALUES), second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_against_pytorch(block):
    torch = pytest.importorskip("torch")
    for seed in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        for of in (slope, bend):
            ours, theirs = of(engine, seed, VALUES), of(torch, seed, VALUES)
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_against_itself_with_workers(block):
    for seed in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        alone = [of(engine, seed, VALUES).tobytes() for of in (slope, bend)]
        with engine.WorkerPool(2, heavy=0):
            helped = [of(engine, seed, VALUES).tobytes() for of in (slope, bend)]
        assert helped == alone
