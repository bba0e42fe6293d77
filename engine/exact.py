"""Sums that do not depend on the order of their terms: exact, and rounded when they are read.

Each element is a number on a fixed grid: a few float64 *limbs*, of which limb ``j`` holds a
multiple of ``2**(48 * j)``. A term is cut along the grid, and each part is added to its limb
without an error: 53 bits hold the sum of 32 parts of 48. What is exact has no order. Limbs are made
when a term first reaches them: float32 gradients between 1 and 6e-8 need one, most others two.

The cut is Rump's, Ogita's and Oishi's (2008), the fixed grid that of the indexed sums of Demmel and
Nguyen (2013); they keep the highest few limbs, this keeps all. No threads here: each sum belongs
to its caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from .sparse import RowSparse
from .values import Shape, Value

WIDTH = 48  # bits of a limb
TERMS = 24  # terms until limbs are carried: 2**53 / 2**48 is 32
FEW = 8  # when fewer than one in so many has bits left, these are picked out
CHUNK = 131_072  # elements that are worked on at a time: temporaries of 1 MB
BOTTOM = -23  # the limb of the smallest number, 2**-1074
TOP = 21  # the limb of what is too large for the cut: kept and cut divided by LARGE
LARGE = 2.0**100

Place = Any  # a slice, or the numbers of elements or rows


def _unit(j: int) -> float:
    return math.ldexp(1.0, max(WIDTH * j, -1074))


def _cut(x: np.ndarray, j: int, part: np.ndarray) -> None:
    """Into ``part``: ``x`` rounded to a multiple of limb ``j``'s unit (of ``TOP``: divided)."""
    if j == TOP:
        x = x / LARGE
    # Adding this leaves no bit below the unit; ties go by a bit of x alone.
    anchor = 1.5 * 2.0**52 * (_unit(j) if j < TOP else math.ldexp(1.0, WIDTH * TOP - 100))
    np.add(x, anchor, out=part)
    np.subtract(part, anchor, out=part)


