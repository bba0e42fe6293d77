"""Cases of `engine.ops.linalg`, `engine.ops.norms` and `engine.ops.expm`."""

import numpy as np

from tests.ops.case import Case, call, constant

EYE = np.eye(3, dtype=np.float32)
INF = float("inf")
APART = (-1.5, 2.0)  # no two numbers are opposites, and one alone is not 0


def h(x):
    return x.conj().swapaxes(-1, -2)


def positive(x, eye):
    """A positive definite matrix."""
    return (x @ h(x) + eye,)


def _triangle(a, upper, unitriangular):
    chosen = np.triu(a) if upper else np.tril(a)
    return chosen - np.diag(np.diag(chosen)) + np.eye(len(a)) if unitriangular else chosen


def _solve_triangular(a, b, upper=False, left=True, unitriangular=False):
    one = _triangle(a, upper, unitriangular)
    return np.linalg.solve(one, b) if left else b @ np.linalg.inv(one)


def _torch_triangular(torch, a, b, upper=False, left=True, unitriangular=False):
    # PyTorch gives what lies outside of the triangle no gradient either.
    return torch.linalg.solve_triangular(a, b, upper=upper, left=left, unitriangular=unitriangular)


def _cholesky_solve(b, factor, upper=False):
    return np.linalg.solve(h(factor) @ factor if upper else factor @ h(factor), b)


SQUARE = (call((3, 3)), call((2, 1, 2, 2)), call((1, 1)), call((3, 3), cplx=True))
NONE = call((0, 2, 2), peer=False)  # PyTorch raises in its second order

SOLVING = (
    Case(
        "linalg.inv",
        (*SQUARE, NONE),
        np.linalg.inv,
        lambda torch, x: torch.linalg.inv(x),
        domain=APART,
    ),
    Case(
        "linalg.solve",
        (
            call((3, 3), (3, 2)),
            call((3, 3), (3,)),
            call((2, 2, 2), (2,), peer=False),
            call((2, 1, 2, 2), (3, 2, 2)),
            call((2, 2), (3, 2, 2)),
            call((0, 2, 2), (2, 2)),
            call((3, 3), (3, 2), cplx=True),
        ),
        np.linalg.solve,
        lambda torch, a, b: torch.linalg.solve(a, b),
    ),
    Case(
        "linalg.solve_triangular",
        (
            call((3, 3), (3, 2), EYE),
            call((3, 3), (3, 2), EYE, upper=True),
            call((3, 3), (2, 3), EYE, left=False, upper=True),
            call((3, 3), (3, 2), EYE, upper=False, unitriangular=True),
            call((3, 3), (3, 2), EYE, upper=True, unitriangular=True, cplx=True),
        ),
        _solve_triangular,
        _torch_triangular,
        before=lambda a, b, eye: (a + 3 * eye, b),
    ),
    Case(
        "cholesky_solve",
        (
            call((3, 2), (3, 3), EYE),
            call((3, 2), (3, 3), EYE, upper=True),
            call((3, 2), (3, 3), EYE, cplx=True),
        ),
        _cholesky_solve,
        before=lambda b, factor, eye: (b, factor * (eye * 2 + 1) * eye + eye),
    ),
    Case(
        "cholesky_inverse",
        (call((3, 3), EYE), call((3, 3), EYE, upper=True)),
        lambda factor, upper=False: _cholesky_solve(np.eye(3), factor, upper),
        before=lambda factor, eye: (factor * eye + eye * 3,),
    ),
    Case(
        "linalg.tensorinv",
        (call((2, 3, 3, 2)), call((4, 2, 2), ind=1), call((4, 2, 2), ind=1, cplx=True)),
        np.linalg.tensorinv,
        lambda torch, x, ind=2: torch.linalg.tensorinv(x, ind=ind),
    ),
    Case(
        "linalg.tensorsolve",
        (
            call((2, 2, 4), (2, 2)),
            call((2, 4, 2), (2, 2), axes=(1,)),
            call((2, 2, 4), (2, 2), cplx=True),
        ),
        np.linalg.tensorsolve,
        lambda torch, a, b, axes=None: torch.linalg.tensorsolve(a, b, dims=axes),
    ),
    Case(
        "linalg.pinv",
        (
            call((3, 2)),
            call((2, 3)),
            call((2, 2, 2)),
            call((3, 2), rcond=1e-10, peer=False),
            call((3, 2), cplx=True),
            call((2, 3), cplx=True),
        ),
        np.linalg.pinv,
        lambda torch, x: torch.linalg.pinv(x),
    ),
    Case(
        "linalg.lstsq",
        (
            call((3, 2), (3, 2)),
            call((2, 3), (2, 2)),
            call((3, 2), (3,), peer=False),
            call((3, 2), (3, 2), cplx=True),
        ),
        np.linalg.lstsq,
        lambda torch, a, b: torch.linalg.lstsq(a, b),
        after=lambda result: result[0],
    ),
)

