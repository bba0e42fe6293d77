"""Cases of `engine.ops.strided`."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tests.ops.case import Case, call


def _sums(g, shape, window_shape, axis):
    out = np.zeros(shape)
    np.add.at(out.reshape(-1), sliding_window_view(_numbers(shape), window_shape, axis), g)
    return out


def _numbers(shape):
    return np.arange(np.prod(shape)).reshape(shape)


def _strided(x, size, stride, storage_offset=0):
    bytes_ = [step * x.itemsize for step in stride]
    return as_strided(np.ravel(x)[storage_offset:], size, bytes_).copy()


STRIDED = (
    Case(
        "sliding_window_view",
        (
            call((5,), window_shape=3),
            call((3, 4), window_shape=2, axis=-1),
            call((3, 4), window_shape=(2, 3)),
            call((4, 3), window_shape=(2, 2), axis=(1, 0)),
            call((6,), window_shape=(2, 3), axis=(0, 0)),
            call((0, 3), window_shape=2, axis=1),
        ),
        sliding_window_view,
    ),
    Case(
        "window_sum",
        (
            call((3, 3), shape=(5,), window_shape=3, axis=None),
            call((3, 2, 2), shape=(3, 3), window_shape=2, axis=1),
            call((2, 2, 2, 2), shape=(3, 3), window_shape=(2, 2), axis=(1, 0)),
        ),
        _sums,
    ),
    Case(
        "unfold",
        (call((7,), 0, 3, 2), call((2, 5), -1, 2, 1), call((5, 2), 0, 5, 1)),
        lambda x, axis, size, step: (
            np.moveaxis(np.moveaxis(sliding_window_view(x, size, axis), axis, 0)[::step], 0, axis)
            if axis >= 0
            else sliding_window_view(x, size, axis)[:, ::step]
        ),
        lambda torch, x, axis, size, step: x.unfold(axis, size, step),
    ),
    Case(
        "as_strided",
        (
            call((8,), size=(3, 2), stride=(2, 1)),
            call((2, 4), size=(3, 3), stride=(1, 1), storage_offset=2),
            call((4,), size=(2, 3), stride=(0, 1)),
            call((3,), size=(), stride=(), storage_offset=1),
            call((3,), size=(0, 2), stride=(1, 1), peer=False),
        ),
        _strided,
        lambda torch, x, size, stride, storage_offset=0: torch.as_strided(
            x.contiguous(), size, stride, storage_offset
        ),
    ),
)
