"""Ways to add up contributions that arrive in some order: those of the engine, and references.

The references are plain functions of the lab; the engine has none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum as exactly

import numpy as np

import engine
from stress.lab.bits import Array

__all__ = ["POLICIES", "Contributions", "Policy"]

FIXED = 40  # bits behind the point of `fixed-point`: 2^23 before it


@dataclass(frozen=True, slots=True)
class Contributions:
    """What is to be added, as the engine and as NumPy take it. Immutable."""

    tensors: tuple[engine.Tensor, ...]
    arrays: tuple[Array, ...]

    @staticmethod
    def of(arrays: Sequence[Array]) -> Contributions:
        """Wrap arrays."""
        return Contributions(tuple(engine.from_numpy(a) for a in arrays), tuple(arrays))


Add = Callable[[Contributions, Sequence[int]], Array]


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to add. ``add(terms, order)``: the sum when they arrive in ``order``. Immutable.

    ``promised``: the same bits in any order. ``ours``: a mode of the engine.
    """

    name: str
    what: str
    promised: bool
    ours: bool
    add: Add


def through(mode: str) -> Add:
    """Backwards into one leaf, one after the other; in ``ordered`` with their number as ticket."""

    def add(terms: Contributions, order: Sequence[int]) -> Array:
        first = terms.tensors[0]
        leaf = engine.zeros(*first.shape, dtype=first.dtype, requires_grad=True)
        tickets = engine.Tickets(bound=len(order)) if mode == "ordered" else None
        with engine.accumulation(mode, tickets):
            for c in order:
                leaf.backward(terms.tensors[c], ticket=c if tickets else None)
        assert leaf.grad is not None
        return np.asarray(leaf.grad.numpy())

    return add


def tree(terms: Contributions, order: Sequence[int]) -> Array:
    """Each into its cell; at the end neighbours are added, then neighbours of these, and so on."""
    cells: list[Array] = [np.empty(0)] * len(order)
    for c in order:
        cells[c] = terms.arrays[c].copy()  # whoever brings it goes on and may overwrite it
    while len(cells) > 1:
        pairs = [a + b for a, b in zip(cells[::2], cells[1::2], strict=False)]
        cells = [*pairs, *cells[len(pairs) * 2 :]]
    return cells[0]


def two_sum(terms: Contributions, order: Sequence[int]) -> Array:
    """As they arrive, and what each addition rounds away is summed apart.

    Knuth, The Art of Computer Programming, volume 2, 4.2.2, theorem B.
    """
    total = terms.arrays[order[0]].copy()
    rest = np.zeros_like(total)
    for c in order[1:]:
        term = terms.arrays[c]
        new = total + term
        part = new - total
        rest += (total - (new - part)) + (term - part)
        total = new
    return np.asarray(total + rest)


def fsum(terms: Contributions, order: Sequence[int]) -> Array:
    """``math.fsum`` of each element: kept until the end, then summed exactly and rounded once."""
    kept = [terms.arrays[c].astype(np.float64) for c in order]
    columns = np.array(kept).reshape(len(kept), -1).T.tolist()
    sums = np.array([exactly(column) for column in columns])
    return sums.astype(terms.arrays[0].dtype).reshape(terms.arrays[0].shape)


def fixed_point(terms: Contributions, order: Sequence[int]) -> Array:
    """Rounded to a multiple of 2^-40 each, and added as 64-bit integers."""
    total = np.zeros(terms.arrays[0].shape, np.int64)
    for c in order:
        total += np.rint(np.ldexp(terms.arrays[c].astype(np.float64), FIXED)).astype(np.int64)
    return np.ldexp(total.astype(np.float64), -FIXED).astype(terms.arrays[0].dtype)


POLICIES = (
    Policy("arrival", "engine, locked: as they come", False, True, through("locked")),
    Policy("ordered", "engine: in the order of tickets", True, True, through("ordered")),
    Policy("reproducible", "engine: exact, rounded when read", True, True, through("reproducible")),
    Policy("tree", "kept, then added as a fixed binary tree", True, False, tree),
    Policy("two-sum", "as they come, rounding errors summed apart", False, False, two_sum),
    Policy("fsum", "kept, then math.fsum of each element", True, False, fsum),
    Policy("fixed-point", "as 64-bit integers, 40 bits behind the point", True, False, fixed_point),
)
