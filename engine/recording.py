"""Recording: run an operation, and in grad mode leave a node behind that says how to go back.

Everything else about an operation stands in its row of the table in ``ops``. This module knows of a
Tensor what ``Recorded`` says; the class with all its methods is built on top, in ``tensor``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import (
    GraphReleasedError,
    IndexRangeError,
    InferenceError,
    OperandError,
    SavedValueChangedError,
    ShapeError,
)
from .graph import LEAF_SEQ, Edge, Node, VersionCell, caller, describe
from .modes import enable_grad, state
from .ops.op import Op, Recipe
from .values import Shape, Value

_new = object.__new__
_SEQUENCES = (list, tuple)


class Recorded:
    """What recording has to know of a Tensor: its elements, and its place in the graph."""

    __slots__ = ("__weakref__", "_cell", "_data", "_edge", "_view")

    _data: np.ndarray
    _edge: Edge | None  # where its gradient goes: (Leaf, 0), (Node, output), or None
    _cell: VersionCell | None  # None: shared for Hogwild, writes are not counted
    _view: View | None  # what it is a view of


class View(NamedTuple):
    """That a tensor shares memory with ``root``, through a chain of view operations. Immutable.

    ``edge``: that of the root when the view was last brought up to date. ``recorded``: whether it
    was made in grad mode.
    """

    root: Recorded
    chain: tuple[tuple[Op, dict[str, Any]], ...]
    edge: Edge | None
    recorded: bool


INFERENCE: VersionCell = [
    None
]  # the version of tensors that no graph can use: compared by identity

# The class of what is recorded: immutable once `tensor` has been imported.
_tensor_class: Any = Recorded


def register(cls: type[Recorded]) -> type[Recorded]:
    """Make ``cls`` the class of everything recorded from now on."""
    global _tensor_class
    _tensor_class = cls
    return cls


# (values, versions to check: which value, its cell, what stood there)
Saved = tuple[tuple[Any, ...], Sequence[tuple[int, VersionCell, Any]]]


class OpNode(Node):
    """A recorded operation: which op, and what its rules asked to keep.

    ``saved`` holds one tuple, or nothing once a backward has consumed it. Popping it is atomic on
    every build. ``claimed``: a backward that will consume it has begun.
    """

    __slots__ = ("claimed", "op", "recipe", "saved")

    op: Op  # immutable
    recipe: Recipe  # immutable
    saved: list[Saved]  # atomic
    claimed: bool | None  # guarded by graph.claims

    def name(self) -> str:
        return f"{self.op.name.title().replace('_', '')}Backward0"

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        recipe = self.recipe
        values: tuple[Any, ...] = ()
        if recipe.saved:
            values, checks = self._unpack(retain)
            if type(g) is _tensor_class:
                values = self._recorded(values, checks)
        grads: list[Value] = []
        for route, entry in zip(wanted, recipe.rules, strict=True):
            if route is None or entry is None:
                grads.append(None)
                continue
            rule, asks = entry
            if not asks:
                grads.append(rule(g))
            elif len(asks) == 1 and asks[0] >= 0:
                grads.append(rule(g, values[asks[0]]))
            else:
                asked = [values[i] if i >= 0 else self._shape_of(~i) for i in asks]
                grads.append(rule(g, *asked))
        return grads

    def _shape_of(self, index: int) -> Shape:
        edge = self.edges[index]
        assert edge is not None
        return edge[0].output(edge[1])[0]

    def released(self) -> GraphReleasedError:
        return GraphReleasedError(
            f"Trying to backward through the graph a second time: what {self.name()} saved at "
            f"{describe(self.origin)} has been released. Pass retain_graph=True to the backward "
            "that comes first."
        )

    def _unpack(self, retain: bool) -> Saved:
        try:
            keep = retain or not self.recipe.consumes
            values, checks = self.saved[0] if keep else self.saved.pop()
        except IndexError:
            raise self.released() from None
        for _, cell, token in checks:
            if cell[0] is not token:
                self._raise_changed(cell[0], token)
        if type(values) is Packed:
            values = tuple(v.value() if isinstance(v, PackedValue) else v for v in values)
        return values, checks

    def _raise_changed(self, write: tuple[int, Any], token: tuple[int, Any] | None) -> None:
        raise SavedValueChangedError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.name()} saved it at {describe(self.origin)} at version "
            f"{token[0] if token else 0}; it was written at {describe(write[1])} and is at version "
            f"{write[0]}. Write out of place, or clone() before the write. Parameters that other "
            "threads update on purpose are marked with engine.hogwild.share(parameters)."
        )

    def _recorded(self, values: tuple[Any, ...], checks: Sequence[Any]) -> tuple[Any, ...]:
        """What was saved, as Tensors with their history: for a backward that is itself recorded.

        They keep the versions of what they stand for, so that later writes are noticed again.
        """
        op, saved = self.op, self.recipe.saved
        inputs = len(op.inputs)
        cells = {index: cell for index, cell, _ in checks}
        kept = dict(zip(saved, values, strict=True))
        for index in saved:
            answer = op.environment[index] == "ans"
            if answer or (index < inputs and self.edges[index] is not None):
                kept[index] = from_array(kept[index], (self, 0) if answer else self.edges[index])
                kept[index]._cell = cells.get(index)
        for index in saved:
            name = op.environment[index]
            if name in op.residuals:
                kept[index] = op.residuals[name](*[kept[i] for i in range(inputs)])
        return tuple(kept[index] for index in saved)

    def cost(self, g: Value) -> int:
        if self.op.cost is not None:
            for values, _ in self.saved[:1]:  # a copy: another backward may consume it meanwhile
                return self.op.cost(g, *values)
        return super().cost(g)


def record(
    op: Op, args: tuple[Any, ...], keywords: dict[str, Any], ans: np.ndarray | None = None
) -> Any:
    """Run an operation on Tensors and whatever else its forward takes, and record it.

    ``ans``: the answer, where a write in place has made it already.
    """
    tensor = _tensor_class
    arrays = [
        a._data if type(a) is tensor else np.asarray(a) if type(a) in _SEQUENCES else a
        for a in args
    ]
    if ans is None:
        try:
            ans = op.forward(*arrays, **keywords)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise _refused(op, arrays, error) from error
    residuals: Sequence[Any] = ()
    if op.residuals:
        ans, *residuals = ans
    if type(ans) is not np.ndarray:
        ans = np.asarray(ans)
    out = _new(tensor)
    out._data = ans
    out._edge = None
    out._cell = [None]
    out._view = None
    if op.view and type(args[0]) is tensor and _shares(ans, arrays[0]):
        out._cell = args[0]._cell
        out._view = _view_of(args[0], op, keywords)
    if op.rules and state.grad:
        edges = [
            (a._edge if a._view is None else refresh(a)) if type(a) is tensor else None
            for a in args
        ]
        node = _node(op, edges, ans)
        if node is not None:
            out._edge = node, 0
            if node.recipe.saved:
                environment = [*arrays, *_values(op, keywords), ans, *residuals]
                node.saved.append(_save(node.recipe, args, environment, out))
                if state.saved_hooks:
                    _pack(node)
    elif state.inference:
        out._cell = INFERENCE
    return out


def _shares(ans: np.ndarray, source: np.ndarray) -> bool:
    """Whether ``ans`` is a view of ``source``, and not of a copy that was made on the way."""
    base = ans.base
    if base is None:
        return False
    return base is source or base is source.base or np.may_share_memory(ans, source)


def _view_of(source: Recorded, op: Op, keywords: dict[str, Any]) -> View:
    step, view = (op, keywords), source._view
    if view is None:
        return View(source, (step,), source._edge, state.grad)
    refresh(source)
    return View(view.root, (*view.chain, step), view.root._edge, view.recorded and state.grad)


def refresh(tensor: Recorded) -> Edge | None:
    """Where the gradient of ``tensor`` flows; of a view, after all writes to what it views.

    A view that was made without history stays without.
    """
    view = tensor._view
    if view is not None and view.recorded and view.edge is not view.root._edge:
        fresh: Any = view.root
        with enable_grad():
            for op, keywords in view.chain:
                fresh = record(op, (fresh,), keywords)
        tensor._edge = fresh._edge
        tensor._view = view._replace(edge=view.root._edge)
    return tensor._edge


def _node(op: Op, edges: list[Edge | None], ans: np.ndarray) -> OpNode | None:
    """The node of a forward whose inputs are at ``edges``; None if there is none."""
    mask, seq, bit = 0, state.clock, 1
    for edge in edges:
        if edge is not None:
            mask |= bit
            # Larger than all that it was made from, in whatever thread that was made.
            if seq < edge[0].seq != LEAF_SEQ:
                seq = edge[0].seq
        bit += bit
    if not mask or ans.dtype.kind != "f":
        return None  # nothing asks for a gradient, or none can flow
    node: OpNode = _new(OpNode)
    node.op = op
    node.recipe = op.recipes.get(mask) or op.recipe(mask)
    node.edges = edges
    node.seq = state.clock = seq + 1
    node.shape = ans.shape
    node.dtype = ans.dtype
    node.hooks = None
    node.origin = caller(4)  # past this, `record`, and the function or method that called it
    node.saved = []
    node.claimed = False if node.recipe.consumes else None
    return node


def _values(op: Op, keywords: dict[str, Any]) -> Sequence[Any]:
    if not op.defaults:
        return ()
    return [keywords.get(name, default) for name, default in op.defaults.items()]


def _save(recipe: Recipe, args: Sequence[Any], environment: list[Any], out: Recorded) -> Saved:
    """What the rules ask for, with the versions at which strict tensors are kept."""
    checks = []
    for index in recipe.saved_inputs:
        value = args[index]
        if type(value) is _tensor_class:
            cell = value._cell
            if cell is INFERENCE:
                raise InferenceError(
                    "Inference tensors cannot be saved for backward: use clone() outside of "
                    "inference_mode() to get a normal tensor"
                )
            if cell is not None:
                checks.append((index, cell, cell[0]))
    if recipe.saves_ans and out._cell is not None:
        checks.append((recipe.ans, out._cell, out._cell[0]))
    return recipe.pick(environment), checks


class Packed(tuple[Any, ...]):
    """Saved values, some of them as a saved-tensor hook packed them. Immutable."""

    __slots__ = ()


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


def _pack(node: OpNode) -> None:
    """Let the innermost saved-tensor hooks of this thread pack what the node saved."""
    values, _ = node.saved.pop()
    hooks = state.saved_hooks[-1]
    packed = Packed(PackedValue(hooks, v) if isinstance(v, np.ndarray) else v for v in values)
    node.saved.append((packed, ()))


def _refused(op: Op, arrays: Sequence[Any], error: Exception) -> Exception:
    met = ", ".join(
        f"{name}: {a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else f"{name}: {a!r}"
        for name, a in zip(op.inputs, arrays, strict=False)
    )
    kind: type[Exception] = ShapeError
    if isinstance(error, TypeError | AttributeError):
        kind = OperandError
    elif isinstance(error, IndexError):
        kind = IndexRangeError
    return kind(f"{op.name}({met}): {error}")


def from_array(data: np.ndarray, edge: Edge | None = None) -> Any:
    """A tensor over the memory of ``data``, whose gradient goes to ``edge``."""
    out = _new(_tensor_class)
    out._data = data
    out._edge = edge
    out._cell = [None]
    out._view = None
    return out