DETERMINANTS = (
    Case(
        "linalg.det",
        (*SQUARE, NONE),
        np.linalg.det,
        lambda torch, x: torch.linalg.det(x),
        domain=APART,
    ),
    Case(
        "linalg.cofactors",
        (*SQUARE, NONE),
        lambda x: np.linalg.det(x)[..., None, None] * np.linalg.inv(x).swapaxes(-1, -2),
        domain=APART,
    ),
    Case(
        "linalg.slogdet",
        (*SQUARE, NONE),
        np.linalg.slogdet,
        lambda torch, x: torch.linalg.slogdet(x),
        after=lambda result: result[0] * result[1] + result[1],
        domain=APART,
    ),
    Case(
        "logdet",
        (call((3, 3), EYE), call((2, 3, 3), EYE), call((3, 3), EYE, cplx=True)),
        lambda x: np.log(np.linalg.det(x)),
        lambda torch, x: torch.logdet(x),
        before=positive,
    ),
)

PARTS = (
    Case(
        "linalg.matrix_power",
        (
            call((3, 3), n=3),
            call((2, 2, 2), n=2),
            call((3, 3), n=1),
            call((3, 3), n=0, peer=False),
            call((3, 3), n=-2),
            call((3, 3), n=5),
            call((3, 3), n=4, cplx=True),
        ),
        np.linalg.matrix_power,
        lambda torch, x, n: torch.linalg.matrix_power(x, n),
    ),
    Case(
        "linalg.matrix_transpose",
        (call((2, 3)), call((2, 3, 1)), call((2, 3), cplx=True)),
        np.linalg.matrix_transpose,
        lambda torch, x: x.mT,
    ),
    Case(
        "linalg.diagonal",
        (call((3, 3)), call((2, 2, 3), offset=1), call((3, 2), offset=-1)),
        np.linalg.diagonal,
        lambda torch, x, offset=0: torch.linalg.diagonal(x, offset=offset),
    ),
    Case(
        "linalg.trace",
        (call((3, 3)), call((2, 2, 3)), call((3, 3), cplx=True)),
        np.linalg.trace,
        lambda torch, x: torch.linalg.diagonal(x).sum(-1),
    ),
    constant("linalg.matrix_rank", np.linalg.matrix_rank, call((3, 2)), call((2, 2, 2))),
)


def _exponential(x):
    """By its series, which is good enough at these sizes."""
    term = out = np.broadcast_to(np.eye(x.shape[-1]), x.shape).astype(x.dtype)
    for k in range(1, 90):
        term = term @ x / k
        out = out + term
    return out


EXPONENTIAL = Case(
    "linalg.matrix_exp",
    (call((3, 3)), call((2, 2, 2)), call((4, 4)), call((0, 2, 2)), call((2, 2), cplx=True)),
    _exponential,
    lambda torch, x: torch.linalg.matrix_exp(x),
)


def _vector_norm(torch, x, ord=2, axis=None, keepdims=False):
    return torch.linalg.vector_norm(x, ord, dim=axis, keepdim=keepdims)


