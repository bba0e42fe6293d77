"""Cases of `engine.ops.gathering`."""

import numpy as np

from tests.ops.case import MASK, Case, call, joined

ROWS = np.array([2, 0, 2])
WIDE = np.array([[0, 2, 0], [1, 1, 0]])
SHORT = np.array([[2, 0]])
PAIRS = (np.array([0, 1, 0]), np.array([2, 2, 2]))


def _at(axis, index):
    grid = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)


def _scatter(x, axis, index, src, add=False):
    out = x.copy()
    src = src if np.ndim(src) == 0 else src[tuple(map(slice, index.shape))]
    if add:
        np.add.at(out, _at(axis, index), src)
    else:
        out[_at(axis, index)] = src
    return out


def _put_along(arr, indices, values, axis=-1):
    out = arr.copy()
    np.put_along_axis(out, indices, values, axis)
    return out


def _index(x, axis, index, value, add=None):
    out = np.moveaxis(x.copy(), axis, 0)
    value = value if np.ndim(value) == 0 else np.moveaxis(value, axis, 0)
    if add is None:
        out[index] = value
    else:
        np.add.at(out, index, add * value)
    return np.moveaxis(out, 0, axis)


def _index_put(x, indices, values, accumulate=False):
    out = x.copy()
    if accumulate:
        np.add.at(out, indices, values)
    else:
        out[indices] = values
    return out


def _along(name):
    """A function of PyTorch whose second argument is a dimension, and whose third an index."""
    return lambda torch, x, axis, index, *rest, **keywords: getattr(torch, name)(
        x, axis, torch.as_tensor(index), *rest, **keywords
    )


READING = (
    Case(
        "gather",
        (
            call((2, 3), 1, WIDE),
            call((3, 3), -2, WIDE),
            call((3, 3), 1, SHORT),
            call((3,), 0, ROWS),
            call((2, 3), 1, np.zeros((2, 0), int)),
        ),
        lambda x, axis, index: x[_at(axis, index)],
        _along("gather"),
    ),
    Case(
        "index_select",
        (call((3, 2), 0, ROWS), call((2, 3), -1, ROWS), call((3,), 0, ROWS)),
        lambda x, axis, index: np.take(x, index, axis),
        _along("index_select"),
    ),
    Case(
        "masked_select",
        (call((2, 3), MASK), call((3,), MASK), call((2, 3), MASK[:1]), call((2, 3), MASK & False)),
        lambda x, mask: np.broadcast_to(x, (2, 3))[np.broadcast_to(mask, (2, 3))],
        lambda torch, x, mask: torch.masked_select(x, mask),
    ),
    Case(
        "compress",
        (
            call([True, False, True], (3, 2), axis=0),
            call(np.array([0, 1]), (2, 3), axis=-1),
            call([False, True, True], (2, 2)),
        ),
        np.compress,
    ),
    Case("extract", (call(MASK, (2, 3)), call([0, 1, 1, 0], (2, 2))), np.extract),
    Case(
        "select",
        (call((2, 3), 0, 1), call((2, 3, 2), -2, -1), call((2,), 0, 0)),
        lambda x, axis, index: np.take(x, index, axis),
        lambda torch, x, axis, index: torch.select(x, axis, index),
    ),
    Case(
        "narrow",
        (call((2, 4), 1, 1, 2), call((3, 2), -2, 0, 2), call((3,), 0, 1, 0)),
        lambda x, axis, start, length: np.take(x, range(start, start + length), axis),
        lambda torch, x, axis, start, length: torch.narrow(x, axis, start, length),
    ),
    Case(
        "nonzero",
        (call(MASK), call(MASK * 1.5), call(np.zeros((0, 2)))),
        np.argwhere,
        order=0,
    ),
    Case("numpy.nonzero", (call(MASK), call(MASK[0] * 1.5)), np.nonzero, order=0, after=joined),
)

WRITTEN = (
    Case(
        "put_along_axis",
        (
            call((2, 3), WIDE, (2, 3)),
            call((2, 3), np.array([[2], [0]]), (2, 1), axis=1),
            call((2, 3), np.array([[1, 0, 1]]), (), axis=0),
            call((2, 3), np.array([5, 0]), (2,), axis=None),
        ),
        _put_along,
    ),
    Case(
        "scatter",
        (
            call((2, 3), 1, np.array([[0, 2], [1, 0]]), (2, 2)),
            call((3, 3), 0, SHORT, (2, 3), peer=False),
            call((2, 3), 1, WIDE, (2, 3), peer=False),
            call((2, 3), -1, np.array([[0], [2]]), 1.5, peer=False),
            call((3,), 0, np.array([1, 0]), (3,), peer=False),
        ),
        _scatter,
        _along("scatter"),
    ),
    Case(
        "scatter_add",
        (
            call((2, 3), 1, WIDE, (2, 3)),
            call((3, 3), -2, SHORT, (2, 3), peer=False),
            call((3,), 0, ROWS, (3,)),
            call((2, 3), 1, np.zeros((2, 0), int), (2, 3), peer=False),
        ),
        lambda x, axis, index, src: _scatter(x, axis, index, src, True),
        _along("scatter_add"),
    ),
    Case(
        "index_add",
        (
            call((3, 2), 0, ROWS, (3, 2)),
            call((2, 3), -1, ROWS, (2, 3), alpha=-0.5),
            call((3,), 0, ROWS, (3,)),
        ),
        lambda x, axis, index, value, alpha=1: _index(x, axis, index, value, alpha),
        _along("index_add"),
    ),
    Case(
        "index_copy",
        (call((3, 2), 0, ROWS[:2], (2, 2)), call((2, 3), -1, ROWS, (2, 3), peer=False)),
        _index,
        _along("index_copy"),
    ),
    Case(
        "index_fill",
        (call((3, 2), 0, ROWS, 1.5), call((2, 3), -1, ROWS, ())),
        _index,
        _along("index_fill"),
    ),
    Case(
        "index_put",
        (
            call((2, 3), PAIRS[0], PAIRS[1], (), accumulate=True),
            call((2, 3), PAIRS[0], PAIRS[1], (3,), accumulate=True),
            call((2, 3), PAIRS[0], (3, 3), accumulate=True),
            call((2, 3), PAIRS[0], PAIRS[1], (), peer=False),
        ),
        _index_put,
        lambda torch, x, indices, values, accumulate=False: x.index_put(
            tuple(indices), values, accumulate
        ),
        before=lambda x, *rest: (x, rest[:-1], rest[-1]),
    ),
)
