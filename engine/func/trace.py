"""One run of a function on fresh aliases of its arguments, and the ways back and forth through it.

A transform never differentiates with respect to the caller's own tensors: it makes an alias of each
(the same memory, a place of its own in the graph), so nothing of the caller's is written and any
number of threads may transform the same function of the same arguments at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import sync
from ..autograd import grad
from ..creation import DEFAULT_DTYPE, ones_like, zeros_like
from ..errors import DTypeError, NonScalarError
from ..errors import OutputError as OutputError
from ..graph import Node
from ..modes import inference_mode, state
from ..tensor import Tensor, from_array
from .arguments import as_tensor, kind, label
from .containers import leaves, map_leaves, refill, sketch


class _Enclosing(sync.local):
    """How many transforms this thread is running functions for. Thread-local."""

    depth = 0


_enclosing = _Enclosing()


def alias(source: Tensor, follow: bool) -> Tensor:
    """The same memory at a place of its own in the graph: behind ``source`` if ``follow``."""
    if follow and source.requires_grad:
        behind: Tensor = source.reshape(source.shape)
        return behind
    # What was made in inference mode has no version, and may be an argument all the same.
    fresh = from_array(source._data) if source.is_inference() else source.detach()
    return fresh.requires_grad_()


def recording() -> inference_mode:
    """A block in which operations are recorded, whatever the caller's modes are."""
    return inference_mode(False)


# -- the run ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trace:
    """A function that has been run. Immutable; ``pull`` and ``push`` are internally synchronised.

    ``value``, ``aux``: what it returned, with history. ``outputs``, ``sources``: the tensors in
    ``value``, and the aliases that it was run on. ``graph``: whether results are to carry history
    themselves, because they depend on tensors of the caller's that require a gradient.
    """

    value: Any
    aux: Any
    outputs: list[Tensor]
    sources: list[Tensor]
    graph: bool

    def shown(self, tree: Any) -> Any:
        """A part of what the function returned, as the caller may see it."""
        return tree if self.graph else map_leaves(_detached, tree)

    def pull(
        self, seeds: Sequence[Tensor], *, graph: bool = False, retain: bool = True
    ) -> list[Tensor]:
        """The gradients of the sources, given those of the outputs."""
        graph = graph or self.graph
        pulled = pull(self.outputs, self.sources, seeds, graph=graph, retain=retain or graph)
        return materialized(pulled, self.sources)

    def pushing(self) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """The way forward: from tangents of the sources to those of the outputs.

        Pulling back is linear in the seeds, so pulling back through *that* pushes forward: two
        reverse passes and no forward-mode rules.
        """
        with recording():
            seeds = [_seed(output) for output in self.outputs]
            pulled = self.pull(seeds, graph=True)

        def push(tangents: Sequence[Tensor]) -> list[Tensor]:
            graph = self.graph or (state.grad and any(t.requires_grad for t in tangents))
            return materialized(pull(pulled, seeds, tangents, graph=graph), seeds)

        return push


def trace(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    sources: Sequence[Tensor],
    *,
    follow: bool,
    split: Callable[[Any], tuple[Any, Any]] | None = None,
    weights: Sequence[Tensor] = (),
) -> Trace:
    """Run ``function`` with recording on, and find out what its results depend on.

    ``sources``: aliases in ``args`` to be differentiated. ``weights``: tensors that it reaches by
    itself. ``follow``: whether results may carry history, the caller's grad mode. ``split``: into
    value and aux.
    """
    inside = _enclosing.depth
    _enclosing.depth = inside + 1
    try:
        with recording():
            returned = function(*args, **kwargs)
    finally:
        _enclosing.depth = inside
    value, aux = split(returned) if split is not None else (returned, None)
    outputs = tensors_in(value, label(function))
    # A transform around this one may differentiate the weights, too; the caller alone does not.
    own = {t._edge[0] for t in (*sources, *(() if inside else weights)) if t._edge is not None}
    seen = [*outputs, *(leaf for leaf in leaves(aux) if isinstance(leaf, Tensor))]
    graph = follow and (not all(s.is_leaf for s in sources) or _reaches_beyond(seen, own))
    return Trace(value, aux, outputs, [*sources, *weights], graph)


