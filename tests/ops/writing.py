"""Cases of `engine.ops.writing`."""

import numpy as np

from engine.ops import OPS
from engine.ops.writing import Chain
from tests.ops.case import MASK, Case, call

ROWS = np.array([2, 0])
TWICE = np.array([0, 2, 0])
COLUMN: Chain = ((OPS["permute"], {}), (OPS["getitem"], {"index": 1}))
TURNED: Chain = ((OPS["permute"], {}), (OPS["reshape"], {"shape": (-1,)}))
BLOCK: Chain = (
    (OPS["getitem"], {"index": (slice(1, 3), slice(None, None, -2))}),
    (OPS["reshape"], {"shape": (2, 2)}),
    (OPS["getitem"], {"index": (Ellipsis, 0)}),
)


def _setitem(x, value, index):
    out = x.copy()
    out[index] = value
    return out


def _torch_setitem(torch, x, value, index):
    out = x.clone()
    out[torch.as_tensor(index) if isinstance(index, np.ndarray) else index] = value
    return out


def _view_write(x, value, chain):
    out = x.copy()
    write = {id(COLUMN): column, id(TURNED): turned, id(BLOCK): block}.get(id(chain), whole)
    write(out, value)
    return out


def column(out, value):
    out[:, 1] = value


def turned(out, value):
    out.T[...] = np.broadcast_to(value, out.size).reshape(out.T.shape)


def block(out, value):
    out[1:3, 3] = value


def whole(out, value):
    out[...] = value


WRITING = (
    Case(
        "setitem",
        (
            call((3, 4), (4,), index=1),
            call((3, 4), (), index=(0, -1)),
            call((3, 4), (2, 4), index=ROWS),
            call((3, 4), (1,), index=ROWS),
            call((3, 4), 0.5, index=(slice(None), 1)),
            call((2, 3), (3,), index=MASK),
            call((3,), (3,), index=TWICE, peer=False),
            call((3, 4), (3, 4), index=TWICE, peer=False),
            call((3, 4), (3, 4), index=Ellipsis, peer=False),
            call((0, 3), (3,), index=Ellipsis, peer=False),
            call((), (), index=(), peer=False),
        ),
        _setitem,
        _torch_setitem,
    ),
    Case(
        "index_clear",
        (call((3, 4), index=1), call((3, 4), index=ROWS), call((2, 3), index=MASK)),
        lambda g, index: _setitem(g, 0, index),
    ),
    Case(
        "view_write",
        (
            call((3, 4), (3,), chain=COLUMN),
            call((3, 4), (), chain=COLUMN),
            call((3, 4), (12,), chain=TURNED),
            call((3, 4), (2,), chain=BLOCK),
            call((2, 3), (2, 3), chain=()),
        ),
        _view_write,
    ),
    Case(
        "view_clear",
        (call((3, 4), chain=COLUMN), call((3, 4), chain=TURNED), call((3, 4), chain=BLOCK)),
        lambda g, chain: _view_write(g, 0, chain),
    ),
)
