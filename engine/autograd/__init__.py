"""``backward`` and ``grad``: PyTorch's face of the engine."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..errors import (
    ArgumentError,
    DTypeError,
    NoGraphError,
    NonScalarError,
    NotSupportedError,
    OperandError,
    ShapeError,
    UnusedInputError,
)
from ..graph import Edge, Leaf, Node
from ..modes import detect_anomaly as detect_anomaly
from ..modes import enable_grad as enable_grad
from ..modes import inference_mode as inference_mode
from ..modes import is_anomaly_enabled as is_anomaly_enabled
from ..modes import no_grad as no_grad
from ..modes import set_detect_anomaly as set_detect_anomaly
from ..modes import set_grad_enabled as set_grad_enabled
from ..ops import OPS
from ..recording import refresh
from ..runtime.accumulate import Capture, chosen_policy
from ..runtime.execute import run
from ..runtime.plan import Plan
from ..runtime.pool import current_pool
from ..sparse import RowSparse
from ..tensor import Tensor, from_array, record
from ..values import Shape, Value


class GradientEdge(NamedTuple):
    """Where a gradient flows: an output of a node. Stands for a tensor that is not kept.

    As ``torch.autograd.graph.GradientEdge``. Immutable.
    """

    node: Node
    output_nr: int


Differentiated = Tensor | GradientEdge
Tensors = Differentiated | Sequence[Differentiated]
MaybeTensors = Tensor | Sequence[Tensor | None] | None


def backward(
    tensors: Tensors,
    grad_tensors: MaybeTensors = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | dict[Any, Tensor] | None = None,
    *,
    accumulation: str | None = None,
    ticket: int | None = None,
) -> None:
    """Add the gradients of ``tensors`` to ``.grad`` of the leaves that they were computed from.

    ``grad_tensors``: the gradient of something with respect to each tensor, of its very shape; may
    be left out for scalars. ``retain_graph``: keep what the graph saved, to walk it again (default:
    ``create_graph``). ``create_graph``: record the backward, for higher derivatives. ``inputs``:
    add to ``.grad`` of these tensors only (a sequence, or the values of a dict); inner ones
    retain theirs. ``accumulation``: ``"locked"``, ``"racy"``, ``"ordered"`` or ``"reproducible"``,
    see ``engine.accumulation``; default: the thread's choice, else the process's
    (``engine.set_accumulation``). ``ticket``: its place in the order of ``"ordered"``, see
    ``engine.Tickets``; default: the next one.

    Any number of threads may call it at once, on graphs that share leaves: internally synchronised
    (each contribution counts exactly once, and if this raises, no ``.grad`` has changed); with
    ``racy``, racy: contributions may be lost, nothing is undone.

    Raises ``NonScalarError``, ``NoGraphError``, ``ShapeError``, ``GraphReleasedError``,
    ``SavedValueChangedError``, ``ArgumentError`` for an unknown mode, ``TicketError``,
    ``TicketsFullError``, and what user code raises.
    After ``torch.autograd.backward``.

    >>> import engine
    >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> engine.backward((x * x).sum())
    >>> x.grad
    tensor([2., 4.])
    """
    policy = chosen_policy(accumulation, ticket)
    try:
        roots = _tuple(tensors)
        sources = None if inputs is None else _inputs(inputs)
        edges, seeds = starts(roots, grad_tensors, create_graph)
        targets = None if sources is None else [_accumulating(t) for t in sources]
        plan = Plan.of(edges, targets)
        retain = create_graph if retain_graph is None else retain_graph
        run(plan, seeds, policy(plan.nodes), current_pool(), retain=retain, graph=create_graph)
    except BaseException:
        policy.abandon()
        raise


def grad(
    outputs: Tensors,
    inputs: Tensors | dict[Any, Tensor],
    grad_outputs: MaybeTensors = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of ``outputs`` with respect to ``inputs``, leaving every ``.grad`` alone.

    Arguments as in ``backward``. An input that the outputs do not depend on raises
    ``UnusedInputError``, or gives None with ``allow_unused``, or zeros with ``materialize_grads``.
    Returns a tuple; for a dict of inputs, a dict. ``is_grads_batched``: the first axis of
    ``grad_outputs`` numbers gradients, and the first axis of the results answers them, one pass
    each.

    Reads and writes no shared state: no ``.grad``, no leaf, no default that another thread can
    change. Any number of threads may call it at once, on shared inputs too. Each gradient is a new
    array. After ``torch.autograd.grad``.

    >>> import engine
    >>> x = engine.tensor(3.0, requires_grad=True)
    >>> (slope,) = engine.grad(x ** 3, x, create_graph=True)
    >>> slope, engine.grad(slope, x), x.grad
    (tensor(27., grad_fn=<MulBackward0>), (tensor(18.),), None)
    """
    if materialize_grads and allow_unused is False:
        raise ArgumentError(
            "grad: materialize_grads=True means allow_unused=True; leave allow_unused out"
        )
    unused = bool(allow_unused or materialize_grads)
    sources = _inputs(inputs)
    call = _Call(_tuple(outputs), sources, create_graph, unused, materialize_grads)
    keep = create_graph if retain_graph is None else retain_graph
    results = (
        call.rows(_tuple(grad_outputs), keep)
        if is_grads_batched
        else call.once(_tuple(grad_outputs) if grad_outputs is not None else None, keep)
    )
    return dict(zip(inputs, results, strict=True)) if isinstance(inputs, dict) else results


