"""What a policy is, and the one of functional ``grad``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...graph import Edge, Node
from ...values import Value, private


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
