"""Reading and writing by index. NumPy's order of index axes."""

import numpy as np

from .op import op


def _getitem(x, index):
    return x[index]


def _put(g, index, shape):
    """Zeros of ``shape`` with ``g`` added at ``index``; an index that occurs twice gets both."""
    out = np.zeros(shape, g.dtype)
    if _is_basic(index):
        out[index] = g
    else:
        np.add.at(out, index, g)
    return out


def _is_basic(index):
    """Ints, slices, None and Ellipsis: each element is met at most once."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice | int) for part in parts)


def _take(x, indices, axis=None):
    return np.take(x, indices, axis=axis)


def _take_pull(g, x_shape, indices, axis):
    if axis is None:
        return put(g.reshape(-1), np.reshape(indices, -1), (int(np.prod(x_shape)),)).reshape(x_shape)
    return put(g, (slice(None),) * (axis % len(x_shape)) + (indices,), x_shape)


getitem = op("getitem", _getitem, "x", view=True, x=lambda g, x_shape, index: put(g, index, x_shape))
put = op("put", _put, "g", g=lambda g, index: getitem(g, index))
op("index_select", _take, "x", numpy=np.take, x=_take_pull)