class Limbs:
    """Sums of as many terms as there come, for each element of an array. Externally synchronised.

    The array is flat, or has one row for each of the rows that are not zero.

    >>> sums = Limbs((1,))
    >>> for term in (1e300, 1.0, -1e300):
    ...     sums.add(np.array([term]))
    >>> sums.rounded(np.dtype("f8"))
    array([1.])
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._limbs: dict[int, np.ndarray] = {}
        self._odd: np.ndarray | None = None  # sums of infinities and NaN
        self._terms = 0  # since limbs were carried

    def _limb(self, j: int) -> np.ndarray:
        limb = self._limbs.get(j)
        if limb is None:
            limb = self._limbs[j] = np.zeros(self.shape)
        return limb

    def add(self, terms: np.ndarray, places: np.ndarray | None = None) -> None:
        """Add a term to each element; or to those, or the rows, at ``places``, none twice."""
        self._terms += 1
        if self._terms > TERMS:
            self._carry(grow=True)
            self._terms = 1
        if places is not None:
            self._add(terms, places)
            return
        for place in _chunks(len(terms)):
            self._add(terms[place], place)

    def _add(self, terms: np.ndarray, place: Place) -> None:
        if not terms.size:
            return
        highest = _highest(terms)
        x = terms.astype(np.float64)
        if not math.isfinite(highest):
            x, highest = self._add_odd(x, place)
        highest_limb = -(-math.frexp(highest)[1] // WIDTH) - 1
        part = np.empty_like(x)
        for j in range(highest_limb, BOTTOM - 1, -1):
            _cut(x, j, part)
            self._limb(j)[place] += part
            if j == TOP:  # where the largest is cut to may be no float64 any more
                x = np.where(part == 0, x, (x / LARGE - part) * LARGE)
                part[...] = 0
            left = np.count_nonzero(more := x != part)
            if not left:
                return
            if left * FEW < x.size and x.ndim == 1:  # a few small numbers: no limb for all the rest
                at = np.flatnonzero(more)
                x, part = x[at] - part[at], part[:left]
                place = at + place.start if isinstance(place, slice) else place[at]
            else:
                x -= part

    def _add_odd(self, x: np.ndarray, place: Place) -> tuple[np.ndarray, float]:
        """Add what is not finite; the rest, and the largest of it."""
        if self._odd is None:
            self._odd = np.zeros(self.shape)
        finite = np.isfinite(x)
        self._odd[place] += np.where(finite, 0.0, x)
        x = np.where(finite, x, 0.0)
        return x, float(np.abs(x).max())

    def _carry(self, grow: bool) -> None:
        """Bring every limb, but for the highest, down to at most half of the next one's unit.

        ``grow``: that one too. Changes no sum.
        """
        for j in sorted(self._limbs):
            if j < TOP and (grow or j + 1 in self._limbs):
                limb = self._limbs[j]
                if _highest(limb) > _unit(j + 1) / 2:
                    part = np.empty_like(limb)
                    _cut(limb, j + 1, part)
                    self._limb(j + 1)[...] += part
                    limb -= part if j + 1 < TOP else part * LARGE

    def moved(self, places: np.ndarray, shape: tuple[int, ...]) -> Limbs:
        """The same sums as rows ``places`` of a larger array of zeros."""
        larger = Limbs(shape)
        larger._terms = self._terms
        for j, limb in self._limbs.items():
            larger._limb(j)[places] = limb
        if self._odd is not None:
            larger._odd = np.zeros(shape)
            larger._odd[places] = self._odd
        return larger

    def flat(self) -> Limbs:
        """The same, without rows."""
        self.shape = (math.prod(self.shape),)
        self._limbs = {j: limb.reshape(-1) for j, limb in self._limbs.items()}
        self._odd = None if self._odd is None else self._odd.reshape(-1)
        return self

    def rounded(self, dtype: np.dtype[Any]) -> np.ndarray:
        """The sums, each the number of ``dtype`` that is nearest to it; ties to even."""
        self._carry(grow=False)
        out = np.zeros(self.shape, dtype)
        limbs = [self._limbs[j].reshape(-1) for j in sorted(self._limbs) if j < TOP]
        nearest = _nearest_double if dtype == np.float64 else _nearest_narrow
        flat = out.reshape(-1)
        for place in _chunks(out.size) if limbs else ():
            for at in nearest([limb[place] for limb in limbs], flat[place]):
                flat[place.start + at] = self._one(place.start + int(at), dtype)
        if TOP in self._limbs:
            for at in np.flatnonzero(self._limbs[TOP]):
                flat[at] = self._one(int(at), dtype)
        if self._odd is not None:
            odd = self._odd.reshape(-1)
            np.copyto(flat, odd.astype(dtype), where=odd != 0)
            flat[np.isnan(odd)] = np.nan  # one NaN, whatever bits came
        return out

    def _one(self, at: int, dtype: np.dtype[Any]) -> Any:
        """One sum by rational arithmetic: for the few that lie next to a tie."""
        exact = sum(
            Fraction(float(limb.reshape(-1)[at])) * (int(LARGE) if j == TOP else 1)
            for j, limb in self._limbs.items()
        )
        try:
            near = float(exact)
        except OverflowError:
            return math.inf if exact > 0 else -math.inf
        if dtype == np.float64:
            return near
        return _to_odd(np.array([near]), np.array([float(exact - Fraction(near))]))[0].astype(dtype)


def _highest(x: np.ndarray) -> float:
    """The largest magnitude; NaN if there is one."""
    return max(float(x.max()), -float(x.min())) if x.size else 0.0


def _chunks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def _nearest_narrow(limbs: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    """Round carried limbs, lowest first, to few bits; where that may be the wrong neighbour."""
    total = limbs[0]
    for limb in limbs[1:]:
        total = total + limb
    np.copyto(out, total, casting="same_kind")
    # The error of these additions is below 2**-51 of the total; there is none where all but the
    # highest limb are zero, which is where numbers are of one size.
    added = np.zeros(out.shape, bool)
    for limb in limbs[:-1]:
        added |= limb != 0
    at = np.flatnonzero(added)
    few = at.size * 2 < out.size
    total = total[at] if few else total
    low, high = (total * (1 + slack) for slack in (-(2.0**-50), 2.0**-50))
    close = np.flatnonzero(low.astype(out.dtype) != high.astype(out.dtype))
    close = at[close] if few else close
    if not close.size:
        return close
    total, rest, slip = _in_two([limb[close] for limb in limbs])  # they are close to a tie
    out[close] = _to_odd(total, rest)
    unsure: np.ndarray = close[(slip > 0) & (slip >= np.abs(rest))]
    return unsure


def _nearest_double(limbs: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    """The same in float64: with the errors of the additions, which are exact, added up too."""
    total, errors = limbs[0], np.zeros_like(limbs[0])
    for limb in limbs[1:]:
        total, error = _two_sum(limb, total)
        errors += error
    out[...], rest = _two_sum(total, errors)
    if len(limbs) < 3:
        return np.empty(0, np.intp)  # one error, to which nothing was added
    close = np.flatnonzero(_open(out, rest, np.abs(errors) * 2.0**-48))
    if close.size:
        total, rest, slip = _in_two([limb[close] for limb in limbs])
        out[close] = total
        slack = np.maximum(2 * slip, np.abs(rest) * 2.0**-48)  # what the addition would not lose
        close = close[(slip > 0) & _open(total, rest, slack)]
    return close


def _open(total: np.ndarray, rest: np.ndarray, slip: np.ndarray) -> np.ndarray:
    """Whether a ``rest`` that is off by ``slip`` may make another number of ``total``."""
    return np.asarray((total + (rest + slip) != total) | (total + (rest - slip) != total))


def _in_two(limbs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sum as a number, the rest of it, and by how much that may be off."""
    total, errors, slip = limbs[0], np.zeros_like(limbs[0]), np.zeros_like(limbs[0])
    for limb in limbs[1:]:
        total, error = _two_sum(limb, total)
        errors, lost = _two_sum(errors, error)
        slip += np.abs(lost)
    return (*_two_sum(total, errors), slip)


