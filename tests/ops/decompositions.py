"""Cases of `engine.ops.decompositions`.

What they return is turned into something that no choice of signs or phases changes.
"""

import numpy as np

from tests.ops.case import Case, call
from tests.ops.linalg import APART, EYE, h, positive


def hermitian(x):
    return (x + h(x),)


def _lu(x):
    """One matrix after the other, one row after the other."""
    done = [_lu_one(one) for one in x.reshape(-1, *x.shape[-2:])]
    return [np.reshape(each, (*x.shape[:-2], *each[0].shape)) for each in zip(*done, strict=True)]


def _lu_one(x):
    rows, columns = x.shape
    upper, lower, turns = x.copy(), np.zeros((rows, rows), x.dtype), np.eye(rows, dtype=x.dtype)
    for k in range(min(rows, columns)):
        pivot = k + int(np.argmax(abs(upper[k:, k])))
        for array in (upper, lower, turns):
            array[[k, pivot]] = array[[pivot, k]]
        for i in range(k + 1, rows):
            lower[i, k] = upper[i, k] / upper[k, k]
            upper[i] = upper[i] - lower[i, k] * upper[k]
    small = min(rows, columns)
    return turns.T, (lower + np.eye(rows))[:, :small].astype(x.dtype), np.triu(upper[:small])


def _spread(values, vectors):
    """Values and squared vectors, mixed."""
    return values[..., None, :] * vectors * vectors.conj()


DECOMPOSITIONS = (
    Case(
        "linalg.cholesky",
        (
            call((3, 3), EYE),
            call((2, 3, 3), EYE),
            call((3, 3), EYE, upper=True),
            call((3, 3), EYE, cplx=True),
            call((3, 3), EYE, upper=True, cplx=True),
        ),
        np.linalg.cholesky,
        lambda torch, x, upper=False: torch.linalg.cholesky(x, upper=upper),
        before=positive,
    ),
    Case(
        "linalg.eigh",
        (
            call((3, 3)),
            call((2, 2, 2)),
            call((3, 3), UPLO="U"),
            call((1, 1)),
            call((3, 3), cplx=True),
        ),
        np.linalg.eigh,
        lambda torch, x, UPLO="L": torch.linalg.eigh(x, UPLO=UPLO),
        before=hermitian,
        after=lambda result: _spread(*result),
    ),
    Case(
        "linalg.eigvalsh",
        (call((3, 3)), call((2, 2, 2)), call((3, 3), UPLO="U"), call((3, 3), cplx=True)),
        np.linalg.eigvalsh,
        lambda torch, x, UPLO="L": torch.linalg.eigvalsh(x, UPLO=UPLO),
        before=hermitian,
    ),
    Case(
        "linalg.eig",
        (call((3, 3)), call((2, 2, 2)), call((3, 3), cplx=True)),
        lambda x: [part.astype(complex) for part in np.linalg.eig(x)],
        lambda torch, x: torch.linalg.eig(x),
        after=lambda result: _spread(*result),
    ),
    Case(
        "linalg.eigvals",
        (call((3, 3)), call((2, 2, 2)), call((3, 3), cplx=True)),
        lambda x: np.linalg.eigvals(x).astype(complex),
        lambda torch, x: torch.linalg.eigvals(x),
        after=lambda result: result * result,
    ),
    Case(
        "linalg.svd",
        (
            call((3, 3)),
            call((3, 2), full_matrices=False),
            call((2, 3), full_matrices=False),
            call((2, 2, 2)),
            call((3, 3), cplx=True),
            call((3, 2), full_matrices=False, cplx=True),
            call((2, 3), full_matrices=False, cplx=True),
        ),
        np.linalg.svd,
        lambda torch, x, full_matrices=True: torch.linalg.svd(x, full_matrices=full_matrices),
        after=lambda result: (
            (result[0] * result[1][..., None, :] ** 2) @ result[2]
            + (result[0] * result[0].conj()) @ (result[2] * result[2].conj())
        ),
    ),
    Case(
        "linalg.svdvals",
        (call((3, 3)), call((3, 2)), call((2, 2, 3)), call((3, 2), cplx=True)),
        lambda x: np.linalg.svd(x, compute_uv=False),
        lambda torch, x: torch.linalg.svdvals(x),
    ),
    Case(
        "linalg.qr",
        (
            call((3, 3)),
            call((3, 2)),
            call((2, 3)),
            call((2, 2, 2)),
            call((2, 2), mode="complete"),
            call((3, 2), cplx=True),
            call((2, 3), cplx=True),
        ),
        np.linalg.qr,
        lambda torch, x, mode="reduced": torch.linalg.qr(x, mode),
        after=lambda result: (result[0] * result[0]) @ (result[1] * result[1]),
        domain=APART,
    ),
    Case(
        "linalg.lu",
        (
            call((3, 3)),
            call((2, 3, 3)),
            call((4, 2)),
            call((2, 4)),
            call((3, 3), cplx=True),
            call((3, 2), cplx=True),
        ),
        _lu,
        lambda torch, x: torch.linalg.lu(x),
        after=lambda result: result[0] @ (result[1] * result[1]) @ (result[2] * result[2]),
        domain=APART,
    ),
)
