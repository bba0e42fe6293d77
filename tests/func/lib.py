"""What the tests of `engine.func` share."""

from typing import Any

import numpy as np

import engine


def numbers(tensor: Any) -> Any:
    """The elements, as an ndarray."""
    return np.asarray(tensor.detach().tolist())


def equal(tensor: Any, expected: Any) -> None:
    """Assert: equal in shape and nearly in value."""
    got, wanted = numbers(tensor), np.asarray(expected)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def double(*values: float) -> engine.Tensor:
    """A vector in double precision."""
    return engine.tensor(list(values), dtype="float64")