def _to_odd(total: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Of the two numbers around ``total + rest`` the odd one, if ``total`` is not all there is.

    Rounding that to fewer bits is rounding the whole once (Boldo and Melquiond, 2008).
    """
    even = (total.view(np.int64) & 1) == 0
    other = np.nextafter(total, np.copysign(np.inf, rest))
    return np.where(even & (rest != 0), other, total)


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``a + b``, and what its rounding has lost (Knuth)."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


class ExactSum:
    """The sum of gradients of one shape and dtype, in any order. Externally synchronised.

    ``value()`` is what it is rounded to: an ndarray, as long as there is one the same, or a
    ``RowSparse`` if every term was one. If that array is written to, the sum begins again with what
    stands there.

    >>> total = ExactSum(np.array([1.0], "f4"))
    >>> total.add(np.array([2.0**-24], "f4"))
    >>> total.add(np.array([2.0**-24], "f4"))
    >>> total.value() == np.float32(1 + 2.0**-23)  # one after the other, both would be lost
    array([ True])
    """

    __slots__ = ("_dtype", "_fresh", "_ids", "_limbs", "_read", "_shape", "_value", "_width")

    def __init__(self, first: Value) -> None:
        self._shape: Shape = first.shape
        self._dtype: np.dtype[Any] = first.dtype
        self._width: int = 2 if first.dtype.kind == "c" else 1  # numbers in an element
        self._value: Value = first
        self._fresh = False  # whether that is the sum
        self._read: np.ndarray | None = None  # its elements as they were when it was handed out
        self._begin(first)

    def _begin(self, first: np.ndarray | RowSparse) -> None:
        self._ids = np.empty(0, np.intp) if isinstance(first, RowSparse) else None
        self._limbs = Limbs((0, self._row())) if self._ids is not None else self._dense_limbs()
        self._deposit(first)

    def _row(self) -> int:
        return math.prod(self._shape[1:]) * self._width

    def _dense_limbs(self) -> Limbs:
        return Limbs((math.prod(self._shape) * self._width,))

    def add(self, g: np.ndarray | RowSparse) -> None:
        """Add a term, of the shape and dtype of the others."""
        if self._read is not None and not _same_bits(self._value, self._read):
            self._begin(self._value)
        self._fresh, self._read = False, None
        self._deposit(g)

    def _deposit(self, g: np.ndarray | RowSparse) -> None:
        with np.errstate(all="ignore"):
            if isinstance(g, RowSparse):
                self._deposit_rows(g.coalesce())
            else:
                if self._ids is not None:
                    self._spread()
                self._limbs.add(_numbers(np.asarray(g)).reshape(-1))

    def _deposit_rows(self, g: RowSparse) -> None:
        rows = _numbers(g.rows).reshape(len(g.ids), self._row())
        if self._ids is None:
            width = self._row()
            at = g.ids[:, None] * width + np.arange(width)
            self._limbs.add(rows.reshape(-1), at.reshape(-1))
            return
        ids = np.union1d(self._ids, g.ids)
        if len(ids) > len(self._ids):
            places = np.searchsorted(ids, self._ids)
            self._limbs = self._limbs.moved(places, (len(ids), self._row()))
            self._ids = ids
        self._limbs.add(rows, np.searchsorted(ids, g.ids))

    def _spread(self) -> None:
        """From rows to the whole array: a dense term has come."""
        assert self._ids is not None
        self._limbs = self._limbs.moved(self._ids, (self._shape[0], self._row())).flat()
        self._ids = None
        self._value = np.zeros(self._shape, self._dtype)

    def value(self) -> Value:
        """The sum so far, rounded."""
        if not self._fresh:
            with np.errstate(all="ignore"):
                numbers = self._limbs.rounded(np.empty(0, self._dtype).real.dtype)
            elements = numbers.view(self._dtype)
            if self._ids is not None:
                rows = elements.reshape(len(self._ids), *self._shape[1:])
                self._value = RowSparse(self._ids, rows, self._shape)
            else:
                self._value[...] = elements.reshape(self._shape)
                self._read = elements
            self._fresh = True
        return self._value


def _numbers(elements: np.ndarray) -> np.ndarray:
    """Contiguous, and real: two numbers an element where they are complex."""
    elements = np.ascontiguousarray(elements)
    return elements.view(elements.real.dtype) if elements.dtype.kind == "c" else elements


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    numbers = [_numbers(array).reshape(-1) for array in (a, b)]
    first, second = [n.view(f"u{n.itemsize}") for n in numbers]
    return np.array_equal(first, second)
