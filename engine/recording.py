"""Recording: run an operation, and in grad mode leave a node behind that says how to go back.

Everything else about an operation stands in its row of the table in ``ops``. This module knows of a
Tensor what ``Recorded`` says; the class with all its methods is built on top, in ``tensor``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import recorded
from .errors import IndexRangeError, InferenceError, LinAlgError, OperandError, ShapeError
from .freeing import BLOCK, cut
from .graph import LEAF_SEQ, Edge, caller
from .modes import enable_grad, state
from .opnode import OpNode, Packed, PackedValue, Saved, SeveralNode
from .ops.op import Op, Row
from .ops.recipe import Recipe
from .recorded import INFERENCE, Recorded, View, continued, from_array
from .versions import UNDER_WAY

_new = object.__new__
_SEQUENCES = (list, tuple)
_NOTHING: Any = ()  # what a node has saved whose rules ask for nothing


def record(
    op: Op, args: tuple[Any, ...], keywords: dict[str, Any], ans: np.ndarray | None = None
) -> Any:
    """Run an operation on Tensors and whatever else its forward takes, and record it.

    ``ans``: the answer, where a write in place has made it already.
    """
    tensor = recorded.tensor_class
    arrays: list[Any] = []
    tokens: list[Any] = []  # before the forward reads elements: a write that it meets is noticed
    for a in args:
        if type(a) is tensor:
            cell = a._cell
            tokens.append(None if cell is None else cell[0])
            arrays.append(a._data)
        else:
            tokens.append(None)
            arrays.append(np.asarray(a) if type(a) in _SEQUENCES else a)
    if ans is None:
        try:
            ans = op.forward(*arrays, **keywords)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise refused(op, arrays, error) from error
    if op.outputs is not None:
        return _record_several(op, args, arrays, tokens, keywords, ans)
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
                node.saved = [_save(node.recipe, args, tokens, environment, (out,))]
                if state.saved_hooks:
                    _pack(node)
    elif state.inference:
        out._cell = INFERENCE
    return out


def _record_several(
    op: Op,
    args: tuple[Any, ...],
    arrays: list[Any],
    tokens: list[Any],
    keywords: dict[str, Any],
    made: Any,
) -> Any:
    """The rest of ``record``, where an operation has several outputs."""
    answers = [np.asarray(array) for array in made[: len(op.answers)]]
    outs = [from_array(array) for array in answers]
    if op.parts is not None and type(args[0]) is recorded.tensor_class:
        for k, out in enumerate(outs):
            if _shares(out._data, arrays[0]):
                out._cell = args[0]._cell
                out._view = _view_of(args[0], *op.parts(k, **keywords))
    if op.rules and state.grad:
        edges = [refresh(a) if isinstance(a, Recorded) else None for a in args]
        node = _node(op, edges, answers[0])
        if node is not None:
            assert isinstance(node, SeveralNode)
            node.kinds = tuple((array.shape, array.dtype) for array in answers)
            node.outputs = len(answers)
            for port, out in enumerate(outs):
                if out._data.dtype.kind in "fc":  # nothing flows into indices
                    out._edge = node, port
            if node.recipe.saved:
                environment = [*arrays, *_values(op, keywords), *made]
                node.saved = [_save(node.recipe, args, tokens, environment, outs)]
                if state.saved_hooks:
                    _pack(node)
    elif state.inference:
        for out in outs:
            out._cell = INFERENCE
    return op.outputs(*outs)


def _shares(ans: np.ndarray, source: np.ndarray) -> bool:
    """Whether ``ans`` is ``source`` or a view of it, and not of a copy that was made on the way."""
    if ans is source:
        return True
    base = ans.base
    if base is None:
        return False
    return base is source or base is source.base or np.may_share_memory(ans, source)


def _view_of(source: Recorded, op: Op, keywords: dict[str, Any]) -> View:
    step, view = (op, keywords), source._view
    if view is None:
        return View(source, ((step,),), source._edge, state.grad)
    refresh(source)
    blocks = continued(view.blocks, step)
    return View(view.root, blocks, view.root._edge, view.recorded and state.grad)


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
    mask, seq, bit, dtype, mixed, far = 0, state.clock + 1, 1, ans.dtype, False, False
    block = seq & BLOCK
    for edge in edges:
        if edge is not None:
            mask |= bit
            source = edge[0]
            # Larger than all that it was made from, in whatever thread that was made.
            made = source.seq
            if made is not LEAF_SEQ:
                if made < block:
                    far = True
                elif made >= seq:
                    seq, far = made + 1, True
            if source.dtype is not dtype:
                mixed = True
        bit += bit
    if not mask or dtype.kind not in "fc":
        return None  # nothing asks for a gradient, or none can flow
    if dtype.kind == "c" or (mixed and _meets_complex(edges)):
        mask = ~mask
    kind = OpNode if op.outputs is None else SeveralNode
    node: OpNode = _new(cut(kind) if far else kind)
    node.op = op
    node.recipe = recipe = op.recipes.get(mask) or op.recipe(mask)
    node.edges = edges
    node.seq = state.clock = seq
    node.shape = ans.shape
    node.dtype = dtype
    node.hooks = None
    node.origin = caller(4)  # past this, `record`, and the function or method that called it
    node.saved = _NOTHING
    node.claimed = False if recipe.consumes else None
    return node


def _meets_complex(edges: list[Edge | None]) -> bool:
    return any(edge is not None and edge[0].output(edge[1])[1].kind == "c" for edge in edges)


def _values(op: Op, keywords: dict[str, Any]) -> Sequence[Any]:
    if not op.defaults:
        return ()
    return [keywords.get(name, default) for name, default in op.defaults.items()]


def _save(
    recipe: Recipe,
    args: Sequence[Any],
    tokens: list[Any],
    environment: list[Any],
    outs: Sequence[Recorded],
) -> Saved:
    """What the rules ask for, with the versions at which strict tensors are kept.

    ``tokens``: those of ``args`` from before the forward.
    """
    checks: tuple[Any, ...] = ()
    for index in recipe.saved_inputs:
        value = args[index]
        if isinstance(value, Recorded):
            cell = value._cell
            if cell is INFERENCE:
                raise InferenceError(
                    "Inference tensors cannot be saved for backward: use clone() outside of "
                    "inference_mode() to get a normal tensor"
                )
            if cell is not None:
                checks += (index, cell, tokens[index] if len(cell) == 1 else UNDER_WAY)
    for index, port in recipe.saved_answers:
        cell = outs[port]._cell
        if cell is not None:  # a new one; or of a view, whose forward reads no element
            token = cell[0]
            checks += (index, cell, token if token is None or len(cell) == 1 else UNDER_WAY)
    return recipe.pick(environment), checks


def _pack(node: OpNode) -> None:
    """Let the innermost saved-tensor hooks of this thread pack what the node saved."""
    values, _ = node.saved.pop()
    hooks = state.saved_hooks[-1]
    packed = Packed(PackedValue(hooks, v) if isinstance(v, np.ndarray) else v for v in values)
    node.saved.append((packed, ()))


def refused(op: Row, arrays: Sequence[Any], error: Exception) -> Exception:
    """The engine's error for what NumPy said of a call, with the shapes and dtypes met."""
    met = ", ".join(
        f"{name}: {a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else f"{name}: {a!r}"
        for name, a in zip(op.inputs, arrays, strict=False)
    )
    kind: type[Exception] = ShapeError
    if isinstance(error, TypeError | AttributeError):
        kind = OperandError
    elif isinstance(error, IndexError):
        kind = IndexRangeError
    elif isinstance(error, np.linalg.LinAlgError):
        kind = LinAlgError
    return kind(f"{op.name}({met}): {error}")
