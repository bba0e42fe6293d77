"""Cases of `engine.ops.diagonals`."""

import numpy as np

from tests.ops.case import Case, call


def _embed(x, offset=0, dim1=-2, dim2=-1):
    size = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], size, size))
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    out[..., rows, rows + offset] = x
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


def _spread(g, shape, offset, axis1, axis2):
    moved = np.moveaxis(np.zeros(shape), (axis1, axis2), (-2, -1))
    rows = np.arange(g.shape[-1]) + max(-offset, 0)
    moved[..., rows, rows + offset] = g
    return np.moveaxis(moved, (-2, -1), (axis1, axis2))


DIAGONALS = (
    Case(
        "diagonal",
        (
            call((3, 3)),
            call((2, 4), offset=1),
            call((4, 2), offset=-2),
            call((2, 3), offset=5),
            call((2, 3, 4), axis1=2, axis2=0),
            call((2, 3, 4), offset=-1, axis1=-2, axis2=-1),
            call((0, 3)),
            call((2, 2), cplx=True),
        ),
        np.diagonal,
        lambda torch, x, offset=0, axis1=0, axis2=1: x.diagonal(offset, axis1, axis2),
    ),
    Case(
        "diagonal_spread",
        (
            call((3,), shape=(3, 4), offset=1, axis1=0, axis2=1),
            call((3, 1), shape=(2, 3, 2), offset=-1, axis1=2, axis2=0),
            call((2, 2), shape=(2, 3, 2), offset=0, axis1=1, axis2=2),
        ),
        _spread,
    ),
    Case(
        "diag_embed",
        (
            call((3,)),
            call((2, 3), offset=1),
            call((2, 3), offset=-1, dim1=0, dim2=2),
            call((2, 3), dim1=2, dim2=1),
            call((2, 0)),
        ),
        _embed,
        lambda torch, x, **keywords: torch.diag_embed(x, **keywords),
    ),
    Case(
        "diag",
        (call((3,)), call((2,), k=-1), call((2, 3)), call((3, 2), k=1), call((0,))),
        np.diag,
        lambda torch, x, k=0: torch.diag(x, k),
    ),
    Case(
        "diagflat",
        (call((3,)), call((2, 2), k=1), call(())),
        np.diagflat,
        lambda torch, x, k=0: torch.diagflat(x, k),
    ),
    Case(
        "trace",
        (
            call((3, 3)),
            call((2, 3)),
            call((2, 3), offset=1, peer=False),
            call((2, 3, 4), axis1=1, axis2=2, peer=False),
            call((2, 2), cplx=True),
        ),
        np.trace,
        lambda torch, x: torch.trace(x),
    ),
    *[
        Case(
            name,
            (
                call((3, 4)),
                call((3, 4), k=1),
                call((2, 3, 3), k=-1),
                call((0, 2)),
                call((3,), peer=False),
                call((2, 2), cplx=True),
            ),
            function,
            lambda torch, x, k=0, name=name: getattr(torch, name)(x, k),
        )
        for name, function in (("tril", np.tril), ("triu", np.triu))
    ],
)
