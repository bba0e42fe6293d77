"""Least squares and the pseudoinverse: differentiated where the rank does not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..values import Value
from .decompositions import svd
from .linalg import conj, cubic, h, t
from .op import op


def _pinv(x: Value, rcond: Any = None, hermitian: bool = False, rtol: Any = np._NoValue) -> Value:
    return np.linalg.pinv(x, rcond=rcond, hermitian=hermitian, rtol=rtol)


def _pinv_pull(g: Value, ans: Value, x: Value) -> Value:
    """Golub and Pereyra, 1973: with ``p`` the answer, dp = -p dx p, and a part across each space.

    Written for gradients in PyTorch's convention, and so with what was saved conjugated.
    """
    p, x = conj(ans), conj(x)
    left = h(g) @ p  # of the size of the columns of p
    right = p @ h(g)
    across = (h(g) - x @ right) @ p @ h(p)
    along = h(p) @ p @ (h(g) - left @ x)
    return across + along - h(p) @ g @ h(p)


pinv: Any = op(
    "linalg.pinv",
    _pinv,
    "x",
    numpy=np.linalg.pinv,
    also="pinverse",
    cost=cubic,
    x=_pinv_pull,
)


class Lstsq(NamedTuple):
    """What ``linalg.lstsq`` returns. Immutable.

    ``residuals``: the sums of squares, none where the rank is not full or nothing is left over.
    """

    solution: Value
    residuals: Value
    rank: Value
    singular_values: Value


def _lstsq(a: Value, b: Value, rcond: float | None = None) -> tuple[Value, ...]:
    return tuple(np.linalg.lstsq(a, b, rcond=rcond))


def _lstsq_pull(
    g: list[Value], a: Value, b: Value, solution: Value, needed: Sequence[bool]
) -> tuple[Value, Value]:
    by_solution, by_residuals, _, by_values = g
    columns, x = (b, solution) if b.ndim == 2 else (b.reshape(-1, 1), solution.reshape(-1, 1))
    by_a, by_b = a * 0, columns * 0
    if by_solution is not None:
        by_x, p = by_solution.reshape(x.shape), pinv(a)
        by_b = t(p) @ by_x
        by_a = _pinv_pull(by_x @ t(columns), p, a) if needed[0] else by_a
    if by_residuals is not None and by_residuals.size:
        left_over = conj(columns - a @ x) * (by_residuals * 2)
        by_a, by_b = by_a - left_over @ t(x), by_b + left_over
    if by_values is not None:
        u, _, vh = svd(a, full_matrices=False)
        by_a = by_a + conj(u * by_values) @ conj(vh)
    return by_a, by_b.reshape(b.shape)


op(
    "linalg.lstsq",
    _lstsq,
    "a b",
    numpy=np.linalg.lstsq,
    outputs=Lstsq,
    cost=lambda g, *saved: max(cubic(one) for one in saved),
    together=_lstsq_pull,
)
