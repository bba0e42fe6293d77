"""Which operations are timed, on what: written once, for the engine and for PyTorch alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OPERATIONS", "SIZES", "Operation"]

SIZES = (1, 1_000, 1_000_000)  # elements of the largest input, about

Arrays = list[NDArray[Any]]
Rng = np.random.Generator
# `call(lib, functional, *tensors)`, where `lib` is `engine` or `torch`: one program for both.
Call = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: ``inputs(rng, size)`` makes its arrays, ``call`` runs it. Immutable.

    ``exact``: whether both libraries compute the same, so that the times mean something.
    """

    name: str
    inputs: Callable[[Rng, int], Arrays]
    call: Call
    exact: bool = True


# -- inputs ----------------------------------------------------------------------------------------


def flat(rng: Rng, size: int) -> Arrays:
    """One vector of numbers in 0.5..1.5."""
    return [(rng.random(size) + 0.5).astype("f4")]


def two(rng: Rng, size: int) -> Arrays:
    """Two vectors."""
    return flat(rng, size) + flat(rng, size)


def square(rng: Rng, size: int) -> Arrays:
    """A square matrix."""
    return [flat(rng, isqrt(size) ** 2)[0].reshape(isqrt(size), -1)]


def squares(rng: Rng, size: int) -> Arrays:
    """Two square matrices."""
    return square(rng, size) + square(rng, size)


def rows(rng: Rng, size: int) -> Arrays:
    """Rows of at most 100."""
    width = min(size, 100)
    return [flat(rng, size)[0].reshape(-1, width)]


def pairs(rng: Rng, size: int) -> Arrays:
    """Rows of 2 to 100: what has a variance."""
    return rows(rng, max(size, 2))


