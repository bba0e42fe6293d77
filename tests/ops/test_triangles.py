"""Triangles of matrices: which diagonals can be asked for, and what is kept of their masks."""

import tracemalloc

import numpy as np
import pytest

import engine
from tests.ops.test_conventions_shape import X


@pytest.mark.parametrize("k", [1, np.array(1), np.int8(1), np.float64(1.0)])
def test_the_diagonal_of_a_triangle_may_be_any_number_that_numpy_takes(k):
    for name in ("tril", "triu"):
        expected = getattr(np, name)(X, k).tolist()
        assert getattr(engine, name)(engine.tensor(X), k).tolist() == expected


def test_masks_of_large_triangles_are_not_kept():
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for size in range(300, 308):
            engine.tril(engine.zeros(size, size))
            engine.triu(engine.zeros(size, size))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300 * 300
