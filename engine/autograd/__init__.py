"""``backward`` and ``grad``: PyTorch's face of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import (
    ArgumentError,
    DTypeError,
    NoGraphError,
    NonScalarError,
    OperandError,
    ShapeError,
    UnusedInputError,
)
from ..graph import Edge, Leaf
from ..runtime.accumulate import Capture, chosen_policy
from ..runtime.execute import run
from ..runtime.plan import Plan
from ..runtime.pool import current_pool
from ..tensor import Tensor, from_array
from ..values import Value

Tensors = Tensor | Sequence[Tensor]
MaybeTensors = Tensor | Sequence[Tensor | None] | None


def backward(
    tensors: Tensors,
    grad_tensors: MaybeTensors = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
    *,
    accumulation: str | None = None,
) -> None:
    """Add the gradients of ``tensors`` to ``.grad`` of the leaves that they were computed from.

    ``grad_tensors``: the gradient of something with respect to each tensor, of its very shape; may
    be left out for scalars. ``retain_graph``: keep what the graph saved, to walk it again (default:
    ``create_graph``). ``create_graph``: record the backward, for higher derivatives. ``inputs``:
    add to these leaves only. ``accumulation``: ``"locked"`` or ``"racy"``; default: the thread's
    choice (``engine.accumulation``), else the process's (``engine.set_accumulation``).

    Any number of threads may call it at once, on graphs that share leaves: internally synchronised
    with ``locked`` (each contribution counts exactly once, and if this raises, no ``.grad`` has
    changed); with ``racy``, racy: contributions may be lost, nothing is undone.

    Raises ``NonScalarError``, ``NoGraphError``, ``ShapeError``, ``GraphReleasedError``,
    ``SavedValueChangedError``, ``ArgumentError`` for an unknown mode, and what user code raises.
    After ``torch.autograd.backward``.

    >>> import engine
    >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> engine.backward((x * x).sum())
    >>> x.grad
    tensor([2., 4.])
    """
    policy = chosen_policy(accumulation)
    roots = _tuple(tensors)
    edges, seeds = starts(roots, grad_tensors, create_graph)
    targets = None if inputs is None else [_accumulating(t) for t in _inputs(inputs)]
    plan = Plan.of(edges, targets)
    retain = create_graph if retain_graph is None else retain_graph
    run(plan, seeds, policy(plan.nodes), current_pool(), retain=retain, graph=create_graph)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: MaybeTensors = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, leaving every ``.grad`` alone.

    Arguments as in ``backward``. An input that the outputs do not depend on raises
    ``UnusedInputError``, or gives None with ``allow_unused``, or zeros with ``materialize_grads``.

    Reads and writes no shared state: no ``.grad``, no leaf, no default that another thread can
    change. Any number of threads may call it at once, on shared inputs too. Each gradient is a new
    array. After ``torch.autograd.grad``.

    >>> import engine
    >>> x = engine.tensor(3.0, requires_grad=True)
    >>> (slope,) = engine.grad(x ** 3, x, create_graph=True)
    >>> slope, engine.grad(slope, x), x.grad
    (tensor(27., grad_fn=<MulBackward0>), (tensor(18.),), None)
    """
    if is_grads_batched:
        raise ArgumentError("grad: is_grads_batched is not supported; call grad once per row")
    if materialize_grads and allow_unused is False:
        raise ArgumentError(
            "grad: materialize_grads=True means allow_unused=True; leave allow_unused out"
        )
    edges, seeds = starts(_tuple(outputs), grad_outputs, create_graph)
    sources = _inputs(inputs)
    wanted = [_edge(t) for t in sources]
    plan = Plan.of(edges, [node for node, _ in wanted])
    policy = Capture(plan.nodes)
    retain = create_graph if retain_graph is None else retain_graph
    run(plan, seeds, policy, current_pool(), retain=retain, graph=create_graph)
    results = policy.results(wanted)
    unused = bool(allow_unused or materialize_grads)
    return tuple(
        _result(index, source, value, unused, materialize_grads)
        for index, (source, value) in enumerate(zip(sources, results, strict=True))
    )


