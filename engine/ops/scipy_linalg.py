"""Linear algebra that NumPy lacks, from SciPy: roots, Sylvester's equation, banded systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Value
from ._scipy import scipy
from .op import Op, op


def _t(x: Value) -> Value:
    return np.swapaxes(x, -1, -2)


# -- a x + x b = q ---------------------------------------------------------------------------------


def _solve_sylvester(a: Value, b: Value, q: Value) -> Value:
    return scipy("linalg").solve_sylvester(a, b, q)


def _sylvester_pull(g: Value, ans: Value, a: Value, b: Value, needed: Any) -> list[Value]:
    """With s the solution of the transposed equation for g: da = -s xT, db = -xT s, dq = s."""
    s = solve_sylvester(_t(a), _t(b), g)
    return [
        -(s @ _t(ans)) if needed[0] else None,
        -(_t(ans) @ s) if needed[1] else None,
        s,
    ]


solve_sylvester: Op = op(
    "linalg.solve_sylvester",
    _solve_sylvester,
    "a b q",
    torch=None,
    also="scipy.linalg.solve_sylvester",
    together=_sylvester_pull,
)

# -- x x = a ---------------------------------------------------------------------------------------


def _sqrtm(x: Value) -> Value:
    """The principal root. Complex where it must be; a singular matrix need not have one."""
    return scipy("linalg").sqrtm(x)


op(
    "linalg.sqrtm",
    _sqrtm,
    "x",
    torch=None,
    also="scipy.linalg.sqrtm",
    x=lambda g, ans: solve_sylvester(_t(ans), _t(ans), g),
)

# -- banded systems --------------------------------------------------------------------------------


def _solve_banded(l_and_u: Value, ab: Value, b: Value) -> Value:
    return scipy("linalg").solve_banded(tuple(map(int, l_and_u)), ab, b)


def _turned(l_and_u: Value, ab: Value) -> Value:
    """The diagonals of the transposed matrix."""
    lower, upper = map(int, l_and_u)
    n = ab.shape[-1]
    row, column = np.indices((lower + upper + 1, n))
    source = column + row - lower
    inside = (source >= 0) & (source < n)
    return np.where(inside, ab[lower + upper - row, np.clip(source, 0, n - 1)], 0)


def _right_side(g: Value, l_and_u: Value, ab: Value) -> Value:
    """The solution of the transposed system."""
    lower, upper = map(int, l_and_u)
    return solve_banded(np.array([upper, lower]), _turned(l_and_u, ab), g)


def _diagonals(g: Value, ans: Value, l_and_u: Value, ab: Value) -> Value:
    """With s the solution of the transposed system: dA[i, j] = -s[i] x[j]."""
    lower, upper = map(int, l_and_u)
    s, n = _right_side(g, l_and_u, ab), ab.shape[-1]
    row, column = np.indices((lower + upper + 1, n))
    source = column + row - upper
    inside = (source >= 0) & (source < n)
    products = s[np.clip(source, 0, n - 1)] * ans
    if ans.ndim == 2:
        products = np.add.reduce(products, axis=-1)
    return np.where(inside, -products, 0)


solve_banded: Op = op(
    "linalg.solve_banded",
    _solve_banded,
    "l_and_u ab b",
    torch=None,
    also="scipy.linalg.solve_banded",
    ab=_diagonals,
    b=_right_side,
)