def trace_positions(
    name: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    positions: Sequence[int],
    *,
    split: Callable[[Any], tuple[Any, Any]] | None = None,
    weights: Sequence[Tensor] = (),
) -> Trace:
    """``trace`` with respect to everything in the positional arguments at ``positions``."""
    follow, opened, sources = state.grad, list(args), []
    with recording():
        for position in positions:
            where = f"{name}: argument {position} of {label(function)}"
            own = [alias(as_tensor(leaf, where), follow) for leaf in leaves(args[position])]
            opened[position] = refill(args[position], own)
            sources += own
    return trace(function, opened, kwargs, sources, follow=follow, split=split, weights=weights)


def refilled(trees: Iterable[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    """``trees`` with their leaves replaced, one after the other, by ``values``."""
    rest = iter(values)
    return tuple(map_leaves(lambda _: next(rest), tree) for tree in trees)


def split_pair(name: str, function: Callable[..., Any]) -> Callable[[Any], tuple[Any, Any]]:
    """What tells the output from aux, for a function that returns a pair of them."""

    def split(returned: Any) -> tuple[Any, Any]:
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise OutputError(
                f"{name}: with has_aux=True {label(function)} must return a tuple (output, aux), "
                f"got {sketch(returned)}"
            )
        return returned

    return split


def check_scalar(traced: Trace, name: str, function: Callable[..., Any], ways_out: str) -> None:
    """Raise ``NonScalarError`` or ``DTypeError`` unless one real number was returned."""
    if not isinstance(traced.value, Tensor) or traced.value.shape:
        raise NonScalarError(
            f"{name}: the gradient is only defined for scalar-output functions; {label(function)} "
            f"returned {', '.join(map(kind, traced.outputs))}: {ways_out}"
        )
    if traced.value.dtype.kind != "f":
        raise DTypeError(
            f"{name}: {label(function)} returned {kind(traced.value)}: only a real floating point "
            "output has a gradient"
        )


def tensors_in(value: Any, name: str) -> list[Tensor]:
    """The tensors that a function returned; it must return nothing else, lest gradients be lost."""
    found = leaves(value)
    for leaf in found:
        if not isinstance(leaf, Tensor):
            raise OutputError(
                f"{name} returned {kind(leaf)} where a Tensor is needed, which loses its gradient: "
                "compute with Tensors throughout, and pass what needs no gradient out as aux "
                "(has_aux=True)"
            )
    if not found:
        raise OutputError(f"{name} returned no Tensor: return what is to be differentiated")
    return found


def pull(
    outputs: Sequence[Tensor],
    sources: Sequence[Tensor],
    seeds: Sequence[Tensor],
    *,
    graph: bool,
    retain: bool = True,
) -> list[Tensor | None]:
    """The gradients of ``sources``, None where no output depends on one."""
    reached = [(out, seed) for out, seed in zip(outputs, seeds, strict=True) if out.requires_grad]
    if not reached:
        return [None] * len(sources)
    roots, gradients = zip(*reached, strict=True)
    return list(grad(roots, sources, gradients, retain, graph, allow_unused=True))


def materialized(pulled: Sequence[Tensor | None], refs: Sequence[Tensor]) -> list[Tensor]:
    """Zeros where a gradient is None."""
    return [zeros_like(ref) if g is None else g for g, ref in zip(pulled, refs, strict=True)]


def ones_for(outputs: Sequence[Tensor]) -> list[Tensor]:
    """The seeds that sum every output."""
    return [ones_like(output) for output in outputs]


def _seed(output: Tensor) -> Tensor:
    """A zero to differentiate by; integers have no tangents but zeros."""
    dtype = output.dtype if output.dtype.kind == "f" else DEFAULT_DTYPE
    return zeros_like(output, dtype=dtype, requires_grad=True)


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _reaches_beyond(tensors: Iterable[Tensor], own: set[Node]) -> bool:
    """Whether anything that ``tensors`` were computed from requires a gradient, but for ``own``."""
    found = {t._edge[0] for t in tensors if t._edge is not None}
    stack = list(found)
    while stack:
        node = stack.pop()
        if node in own:
            continue
        if not node.edges:
            return True
        for edge in node.edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    return False