def _matrix_norm(torch, x, ord="fro", axis=(-2, -1), keepdims=False):
    return torch.linalg.matrix_norm(x, ord, dim=axis, keepdim=keepdims)


def _norm(torch, x, ord=None, axis=None, keepdims=False):
    return torch.linalg.norm(x, ord, dim=axis, keepdim=keepdims)


def _flat_norm(x, p="fro", axis=None, keepdims=False):
    if p == "nuc":
        return np.linalg.norm(x, p, axis=(-2, -1) if axis is None else axis, keepdims=keepdims)
    ord = 2 if p == "fro" else p
    return np.linalg.vector_norm(x, ord=ord, axis=axis, keepdims=keepdims)


def _torch_flat_norm(torch, x, p="fro", axis=None, keepdims=False):
    return torch.norm(x, p, dim=axis, keepdim=keepdims)


NORMS = (
    Case(
        "linalg.vector_norm",
        (
            *(
                call((2, 3), ord=ord, peer=ord != 0)
                for ord in (2, 1, 0, 3, 2.5, 0.5, -1, INF, -INF)
            ),
            call(()),
            call((2, 3), axis=1),
            call((2, 3), ord=3, axis=0, keepdims=True),
            call((2, 3, 2), ord=INF, axis=(0, -1)),
            call((2, 3, 2), ord=1, axis=(0, -1), keepdims=True),
            call((2, 0), axis=1),
            call((2, 3), cplx=True),
            call((2, 3), ord=1, cplx=True),
            call((2, 3), ord=3, axis=1, cplx=True),
            call((2, 3), ord=INF, axis=1, cplx=True),
        ),
        lambda x, ord=2, **keywords: np.linalg.vector_norm(x, ord=ord, **keywords),
        _vector_norm,
        kinks=(0.0,),
        domain=APART,
    ),
    Case(
        "linalg.matrix_norm",
        (
            *(call((2, 3), ord=ord) for ord in ("fro", "nuc", 1, -1, 2, -2, INF, -INF)),
            call((2, 3, 2)),
            call((2, 3, 2), ord=2, keepdims=True),
            call((2, 3), ord=1, cplx=True),
            call((2, 3), ord="nuc", cplx=True),
        ),
        lambda x, ord="fro", keepdims=False: np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims),
        _matrix_norm,
        kinks=(0.0,),
        domain=APART,
    ),
    Case(
        "linalg.norm",
        (
            call((2, 3)),
            call((2, 3, 2)),
            call((3,), ord=3),
            call((2, 3), ord=1),
            call((2, 3), ord="nuc"),
            call((2, 3), ord=2, axis=0),
            call((2, 3, 2), axis=(0, 2)),
            call((2, 3, 2), ord=1, axis=(2, 0)),
            call((2, 3, 2), ord=INF, axis=(0, 1), keepdims=True),
            call((2, 3), cplx=True),
        ),
        np.linalg.norm,
        _norm,
        kinks=(0.0,),
        domain=APART,
    ),
    Case(
        "norm",
        (
            call((2, 3)),
            call((2, 3), p=1, axis=0),
            call((2, 3), p=3, axis=1, keepdims=True),
            call((2, 3), p="nuc"),
        ),
        _flat_norm,
        _torch_flat_norm,
        kinks=(0.0,),
        domain=APART,
    ),
    Case(
        "linalg.cond",
        (
            *(call((3, 3), p=p) for p in (None, 2, -2, "nuc")),
            # PyTorch's second order of these fails on a write in place of its own.
            *(call((3, 3), p=p, peer=False) for p in ("fro", 1, -1, INF, -INF)),
            call((3, 2)),
            call((2, 2, 2)),
            call((2, 2), cplx=True),
        ),
        np.linalg.cond,
        lambda torch, x, p=None: torch.linalg.cond(x, p),
        kinks=(0.0,),
        domain=APART,
    ),
)

LINALG = (*SOLVING, *DETERMINANTS, *PARTS, EXPONENTIAL, *NORMS)
