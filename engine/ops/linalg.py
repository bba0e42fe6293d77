"""Determinants, inverses and linear systems, of matrices and of batches of them.

Nothing here inverts a matrix to solve with it. The gradient of ``det`` is the matrix of cofactors,
at a singular matrix too, and so is its derivative; PyTorch has zeros there. ``slogdet``, ``inv``
and ``solve`` have no derivative at a singular matrix and raise ``LinAlgError``.

What needs a triangular solve uses a general one: SciPy and LAPACK's ``trtrs`` are not needed, and
the time is that of an LU decomposition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import LinAlgError
from ..values import Value
from .op import Forward, composed, op


def t(x: Value) -> Value:
    """Matrices transposed."""
    return np.swapaxes(x, -1, -2)


def conj(x: Value) -> Value:
    """The conjugate; of real numbers the same array."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


def h(x: Value) -> Value:
    """Matrices transposed and conjugated."""
    return conj(t(x))


def eye(x: Value) -> Value:
    """The identity of the size and dtype of a square matrix."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def cubic(g: Value, *saved: Value) -> int:
    """The cost of some products and a solve of matrices of the size of ``g``."""
    return int(math.prod(g.shape) * max(g.shape, default=1))


def checked(function: Callable[..., Any]) -> Forward:
    """``function`` of one or two arrays, with the engine's error where NumPy has its own."""

    def forward(*arrays: Value) -> Value:
        try:
            return function(*arrays)
        except np.linalg.LinAlgError as error:
            raise LinAlgError(str(error)) from error

    return forward


# -- inverse and solve -----------------------------------------------------------------------------

_checked_inv = checked(np.linalg.inv)
_checked_solve = checked(np.linalg.solve)


def _inv(x: Value) -> Value:
    return _checked_inv(x)


def _inv_pull(g: Value, ans: Value) -> Value:
    return -t(ans) @ g @ t(ans)


inv: Any = op(
    "linalg.inv",
    _inv,
    "x",
    numpy=np.linalg.inv,
    also="inverse",
    cost=cubic,
    x=_inv_pull,
)


def _solve(a: Value, b: Value) -> Value:
    """``b`` is a vector where it has one axis, else matrices, as in NumPy 2."""
    return _checked_solve(a, b)


def _solve_pull(
    g: Value, a: Value, b: Value, ans: Value, needed: Sequence[bool]
) -> tuple[Value, Value]:
    if b.ndim > 1:
        back = solve(t(a), g)
        return -back @ t(ans) if needed[0] else None, back
    back = solve(t(a), np.expand_dims(g, -1))
    return -back * np.expand_dims(ans, -2) if needed[0] else None, back.squeeze(-1)


solve: Any = op(
    "linalg.solve", _solve, "a b", numpy=np.linalg.solve, cost=cubic, together=_solve_pull
)


def solve_triangular(
    a: Value, b: Value, upper: bool = False, left: bool = True, unitriangular: bool = False
) -> Value:
    """The solution of ``T x = b``, or of ``x T = b``, with a triangle ``T`` of ``a``."""
    n = a.shape[-1]
    kept = np.tri(n, dtype=bool)
    kept = kept.T if upper else kept
    if unitriangular:
        kept = kept & ~np.eye(n, dtype=bool)
    triangle = np.where(kept, a, eye(a) if unitriangular else np.zeros((), a.dtype))
    return solve(triangle, b) if left else t(solve(t(triangle), t(b)))


composed("linalg.solve_triangular", solve_triangular, "a b")


def _cholesky_solve(b: Value, factor: Value, upper: bool = False) -> Value:
    """The solution of ``A x = b`` from the Cholesky factor of ``A``."""
    first, second = (h(factor), factor) if upper else (factor, h(factor))
    return solve_triangular(second, solve_triangular(first, b), upper=True)


def _cholesky_inverse(factor: Value, upper: bool = False) -> Value:
    return _cholesky_solve(eye(factor), factor, upper)


composed("cholesky_solve", _cholesky_solve, "b factor", also="linalg.cho_solve")
composed("cholesky_inverse", _cholesky_inverse, "factor")


def _tensorinv(x: Value, ind: int = 2) -> Value:
    if ind <= 0:
        raise LinAlgError(f"linalg.tensorinv: ind must be positive, got {ind}")
    rows, columns = x.shape[:ind], x.shape[ind:]
    return inv(x.reshape(math.prod(rows), -1)).reshape(columns + rows)


def _tensorsolve(a: Value, b: Value, axes: Sequence[int] | None = None) -> Value:
    if axes is not None:
        moved = [axis % a.ndim for axis in axes]
        a = np.transpose(a, [i for i in range(a.ndim) if i not in moved] + moved)
    unknown = a.shape[b.ndim :]
    return solve(a.reshape(-1, math.prod(unknown)), b.reshape(-1)).reshape(unknown)


composed("linalg.tensorinv", _tensorinv, "x", numpy=np.linalg.tensorinv)
composed("linalg.tensorsolve", _tensorsolve, "a b", numpy=np.linalg.tensorsolve)

# -- determinants ----------------------------------------------------------------------------------


def _det(x: Value) -> Value:
    return np.linalg.det(x)


def _others(s: Value) -> Value:
    """For each singular value the product of all others."""
    one = np.eye(s.shape[-1], dtype=bool)
    return np.where(one, 1, np.expand_dims(s, -2)).prod(axis=-1)


