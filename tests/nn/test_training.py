"""Two networks of the kinds people train, step by step beside PyTorch from the same weights."""

import importlib
import importlib.util
import threading
from functools import partial
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import engine
from engine import nn
from engine.nn import functional as F
from stress.data import load

STEPS = 50


@pytest.fixture(autouse=True)
def _one_blas_thread():
    with threadpool_limits(1):
        yield


def lenet(lib):
    return lib.nn.Sequential(
        lib.nn.Conv2d(1, 6, 3, padding=1),
        lib.nn.ReLU(),
        lib.nn.MaxPool2d(2),
        lib.nn.Conv2d(6, 16, 3, padding=1),
        lib.nn.ReLU(),
        lib.nn.MaxPool2d(2),
        lib.nn.Flatten(),
        lib.nn.Linear(64, 32),
        lib.nn.ReLU(),
        lib.nn.Linear(32, 10),
    )


def encoder(lib, tokens, length, width=32, heads=4):
    """A transformer encoder of two layers, normalised before each part, over `tokens` tokens."""
    functional = lib.nn.functional

    base: Any = lib.nn.Module

    class Layer(base):  # type: ignore[misc]
        def __init__(self):
            super().__init__()
            self.first, self.second = lib.nn.LayerNorm(width), lib.nn.LayerNorm(width)
            self.attention = lib.nn.MultiheadAttention(width, heads, batch_first=True)
            self.wide, self.narrow = lib.nn.Linear(width, 64), lib.nn.Linear(64, width)

        def forward(self, x):
            y = self.first(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.narrow(functional.gelu(self.wide(self.second(x))))

    class Encoder(base):  # type: ignore[misc]
        def __init__(self):
            super().__init__()
            self.tokens = lib.nn.Embedding(tokens, width)
            self.places = lib.nn.Embedding(length, width)
            self.layers = lib.nn.ModuleList([Layer(), Layer()])
            self.last, self.out = lib.nn.LayerNorm(width), lib.nn.Linear(width, tokens)

        def forward(self, ids, places):
            x = self.tokens(ids) + self.places(places)
            for layer in self.layers:
                x = layer(x)
            return self.out(self.last(x))

    return Encoder()


def curve(lib, model, loss, batches, lr, momentum):
    """The loss at each step."""
    optimizer = lib.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        value = loss(model, *batch)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def side_by_side(make, loss, batches, lr, momentum=0.0):
    """Train ours; where PyTorch is installed, from its weights, and assert: the same losses."""
    ours, wanted = make(engine), None
    if importlib.util.find_spec("torch"):
        torch = importlib.import_module("torch")
        torch.manual_seed(0)
        theirs = make(torch)
        ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
        given = [tuple(torch.from_numpy(a) for a in batch) for batch in batches]
        wanted = curve(torch, theirs, loss(torch), given, lr, momentum)
    losses = curve(engine, ours, loss(engine), ours_of(batches), lr, momentum)
    if wanted is not None:
        np.testing.assert_allclose(losses, wanted, rtol=0, atol=1e-4)
    return losses, ours


def ours_of(batches):
    return [tuple(engine.from_numpy(a) for a in batch) for batch in batches]


def test_a_convolutional_network_learns_digits_as_in_pytorch():
    digits = load("digits")
    x, y = images(digits.x_train), digits.y_train
    order = np.random.default_rng(0).permutation(len(x))
    batches = [(x[order[i::STEPS]], y[order[i::STEPS]]) for i in range(STEPS)]

    def loss(lib):
        return lambda model, x, y: lib.nn.functional.cross_entropy(model(x), y)

    losses, model = side_by_side(lenet, loss, batches, lr=0.05, momentum=0.9)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    curve(engine, model, loss(engine), ours_of(batches * 10), 0.05, 0.9)
    with engine.no_grad():
        guesses = model(engine.from_numpy(images(digits.x_test))).numpy().argmax(1)
    assert (guesses == digits.y_test).mean() > 0.85


def images(rows):
    return rows.reshape(-1, 1, 8, 8).astype("f4")


def test_a_transformer_learns_to_copy_as_in_pytorch():
    tokens, half = 8, 4
    rng = np.random.default_rng(1)

    def batch():
        """Half a sequence and blanks, for which the same half is wanted."""
        first = rng.integers(1, tokens, (32, half))
        ids = np.concatenate([first, np.zeros_like(first)], 1)
        return ids, np.arange(2 * half), first

    def loss(lib):
        def of(model, ids, places, first):
            scores = model(ids, places)[:, half:]
            return lib.nn.functional.cross_entropy(scores.reshape(-1, tokens), first.reshape(-1))

        return of

    batches = [batch() for _ in range(STEPS)]
    make = partial(encoder, tokens=tokens, length=2 * half)
    losses, model = side_by_side(make, loss, batches, lr=0.05, momentum=0.9)
    assert losses[-1] < losses[0] - 0.3
    more = ours_of([batch() for _ in range(400)])
    assert curve(engine, model, loss(engine), more, 0.05, 0.9)[-1] < 0.2


def test_batch_statistics_of_threads_are_all_counted():
    """Every batch moves the running mean once: none is lost, whatever threads do."""
    features, threads, rounds = 10_000, 4, 25
    layer = nn.BatchNorm1d(features, momentum=0.5, affine=False)
    x = engine.ones(2, features)
    start = threading.Barrier(threads)

    def work():
        start.wait()
        for _ in range(rounds):
            F.batch_norm(x, layer.running_mean, layer.running_var, training=True, momentum=0.01)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected = 1 - (1 - 0.01) ** (threads * rounds)
    np.testing.assert_allclose(layer.running_mean.numpy(), expected, rtol=1e-4)