class _Call(NamedTuple):
    """What stays the same in every pass of one call of ``grad``. Immutable."""

    outputs: tuple[Any, ...]
    sources: tuple[Any, ...]
    graph: bool
    unused: bool
    zeros: bool

    def once(self, gradients: MaybeTensors, retain: bool) -> tuple[Tensor | None, ...]:
        """One backward pass."""
        edges, seeds = starts(self.outputs, gradients, self.graph)
        wanted = [edge_of(t) for t in self.sources]
        plan = Plan.of(edges, [node for node, _ in wanted])
        policy = Capture(plan.nodes)
        run(plan, seeds, policy, current_pool(), retain=retain, graph=self.graph)
        return tuple(
            _result(index, source, value, self.unused, self.zeros)
            for index, (source, value) in enumerate(
                zip(self.sources, policy.results(wanted), strict=True)
            )
        )

    def rows(self, gradients: tuple[Any, ...], retain: bool) -> tuple[Tensor | None, ...]:
        """A pass for each row of the gradients, stacked."""
        counts = {len(g) for g in gradients if g is not None}
        if len(counts) != 1:
            raise ShapeError(f"is_grads_batched: gradients have different lengths, {counts}")
        (count,) = counts
        passes = [
            self.once([None if g is None else g[i] for g in gradients], retain or i < count - 1)
            for i in range(count)
        ]
        return tuple(
            None if rows[0] is None else _stacked(rows) for rows in zip(*passes, strict=True)
        )


def _stacked(given: Sequence[Tensor | RowSparse]) -> Tensor:
    """The rows along a new first axis; differentiable where they are."""
    rows = [from_array(row.to_dense()) if isinstance(row, RowSparse) else row for row in given]
    if not any(row.requires_grad for row in rows):
        return from_array(np.stack([row._data for row in rows]))
    shape = (len(rows), *rows[0].shape)
    placed = [
        record(OPS["put"], (row,), {"index": i, "shape": shape}) for i, row in enumerate(rows)
    ]
    return reduce(operator.add, placed)


def _result(
    index: int, source: Any, value: Value | None, unused: bool, zeros: bool
) -> Tensor | None:
    if value is not None:
        return from_array(value) if isinstance(value, np.ndarray) else value
    if not unused:
        raise UnusedInputError(
            f"One of the differentiated Tensors (input {index}, {_kind(source)}) appears to not "
            "have been used in the graph. Set allow_unused=True if this is the desired behavior."
        )
    if zeros and not isinstance(source, Tensor):
        raise NotSupportedError("materialize_grads needs tensors as inputs, not GradientEdges")
    return from_array(np.zeros(source.shape, source.dtype)) if zeros else None


def _kind(source: Any) -> str:
    return source._kind() if isinstance(source, Tensor) else f"of {source[0].name()}"


def _tuple(tensors: Any) -> tuple[Any, ...]:
    if type(tensors) is Tensor or isinstance(tensors, GradientEdge):
        return (tensors,)
    several = isinstance(tensors, Iterable) and not isinstance(tensors, np.ndarray)
    return tuple(tensors) if several else (tensors,)


