"""What should be in each ``.grad``: every contribution has a value of its own.

Gradients are whole numbers below 2^17 in float64, the same in all elements, so that sums are exact
in any order and a missing contribution leaves its own value behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Entry", "audit"]


class Entry(NamedTuple):
    """One contribution of a backward that succeeded. Immutable."""

    leaf: int
    value: int
    what: str


def audit(leaf: int, entries: Sequence[Entry], found: Sequence[Any]) -> str:
    """What is wrong with a leaf, "" if nothing: ``found`` are the gradients taken from it, or left.

    >>> entries = [Entry(0, 5, "plain"), Entry(0, 70, "nested")]
    >>> audit(0, entries, [np.full(3, 70.0), np.full(3, 5.0)])
    ''
    >>> audit(0, entries, [np.full(3, 5.0)])
    'leaf 0: 2 contributions add up to 75, found 5; lost: nested of 70'
    >>> audit(0, entries, [np.array([75.0, 5.0])])
    'leaf 0: 2 contributions add up to 75, found 5 to 75: torn'
    """
    mine = [entry for entry in entries if entry.leaf == leaf]
    due = sum(entry.value for entry in mine)
    total = sum(found, np.zeros(1))
    low, high = int(total.min()), int(total.max())
    if low == high == due:
        return ""
    said = f"leaf {leaf}: {len(mine)} contributions add up to {due}, found {low}"
    if low != high:
        return f"{said} to {high}: torn"
    names = [entry.what for entry in mine if entry.value == abs(due - low)]
    fate = "lost" if low < due else "doubled"
    return said + (f"; {fate}: {' or '.join(names)} of {abs(due - low)}" if names else "")
