"""Cases of `engine.ops.products` and `engine.ops.einsum`."""

from typing import Any

import numpy as np

from tests.ops.case import Case, call


def _linear(x, weight, bias):
    return np.einsum("...i,oi->...o", x, weight) + (0 if bias is None else bias)


def _addmm(input, mat1, mat2, beta=1, alpha=1):
    return beta * input + alpha * (mat1 @ mat2)


def _vecdot(a, b, axis=-1):
    vecdot: Any = np.linalg.vecdot
    return vecdot(a, b, axis=axis)


MATRICES = (
    Case(
        "matmul",
        (
            call((2, 3), (3, 4)),
            call((3,), (3,)),
            call((3,), (3, 2)),
            call((2, 3), (3,)),
            call((2, 2, 3), (3, 2)),
            call((2, 1, 2, 3), (2, 3, 2)),
            call((3,), (2, 3, 2)),
            call((2, 2, 3), (3,)),
            call((2, 3), (2, 3, 2)),
            call((2, 0), (0, 3)),
            call((0, 3), (3, 2)),
            call((0, 2, 3), (3, 2)),
            call((2, 2, 3), (3, 2), cplx=True),
        ),
        np.matmul,
        lambda torch, a, b: torch.matmul(a, b),
    ),
    Case(
        "linear",
        (
            call((4, 3), (2, 3), (2,)),
            call((4, 3), (2, 3), None),
            call((2, 2, 3), (2, 3), (2,)),
            call((3,), (2, 3), (2,)),
            call((0, 3), (2, 3), (2,)),
            call((2, 2, 0), (2, 0), (2,)),
            call((4, 3), (2, 3), (2,), cplx=True),
        ),
        _linear,
        lambda torch, x, weight, bias: torch.nn.functional.linear(x, weight, bias),
    ),
    Case(
        "addmm",
        (
            call((2, 4), (2, 3), (3, 4)),
            call((4,), (2, 3), (3, 4), beta=2.0, alpha=0.5),
            call((2, 4), (2, 3), (3, 4), cplx=True),
        ),
        _addmm,
        lambda torch, *args, **keywords: torch.addmm(*args, **keywords),
    ),
    Case(
        "linalg.multi_dot",
        (
            call((2, 3), (3, 4), (4, 2), (2, 5)),
            call((3,), (3, 4), (4,)),
            call((5, 1), (1, 5), (5, 1)),
            call((2, 3), (3, 2)),
            call((3,), (3, 2), cplx=True),
        ),
        np.linalg.multi_dot,
        lambda torch, arrays: torch.linalg.multi_dot(arrays),
    ),
)

VECTORS = (
    Case(
        "dot",
        (
            call((2, 3), (3, 4)),
            call((3,), (3,)),
            call((3,), (3, 2)),
            call((2, 3), (3,)),
            call((2, 0), (0, 3)),
            call((), (2, 3), peer=False),
            call((3,), (), peer=False),
            call((2, 1, 3), (2, 3, 2), peer=False),
            call((3,), (2, 3, 2), peer=False),
            call((2, 1, 3), (3,), peer=False),
            call((2, 3), (3, 2), cplx=True),
        ),
        np.dot,
        lambda torch, a, b: torch.matmul(a, b),
    ),
    Case(
        "outer",
        (
            call((3,), (2,)),
            call((0,), (2,)),
            call((2, 2), (3, 1), peer=False),
            call((), (3,), peer=False),
            call((3,), (2,), cplx=True),
        ),
        np.outer,
        lambda torch, a, b: torch.outer(a, b),
    ),
    Case(
        "inner",
        (
            call((3,), (3,)),
            call((2, 3), (4, 3)),
            call((2, 2, 3), (3,)),
            call((), (3,)),
            call((2, 3), (3,), cplx=True),
        ),
        np.inner,
        lambda torch, a, b: torch.inner(a, b),
    ),
    Case(
        "vdot",
        (
            call((3,), (3,)),
            call((2, 3), (2, 3), peer=False),
            call((3,), (3,), cplx=True),
        ),
        np.vdot,
        lambda torch, a, b: torch.vdot(a, b),
    ),
    Case(
        "linalg.vecdot",
        (
            call((3,), (3,)),
            call((2, 3), (3,)),
            call((2, 1, 3), (4, 3)),
            call((3, 2), (3, 2), axis=0),
            call((2, 3), (2, 3), cplx=True),
        ),
        _vecdot,
        lambda torch, a, b, axis=-1: torch.linalg.vecdot(a, b, dim=axis),
    ),
    Case(
        "linalg.cross",
        (
            call((3,), (3,)),
            call((2, 3), (3,)),
            call((3, 2), (3, 2), axis=0),
            call((2, 1, 3), (4, 3)),
            call((2, 3), (2, 3), cplx=True),
        ),
        lambda a, b, axis=-1: np.cross(a, b, axis=axis),
        lambda torch, a, b, axis=-1: torch.linalg.cross(*torch.broadcast_tensors(a, b), dim=axis),
    ),
    Case(
        "kron",
        (
            call((2,), (3,)),
            call((2, 1), (2, 3)),
            call((2,), (2, 3)),
            call((2, 1, 2), (2, 3)),
            call((), (2, 2)),
            call((2, 2), (2,), cplx=True),
        ),
        np.kron,
        lambda torch, a, b: torch.kron(a, b),
    ),
)

