"""``reproducible``: a sum that does not depend on the order of its contributions."""

from __future__ import annotations

from ...errors import NotSupportedError
from ...values import Value
from .locked import Locked
from .merge import is_recorded, merge

KINDS = {"e", "f", "d", "F", "D"}  # what fits into float64 without an error


class Reproducible(Locked):
    """As ``Locked``, and exact: the same contributions give the same bits, in any order.

    Nobody waits and nothing is buffered: ``.grad`` is a sum without rounding (``exact.ExactSum``)
    from the second contribution on, and rounded when it is read.
    """

    def receive(self, position: int, g: Value | None) -> None:
        """Stage the gradient. Raises ``NotSupportedError`` for what cannot be summed exactly."""
        for value in g if type(g) is list else (g,):
            if value is not None and (is_recorded(value) or value.dtype.char not in KINDS):
                what = "create_graph=True" if is_recorded(value) else f"dtype {value.dtype}"
                raise NotSupportedError(
                    f"reproducible accumulation with {what}: such gradients are not summed "
                    "exactly. Use accumulation='ordered', or engine.grad"
                )
        super().receive(position, g)

    def commit(self) -> None:
        """Add what was staged, exactly, a leaf at a time."""
        for leaf, cells, key in self.contributions():
            merge(leaf, cells, key, exactly=True)