def _inputs(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, Mapping) and type(inputs) is not dict:
        raise OperandError(f"inputs= takes a dict, not {type(inputs).__name__}")
    sources = tuple(inputs.values()) if isinstance(inputs, dict) else _tuple(inputs)
    if not sources:
        raise ArgumentError("inputs= must name at least one tensor")
    return sources


def edge_of(tensor: Any) -> Edge:
    """Where the gradient of a tensor, or of what stands for it, flows."""
    if isinstance(tensor, GradientEdge):
        return tensor.node, tensor.output_nr
    if not isinstance(tensor, Tensor):
        raise OperandError(f"expected a Tensor, got {type(tensor).__name__}")
    edge = refresh(tensor)
    if edge is None:
        raise NoGraphError(
            f"the tensor ({tensor._kind()}) does not require grad and does not "
            "have a grad_fn: set requires_grad=True before it is used, and leave no_grad()"
        )
    return edge


def _accumulating(tensor: Any) -> Node:
    node, _ = edge_of(tensor)
    if not isinstance(node, Leaf):
        if not isinstance(tensor, Tensor):
            raise OperandError("backward: inputs= takes tensors, or the edges of leaves")
        tensor.retain_grad()
    return node


def starts(
    roots: Sequence[Any], gradients: MaybeTensors, graph: bool
) -> tuple[list[Edge], list[Value]]:
    """Where a backward starts: the edges of its roots, and the gradients that flow into them."""
    edges = [edge_of(root) for root in roots]
    given = _tuple(gradients) if gradients is not None else (None,) * len(roots)
    if len(given) != len(roots):
        raise ArgumentError(f"got {len(roots)} tensors and {len(given)} gradients")
    return edges, [
        _seed(*edge[0].output(edge[1]), g, graph) for edge, g in zip(edges, given, strict=True)
    ]


@lru_cache
def _one(dtype: np.dtype[Any]) -> np.ndarray:
    """The seed of a scalar: shared and read-only, rules only read what they are given."""
    one = np.ones((), dtype)
    one.flags.writeable = False
    return one


def _seed(shape: Shape, dtype: np.dtype[Any], gradient: Any, graph: bool) -> Value:
    """What flows into a root, in its dtype: an ndarray, or a Tensor if the backward is recorded."""
    if gradient is None:
        if math.prod(shape) != 1:
            raise NonScalarError(
                f"grad can be implicitly created only for scalar outputs, got shape {shape}: "
                "call .sum(), or pass the gradient of this output"
            )
        if dtype.kind == "c":
            raise NonScalarError(
                f"grad can be implicitly created only for real scalar outputs but got {dtype}: "
                "take .real or .abs(), or pass the gradient of this output"
            )
        seed = _one(dtype) if not shape else np.ones(shape, dtype)
        return from_array(seed) if graph else seed
    if not isinstance(gradient, Tensor):
        raise OperandError(
            f"gradients can be Tensors or None, got {type(gradient).__name__}: "
            "wrap it with engine.tensor"
        )
    if gradient.shape != shape:
        raise ShapeError(
            f"Mismatch in shape: the gradient has shape {gradient.shape}, the output {shape}"
        )
    if "c" in (gradient.dtype.kind, dtype.kind) and gradient.dtype.kind != dtype.kind:
        raise DTypeError(f"the gradient has dtype {gradient.dtype}, the output {dtype}")
    if gradient.dtype != dtype:
        gradient = gradient.astype(dtype)
    return gradient if graph else gradient._data


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | dict[Any, Tensor] | None = None,
    *,
    accumulation: str | None = None,
    ticket: int | None = None,
) -> None:
    """Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

    ``engine.backward(self, gradient, ...)``, which see.
    """
    backward(
        self,
        gradient,
        retain_graph,
        create_graph,
        inputs,
        accumulation=accumulation,
        ticket=ticket,
    )


_backward.__name__, _backward.__qualname__ = "backward", "Tensor.backward"
Tensor.backward = _backward

# What is built on this module and belongs here by PyTorch's names: loaded when first asked for.
_LATER = {
    "Function": "engine.function",
    "function": "engine.autograd.function",
    "functional": "engine.autograd.functional",
    "graph": "engine.autograd.graph",
    "gradcheck": "engine.check",
    "gradgradcheck": "engine.check",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LATER[name])
    found = module if _LATER[name].rpartition(".")[2] == name else getattr(module, name)
    globals()[name] = found
    return found
