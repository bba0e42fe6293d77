"""The ordinary training loop, in four threads on one model: no exception, no crash."""

from time import monotonic

import numpy as np
import pytest

import engine
from engine.nn import functional as F
from tests.threads.together import outcomes

SECONDS = 3.0


def model():
    rng = np.random.default_rng(0)
    sizes = [(128, 784), (128,), (10, 128), (10,)]
    return [
        engine.tensor((rng.standard_normal(s) * 0.05).astype("f4"), requires_grad=True)
        for s in sizes
    ]


def loss(params, x, y):
    w1, b1, w2, b2 = params
    return F.cross_entropy(F.linear(F.relu(F.linear(x, w1, b1)), w2, b2), y)


def worker(params, number, until, set_to_none, mode):
    """Train as one would in a single thread; how many steps."""
    rng = np.random.default_rng(number)
    optimizer = engine.optim.SGD(params, lr=0.01)
    steps = 0
    while not steps or monotonic() < until:  # a thread that begins late makes one, too
        x = engine.tensor(rng.standard_normal((32, 784)).astype("f4"))
        y = engine.tensor(rng.integers(0, 10, 32))
        optimizer.zero_grad(set_to_none)
        loss(params, x, y).backward(accumulation=mode)
        optimizer.step()
        steps += 1
    return steps


def train(seconds, set_to_none, mode):
    """Four threads for so long: (steps of each, parameters). Raises what any of them raises."""
    params = engine.hogwild.share(model())
    until = monotonic() + seconds
    ended = outcomes(
        *[lambda n=n: worker(params, n, until, set_to_none, mode) for n in range(4)],
    )
    for outcome in ended:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in ended], params


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("mode", ["locked", "racy"])
def test_four_threads_train_one_model(set_to_none, mode):
    steps, params = train(SECONDS / 4, set_to_none, mode)
    assert all(steps)
    assert all(np.isfinite(p.detach().numpy()).all() for p in params)
    assert all(p.grad is None or p.grad.shape == p.shape for p in params)
