"""Checkpointing: forget what a function saved, and run it again when its gradient is needed.

The first run is recorded like any other, which shows what the function depends on: its arguments,
and whatever tensors its code reaches. Then everything that was recorded is dropped for one node
whose edges lead there. Its backward runs the function again and walks what that records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .creation import rand
from .errors import RuleError
from .freeing import new_node
from .function.node import FunctionNode, Kind
from .function.saved import check_again, check_version, closed, newer_than, noted, token_of
from .graph import Edge, Leaf, Node, caller
from .modes import Stream, state
from .opnode import OpNode, versions
from .recording import refresh
from .releasing import Releasing
from .runtime.accumulate import Capture
from .runtime.execute import run
from .runtime.plan import Plan
from .runtime.pool import current_pool
from .tensor import Tensor
from .values import Value
from .versions import UNDER_WAY, VersionCell

__all__ = ["checkpoint"]

# Nodes made inside are told from those made outside by their sequence numbers: inside, the thread's
# clock is so far ahead that no other thread's can be there.
_AHEAD = 1 << 32


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **keywords: Any,
) -> Any:
    """``function(*args, **keywords)``, trading time for memory: backward runs it a second time.

    Between forward and backward only the arguments are kept, not what the operations inside saved;
    during each run, what one run saves. Works with ``backward`` and ``grad``, with ``create_graph``
    and nested, for tensors that the function reaches without taking them as arguments too, and for
    results in tuples, lists and dicts.

    The function must do the same again. Numbers it draws with ``engine.rand`` and its relatives are
    the same in both runs: they come from a stream of their own, so no other thread can disturb
    them (``preserve_rng_state=False``: they come from the thread's). Raises ``RuleError`` if the
    second run gave results of other shapes or dtypes or depends on other tensors, and
    ``SavedValueChangedError`` if an argument was written to since, or whatever else it had saved.

    ``use_reentrant`` is accepted for ported code, and has no effect. The second run happens in
    whatever thread runs the backward, with the modes of that backward, under no lock: what
    ``function`` shares is externally synchronised. After ``torch.utils.checkpoint.checkpoint``.

    >>> import engine
    >>> def layer(x):
    ...     print("runs")
    ...     return (x * x).tanh()
    >>> x = engine.tensor([0.0, 1.0], requires_grad=True)
    >>> y = checkpoint(layer, x)
    runs
    >>> y.sum().backward()
    runs
    >>> x.grad
    tensor([0.0000, 0.8399])
    """
    if not state.grad:
        return function(*args, **keywords)
    call = _Call(function, args, keywords, _Replay() if preserve_rng_state else None)
    before = noted(call.tensors())
    result, base = call.run()
    outputs = [t for t in _tensors(result) if _is_inside(refresh(t), base)]
    if outputs:
        _collapse(call, outputs, base, before)
    return result


class _Replay(Stream):
    """Random numbers that can be drawn again. The key is drawn when first needed: thread-local."""

    __slots__ = ("_from",)

    def __init__(self) -> None:
        super().__init__()
        self._from: Stream | None = state.stream

    def next(self) -> np.random.Generator:
        """As of any stream; at first, the key is drawn."""
        if not self._key:
            inside, state.stream = state.stream, self._from
            try:
                self._key = tuple(int(x * (1 << 24)) for x in rand(4).tolist())
            finally:
                state.stream = inside
        return super().next()

    def again(self) -> Stream:
        """The same numbers from the start."""
        return Stream(*self._key) if self._key else self


class _Call:
    """A function with its arguments, to be run twice. Immutable but for the stream's key."""

    __slots__ = ("args", "function", "keywords", "stream")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        keywords: dict[str, Any],
        stream: _Replay | None,
    ) -> None:
        self.function = function
        self.args = args
        self.keywords = keywords
        self.stream = stream

    def tensors(self) -> Iterator[Tensor]:
        """The arguments that are tensors."""
        return _tensors([self.args, self.keywords])

    def run(self) -> tuple[Any, int]:
        """Record a run: the result, and the number above which its nodes are numbered."""
        given = newer_than([refresh(t) for t in self.tensors()])
        before = state.grad, state.stream, given
        state.grad, base = True, given + _AHEAD
        state.clock = base
        if self.stream is not None:
            state.stream = self.stream.again()
        try:
            return self.function(*self.args, **self.keywords), base
        finally:
            state.grad, state.stream, state.clock = before


