"""Cases of `engine.ops.shape`."""

import numpy as np

from tests.ops.case import UNARY, Case, call

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
        "cat",
        (
            call((2, 3), (1, 3)),
            call((2, 3), (2, 2), (2, 0), axis=-1),
            call((2, 3), (2,), axis=None, peer=False),
            call((2, 3)),
            call((2, 3), np.ones((1, 3)), axis=0),
            call((2, 3), (1, 3), cplx=True),
        ),
        np.concatenate,
        lambda torch, arrays, axis=0: torch.cat(list(arrays), axis),
    ),
    Case(
        "stack",
        (call((2, 3), (2, 3)), call((), (), ()), call((2, 3), (2, 3), axis=-1), call((0, 2))),
        np.stack,
        lambda torch, arrays, axis=0: torch.stack(list(arrays), axis),
    ),
    Case(
        "hstack",
        (call((2, 3), (2, 1)), call((), (2,)), call((2, 1, 2), (2, 2, 2))),
        np.hstack,
        lambda torch, arrays: torch.hstack(list(arrays)),
    ),
)
