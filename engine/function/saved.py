"""What a node keeps for its backward: released after use, and checked for writes in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InferenceError, OperandError
from ..graph import LEAF_SEQ, Edge, Node
from ..modes import state
from ..recorded import View
from ..recording import refresh
from ..releasing import Releasing
from ..tensor import Tensor, from_array
from ..versions import UNDER_WAY, VersionCell, settled


def newer_than(edges: Sequence[Edge | None]) -> int:
    """The next sequence number of this thread, larger than those of all that ``edges`` lead to."""
    seq = state.clock
    for edge in edges:
        if edge is not None and seq < edge[0].seq != LEAF_SEQ:
            seq = edge[0].seq
    state.clock = seq + 1
    return seq + 1


def tensor_at(data: np.ndarray, edge: Edge | None, cell: VersionCell | None) -> Tensor:
    """A tensor over ``data`` with its place in the graph and in the count of writes."""
    out = from_array(data)
    out._edge, out._cell = edge, cell
    return out


def closed(tensor: Tensor) -> View:
    """What a tensor is a view of, in a way no op has recorded: recorded writes to it raise."""
    return View(from_array(tensor._data), (), None, recorded=False)


def noted(values: Iterable[Any]) -> dict[int, Any]:
    """The newest token of each cell of the tensors among ``values``, by its id."""
    cells = [value._cell for value in values if isinstance(value, Tensor)]
    return {id(cell): cell[0] for cell in cells if cell is not None}


def token_of(cell: VersionCell, before: dict[int, Any]) -> Any:
    """The token to save a value at that a forward has read since ``before`` was noted.

    Writes of this thread are those of the forward. What was not noted counts from now.
    """
    return settled(cell, before.get(id(cell), cell[0]))


class Kept:
    """A tensor saved for backward, with the version that it had. Immutable.

    ``before``: what was `noted` before the forward.

    ``port``: the output of the node that it is, else -1; an edge to the node would be a circle.
    """

    __slots__ = ("_data", "_edge", "_port", "_unpack", "cell", "token")

    def __init__(self, tensor: Tensor, node: Node, before: dict[int, Any]) -> None:
        if tensor.is_inference():
            raise InferenceError(
                "Inference tensors cannot be saved for backward: use clone() outside of "
                "inference_mode() to get a normal tensor"
            )
        edge = refresh(tensor)
        own = edge is not None and edge[0] is node
        self._edge = None if own else edge
        self._port = edge[1] if own and edge is not None else -1
        self.cell = tensor._cell
        self.token = None if self.cell is None else token_of(self.cell, before)
        self._data: Any = tensor._data
        self._unpack: Callable[[Any], Any] | None = None
        if state.saved_hooks:
            pack, self._unpack = state.saved_hooks[-1]
            self._data = pack(from_array(tensor._data))

    def is_outside(self, seq: int) -> bool:
        """Whether it was made neither by the node nor by one that is numbered above ``seq``."""
        return self._port < 0 and (self._edge is None or not seq < self._edge[0].seq != LEAF_SEQ)

    def check_again(self, node: Releasing) -> None:
        """Raise ``SavedValueChangedError`` if another thread wrote since `unpack`."""
        if self._unpack is None:
            check_again(node, self.cell, self.token)

    def unpack(self, node: Releasing) -> Tensor:
        """The tensor with its history. Raises ``SavedValueChangedError``."""
        edge = (node, self._port) if self._port >= 0 else self._edge
        if self._unpack is not None:
            tensor = self._unpack(self._data)
            if not isinstance(tensor, Tensor):
                raise OperandError(
                    "unpack of saved_tensors_hooks must return a Tensor, got "
                    f"{type(tensor).__name__}"
                )
            return tensor_at(tensor._data, edge, self.cell)
        check_version(node, self.cell, self.token)
        return tensor_at(self._data, edge, self.cell)


def check_version(node: Releasing, cell: VersionCell | None, token: Any) -> None:
    """Raise ``SavedValueChangedError`` if there was a write since ``cell`` held ``token``."""
    if cell is not None:
        newest = cell[0]
        if newest is not token:
            raise node.changed(token, newest)


def check_again(node: Releasing, cell: VersionCell | None, token: Any) -> None:
    """The same after a rule has read the value, but for what the rule itself may have written."""
    if cell is not None and settled(cell, token) is UNDER_WAY:
        raise node.changed(token, cell[0])