SUMS = (
    Case(
        "einsum",
        (
            call((2, 3), (3, 4), subscripts="ij,jk->ik"),
            call((2, 3), (4, 3), subscripts="ij,kj->ki"),
            call((2, 3, 2, 2), (2, 1, 2, 2), subscripts="bqhd,bkhd->bhqk"),
            call((2, 3), (2, 3), subscripts="bi,bi->b"),
            call((2, 3), (2, 3), subscripts="ij,ij"),
            call((2, 2), (2, 2), subscripts="ij,ji->"),
            call((2, 3), (4,), subscripts="ij,k->kji"),
            call((2, 3), (2, 2), subscripts="ij,ik->i"),  # j and k stand in one operand alone
            call((3, 3), subscripts="ii->i"),
            call((3, 3), subscripts="ii"),
            call((2, 2, 2, 3), subscripts="iiij->j"),
            call((2, 3), subscripts="ij->ji"),
            call((2, 3), subscripts=" ij -> i "),
            call((2, 3), subscripts="ba"),  # implied: ab
            call((2, 2, 3), (3,), subscripts="iij,j->i"),
            call((2, 3, 4), (4, 2), subscripts="...j,jk"),
            call((2, 1, 2, 3), (4, 3, 2), subscripts="...ij,...jk->...ik"),
            call((2, 1, 3), (4, 3), subscripts="i...,j...->ij..."),
            call((1, 3), (2, 3), subscripts="ij,ij->j"),  # stretched
            call((2, 1), (3, 4), subscripts="ij,jk->ik"),
            call((2, 0), (0, 3), subscripts="ij,jk->ik"),
            call((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl->il"),
            call((2, 3), (4, 3), (2, 4), (3,), subscripts="ij,kj,ik,j->k"),
            call((2,), (2,), (2,), subscripts="i,i,i->i"),
            call((2, 2), (2, 3), (4,), subscripts="ii,ij,k->jk"),
            call((2, 3), (3, 4), subscripts="ij,jk->ik", optimize="greedy", peer=False),
            call((2, 3), (3, 2), subscripts="ij,jk->ik", cplx=True),
            call((2, 2), subscripts="ii->i", cplx=True),
        ),
        lambda operands, subscripts, optimize=False: np.einsum(
            subscripts, *operands, optimize=optimize
        ),
        lambda torch, operands, subscripts: torch.einsum(subscripts, *operands),
    ),
    Case(
        "tensordot",
        (
            call((2, 3, 4), (3, 4, 2)),
            call((2, 3), (4, 2), axes=0),
            call((2, 3), (3, 2), axes=1),
            call((2, 3, 4), (4, 2, 3), axes=([0, 2], [1, 0])),
            call((2, 3), (3, 2), axes=(-1, 0), peer=False),
            call((2, 3), (3, 2), axes=1, cplx=True),
        ),
        np.tensordot,
        lambda torch, a, b, axes=2: torch.tensordot(a, b, dims=axes),
    ),
)
PRODUCTS = (*MATRICES, *VECTORS, *SUMS)
