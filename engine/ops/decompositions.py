"""Decompositions of matrices: Cholesky, eigenvalues, singular values, QR, LU.

* ``cholesky``, ``eigh`` and ``eigvalsh`` take the matrix to be symmetric, whatever its other half
  holds; their gradients are symmetric.
* Eigenvectors and singular vectors are determined but for a sign or a phase: differentiate what
  does not depend on it. Where two eigenvalues or singular values are equal, vectors have no
  derivative: the gradient is NaN, but only if a gradient of vectors was asked for. Values alone
  are fine there.
* ``svd`` and ``qr`` are differentiated in their reduced form: ``svd(x, full_matrices=False)``.
  Vectors that complete a basis are not unique and raise ``NotSupportedError`` in the backward.
* ``eig`` always answers in complex numbers, as PyTorch does and the array API asks; NumPy's answer
  is real where all eigenvalues happen to be.
* ``lu`` runs a loop of NumPy calls, one for each column, over the whole batch: no SciPy is needed.

The rules are written for gradients in PyTorch's convention; for what the engine hands to a rule
everything that was saved is conjugated first.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import NotSupportedError
from ..values import Value
from .linalg import checked, conj, cubic, eye, h, solve, solve_triangular, t
from .op import composed, op


def _column(x: Value) -> Value:
    """A vector for each matrix, to multiply its rows with."""
    return np.expand_dims(x, -1)


def _row(x: Value) -> Value:
    return np.expand_dims(x, -2)


def _off_diagonal(differences: Value) -> Value:
    """What to divide by: NaN where it is 0 and should not be; 1 on the diagonal."""
    one = np.eye(differences.shape[-1], dtype=bool)
    return np.where(one, 1, np.where(np.equal(differences, 0), np.nan, differences))


def _lower_half(x: Value) -> Value:
    """The lower triangle, with half of the diagonal."""
    n = x.shape[-1]
    return x * ((np.tri(n) + np.tri(n, k=-1)) / 2).astype(x.dtype)


def _mean_with_own(x: Value) -> Value:
    return (x + h(x)) / 2


def _costs(g: list[Value], *saved: Value) -> int:
    return 10 * max(cubic(one) for one in g if one is not None)


# -- Cholesky --------------------------------------------------------------------------------------

_checked_cholesky = checked(np.linalg.cholesky)


def _cholesky(x: Value, upper: bool = False) -> Value:
    lower = _checked_cholesky(h(x) if upper else x)
    return h(lower) if upper else lower


def _cholesky_pull(g: Value, ans: Value, upper: bool) -> Value:
    """Murray, Differentiation of the Cholesky decomposition, 2016, section 4."""
    lower, g = conj(h(ans) if upper else ans), h(g) if upper else g
    inner = _mean_with_own(_lower_half(h(lower) @ g))
    half = h(solve_triangular(h(lower), inner, upper=True))
    return h(solve_triangular(h(lower), half, upper=True))


op(
    "linalg.cholesky",
    _cholesky,
    "x",
    numpy=np.linalg.cholesky,
    also="cholesky",
    cost=cubic,
    x=_cholesky_pull,
)

# -- eigenvalues -----------------------------------------------------------------------------------


class Eigen(NamedTuple):
    """What ``linalg.eigh`` and ``linalg.eig`` return; the vectors are columns. Immutable."""

    eigenvalues: Value
    eigenvectors: Value


def _eigh(x: Value, UPLO: Literal["L", "U"] = "L") -> tuple[Value, Value]:
    values, vectors = np.linalg.eigh(x, UPLO)
    return values, vectors


def _eigh_pull(g: list[Value], eigenvalues: Value, eigenvectors: Value) -> Value:
    by_values, by_vectors = g
    v = conj(eigenvectors)
    if by_vectors is None:
        return (v * _row(by_values)) @ h(v)
    apart = _off_diagonal(_row(eigenvalues) - _column(eigenvalues))
    inner = _mean_with_own(h(v) @ by_vectors / apart) * (1 - eye(v))
    if by_values is not None:
        inner = inner + eye(v) * _row(by_values)
    return v @ inner @ h(v)


eigh: Any = op(
    "linalg.eigh",
    _eigh,
    "x",
    numpy=np.linalg.eigh,
    outputs=Eigen,
    cost=_costs,
    x=_eigh_pull,
)


def _eig(x: Value) -> tuple[Value, Value]:
    values, vectors = np.linalg.eig(x)
    kind = np.result_type(x.dtype, np.complex64)
    return values.astype(kind), vectors.astype(kind)


def _eig_pull(g: list[Value], eigenvalues: Value, eigenvectors: Value) -> Value:
    """Boeddeker et al., On the computation of complex-valued gradients, 2017, section 4.22."""
    by_values, by_vectors = g
    v, inner = conj(eigenvectors), None
    if by_vectors is not None:
        gained = h(v) @ by_vectors
        along = np.add.reduce((gained + conj(gained)) / 2 * eye(v), axis=-2, keepdims=True)
        apart = _off_diagonal(_row(eigenvalues) - _column(eigenvalues))
        inner = (gained - h(v) @ v * along) / apart * (1 - eye(v))
    if by_values is not None:
        diagonal = eye(v) * _row(by_values)
        inner = diagonal if inner is None else inner + diagonal
    return solve(h(v), inner @ h(v))


eig: Any = op("linalg.eig", _eig, "x", numpy=np.linalg.eig, outputs=Eigen, cost=_costs, x=_eig_pull)


def _eigvalsh(x: Value, UPLO: Literal["L", "U"] = "L") -> Value:
    return eigh(x, UPLO=UPLO).eigenvalues


def _eigvals(x: Value) -> Value:
    return eig(x).eigenvalues


composed("linalg.eigvalsh", _eigvalsh, "x", numpy=np.linalg.eigvalsh)
composed("linalg.eigvals", _eigvals, "x", numpy=np.linalg.eigvals)

# -- singular values -------------------------------------------------------------------------------


class Svd(NamedTuple):
    """What ``linalg.svd`` returns: ``x = U @ diag(S) @ Vh``. Immutable."""

    U: Value
    S: Value
    Vh: Value


def _svd(x: Value, full_matrices: bool = True) -> tuple[Value, Value, Value]:
    u, s, vh = np.linalg.svd(x, full_matrices=full_matrices)
    return u, s, vh


def _skew(x: Value) -> Value:
    return x - h(x)


def _svd_pull(g: list[Value], U: Value, S: Value, Vh: Value) -> Value:
    """Townsend, Differentiating the singular value decomposition, 2016; phases: see `_phase`."""
    by_u, by_s, by_vh = g
    k = S.shape[-1]
    if by_u is None and by_vh is None:
        return conj(U[..., :k] * _row(by_s)) @ conj(Vh[..., :k, :])
    _refuse_completed(U, Vh, k)
    u, v, s = conj(U), t(Vh), S
    apart = _off_diagonal(_row(s * s) - _column(s * s))
    inner: Value = 0 if by_s is None else eye(u) * _row(by_s)
    across: Value = 0
    safe = np.where(np.equal(s, 0), np.nan, s)
    if by_u is not None:
        turn = _skew(h(u) @ by_u)
        inner = inner + turn / apart * (1 - eye(u)) * _row(s) + _phase(turn, safe)
        if u.shape[-2] > k:
            across = across + (by_u - u @ (h(u) @ by_u)) / _row(safe) @ h(v)
    if by_vh is not None:
        by_v = h(by_vh)
        turn = _skew(h(v) @ by_v)
        inner = inner + _column(s) * (turn / apart * (1 - eye(u))) - _phase(turn, safe)
        if v.shape[-2] > k:
            across = across + u / _row(safe) @ h(by_v - v @ (h(v) @ by_v))
    return u @ inner @ h(v) + across


def _phase(turn: Value, s: Value) -> Value:
    """Of complex vectors: a phase that is shared evenly between a left and a right one."""
    return eye(turn) * (turn / _row(s * 4)) if turn.dtype.kind == "c" else 0


def _refuse_completed(u: Value, vh: Value, k: int) -> None:
    if u.shape[-1] != k or vh.shape[-2] != k:
        raise NotSupportedError(
            "linalg.svd: no gradient of the vectors that full_matrices=True adds; they are not "
            "unique. Call svd(x, full_matrices=False)"
        )


svd: Any = op("linalg.svd", _svd, "x", numpy=np.linalg.svd, outputs=Svd, cost=_costs, x=_svd_pull)


def svdvals(x: Value) -> Value:
    """The singular values, largest first."""
    return svd(x, full_matrices=False).S


composed("linalg.svdvals", svdvals, "x", numpy=np.linalg.svdvals)

# -- QR --------------------------------------------------------------------------------------------


class Qr(NamedTuple):
    """What ``linalg.qr`` returns: ``x = Q @ R``. Immutable."""

    Q: Value
    R: Value


def _qr(x: Value, mode: Literal["reduced", "complete"] = "reduced") -> tuple[Value, Value]:
    modes: tuple[str, ...] = ("reduced", "complete")
    if mode not in modes:
        raise NotSupportedError(
            f"linalg.qr: mode must be one of {modes}, got {mode!r}; use qr(x).R"
        )
    q, r = np.linalg.qr(x, mode)
    return q, r


def _qr_pull(g: list[Value], x: Value, Q: Value, R: Value) -> Value:
    """Walter, Lehmann and Lamour, 2012; of a wide matrix, of its square part and of the rest."""
    by_q, by_r = g
    rows, columns = x.shape[-2:]
    if Q.shape[-1] > columns:
        raise NotSupportedError("linalg.qr: no gradient in mode='complete' of a tall matrix")
    if columns <= rows:
        return _tall(by_q, by_r, conj(Q), conj(R))
    rest = conj(x[..., rows:])
    if by_r is None:
        left = _tall(by_q, None, conj(Q), conj(R[..., :rows]))
        return np.concatenate([left, rest * 0], axis=-1)
    by_rest = by_r[..., rows:]
    by_q = rest @ h(by_rest) + (0 if by_q is None else by_q)
    left = _tall(by_q, by_r[..., :rows], conj(Q), conj(R[..., :rows]))
    return np.concatenate([left, conj(Q) @ by_rest], axis=-1)


def _tall(by_q: Value, by_r: Value, q: Value, r: Value) -> Value:
    inner = 0 if by_r is None else by_r @ h(r)
    inner = inner if by_q is None else inner - h(q) @ by_q
    half = h(_lower_half(h(inner)))
    total = q @ (half + h(half))
    return h(solve_triangular(r, h(total if by_q is None else by_q + total), upper=True))


op("linalg.qr", _qr, "x", numpy=np.linalg.qr, outputs=Qr, cost=_costs, x=_qr_pull)

# -- LU --------------------------------------------------------------------------------------------


class Lu(NamedTuple):
    """What ``linalg.lu`` returns: ``x = P @ L @ U``, and ``P`` is constant. Immutable."""

    P: Value
    L: Value
    U: Value


def _lu(x: Value) -> tuple[Value, Value, Value]:
    """Gaussian elimination with the largest pivot: Golub and Van Loan, algorithm 3.4.1."""
    rows, columns = x.shape[-2:]
    work = np.array(x, np.result_type(x.dtype, np.float32)).reshape(-1, rows, columns)
    batch = np.arange(len(work))
    order = np.tile(np.arange(rows), (len(work), 1))
    for k in range(min(rows, columns)):
        pivot = k + abs(work[:, k:, k]).argmax(1)
        for array in (work, order):
            array[batch, pivot], array[:, k] = array[:, k].copy(), array[batch, pivot]
        top = work[:, k, k, None]
        work[:, k + 1 :, k] /= np.where(top == 0, 1, top)
        work[:, k + 1 :, k + 1 :] -= work[:, k + 1 :, k, None] * work[:, k, None, k + 1 :]
    small, work = min(rows, columns), work.reshape(x.shape)
    lower = np.tril(work[..., :small], -1) + np.eye(rows, small, dtype=work.dtype)
    turns = t(np.eye(rows, dtype=work.dtype)[order]).reshape(*x.shape[:-1], rows)
    return turns, lower, np.triu(work[..., :small, :])


def _lu_pull(g: list[Value], P: Value, L: Value, U: Value) -> Value:
    """Of the square corner; a part to the right of it or below is a triangular solve."""
    _, by_l, by_u = g
    small = L.shape[-1]
    lower, upper = L[..., :small, :], U[..., :small]
    by_lower = 0 if by_l is None else t(lower) @ by_l[..., :small, :]
    by_upper = 0 if by_u is None else by_u[..., :small] @ t(upper)
    parts = []
    if L.shape[-2] > small:  # tall: below stands L2 = A2 U^-1
        below = _solved(upper, L[..., small:, :] * 0 if by_l is None else by_l[..., small:, :])
        by_upper = by_upper - t(L[..., small:, :]) @ below @ t(upper)
        parts = [below]
    if U.shape[-1] > small:  # wide: to the right stands U2 = L^-1 A2
        beside = U[..., small:] * 0 if by_u is None else by_u[..., small:]
        beside = solve_triangular(t(lower), beside, upper=True, unitriangular=True)
        by_lower = by_lower - t(lower) @ beside @ t(U[..., small:])
        parts = [beside]
    below_diagonal = np.tri(small, k=-1, dtype=L.dtype)
    square = by_lower * below_diagonal + by_upper * (1 - below_diagonal)
    square = _solved(upper, solve_triangular(t(lower), square, upper=True, unitriangular=True))
    return P @ np.concatenate([square, *parts], axis=-2 if L.shape[-2] > small else -1)


def _solved(upper: Value, x: Value) -> Value:
    """``x`` times the inverse of the transpose of ``upper``."""
    return t(solve_triangular(upper, t(x), upper=True))


op("linalg.lu", _lu, "x", outputs=Lu, cost=_costs, x=_lu_pull)
