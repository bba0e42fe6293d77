"""What racy loses, against contention: size of a leaf, number of leaves, rows touched, threads.

Threads add ones, so every element says how many additions it has seen. Losses are counted, not
estimated; their rate is an upper end, because these threads do nothing but add.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

import engine
from engine.nn import functional
from stress.core.rendezvous import rendezvous
from stress.core.stats import Rate
from stress.core.tactics import switching
from stress.lab.bits import Array
from stress.lab.notice import Notice, part, unheard
from stress.lab.training import INTERVAL, gradient
from stress.report.tables import percent
from stress.report.terminal import Table

__all__ = ["Contention", "Lost", "contentions", "loss_table", "losses"]

WIDE = 10  # elements of a row


@dataclass(frozen=True, slots=True)
class Contention:
    """How threads meet. Immutable.

    ``size``: elements of a leaf. ``share``: of its rows that a contribution touches; 1 is a dense
    one. A thread goes round the leaves, and makes ``each`` contributions a trial.
    """

    sweep: str = "size"
    mode: str = "racy"
    threads: int = 2
    size: int = 10_000
    leaves: int = 1
    share: float = 1.0
    each: int = 40


@dataclass(frozen=True, slots=True)
class Lost:
    """What was lost. Immutable. ``trials``: (lost, offered) element-updates of each trial."""

    contention: Contention
    rate: float
    low: float
    high: float
    trials: tuple[tuple[int, int], ...]


def contentions(mode: str, threads: Sequence[int]) -> list[Contention]:
    """One thing at a time."""
    plain = Contention(mode=mode)
    return [
        *(replace(plain, size=size) for size in (500, 510, 1_000, 10_000, 100_000)),
        *(replace(plain, sweep="leaves", leaves=leaves) for leaves in (1, 2, 4, 8)),
        *(replace(plain, sweep="share of rows", share=share) for share in (0.01, 0.1, 0.5)),
        *(replace(plain, sweep="threads", threads=count) for count in threads),
    ]


def losses(
    contentions: Sequence[Contention], seconds: float, notice: Notice = unheard
) -> Iterator[Lost]:
    """Trials for so many seconds each."""
    for index, contention in enumerate(contentions):
        yield measured(contention, seconds, part(notice, index, len(contentions)))


def measured(contention: Contention, seconds: float, notice: Notice = unheard) -> Lost:
    """Trials of one contention; at least one. Each is told."""
    rate = Rate()
    trials: list[tuple[int, int]] = []
    begun = monotonic()
    with switching(INTERVAL):
        while not trials or monotonic() < begun + seconds:
            share = min(1.0, (monotonic() - begun) / seconds)
            notice(share, f"{contention.sweep}, {contention.mode}, trial {len(trials) + 1}")
            lost, offered = trial(contention, len(trials))
            rate.add(lost, offered, contention.threads * contention.each)
            trials.append((lost, offered))
    interval = rate.interval
    return Lost(contention, rate.value, interval.low, interval.high, tuple(trials))


def trial(contention: Contention, seed: int) -> tuple[int, int]:
    """(lost, offered) element-updates."""
    rows = max(1, contention.size // WIDE)
    leaves = [
        engine.zeros(rows, WIDE, dtype="float64", requires_grad=True)
        for _ in range(contention.leaves)
    ]
    for leaf in leaves:
        leaf.grad = engine.zeros_like(leaf)  # racy makes the first one under a lock
    touched = [rows_of(contention, rows, seed, index) for index in range(contention.threads)]
    start = rendezvous(contention.threads)

    def add(index: int) -> None:
        start.wait(index)
        for turn in range(contention.each):
            contribute(contention, leaves[turn % len(leaves)], touched[index])

    threads = [threading.Thread(target=add, args=(index,)) for index in range(contention.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    offered = contention.each * WIDE * sum(map(len, touched))
    found = sum(int(gradient(leaf).sum()) for leaf in leaves)
    return offered - found, offered


def rows_of(contention: Contention, rows: int, seed: int, index: int) -> Array:
    """The rows that a thread touches: all, or a share of its own, none twice."""
    if contention.share == 1:
        return np.arange(rows)
    random = np.random.default_rng((seed, index))
    return random.choice(rows, max(1, round(contention.share * rows)), replace=False)


def contribute(contention: Contention, leaf: engine.Tensor, rows: Array) -> None:
    """Add one to each of the rows."""
    if contention.share == 1:
        ones = engine.ones_like(leaf)
        engine.backward(leaf, ones, accumulation=contention.mode)
        return
    taken = functional.embedding(engine.from_numpy(rows), leaf, sparse=True)
    taken.backward(engine.ones_like(taken), accumulation=contention.mode)


def loss_table(found: Sequence[Lost]) -> Table:
    """A row for each contention."""
    rows = [
        (
            lost.contention.sweep, f"{lost.contention.size:,}", str(lost.contention.leaves),
            f"{lost.contention.share:g}", str(lost.contention.threads), f"{len(lost.trials):,}",
            f"{percent(lost.rate)} %" if lost.rate else "0",
            f"{percent(lost.low)} to {percent(lost.high)} %",
        )
        for lost in found
    ]  # fmt: skip
    columns = ("sweep", "elements", "leaves", "rows", "threads", "trials", "lost", "95 %")
    title = f"Element-updates that {found[0].contention.mode} loses"
    return Table(title, columns, rows, frozenset({"sweep"}))
