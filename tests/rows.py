"""Gradients of rows for the tests: an operation that makes them, and what they are as arrays."""

import numpy as np

import engine
from engine import RowSparse
from engine.autograd import Function

V, D = 6, 3


class Pick(Function):  # type: ignore[misc]
    """Rows of a table, with a gradient of just these rows."""

    @staticmethod
    def forward(ctx, table, ids):
        ctx.ids, ctx.shape = np.asarray(ids), table.shape
        return engine.tensor(table.detach().numpy()[ctx.ids])

    @staticmethod
    def backward(ctx, g):
        return RowSparse(ctx.ids, g.detach().numpy(), ctx.shape), None


def pick(table, ids):
    return Pick.apply(table, ids)


def table(*shape, dtype="f4"):
    return engine.tensor(np.zeros(shape or (V, D), dtype), requires_grad=True)


def dense_of(ids, rows, shape):
    expected = np.zeros(shape, np.asarray(rows).dtype)
    np.add.at(expected, np.asarray(ids, int), rows)
    return expected


def example(seed=0, n=20, shape=(V, D), dtype="f8"):
    """Rows of small integers, so that sums are exact."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-9, 9, (n, *shape[1:])).astype(dtype)
    return RowSparse(rng.integers(0, shape[0], n), rows, shape)