def _other_pairs(s: Value) -> Value:
    """For each pair of different singular values the product of all others; 0 on the diagonal."""
    one = np.eye(s.shape[-1], dtype=bool)
    left_out = one[:, None, :] | one[None, :, :]
    products = np.where(left_out, 1, s[..., None, None, :]).prod(axis=-1)
    return np.where(one, 0, products).astype(s.dtype)


def _turned(x: Value) -> tuple[Value, Value, Value, Value]:
    """``u, s, vh`` of an SVD, ``u`` and ``vh`` conjugated, and the determinant of ``u @ vh``."""
    u, s, vh = np.linalg.svd(x)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return conj(u), s, conj(vh), phase[..., None, None]


def _cofactors(x: Value) -> Value:
    """The derivative of the determinant: by the inverse, or by an SVD near a singular matrix."""
    if not x.size:
        return np.zeros_like(x)
    trusted = np.finfo(x.dtype).eps ** -0.5
    try:
        inverse = np.linalg.inv(x)
        if np.all(abs(inverse).max((-1, -2)) * abs(x).max((-1, -2)) * x.shape[-1] < trusted):
            return np.linalg.det(x)[..., None, None] * t(inverse)
    except np.linalg.LinAlgError:
        pass
    u, s, vh, phase = _turned(x)
    return phase * (u * _others(s)[..., None, :]) @ vh


def _cofactors_pull(g: Value, x: Value, ans: Value) -> Value:
    if isinstance(g, np.ndarray) and isinstance(x, np.ndarray):
        return _minors_pull(g, x)
    det = np.expand_dims(_total(x * ans) / x.shape[-1], (-1, -2))
    return (np.expand_dims(_total(g * ans), (-1, -2)) * ans - ans @ t(g) @ ans) / det


def _total(x: Value) -> Value:
    return np.add.reduce(x, axis=(-1, -2))


def _minors_pull(g: Value, x: Value) -> Value:
    """The same at a singular matrix: in the bases of its SVD the cofactors are known products."""
    if not x.size:
        return np.zeros_like(g)
    u, s, vh, phase = _turned(x)
    inner = phase * (t(u) @ g @ t(vh))
    pairs = _other_pairs(s)
    diagonal = (pairs @ np.diagonal(inner, axis1=-2, axis2=-1)[..., None]).squeeze(-1)
    turned = diagonal[..., None] * eye(s) - pairs * t(inner)
    return u @ turned @ vh


cofactors: Any = op("linalg.cofactors", _cofactors, "x", torch=None, cost=cubic, x=_cofactors_pull)

op(
    "linalg.det",
    _det,
    "x",
    numpy=np.linalg.det,
    also="det",
    x=lambda g, x: np.expand_dims(g, (-1, -2)) * cofactors(x),
)


class Slogdet(NamedTuple):
    """What ``linalg.slogdet`` returns: the determinant is ``sign * exp(logabsdet)``. Immutable."""

    sign: Value
    logabsdet: Value


def _slogdet(x: Value) -> tuple[Value, Value]:
    sign, logabsdet = np.linalg.slogdet(x)
    return sign, logabsdet


def _slogdet_pull(g: list[Value], x: Value, sign: Value) -> Value:
    turns, grows = g
    if turns is None or x.dtype.kind != "c":  # a sign of real numbers does not move
        total = grows if grows is not None else turns * 0
    else:
        turned = turns * sign
        total = (turned - np.conjugate(turned)) / 2
        total = total if grows is None else total + grows
    return np.expand_dims(total, (-1, -2)) * t(inv(x))


op(
    "linalg.slogdet",
    _slogdet,
    "x",
    numpy=np.linalg.slogdet,
    also="slogdet",
    outputs=Slogdet,
    x=_slogdet_pull,
)


def _logdet(x: Value) -> Value:
    sign, logabsdet = np.linalg.slogdet(x)
    if x.dtype.kind == "c":
        return np.log(sign) + logabsdet
    return np.where(np.equal(sign, -1), np.nan, logabsdet)


composed("logdet", _logdet, "x")

# -- powers, and what is read off ------------------------------------------------------------------


def _matrix_power(x: Value, n: int) -> Value:
    """By repeated squaring."""
    if n == 0:
        return np.where(True, eye(x), x)
    if n < 0:
        return _matrix_power(inv(x), -n)
    if n == 1:
        return np.copy(x)
    half = _matrix_power(x, n // 2)
    return half @ half @ x if n % 2 else half @ half


composed(
    "linalg.matrix_power", _matrix_power, "x", numpy=np.linalg.matrix_power, also="matrix_power"
)


def _matrix_rank(x: Value, tol: Any = None, hermitian: bool = False, rtol: Any = None) -> Value:
    return np.linalg.matrix_rank(x, tol=tol, hermitian=hermitian, rtol=rtol)


def _diagonal(x: Value, offset: int = 0) -> Value:
    return np.diagonal(x, offset=offset, axis1=-2, axis2=-1)


def _trace(x: Value, offset: int = 0) -> Value:
    return _diagonal(x, offset).sum(axis=-1)


op("linalg.matrix_rank", _matrix_rank, "x", numpy=np.linalg.matrix_rank)
composed("linalg.matrix_transpose", t, "x", numpy=np.linalg.matrix_transpose, torch=None)
composed("linalg.diagonal", _diagonal, "x", numpy=np.linalg.diagonal)
composed("linalg.trace", _trace, "x", numpy=np.linalg.trace, torch=None)
