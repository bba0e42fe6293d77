"""A recorded operation, seen from behind: what its rules asked to keep, and how it pulls back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import sync
from .errors import OperandError
from .graph import Edge
from .ops.op import Op
from .ops.recipe import Recipe
from .recorded import Recorded, from_array
from .releasing import Releasing
from .values import Shape, Value
from .versions import VersionCell

Kind = tuple[Shape, np.dtype[Any]]

_CAMEL = re.compile("[._]")

# (values, versions to check: which value, its cell, what stood there, which value, ...)
Saved = tuple[tuple[Any, ...], tuple[Any, ...]]


def versions(checks: tuple[Any, ...]) -> Iterator[tuple[int, VersionCell, Any]]:
    """The versions to check, one by one. A node keeps them in one tuple: half the memory."""
    return zip(checks[::3], checks[1::3], checks[2::3], strict=True)


def _stale(checks: tuple[Any, ...]) -> bool:
    """Whether a write has begun since the versions were noted. Unrolled: twice for each node."""
    if checks[1][0] is not checks[2]:
        return True
    if len(checks) == 3:
        return False
    if checks[4][0] is not checks[5]:
        return True
    return len(checks) > 6 and any(cell[0] is not token for _, cell, token in versions(checks))


class OpNode(Releasing):
    """A recorded operation: which op, and what its rules asked to keep: ``saved``, one tuple."""

    __slots__ = ("op", "recipe")

    op: Op  # immutable
    recipe: Recipe  # immutable

    def name(self) -> str:
        return f"{_CAMEL.sub('', self.op.name.removeprefix('nn.').title())}Backward0"

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        recipe = self.recipe
        pull = self._conjugated if recipe.conjugates else recipe.pull
        if not recipe.saved:
            return pull(g, (), wanted, self.edges)
        saved = self.take(retain)
        try:
            values, checks = saved
            if checks:
                if _stale(checks):
                    self._raise_changed(checks)
                hook = sync.hook
                if hook is not None:
                    hook("saved.read", self)
            if type(values) is Packed:
                values = values.unpacked()
            if type(g) is not np.ndarray and _is_recorded(g):
                values = self._recorded(values, checks)
            grads = pull(g, values, wanted, self.edges)
            # A write that met the rule has changed the version before it changed any element.
            if checks and _stale(checks):
                self._raise_changed(checks)
            return grads
        except BaseException:
            self.give_back(saved, retain)
            raise

    def _conjugated(
        self,
        g: Value,
        values: tuple[Any, ...],
        wanted: Sequence[object | None],
        edges: Sequence[Edge | None],
    ) -> list[Value]:
        """Rules are written for real numbers; PyTorch's gradients of complex ones are conjugate."""
        return [_conjugate(one) for one in self.recipe.pull(_conjugate(g), values, wanted, edges)]

    def _raise_changed(self, checks: tuple[Any, ...]) -> None:
        for _, cell, token in versions(checks):
            newest = cell[0]
            if newest is not token:
                raise self.changed(token, newest)

    def _recorded(self, values: tuple[Any, ...], checks: tuple[Any, ...]) -> tuple[Any, ...]:
        """What was saved, as Tensors with their history: for a backward that is itself recorded.

        They keep the versions of what they stand for, so that later writes are noticed again.
        """
        op, saved = self.op, self.recipe.saved
        inputs = len(op.inputs)
        cells = {index: cell for index, cell, _ in versions(checks)}
        kept = dict(zip(saved, values, strict=True))
        edges: dict[int, Edge | None] = {i: (self, port) for i, port in self.recipe.saved_answers}
        edges |= {i: self.edges[i] for i in self.recipe.saved_inputs}
        for index, edge in edges.items():
            if edge is not None:
                kept[index] = from_array(kept[index], edge)
                kept[index]._cell = cells.get(index)
        for index in saved:
            again = op.residuals.get(op.environment[index])
            if again is not None:
                kept[index] = again(*[kept[i] for i in range(inputs)])
        return tuple(kept[index] for index in saved)

    def cost(self, g: Value) -> int:
        if self.op.cost is not None:
            for values, _ in self.saved[:1]:  # a copy: another backward may consume it meanwhile
                return self.op.cost(g, *values)
        return super().cost(g)


class SeveralNode(OpNode):
    """An operation with several outputs: ``kinds``, the shape and dtype of each. Immutable."""

    __slots__ = ("kinds", "outputs")

    kinds: tuple[Kind, ...]
    outputs: int

    def output(self, port: int) -> Kind:
        return self.kinds[port]

    def cost(self, g: Value) -> int:
        return max(super(SeveralNode, self).cost(one) for one in g if one is not None)


def _is_recorded(g: Value) -> bool:
    """Whether the backward that brings ``g``, the gradients of all outputs, is itself recorded."""
    return isinstance(g, Recorded) or (
        type(g) is list and any(isinstance(one, Recorded) for one in g)
    )


def _conjugate(g: Value) -> Value:
    if type(g) is list:
        return [_conjugate(one) for one in g]
    return g if g is None or g.dtype.kind != "c" else np.conjugate(g)


class Packed(tuple[Any, ...]):
    """Saved values, some of them as a saved-tensor hook packed them. Immutable."""

    __slots__ = ()

    def unpacked(self) -> tuple[Any, ...]:
        """The values as they were."""
        return tuple(v.value() if isinstance(v, PackedValue) else v for v in self)


class PackedValue:
    """One of them, with what unpacks it. Immutable."""

    __slots__ = ("packed", "unpack")

    def __init__(self, hooks: tuple[Any, Any], array: np.ndarray) -> None:
        pack, self.unpack = hooks
        self.packed = pack(from_array(array))

    def value(self) -> np.ndarray:
        """The array again."""
        tensor = self.unpack(self.packed)
        if not isinstance(tensor, Recorded):
            raise OperandError(
                f"unpack of saved_tensors_hooks must return a Tensor, got {type(tensor).__name__}"
            )
        return tensor._data
