"""``ordered``: contributions added in the order of tickets, and nobody waits for a turn."""

from __future__ import annotations

from collections.abc import Sequence

from ...graph import Leaf, Node
from ...values import Value, private
from .locked import Locked
from .merge import merge
from .tickets import Tickets


class Turn:
    """One backward's place in a sequence. Belongs to its caller: externally synchronised."""

    __slots__ = ("_number", "_tickets")

    def __init__(self, tickets: Tickets, ticket: int | None) -> None:
        self._tickets = tickets
        self._number = tickets.begin(ticket)

    def __call__(self, nodes: Sequence[Node]) -> Ordered:
        """The policy of this backward."""
        return Ordered(nodes, self)

    def arrive(self, policy: Locked) -> None:
        """Hand over what the backward has staged, to be added in its turn."""
        at_once = self._tickets.comes_next(self._number)
        leaves: list[Leaf] = []
        values: list[Value] = []
        for leaf, cells, key in policy.contributions():
            # What has to wait must not share memory with what the caller may write to meanwhile.
            value = cells[key] if at_once or cells[key] is None else private(cells, key)
            cells[key] = None
            leaves.append(leaf)
            values.append(value)
            del value  # the list is its only holder: it may become a .grad as it is

        def fold() -> None:
            for slot, leaf in enumerate(leaves):
                merge(leaf, values, slot)

        self._tickets.arrive(self._number, fold)

    def abandon(self) -> None:
        """The backward has failed: later ones must not wait for it."""
        self._tickets.abandon(self._number)


class Ordered(Locked):
    """As ``Locked``, and added in the order of tickets: the same tickets, the same bits."""

    def __init__(self, nodes: Sequence[Node], turn: Turn) -> None:
        super().__init__(nodes)
        self._turn = turn  # immutable

    def commit(self) -> None:
        """Add what was staged now, if all lower tickets are through; else leave it to who comes."""
        self._turn.arrive(self)
