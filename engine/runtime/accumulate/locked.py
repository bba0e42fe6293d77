"""``locked``: every contribution counted exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...graph import Leaf
from .merge import merge
from .policy import Staged


class Locked(Staged):
    """Every contribution counted exactly once, under the leaf's lock; staged until all succeeded.

    The order in which backwards arrive is free, so the last bits of their sum may differ.
    """

    accumulates = True

    @staticmethod
    def abandon() -> None:
        """The backward has failed: nothing was promised to anybody."""

    def commit(self) -> None:
        """Add what was staged, a leaf at a time, in the order of a sequential run."""
        for leaf, cells, key in self.contributions():
            merge(leaf, cells, key)

    def contributions(self) -> Iterator[tuple[Leaf, Any, int]]:
        """What was staged, in that order: the gradient for the leaf is in ``cells[key]``.

        Not the gradient itself: whoever makes it a ``.grad`` asks who else holds it.
        """
        staged = self.staged
        for position in sorted(staged):
            node = self.nodes[position]
            if type(node) is Leaf:
                yield node, staged, position
            elif node.hooks is not None:  # an inner node that keeps gradients of its outputs
                several = type(staged[position]) is list
                for port, holder in node.hooks.retained.items():
                    yield (holder, staged[position], port) if several else (
                        holder, staged, position,
                    )  # fmt: skip
