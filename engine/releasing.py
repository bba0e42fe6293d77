"""Nodes that keep something for their backward: used up once, given back when the rule fails."""

from __future__ import annotations

from typing import Any

from .errors import GraphReleasedError, SavedValueChangedError
from .graph import Node, describe
from .versions import UNDER_WAY


class Releasing(Node):
    """A node that keeps something for its backward, until one that does not retain has used it.

    ``saved`` holds one entry, or nothing once it has been used: popping is atomic. ``claimed``: a
    backward that will use it up has begun; None where there is nothing to use up.
    """

    __slots__ = ("claimed", "saved")

    saved: list[Any]  # atomic
    claimed: bool | None  # guarded by graph.claims; whether it is None is immutable

    def take(self, retain: bool) -> Any:
        """What was saved, for good unless ``retain``. Raises ``GraphReleasedError``."""
        try:
            return self.saved[0] if retain or self.claimed is None else self.saved.pop()
        except IndexError:
            raise self.released() from None

    def give_back(self, saved: Any, retain: bool) -> None:
        """Undo ``take``: the rule raised, and may be tried again."""
        if self.claimed is not None and not retain:
            self.saved.append(saved)

    def changed(self, token: Any, newest: Any) -> SavedValueChangedError:
        """The error for a value that was saved at ``token``: see ``versions``."""
        before = token[0] if token else 0
        at = "while it was being written" if token is UNDER_WAY else f"at version {before}"
        done = "is being written"
        if newest is not None:
            number, where, *_ = newest
            done = f"is being written at {describe(where)}"
            if number > before:
                done = f"was written at {describe(where)} and is at version {number}"
        return SavedValueChangedError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.name()} saved it at {describe(self.origin)} {at}; it {done}. "
            "Write out of place, or clone() before the write. Parameters that other "
            "threads update on purpose are marked with engine.hogwild.share(parameters)."
        )

    def released(self) -> GraphReleasedError:
        return GraphReleasedError(
            f"Trying to backward through the graph a second time: what {self.name()} saved at "
            f"{describe(self.origin)} has been released. Pass retain_graph=True to the backward "
            "that comes first."
        )