def images(rng: Rng, size: int) -> Arrays:
    """A batch of images (n, 8, 28, 28); (1, 1, 4, 4) for the smallest."""
    shape = (max(size // 6272, 1), 8, 28, 28) if size >= 1000 else (1, 1, 4, 4)
    return [rng.random(shape, np.float32)]


def sequences(rng: Rng, size: int) -> Arrays:
    """A batch of sequences (n, 8, 128); (1, 1, 4) for the smallest."""
    shape = (max(size // 1024, 1), 8, 128) if size >= 1000 else (1, 1, 4)
    return [rng.random(shape, np.float32)]


def indexed(rng: Rng, size: int) -> Arrays:
    """Rows, and as many row numbers, some of which occur twice."""
    (x,) = rows(rng, size)
    return [x, rng.integers(0, len(x), len(x))]


def spread(rng: Rng, size: int) -> Arrays:
    """Rows, columns to gather of each, and as many numbers."""
    (x,) = rows(rng, size)
    return [x, rng.integers(0, x.shape[1], x.shape), x.copy()]


def classes(rng: Rng, size: int) -> Arrays:
    """Logits of at most 100 classes, and a class for each row."""
    (x,) = rows(rng, size)
    return [x, rng.integers(0, x.shape[1], len(x))]


def halves(rng: Rng, size: int) -> Arrays:
    """Two vectors of probabilities."""
    return [x - 0.5 for x in two(rng, size)]


def weighted(make: Callable[[Rng, int], Arrays], *weights: Callable[..., Any]) -> Any:
    """``make``, and weights whose shapes follow from the first input's."""

    def inputs(rng: Rng, size: int) -> Arrays:
        made = make(rng, size)
        shapes = [weight(made[0].shape) for weight in weights]
        return made + [rng.random(shape, np.float32) / 8 for shape in shapes]

    return inputs


# -- operations ------------------------------------------------------------------------------------


def _named(names: str, inputs: Any = flat, *args: Any, functional: bool = False) -> list[Operation]:
    """Operations that are called by their name alone."""

    def call(name: str) -> Call:
        return lambda t, f, *xs: getattr(f if functional else t, name)(*xs, *args)

    return [Operation(name, inputs, call(name)) for name in names.split()]


UNARY = [
    *_named("neg positive abs exp expm1 log log1p sqrt square reciprocal sin cos tanh"),
    *_named("sigmoid relu rsqrt erf"),
    *_named("leaky_relu elu gelu silu softplus logsigmoid", functional=True),
]
BINARY = _named("add sub mul div pow maximum minimum", two)
SELECT = [
    Operation("where", two, lambda t, f, a, b: t.where(a > b, a, b)),
    Operation("clamp", flat, lambda t, f, x: t.clamp(x, 0.7, 1.2)),
    Operation("masked_fill", flat, lambda t, f, x: x.masked_fill(x > 1, 0.0)),
]
REDUCTIONS = [
    *_named("sum mean", square),
    *_named("amax amin logsumexp softmax", rows, -1),
    Operation("var", pairs, lambda t, f, x: t.var(x, -1, correction=1)),
    Operation("std", pairs, lambda t, f, x: t.std(x, -1, correction=1)),
    Operation("log_softmax", rows, lambda t, f, x: f.log_softmax(x, -1)),
    Operation("vector_norm", square, lambda t, f, x: t.linalg.vector_norm(x)),
]
SHAPE = [
    Operation("reshape", square, lambda t, f, x: x.reshape(-1)),
    Operation("flatten", square, lambda t, f, x: x.flatten()),
    Operation("permute", square, lambda t, f, x: x.permute(1, 0)),
    Operation("swapaxes", square, lambda t, f, x: t.swapaxes(x, 0, 1)),
    Operation("mT", square, lambda t, f, x: x.mT),
    Operation("movedim", square, lambda t, f, x: t.movedim(x, 0, 1)),
    Operation("unsqueeze", square, lambda t, f, x: x.unsqueeze(0)),
    Operation("squeeze", square, lambda t, f, x: x.squeeze()),
    Operation("broadcast_to", square, lambda t, f, x: t.broadcast_to(x, (2, *x.shape))),
    Operation("cat", squares, lambda t, f, a, b: t.cat([a, b])),
    Operation("stack", squares, lambda t, f, a, b: t.stack([a, b])),
    Operation("tensor_split", square, lambda t, f, x: t.tensor_split(x, 2)[0]),
    Operation("unbind", square, lambda t, f, x: t.unbind(x[:8])[0]),
    Operation("pad", square, lambda t, f, x: f.pad(x, (1, 1))),
    Operation("flip", square, lambda t, f, x: t.flip(x, (0,))),
    Operation("tril", square, lambda t, f, x: t.tril(x)),
    Operation("triu", square, lambda t, f, x: t.triu(x)),
    Operation("to", square, lambda t, f, x: x.to(t.tensor(0.0).dtype) * 1),
    Operation("clone", square, lambda t, f, x: x.clone()),
]


def _written(t: Any, x: Any, v: Any) -> Any:
    y = x.clone()
    y[::2] = v[::2]
    return y


INDEX = [
    Operation("getitem", square, lambda t, f, x: x[::2, 1:] if len(x) > 1 else x[0]),
    Operation("index_select", indexed, lambda t, f, x, i: t.index_select(x, 0, i)),
    Operation("gather", spread, lambda t, f, x, i, v: t.gather(x, 1, i)),
    Operation(
        "embedding",
        indexed,
        lambda t, f, x, i: f.embedding(i, x),
    ),
    Operation("index_add", indexed, lambda t, f, x, i: t.index_add(x, 0, i, x)),
    Operation("scatter_add", spread, lambda t, f, x, i, v: t.scatter_add(x, 1, i, v)),
    Operation("setitem", squares, lambda t, f, x, v: _written(t, x, v)),
]
LINALG = [
    *_named("matmul", squares),
    *_named("dot", two),
    Operation("einsum", squares, lambda t, f, a, b: t.einsum("ij,kj->ik", a, b)),
    Operation(
        "outer",
        lambda rng, size: two(rng, isqrt(size)),
        lambda t, f, a, b: t.outer(a, b),
    ),
    Operation("tensordot", squares, lambda t, f, a, b: t.tensordot(a, b, 1)),
]


def _last(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[-1:])


def _channels(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[1:2])


NN = [
    Operation(
        "linear",
        weighted(square, lambda s: (s[1], s[1]), _last),
        lambda t, f, x, w, b: f.linear(x, w, b),
    ),
    Operation(
        "conv1d",
        weighted(sequences, lambda s: (2 * s[1], s[1], 3)),
        lambda t, f, x, w: f.conv1d(x, w),
    ),
    Operation(
        "conv2d",
        weighted(images, lambda s: (2 * s[1], s[1], 3, 3)),
        lambda t, f, x, w: f.conv2d(x, w),
    ),
    Operation("max_pool2d", images, lambda t, f, x: f.max_pool2d(x, 2)),
    Operation("avg_pool2d", images, lambda t, f, x: f.avg_pool2d(x, 2)),
    Operation(
        "layer_norm",
        weighted(rows, _last, _last),
        lambda t, f, x, w, b: f.layer_norm(x, (x.shape[-1],), w, b),
    ),
    Operation(
        "batch_norm",
        weighted(images, _channels, _channels),
        lambda t, f, x, w, b: f.batch_norm(x, None, None, w, b, True),
    ),
    Operation("dropout", square, lambda t, f, x: f.dropout(x, 0.5), exact=False),
    Operation(
        "scaled_dot_product_attention",
        lambda rng, size: [x.reshape(-1, 4, 8, 4)[:, :, :, :] for x in _heads(rng, size)],
        lambda t, f, q, k, v: f.scaled_dot_product_attention(q, k, v),
    ),
]


def _heads(rng: Rng, size: int) -> Arrays:
    """Queries, keys and values of a multiple of 128 elements."""
    count = max(size // 128, 1) * 128
    return [flat(rng, count)[0] for _ in range(3)]


LOSSES = [
    *_named("mse_loss l1_loss huber_loss", two, functional=True),
    *_named("cross_entropy nll_loss", classes, functional=True),
    *_named(
        "binary_cross_entropy binary_cross_entropy_with_logits",
        halves,
        functional=True,
    ),
]
GRAPH = [
    Operation("add_", two, lambda t, f, x, v: x.clone().add_(v)),
    Operation("detach", flat, lambda t, f, x: x.detach()),
]

OPERATIONS = (
    *UNARY,
    *BINARY,
    *SELECT,
    *REDUCTIONS,
    *SHAPE,
    *INDEX,
    *LINALG,
    *NN,
    *LOSSES,
    *GRAPH,
)
