"""What a write in place does to the gradients: nothing flows to elements that were overwritten.

The forwards here are what the writes mean; the engine writes into the array itself and records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..values import Shape, Value
from .indexing import getitem, meets_once
from .op import Op, op

Chain = Sequence[tuple[Op, dict[str, Any]]]  # view operations, as applied one after the other


def _view(array: Value, chain: Chain) -> Value:
    for view, keywords in chain:
        array = view(array, **keywords)
    return array


def _places(shape: Shape, chain: Chain) -> Value:
    """Where in a flattened array of ``shape`` the elements of a view of it lie.

    Numbers are followed through the chain, and not memory: what is a view of one layout may be a
    copy of another.
    """
    return _view(np.arange(math.prod(shape)).reshape(shape), chain)


# -- x[index] = value ------------------------------------------------------------------------------


def _setitem(x: Value, value: Value, index: Any) -> Value:
    out = np.array(x, order="C")
    out[index] = value
    return out


def _clear(g: Value, index: Any) -> Value:
    return _setitem(g, 0, index)


def _setitem_value(g: Value, index: Any) -> Value:
    """Of several values written to one element, the last alone counts."""
    taken = getitem(g, index)
    if meets_once(index):
        return taken
    writes = np.arange(math.prod(taken.shape)).reshape(taken.shape)
    return taken * np.equal(_setitem(np.zeros(g.shape, int), writes, index)[index], writes)


clear: Op = op("index_clear", _clear, "g", g=lambda g, index: clear(g, index))
setitem = op(
    "setitem",
    _setitem,
    "x value",
    x=lambda g, index: clear(g, index),
    value=_setitem_value,
)

# -- view = value ----------------------------------------------------------------------------------


def _view_write(x: Value, value: Value, chain: Chain) -> Value:
    out = np.array(x, order="C")
    out.reshape(-1)[_places(x.shape, chain)] = value
    return out


def _view_clear(g: Value, chain: Chain) -> Value:
    return _view_write(g, 0, chain)


view_clear: Op = op("view_clear", _view_clear, "g", g=lambda g, chain: view_clear(g, chain))
op(
    "view_write",
    _view_write,
    "x value",
    x=lambda g, chain: view_clear(g, chain),
    value=lambda g, chain: _view(g, chain),
)