def _result(
    index: int, source: Tensor, value: Value | None, unused: bool, zeros: bool
) -> Tensor | None:
    if value is not None:
        return value if isinstance(value, Tensor) else from_array(value)
    if not unused:
        raise UnusedInputError(
            f"One of the differentiated Tensors (input {index}, {source._kind()}) appears to not "
            "have been used in the graph. Set allow_unused=True if this is the desired behavior."
        )
    return from_array(np.zeros(source.shape, source.dtype)) if zeros else None


def _tuple(tensors: Any) -> tuple[Any, ...]:
    return (tensors,) if isinstance(tensors, Tensor) or tensors is None else tuple(tensors)


def _inputs(inputs: Tensors) -> tuple[Tensor, ...]:
    sources = _tuple(inputs)
    if not sources:
        raise ArgumentError("inputs= must name at least one tensor")
    return sources


def _edge(tensor: Tensor) -> Edge:
    if not isinstance(tensor, Tensor):
        raise OperandError(f"expected a Tensor, got {type(tensor).__name__}")
    if tensor._edge is None:
        raise NoGraphError(
            f"the tensor ({tensor._kind()}) does not require grad and does not "
            "have a grad_fn: set requires_grad=True before it is used, and leave no_grad()"
        )
    return tensor._edge


def _accumulating(tensor: Tensor) -> Leaf:
    node = _edge(tensor)[0]
    if not isinstance(node, Leaf):
        raise ArgumentError("backward: inputs= takes leaves; for other tensors use engine.grad")
    return node


def starts(
    roots: Sequence[Tensor], gradients: MaybeTensors, graph: bool
) -> tuple[list[Edge], list[Value]]:
    """Where a backward starts: the edges of its roots, and the gradients that flow into them."""
    edges = [_edge(root) for root in roots]
    given = _tuple(gradients) if gradients is not None else (None,) * len(roots)
    if len(given) != len(roots):
        raise ArgumentError(f"got {len(roots)} tensors and {len(given)} gradients")
    return edges, [_seed(r, g, graph) for r, g in zip(roots, given, strict=True)]


@lru_cache
def _one(dtype: np.dtype[Any]) -> np.ndarray:
    """The seed of a scalar: shared and read-only, rules only read what they are given."""
    one = np.ones((), dtype)
    one.flags.writeable = False
    return one


def _seed(root: Tensor, gradient: Any, graph: bool) -> Value:
    """What flows into a root, in its dtype: an ndarray, or a Tensor if the backward is recorded."""
    if gradient is None:
        if root._data.size != 1:
            raise NonScalarError(
                "grad can be implicitly created only for scalar outputs, got shape "
                f"{root.shape}: call .sum(), or pass the gradient of this output"
            )
        seed = _one(root.dtype) if root._data.ndim == 0 else np.ones(root.shape, root.dtype)
        return from_array(seed) if graph else seed
    if not isinstance(gradient, Tensor):
        raise OperandError(
            f"gradients can be Tensors or None, got {type(gradient).__name__}: "
            "wrap it with engine.tensor"
        )
    if gradient.shape != root.shape:
        raise ShapeError(
            f"Mismatch in shape: the gradient has shape {gradient.shape}, the output {root.shape}"
        )
    if gradient.dtype.kind != root.dtype.kind:
        raise DTypeError(f"the gradient has dtype {gradient.dtype}, the output {root.dtype}")
    if gradient.dtype != root.dtype:
        gradient = gradient.astype(root.dtype)
    return gradient if graph else gradient._data


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
    *,
    accumulation: str | None = None,
) -> None:
    """Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

    ``engine.backward(self, gradient, ...)``, which see.
    """
    backward(self, gradient, retain_graph, create_graph, inputs, accumulation=accumulation)


_backward.__name__, _backward.__qualname__ = "backward", "Tensor.backward"
Tensor.backward = _backward
