"""What becomes of a leaf's gradient: the policies, and the choice between them.

A policy receives each gradient once, in whatever thread completed it, and commits in the thread of
the caller after the whole backward has succeeded. A policy that only stages until then leaves
everything as it was when the backward raises, and takes no lock in a worker: a caller may hold
``Leaf.lock`` around a backward that workers help.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from .. import modes, sync
from ..errors import ArgumentError
from ..graph import Edge, Leaf, Node
from ..values import Value, private


class Policy(Protocol):
    """Where the gradients of a backward's sinks go.

    ``accumulates``: into ``.grad``, so that the hooks of leaves run.
    """

    accumulates: bool

    def receive(self, position: int, g: Value | None) -> None:
        """Take the complete gradient of a sink; None: nothing flowed there.

        Called once a sink, in any thread, under no lock.
        """
        ...

    def commit(self) -> None:
        """Make what was received count: called once, by the caller, if nothing has failed."""
        ...


class Staged:
    """Keeps what it receives until the whole backward has succeeded. ``nodes``: the plan's."""

    accumulates = False

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes  # immutable
        # Each position is written by one thread, once: a dict makes that atomic on every build.
        self.staged: dict[int, Value] = {}

    def receive(self, position: int, g: Value | None) -> None:
        """Stage the gradient."""
        if g is not None:
            self.staged[position] = g


class Locked(Staged):
    """Every contribution counted exactly once, under the leaf's lock; staged until all succeeded.

    The order in which backwards arrive is free, so the last bits of their sum may differ.
    """

    accumulates = True

    def commit(self) -> None:
        """Add what was staged, a leaf at a time, in the order of a sequential run."""
        staged = self.staged
        for position in sorted(staged):
            node = self.nodes[position]
            if type(node) is Leaf:
                _merge(node, staged, position)
            elif node.hooks is not None:  # an inner node that keeps gradients of its outputs
                several = type(staged[position]) is list
                for port, holder in node.hooks.retained.items():
                    _merge(holder, *((staged[position], port) if several else (staged, position)))


def _merge(leaf: Leaf, cells: Any, key: int) -> None:
    """Add the gradient in ``cells[key]`` to ``leaf.grad``, or let it become that."""
    hook = sync.hook
    if hook is not None:
        hook("grad.commit", leaf)
    if cells[key] is None:
        return
    with leaf.lock:
        grad = leaf.grad
        if grad is None:
            recorded = _is_recorded(cells[key])
            leaf.grad = cells[key].clone() if recorded else private(cells, key)
        elif type(grad) is np.ndarray and not _is_recorded(cells[key]):
            with np.errstate(all="ignore"):  # a sum that overflows is a value, no error
                np.add(grad, cells[key], out=grad)
        else:
            leaf.grad, leaf.face = grad + cells[key], None


class Racy(Locked):
    """In place, no lock, at once: may lose or tear contributions of concurrent backwards.

    Never crashes, never raises, keeps shape and dtype, counts no contribution twice: the array is
    only ever written in place, and NumPy reads and writes whole elements. The first ``.grad`` is
    made under the leaf's lock, at the end, by the caller. Not undone when the backward raises.
    """

    def receive(self, position: int, g: Value | None) -> None:
        """Add to the leaf's array where it has one, else stage."""
        # Racy by intent: another thread may be adding to this very array, may have taken it (the
        # contribution then goes with it, or is lost), and may make a new one. The reference read
        # here keeps the array alive whatever the others do.
        leaf = self.nodes[position]
        buffer = leaf.grad if isinstance(leaf, Leaf) else None
        if type(buffer) is np.ndarray and g is not None and not _is_recorded(g):
            _add_racy(leaf, buffer, g)
        else:
            super().receive(position, g)


class Capture(Staged):
    """Functional ``grad``: what was received is handed to the caller and nothing else is touched.

    No leaf, no lock, no default that another thread could change.
    """

    def commit(self) -> None:
        """Nothing to make count."""

    def results(self, wanted: Sequence[Edge]) -> list[Value | None]:
        """The gradients captured at the wanted edges, each in an array that nobody else holds."""
        position = {self.nodes[sink]: sink for sink in self.staged}
        return [self._result(position.get(node, -1), port) for node, port in wanted]

    def _result(self, position: int, port: int) -> Value | None:
        if position < 0:
            return None
        if type(self.staged[position]) is list:  # of a node with several outputs
            outputs = self.staged[position]
            return None if outputs[port] is None else private(outputs, port)
        return private(self.staged, position)


def _is_recorded(g: Value) -> bool:
    """Whether ``g`` carries a graph (``create_graph``), so that it cannot be added in place."""
    return type(g) is not np.ndarray and not isinstance(g, np.generic)


def _add_racy(leaf: Node, buffer: np.ndarray, g: Value) -> None:
    hook = sync.hook
    if hook is None:
        with np.errstate(all="ignore"):  # a sum that overflows is a value, no error
            np.add(buffer, g, out=buffer)
        return
    # Under observation the addition is split where the hardware may split it, element by element:
    # between the points another thread's write is lost. Same race, wide enough to steer into.
    hook("grad.read", leaf)
    total = buffer + g
    hook("grad.store", leaf)
    buffer[...] = total


POLICIES: dict[str, type[Locked]] = {"racy": Racy, "locked": Locked}

# Atomic: a reference that is only ever rebound.
_default = "locked"


def _check(mode: str) -> str:
    if mode not in POLICIES:
        known = ", ".join(map(repr, POLICIES))
        raise ArgumentError(f"unknown accumulation mode {mode!r}: choose one of {known}")
    return mode


@contextmanager
def accumulation(mode: str) -> Iterator[None]:
    """How backwards of this thread add to ``.grad``, for a ``with`` block. Thread-local.

    ``"locked"``: every contribution counted exactly once, under the leaf's lock.
    ``"racy"``: in place and without a lock; may lose or tear contributions, never crashes.

    >>> import engine
    >>> x = engine.tensor([1.0], requires_grad=True)
    >>> with engine.accumulation("racy"):
    ...     x.sum().backward()
    >>> x.grad
    tensor([1.])
    """
    state = modes.state
    before, state.accumulation = state.accumulation, _check(mode)
    try:
        yield
    finally:
        state.accumulation = before


def set_accumulation(mode: str) -> None:
    """How backwards add to ``.grad`` in threads that have not chosen for themselves. Atomic."""
    global _default
    _default = _check(mode)


def chosen_policy(call: str | None) -> type[Locked]:
    """The policy of a call: its own, else its thread's, else the process's."""
    return POLICIES[_check(call) if call is not None else modes.state.accumulation or _default]
