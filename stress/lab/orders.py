"""All orders of a few contributions, or a sample: how many sums are there, and how wrong are they?

A sum of three floating point numbers has three values, of four twelve: the first two may be
swapped, everything else counts. The orders are forced, one after the other, in one thread; what
threads do to a sum beside reordering it is not in here.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from statistics import median
from time import process_time

import numpy as np

from stress.lab.bits import exact_sum, relative, ulps
from stress.lab.policies import POLICIES, Contributions, Policy
from stress.report.terminal import Table

__all__ = ["Orders", "Row", "contributions", "measure", "orders_of", "orders_table"]

Order = tuple[int, ...]
BLOCK = 0.01  # seconds of a block of calls that is timed
BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Orders:
    """What to add up, in which orders. Immutable."""

    counts: tuple[int, ...] = (2, 3, 4, 8)
    dtypes: tuple[str, ...] = ("float32", "float64")
    elements: int = 1000
    samples: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one policy. Immutable.

    ``patterns``: distinct results. ``ulp`` and ``relative``: the largest error of any element in
    any order. ``micros``: of CPU for each contribution, the median; ``times`` has all blocks.
    ``held``: bytes beside the sum for each contribution, when they come in the worst order.
    ``which[k]``: the number of the pattern that order *k* came to; ``errors[j]``: ULP of pattern
    *j*.
    """

    policy: str
    promised: bool
    ours: bool
    dtype: str
    count: int
    orders: int
    every: bool
    patterns: int
    ulp: float
    relative: float
    micros: float
    held: float
    times: tuple[float, ...]
    which: tuple[int, ...]
    errors: tuple[float, ...]

    @property
    def broken(self) -> bool:
        """Whether it promised one pattern and has more."""
        return self.promised and self.patterns > 1


def contributions(what: Orders, dtype: str, count: int) -> Contributions:
    """Normal numbers of either sign: sums that cancel are among them."""
    random = np.random.default_rng((what.seed, count))
    return Contributions.of(list(random.normal(size=(count, what.elements)).astype(dtype)))


def orders_of(what: Orders, count: int) -> tuple[list[Order], bool]:
    """Every order, if there are no more than samples; else so many random ones. And which it is."""
    if factorial(count) <= what.samples:
        return list(permutations(range(count))), True
    random = np.random.default_rng((what.seed, count, 1))
    return [tuple(random.permutation(count).tolist()) for _ in range(what.samples)], False


def measure(
    what: Orders,
    policies: Sequence[Policy] = POLICIES,
    notice: Callable[[str], None] = lambda note: None,
) -> Iterator[Row]:
    """A row for each dtype, number of contributions, and policy."""
    for dtype in what.dtypes:
        for count in what.counts:
            orders, every = orders_of(what, count)
            terms = contributions(what, dtype, count)
            exact = exact_sum(terms.arrays)
            for policy in policies:
                notice(f"{policy.name}, {count} contributions, {dtype}")
                yield row(policy, terms, orders, every, exact)


def row(
    policy: Policy, terms: Contributions, orders: Sequence[Order], every: bool, exact: np.ndarray
) -> Row:
    """Add in every order, and look at each result that has not been there yet."""
    seen: dict[bytes, int] = {}
    which: list[int] = []
    errors: list[float] = []
    relatives: list[float] = []
    for order in orders:
        total = policy.add(terms, order)
        pattern = seen.setdefault(total.tobytes(), len(seen))
        which.append(pattern)
        if pattern == len(errors):
            errors.append(ulps(total, exact))
            relatives.append(relative(total, exact))
    times = timed(policy, terms)
    return Row(
        policy.name, policy.promised, policy.ours, str(terms.arrays[0].dtype), len(terms.arrays),
        len(orders), every, len(seen), max(errors), max(relatives), 1e6 * median(times),
        held(policy, terms), times, tuple(which), tuple(errors),
    )  # fmt: skip


def timed(policy: Policy, terms: Contributions) -> tuple[float, ...]:
    """Seconds of CPU for each contribution, of a few blocks of calls."""
    count = len(terms.arrays)
    order = range(count)
    calls = 1
    while (took := block(policy, terms, order, calls)) < BLOCK / 2:
        calls *= 2
    calls = max(1, round(calls * BLOCK / max(took, 1e-9)))
    return tuple(block(policy, terms, order, calls) / calls / count for _ in range(BLOCKS))


def block(policy: Policy, terms: Contributions, order: Sequence[int], calls: int) -> float:
    """Seconds of CPU that so many calls take."""
    begun = process_time()
    for _ in range(calls):
        policy.add(terms, order)
    return process_time() - begun


def held(policy: Policy, terms: Contributions) -> float:
    """The most bytes for each contribution beside the sum itself: forwards and backwards."""
    count = len(terms.arrays)
    most = max(peak(policy, terms, order) for order in (range(count), range(count)[::-1]))
    return max(0.0, most - terms.arrays[0].nbytes) / count


def peak(policy: Policy, terms: Contributions, order: Sequence[int]) -> int:
    """Bytes that are in use at most while contributions are added."""
    policy.add(terms, order)  # what is made once, such as buffers of a thread, does not count
    tracemalloc.start()
    try:
        policy.add(terms, order)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def orders_table(rows: Sequence[Row]) -> Table:
    """The figures, a line for each."""
    columns = (
        "dtype", "n", "policy", "orders", "patterns", "promise", "max ULP", "max relative",
        "µs each", "bytes held each",
    )  # fmt: skip
    lines = [
        (
            row.dtype, str(row.count), row.policy, f"{row.orders:,}{'' if row.every else ' of n!'}",
            f"{row.patterns:,}", promise(row), f"{row.ulp:.3g}", f"{row.relative:.1e}",
            f"{row.micros:.1f}", f"{row.held:,.0f}",
        )
        for row in rows
    ]  # fmt: skip
    title = "Sums of n contributions over their orders of arrival"
    return Table(title, columns, lines, frozenset({"dtype", "policy", "promise"}))


def promise(row: Row) -> str:
    """Whether what was promised was kept."""
    if not row.promised:
        return "none"
    return "BROKEN" if row.broken else "kept"
