"""The count oracle: every contribution is an array of ones, so the sum counts what arrived.

Exact while counts are exactly representable: below 2**24 for float32, 2**53 for float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Counted", "count"]


@dataclass(frozen=True, slots=True)
class Counted:
    """What the sum says. Immutable.

    ``lost``: element-updates that are missing. ``worst``: contributions missing from one element,
    at most: so many at least were hit. ``most``: contributions too many in one element, at most.
    ``strange``: elements that are no whole number, which no set of contributions explains; they
    count for nothing else.
    """

    lost: int
    worst: int
    most: int
    strange: int = 0


def count(total: npt.NDArray[Any], offered: int) -> Counted:
    """Compare ``total`` with ``offered`` contributions of ones to every element.

    >>> count(np.array([4.0, 2.0, 5.0]), 4)
    Counted(lost=2, worst=2, most=1, strange=0)
    """
    whole = np.isfinite(total) & (total == np.floor(total))
    missing = offered - total[whole].astype(np.int64)
    worst, most = int(missing.max(initial=0)), int((-missing).max(initial=0))
    return Counted(int(missing.clip(min=0).sum()), worst, most, int(total.size - missing.size))
