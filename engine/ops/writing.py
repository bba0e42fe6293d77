"""What a write in place does to the gradients: nothing flows to elements that were overwritten.

The forwards here are what the writes mean; the engine writes into the array itself and records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..values import Shape, Value
from .choice import only
from .indexing import getitem
from .op import Op, op
from .scatter import meets_once

Chain = Sequence[tuple[Op, dict[str, Any]]]  # view operations, as applied one after the other


def _view(array: Value, chain: Chain) -> Value:
    for view, keywords in chain:
        array = view(array, **keywords)
    return array


def _places(shape: Shape, chain: Chain) -> Value:
    """Where in a flattened array of ``shape`` the elements of a view of it lie.

    Numbers are followed through the chain, and not memory: what is a view of one layout may be a
    copy of another. Each is complex, as a view of a part may be: the real part lies at place
    2 k, the imaginary one at 2 k + 1.
    """
    first = np.arange(0.0, 2 * math.prod(shape), 2).reshape(shape)
    return _view(first + 1j * (first + 1), chain)


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
    return only(taken, np.equal(_setitem(np.zeros(g.shape, int), writes, index)[index], writes))


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
    places = _places(x.shape, chain)
    if places.dtype.kind == "f" and out.dtype.kind == "c":  # a part of complex numbers
        out.reshape(-1).view(out.real.dtype)[places.astype(np.intp)] = value
    else:
        out.reshape(-1)[places.real.astype(np.intp) // 2] = value
    return out


def _view_clear(g: Value, chain: Chain) -> Value:
    return _view_write(g, 0, chain)


def _written(g: Value, chain: Chain) -> Value:
    """What was written to the imaginary part was multiplied by 1j."""
    taken = _view(g, chain)
    return -taken if any(view.name == "imag" for view, _ in chain) else taken


view_clear: Op = op("view_clear", _view_clear, "g", g=lambda g, chain: view_clear(g, chain))
op(
    "view_write",
    _view_write,
    "x value",
    x=lambda g, chain: view_clear(g, chain),
    value=_written,
)
