"""Cases of `engine.ops.indexing`."""

import numpy as np

from tests.ops.case import MASK, Case, call, constant


def _torch_index(torch, index):
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(torch.as_tensor(p) if isinstance(p, np.ndarray) else p for p in parts)


def _put(g, index, shape):
    out = np.zeros(shape, g.dtype)
    np.add.at(out, index, g)
    return out


KNOTS = np.array([-1.0, 0.0, 1.0])
ROWS = np.array([2, 0, 2, -1, 2])
INDEXING = (
    Case(
        "getitem",
        (
            call((3, 4), index=1),
            call((3, 4), index=(2, -1)),
            call((3, 4), index=(slice(None), np.int64(1))),
            call((3, 4), index=(slice(None, None, 2), slice(1, 3))),
            call((3, 4), index=(slice(None, None, -1), None), peer=False),
            call((3, 4), index=(Ellipsis, 0)),
            call((3, 4), index=ROWS),
            call((4,), index=ROWS),
            call((3, 2, 2), index=np.array([[0, 0], [1, -3]])),
            call((3, 4), index=np.array(1)),
            call((3, 16), index=ROWS),
            call((3, 2, 8), index=np.array([[0, 0], [1, -3]], "int8"), peer=False),
            call((3, 16), index=np.zeros(0, int)),
            call((3, 16), index=np.array(-1)),
            call((3, 4), index=[2, 2, 0]),
            call((3, 4), index=(np.array([0, 0, 2]), np.array([1, 1, 3]))),
            call((2, 3, 4), index=(0, slice(None), np.array([0, 0, 1])), peer=False),
            call((3, 4), index=np.zeros(0, int)),
            call((2, 3), index=MASK),
            call((2, 3), index=(MASK[:, 0],)),
            call((2, 3), index=[True, False]),
            call((2, 3), index=True),
            call((2, 3), index=Ellipsis),
            call((), index=()),
            call((0, 3), index=slice(1)),
        ),
        lambda x, index: x[index],
        lambda torch, x, index: x[_torch_index(torch, index)],
    ),
    Case(
        "put",
        (
            call((4,), index=1, shape=(3, 4)),
            call((5, 4), index=ROWS, shape=(3, 4)),
            call((5,), index=ROWS, shape=(3,)),
            call((), index=(1, 2), shape=(2, 3)),
            call((3,), index=MASK, shape=(2, 3)),
            call((3,), index=(np.array([0, 0, 1]), np.array([1, 1, 2])), shape=(2, 3)),
            call((2, 2, 3), index=np.array([[0, 0], [1, -3]]), shape=(3, 3)),
        ),
        _put,
    ),
    Case(
        "take",
        (
            call((3, 4), ROWS, axis=0),
            call((3, 4), ROWS, axis=-1),
            call((3, 4), ROWS),
            call((2, 3, 2), np.array([[0, 2], [2, 2]]), axis=1),
            call((5,), np.array(3)),
        ),
        np.take,
        lambda torch, x, indices, axis=None: (
            x[(slice(None),) * (axis % x.ndim) + (indices,)]
            if axis is not None
            else x.reshape(-1)[indices]
        ),
    ),
    Case(
        "nn.embedding",
        (
            call(ROWS % 3, (3, 4)),
            call(np.array([[0, 2], [2, 2]]), (3, 2)),
            call(np.array(1), (3, 2)),
            call(np.zeros((0, 2), int), (3, 2), peer=False),
            call(np.array([[0, 2], [2, 2]]), (3, 2), cplx=True, peer=False),
        ),
        lambda ids, weight: weight[ids],
        lambda torch, ids, weight: torch.nn.functional.embedding(ids, weight),
    ),
    Case(
        "take_along_dim",
        (
            call((2, 3), np.array([[0, 2, 0, -1], [1, 1, 0, 2]])),
            call((3, 2), np.array([[0, 2], [2, 2]]), axis=0, peer=False),
            call((3, 2), np.array([[0, -1], [2, 2]]), axis=-2, peer=False),
            call((2, 3), np.array([[2]]), axis=1),
            call((1, 3), np.array([[2], [0]]), axis=1),
            call((2, 3), np.array([5, 0, 5]), axis=None),
            call((2, 0), np.zeros((2, 0), int)),
        ),
        np.take_along_axis,
        lambda torch, x, indices, axis=-1: torch.take_along_dim(
            x, indices % x.shape[axis] if axis is not None else indices, axis
        ),
    ),
    constant("argwhere", np.argwhere, call((2, 3)), call(MASK), call((0, 2)), call(())),
    constant("flatnonzero", np.flatnonzero, call((2, 3)), call(MASK), call(())),
    constant("digitize", np.digitize, call((5,), KNOTS), call((5,), KNOTS, right=True)),
)
