"""The coding oracle: the final array names the contributions that were lost, doubled or torn.

Contribution *c* adds ``4**c`` to every element, to both parts of a complex one. Digit *c* of an
element, in base 4, is then how often *c* arrived there: 0 lost, 1 kept, 2 or 3 doubled; and no
digit carries into the next before a contribution arrived four times. A contribution that is missing
from some elements and present in others was torn. Exact: a full set stays below the largest integer
that the dtype counts to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Coding", "Decoded"]

Array = npt.NDArray[Any]

CAPACITY = {  # digits of base 4 held exactly
    "float16": 5, "float32": 12, "float64": 26, "int32": 15, "int64": 31,
    "complex64": 12, "complex128": 26,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of the contributions 0 … n-1. Immutable.

    ``lost``: in no element. ``torn``: in some elements only. ``doubled``: more than once in some.
    ``strange``: elements that no set of contributions explains. ``missing``: element-updates lost.
    """

    count: int
    lost: tuple[int, ...] = ()
    torn: tuple[int, ...] = ()
    doubled: tuple[int, ...] = ()
    strange: int = 0
    missing: int = 0

    @property
    def outcomes(self) -> dict[str, int]:
        """Contributions by fate; a contribution both torn and doubled counts as doubled."""
        torn = set(self.torn) - set(self.doubled)
        fates = {"lost": len(self.lost), "torn": len(torn), "doubled": len(self.doubled)}
        fates["kept"] = self.count - sum(fates.values())
        fates["strange"] = self.strange
        return {fate: times for fate, times in fates.items() if times}

    def describe(self, name: Any = "#{}".format) -> str:
        """The contributions that were lost, torn or doubled, by ``name(index)``; "" if none."""
        fates = {"lost": self.lost, "torn": self.torn, "doubled": self.doubled}
        parts = [f"{fate}: {', '.join(map(name, found))}" for fate, found in fates.items() if found]
        if self.strange:
            parts.append(f"{self.strange} elements hold what nobody sent")
        return "; ".join(parts)


class Coding:
    """A code for up to ``capacity`` contributions to arrays of one dtype. Immutable.

    >>> code = Coding("float64")
    >>> total = np.full(4, code.value(0) + code.value(1) + code.value(2))
    >>> total[1:] -= code.value(0)  # element 0 alone got it: torn
    >>> total -= code.value(1)  # nobody got it: lost
    >>> total += code.value(2)  # everybody got it twice: doubled
    >>> decoded = code.decode(total, 3)
    >>> decoded.describe(), decoded.missing
    ('lost: #1; torn: #0; doubled: #2', 7)
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.capacity = CAPACITY[self.dtype.name]

    def value(self, index: int) -> Any:
        """What contribution ``index`` adds to every element: a scalar of the dtype."""
        return self.dtype.type(4**index * (1 + 1j if self.dtype.kind == "c" else 1))

    def decode(self, total: Array, count: int) -> Decoded:
        """What became of contributions 0 … ``count``-1 that were added to ``total``."""
        flat = parts(total)
        full = (4**count - 1) // 3  # every digit 1
        wrong = flat[flat != full]
        if not wrong.size:
            return Decoded(count)
        sane = (wrong >= 0) & (wrong < 4**count) & (wrong == np.floor(wrong))
        codes, times = np.unique(wrong[sane].astype(np.int64), return_counts=True)
        digits = codes[:, None] >> (2 * np.arange(count)) & 3
        return classify(digits, times, int(flat.size), int(np.count_nonzero(~sane)))


def parts(total: Array) -> Array:
    """Its elements in a row; of complex ones both parts, each of which may be lost by itself."""
    flat = np.ascontiguousarray(total).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def classify(digits: Array, times: Array, size: int, strange: int) -> Decoded:
    """Sort contributions by fate; ``times[i]`` elements hold the ``digits[i]``, the rest all ones.

    Elements that nothing explains are left out: they speak for no contribution.
    """
    absent = (times[:, None] * (digits == 0)).sum(axis=0)
    twice = (times[:, None] * (digits > 1)).sum(axis=0)
    everywhere = size - strange
    return Decoded(
        digits.shape[1],
        lost=indices((absent == everywhere) & (everywhere > 0)),
        torn=indices((absent > 0) & (absent < everywhere)),
        doubled=indices(twice > 0),
        strange=strange,
        missing=int(absent.sum()),
    )


def indices(mask: Array) -> tuple[int, ...]:
    """Where ``mask`` is true, as plain integers."""
    return tuple(int(index) for index in np.flatnonzero(mask))
