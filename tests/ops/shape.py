"""Cases of `engine.ops.shape`."""

import numpy as np

from tests.ops.case import UNARY, Case, call, joined

SHAPES = (
    Case(
        "reshape",
        (
            call((2, 6), shape=(3, 4)),
            call((2, 6), shape=-1),
            call((), shape=(1, 1)),
            call((0, 3), shape=(3, 0)),
        ),
        lambda x, shape: x.reshape(shape),
        lambda torch, x, shape: x.reshape(shape),
    ),
    Case(
        "flatten",
        (
            call((2, 3, 2)),
            call((2, 3, 2), start_dim=1),
            call((2, 3, 2), start_dim=0, end_dim=-2),
            call(()),
            call((0, 3)),
        ),
        lambda x, start_dim=0, end_dim=-1: x.reshape(
            {(0, -1): -1, (1, -1): (2, 6), (0, -2): (6, 2)}[start_dim, end_dim]
        ),
        lambda torch, x, **keywords: x.flatten(**keywords),
    ),
    Case(
        "squeeze",
        (call((2, 1, 3, 1)), call((2, 1, 3, 1), axis=1), call((1, 2, 1), axis=(0, -1)), call(())),
        np.squeeze,
        lambda torch, x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    ),
    Case(
        "unsqueeze",
        (call((2, 3), axis=0), call((2, 3), axis=-1), call((), axis=0), call((0, 3), axis=1)),
        np.expand_dims,
        lambda torch, x, axis: x.unsqueeze(axis),
    ),
    Case(
        "permute",
        (
            call((2, 3, 4)),
            call((2, 3, 4), axes=(1, 2, 0)),
            call((2, 3, 4), axes=(-1, 0, 1)),
            call(()),
        ),
        np.transpose,
        lambda torch, x, axes=None: x.permute(axes or tuple(reversed(range(x.ndim)))),
    ),
    Case(
        "swapaxes",
        (call((2, 3, 4), axis1=0, axis2=-1), call((0, 3), axis1=0, axis2=1)),
        np.swapaxes,
        lambda torch, x, axis1, axis2: x.swapaxes(axis1, axis2),
    ),
    Case(
        "broadcast_to",
        (call((3, 1), shape=(2, 3, 4)), call((), shape=(2, 2)), call((1, 3), shape=(0, 3))),
        np.broadcast_to,
        lambda torch, x, shape: torch.broadcast_to(x, shape),
    ),
    Case(
        "astype",
        (call((2, 3), dtype="float64"), call((), dtype="float64")),
        lambda x, dtype: x.astype(dtype),
        lambda torch, x, dtype: x.to(getattr(torch, dtype)),
    ),
    Case("clone", UNARY, np.copy, lambda torch, x: x.clone()),
    Case(
        "unflatten",
        (
            call((6, 2), axis=0, sizes=(2, 3)),
            call((2, 6), axis=-1, sizes=(3, -1)),
            call((0, 2), axis=1, sizes=(2, 1)),
        ),
        lambda x, axis, sizes: np.reshape(
            x, x.shape[: axis % x.ndim] + sizes + x.shape[axis % x.ndim + 1 :]
        ),
        lambda torch, x, axis, sizes: x.unflatten(axis, sizes),
    ),
    *[
        Case(
            f"atleast_{ndim}d",
            (
                call(()),
                call((2,)),
                call((2, 3)),
                call((2, 3, 2)),
                call((), (2,), (1, 2)),
                call((0,)),
            ),
            lambda arrays, f=f: f(*arrays),
            lambda torch, arrays, ndim=ndim: getattr(torch, f"atleast_{ndim}d")(*arrays),
            after=joined,
        )
        for ndim, f in enumerate((np.atleast_1d, np.atleast_2d, np.atleast_3d), 1)
    ],
    Case(
        "moveaxis",
        (
            call((2, 3, 4), source=0, destination=-1),
            call((2, 3, 4), source=(0, -1), destination=(1, 0)),
            call((2, 3, 4), source=(2, 0), destination=(0, 1)),
            call((0, 3), source=1, destination=0),
        ),
        np.moveaxis,
        lambda torch, x, source, destination: x.movedim(source, destination),
    ),
    Case(
        "rollaxis",
        (call((2, 3, 4), 2, 0), call((2, 3, 4), 0, 3), call((2, 3, 4), -1, -2), call((2, 3), 1, 1)),
        np.rollaxis,
    ),
    Case(
        "matrix_transpose",
        (call((2, 3)), call((2, 3, 4)), call((2, 0))),
        np.matrix_transpose,
        lambda torch, x: x.mT,
    ),
    Case(
        "flip",
        (
            call((2, 3)),
            call((2, 3), axis=-1),
            call((2, 3, 2), axis=(0, -1)),
            call((), peer=False),
            call((0, 2), axis=0),
            call((2, 3), cplx=True),
        ),
        np.flip,
        lambda torch, x, axis=None: x.flip(tuple(range(x.ndim)) if axis is None else axis),
    ),
    Case("fliplr", (call((2, 3)), call((2, 3, 2))), np.fliplr, lambda torch, x: x.fliplr()),
    Case("flipud", (call((2, 3)), call((3,))), np.flipud, lambda torch, x: x.flipud()),
    Case(
        "rot90",
        (
            call((2, 3)),
            call((2, 3), k=2),
            call((2, 3), k=-1),
            call((2, 3), k=4),
            call((2, 3, 4), k=1, axes=(2, 0)),
            call((2, 3, 4), k=3, axes=(-1, 1)),
        ),
        np.rot90,
        lambda torch, x, k=1, axes=(0, 1): x.rot90(k, axes),
    ),
    Case(
        "roll",
        (
            call((2, 3), shift=1),
            call((2, 3), shift=-4, axis=1),
            call((2, 3), shift=(1, -1), axis=(0, 1)),
            call((2, 3), shift=(1, 2), axis=(1, 1)),
            call((2, 3), shift=1, axis=(0, 1), peer=False),
            call((2, 3), shift=[1, 2], axis=[0, 1], peer=False),
            call((), shift=2),
            call((0, 2), shift=1, axis=0),
        ),
        np.roll,
        lambda torch, x, shift, axis=None: x.roll(shift, axis),
    ),
    Case(
        "broadcast_arrays",
        (call((2, 1), (3,)), call((), (2, 2)), call((3,)), call((0, 1), (2,))),
        lambda arrays: np.broadcast_arrays(*arrays),
        lambda torch, arrays: torch.broadcast_tensors(*arrays),
        after=joined,
    ),
    Case(
        "meshgrid",
        (
            call((2,), (3,)),
            call((2,), (3,), indexing="ij"),
            call((2,), (3,), (2,), indexing="xy", peer=False),
            call((2,), (3,), sparse=True, peer=False),
            call((2,), (3,), copy=False, peer=False),
            call((3,)),
            call((), (2,)),
            call((0,), (2,)),
        ),
        lambda arrays, **keywords: np.meshgrid(*arrays, **keywords),
        lambda torch, arrays, indexing="xy": torch.meshgrid(*arrays, indexing=indexing),
        after=joined,
    ),
)