def _tensors(result: Any) -> Iterator[Tensor]:
    """The tensors in a result, each once."""
    seen: dict[int, Tensor] = {}
    stack = [result]
    while stack:
        value = stack.pop()
        if isinstance(value, Tensor):
            seen.setdefault(id(value), value)
        elif isinstance(value, tuple | list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            stack.extend(reversed(list(value.values())))
    return iter(seen.values())


def _is_inside(edge: Edge | None, base: int) -> bool:
    return edge is not None and edge[0].seq > base and type(edge[0]) is not Leaf


def _inside(roots: Sequence[Edge], base: int) -> list[Node]:
    """The nodes of a recorded run that lead to ``roots``."""
    found = dict.fromkeys(node for node, _ in roots)
    stack = list(found)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and _is_inside(edge, base) and edge[0] not in found:
                found[edge[0]] = None
                stack.append(edge[0])
    return list(found)


def _frontier(nodes: Sequence[Node], base: int) -> Iterator[Edge]:
    """The edges that lead out of a run."""
    for node in nodes:
        for edge in node.edges:
            if edge is not None and not _is_inside(edge, base):
                yield edge


def _collapse(call: _Call, outputs: list[Tensor], base: int, before: dict[int, Any]) -> None:
    """Put one node that runs ``call`` again in the place of all that it recorded.

    ``before``: what was `noted` of the arguments before the first run.
    """
    roots = [_edge(t) for t in outputs]
    nodes = _inside(roots, base)
    frontier = list(dict.fromkeys(_frontier(nodes, base)))
    seq = newer_than(frontier)
    node: CheckpointNode = new_node(CheckpointNode, frontier, seq)
    node.kinds = [(t.shape, t.dtype) for t in outputs]
    node.outputs = len(outputs)
    node.shape, node.dtype = node.kinds[0]
    node.edges = node.frontier = frontier
    node.seq = seq
    node.origin, node.hooks = caller(2), None
    node.saved, node.claimed = [(call, _versions(call, nodes, base, before))], False
    for port, tensor in enumerate(outputs):
        tensor._edge = node, port
        if tensor._view is not None:  # it holds what it is a view of, with all that led there
            own = _is_inside(tensor._view.root._edge, base)
            tensor._view = None if own else closed(tensor)


def _edge(tensor: Tensor) -> Edge:
    edge = refresh(tensor)
    assert edge is not None
    return edge


Version = tuple[VersionCell, Any]


def _versions(
    call: _Call, nodes: Sequence[Node], base: int, before: dict[int, Any]
) -> list[Version]:
    """The versions of the arguments, and of what a run saved that had not been made inside."""
    found: dict[int, Version] = {}
    given = [
        (cell, token_of(cell, before)) for t in call.tensors() if (cell := t._cell) is not None
    ]
    for cell, token in chain(*(_read(node, base) for node in nodes), given):
        if id(cell) not in found or found[id(cell)][1] is not UNDER_WAY:
            found[id(cell)] = cell, token
    return list(found.values())


def _read(node: Node, base: int) -> Iterator[Version]:
    if isinstance(node, OpNode):
        for _, checks in node.saved:
            for index, cell, token in versions(checks):
                if index < len(node.edges) and not _is_inside(node.edges[index], base):
                    yield cell, token
    elif isinstance(node, CheckpointNode):
        for _, read in node.saved:
            yield from read
    elif isinstance(node, FunctionNode):
        for saved in node.saved:
            for kept in saved:
                if kept is not None and kept.cell is not None and kept.is_outside(base):
                    yield kept.cell, kept.token


class _Gate(Node):
    """Where the second run ends: stands before an edge that leads out of it."""

    __slots__ = ()

    def name(self) -> str:
        return "Gate"

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        return [g]


class CheckpointNode(Releasing):
    """A run that has been forgotten. ``saved``: the call, and the versions that it has read.

    ``frontier``: where the run's edges led. So do ``edges``, but in the second run of a checkpoint
    around this one, which has gates there.
    """

    __slots__ = ("frontier", "kinds", "outputs")

    frontier: list[Edge]
    kinds: list[Kind]
    outputs: int

    def name(self) -> str:
        return "CheckpointBackward"

    def output(self, port: int) -> Kind:
        return self.kinds[port]

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        saved = self.take(retain)
        call, versions = saved
        try:
            for cell, token in versions:
                check_version(self, cell, token)
            grads = self._again(call, g if self.outputs > 1 else [g], wanted)
            for cell, token in versions:
                check_again(self, cell, token)
            return grads
        except BaseException:
            self.give_back(saved, retain)
            raise

    def _again(
        self, call: _Call, grads: Sequence[Value], wanted: Sequence[object | None]
    ) -> list[Value]:
        recorded = state.grad  # whether this backward is to be differentiated itself
        result, base = call.run()
        outputs = self._checked([t for t in _tensors(result) if _is_inside(refresh(t), base)])
        roots = [_edge(t) for t in outputs]
        gates = [(gate, 0) for gate in self._gates(_inside(roots, base), base, recorded)]
        starts = [(root, g) for root, g in zip(roots, grads, strict=True) if g is not None]
        plan = Plan.of(
            [root for root, _ in starts],
            [gate for (gate, _), route in zip(gates, wanted, strict=True) if route is not None],
        )
        policy = Capture(plan.nodes)
        run(plan, [g for _, g in starts], policy, current_pool(), retain=recorded, graph=recorded)
        return policy.results(gates)

    def _checked(self, outputs: list[Tensor]) -> list[Tensor]:
        kinds = [(t.shape, t.dtype) for t in outputs]
        if kinds != self.kinds:
            raise RuleError(
                f"checkpoint: the second run gave {_text(kinds)}, the first {_text(self.kinds)}: "
                "the function must do the same again, whatever has happened in between"
            )
        return outputs

    def _gates(self, nodes: Sequence[Node], base: int, recorded: bool) -> list[_Gate]:
        """Cut the second run from what it depends on, at the edges where the first one ended.

        Nobody else has seen its nodes yet, so they may still be changed. In a backward that is to
        be differentiated itself the gates lead on to where the edges led.
        """
        gates = {edge: _gate(edge, base, recorded) for edge in self.frontier}
        met = dict.fromkeys(_frontier(nodes, base))
        if met.keys() != gates.keys():
            names = ", ".join(node.name() for node, _ in met.keys() ^ gates.keys())
            raise RuleError(
                f"checkpoint: the two runs do not depend on the same tensors ({names}): the "
                "function must do the same again, whatever has happened in between"
            )
        for node in nodes:
            node.edges = [(gates[e], 0) if e in gates else e for e in node.edges]
        return list(gates.values())


def _gate(edge: Edge, base: int, recorded: bool) -> _Gate:
    gate = _Gate()
    gate.edges = [edge] if recorded else []
    gate.seq = base
    gate.shape, gate.dtype = edge[0].output(edge[1])
    gate.origin, gate.hooks = edge[0].origin, None
    return gate


def _text(kinds: Sequence[Kind]) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in kinds) or "nothing with a gradient"
