"""What a write in place does to the gradients: nothing flows to elements that were overwritten.

The forwards here are what the writes mean; the engine writes into the array itself and records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..values import Value
from .indexing import getitem
from .op import Op, op

Chain = Sequence[tuple[Op, dict[str, Any]]]  # view operations, as applied one after the other


def _region(array: Value, chain: Chain) -> Value:
    for view, keywords in chain:
        array = view.forward(array, **keywords)
    return array


def _clear(g: Value, index: Any) -> Value:
    out = g.copy()
    out[index] = 0
    return out


def _setitem(x: Value, value: Value, index: Any) -> Value:
    out = x.copy()
    out[index] = value
    return out


def _view_clear(g: Value, chain: Chain) -> Value:
    out = g.copy()
    _region(out, chain)[...] = 0
    return out


def _view_write(x: Value, value: Value, chain: Chain) -> Value:
    out = x.copy()
    _region(out, chain)[...] = value
    return out


def _view_read(g: Value, chain: Chain) -> Value:
    for view, keywords in chain:
        g = view(g, **keywords)
    return g


clear: Op = op("index_clear", _clear, "g", g=lambda g, index: clear(g, index))
view_clear: Op = op("view_clear", _view_clear, "g", g=lambda g, chain: view_clear(g, chain))
op(
    "setitem",
    _setitem,
    "x value",
    x=lambda g, index: clear(g, index),
    value=lambda g, index: getitem(g, index),
)
op(
    "view_write",
    _view_write,
    "x value",
    x=lambda g, chain: view_clear(g, chain),
    value=lambda g, chain: _view_read(g, chain),
)
