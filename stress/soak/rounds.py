"""A soak: rounds of faults, and after each a look at what is there and what should be."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

import numpy as np

import engine
from stress.core.result import Verdict
from stress.soak.ledger import Entry, audit
from stress.soak.memory import Slope, resident, slope
from stress.soak.work import ACTIONS, SIZES, Shared, Worker

__all__ = ["Settings", "Soaked", "soak"]

ROUND = 2.0  # seconds until the next look
PATIENCE = 30.0  # seconds for threads that are told to end
LEAK = 1.0  # MB a minute, and surely: a slope whose interval lies above is a leak
NEEDED = (
    *(act.__name__ for act in ACTIONS),
    "stopped by CancelledError",
    "stopped by DeadlineError",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a soak. Immutable."""

    seconds: float
    threads: int
    seed: int


@dataclass(slots=True)
class Soaked:
    """What came of it. Externally synchronised until it is through."""

    verdict: str = Verdict.ERROR.value
    reason: str = ""
    rounds: int = 0
    seconds: float = 0.0
    backwards: int = 0  # that succeeded, and were checked
    contributions: int = 0  # of theirs, to a leaf each
    nodes: int = 0  # watched until they were gone
    actions: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)  # (seconds, MB) at each look
    slope: Slope | None = None  # MB a minute


def soak(settings: Settings, report: Callable[[Any], None]) -> Soaked:
    """Soak this process; called in a child. ``report`` hears (share done, what is going on)."""
    outcome, begun = Soaked(), monotonic()
    actions: Counter[str] = Counter()
    engine.set_num_workers(0)
    threads = set(threading.enumerate())
    for number in count():
        left = begun + settings.seconds - monotonic()
        if left <= 0 or outcome.wrong:
            break
        shared = Shared()
        names = [f"seed {settings.seed} round {number} thread {i}" for i in range(settings.threads)]
        workers = [Worker(shared, name) for name in names]

        def tell() -> None:
            done = actions.total() + sum(worker.counts.total() for worker in workers)  # noqa: B023
            report(((monotonic() - begun) / settings.seconds, note(outcome, done)))

        work(workers, monotonic() + min(ROUND, left), tell)
        outcome.wrong += look(shared, workers, threads, outcome)
        for worker in workers:
            actions.update(worker.counts)
        outcome.rounds += 1
        outcome.memory.append((monotonic() - begun, resident()))
    outcome.actions = dict(sorted(actions.items()))
    outcome.backwards = actions["succeeded"]
    outcome.seconds = monotonic() - begun
    judge(outcome)
    return outcome


def note(outcome: Soaked, done: int) -> str:
    """What is going on, in a line."""
    held = f", {outcome.memory[-1][1]:.0f} MB" if outcome.memory else ""
    return f"round {outcome.rounds + 1}, {done:,} actions{held}"


def work(workers: list[Worker], until: float, tell: Callable[[], None]) -> None:
    """Let each work in a thread of its own until then. A hang is the caller's to notice."""
    threads = [
        threading.Thread(target=worker.run, args=(until,), name=f"soak-{index}")
        for index, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)
            tell()


def look(
    shared: Shared, workers: list[Worker], threads: set[threading.Thread], outcome: Soaked
) -> list[str]:
    """All that is wrong now that everybody rests."""
    engine.set_num_workers(0)
    wrong = [message for worker in workers for message in worker.wrong]
    pending = shared.tickets.pending()
    if pending.missing or pending.running or pending.waiting:
        wrong.append(f"tickets are left over: {pending}")
    entries = [entry for worker in workers for entry in worker.entries]
    outcome.contributions += len(entries)
    wrong += accounts(shared, workers, entries)
    return wrong + leftovers(workers, threads, outcome)


def accounts(shared: Shared, workers: list[Worker], entries: list[Entry]) -> list[str]:
    """The leaves that hold what they should not."""
    found: list[list[Any]] = [[] for _ in SIZES]
    for worker in workers:
        for index, array in worker.taken:
            found[index].append(array)
    for index, leaf in enumerate(shared.leaves):
        rest = leaf.take_grad()
        found[index].append(np.zeros(1) if rest is None else rest.numpy())
    audits = [audit(index, entries, found[index]) for index in range(len(SIZES))]
    return [message for message in audits if message]


def leftovers(workers: list[Worker], threads: set[threading.Thread], outcome: Soaked) -> list[str]:
    """Threads and graphs that should be gone."""
    wrong = []
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            wrong.append(f"a thread is left over: {thread.name}")
    gc.collect()
    nodes = [ref for worker in workers for ref in worker.nodes]
    alive = sum(ref() is not None for ref in nodes)
    outcome.nodes += len(nodes)
    return wrong + ([f"{alive} of {len(nodes)} graphs are left over"] if alive else [])


def judge(outcome: Soaked) -> None:
    """The verdict, and why it is not PASS."""
    outcome.slope = slope(outcome.memory)
    missing = [name for name in NEEDED if not outcome.actions.get(name)]
    verdict, reason = Verdict.PASS, ""
    if outcome.slope is not None and outcome.slope.low > LEAK:
        outcome.wrong.append(f"memory grows: {outcome.slope.describe()}")
    if outcome.wrong:
        verdict, reason = Verdict.FAIL, outcome.wrong[0]
    elif missing:
        verdict, reason = Verdict.INCONCLUSIVE, f"never seen: {', '.join(missing)}"
    outcome.verdict, outcome.reason = verdict.value, reason
