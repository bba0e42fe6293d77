"""Search the schedules of one configuration, by several child processes, within a budget."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any

from stress.core.child import Child
from stress.core.outcome import Expect
from stress.core.source import SHIPPED
from stress.explore.work import Batch, Example, Tally, Target, run_batch

__all__ = ["Search", "Settings", "work_through"]

BATCH = 64  # schedules that are handed to a process at once, at most
PIECE = 2.0  # seconds after which a process comes back, to be told what to do next
LIMIT = 60.0  # seconds without a schedule that are a hang of the process
NOTICE = 0.1  # seconds between two looks at the progress


@dataclass(frozen=True, slots=True)
class Settings:
    """How to search. Immutable.

    ``bound``: preemptions, at most; None: as the scenario says. ``schedules``: so many at most;
    None: as many as there are.
    """

    strategy: str = "dfs"
    bound: int | None = None
    depth: int | None = None
    seed: int = 0
    schedules: int | None = None


class Search:
    """What is left to run, and what came of the rest. Internally synchronised.

    The beginnings of schedules wait in ``levels``, by the preemptions that they cost, and all of
    one level are run before the next begins: so a schedule of few preemptions is found first.
    Where a schedule differs from itself all begins anew, once, with ``fresh`` threads for each: it
    may have left something in them. Everything is guarded by ``changed``.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target, self.settings = target, settings
        self.changed = threading.Condition()
        self.bound = target.find().bound if settings.bound is None else settings.bound
        self._begin(fresh=False)
        self.flying: list[Batch] = []
        self.ends = float("inf")
        self.stopped = False
        self.interrupted = False  # by Ctrl-C, for good; written by the thread that got it
        self.seconds = 0.0
        self.error: Exception | None = None

    def _begin(self, *, fresh: bool) -> None:
        self.fresh = fresh
        self.tally = Tally()
        self.levels: list[deque[bytes]] = [deque() for _ in range(self.bound + 1)]
        self.levels[0].append(b"")
        self.number = 0  # of the next schedule, where they are numbered

    # What is left.

    def take(self) -> Batch | None:
        """The next batch; None: there is none any more. Waits for what may bring forth another."""
        with self.changed:
            while not self._over():
                batch = self._next()
                if batch is not None:
                    self.flying.append(batch)
                    return batch
                if not self.flying:
                    return None
                self.changed.wait(NOTICE)
            return None

    def _over(self) -> bool:
        tally = self.tally
        ended = self.stopped or self.error is not None or monotonic() > self.ends
        odd = bool(tally.unsteady or tally.skipped)
        return ended or tally.failed or odd or self._room() <= 0

    def _room(self) -> int:
        """How many schedules may still be begun."""
        most = self.settings.schedules
        if most is None:
            return BATCH
        flying = sum(len(batch.items) for batch in self._counted())
        return most - self.tally.schedules - flying

    def _counted(self) -> list[Batch]:
        """What is running, but for what was begun before all began anew."""
        return [batch for batch in self.flying if batch.fresh == self.fresh]

    def _next(self) -> Batch | None:
        most = min(BATCH, self._room())
        if self.settings.strategy != "dfs":
            first, self.number = self.number, self.number + most
            return self._batch(numbers=tuple(range(first, first + most)))
        cost = next((cost for cost, level in enumerate(self.levels) if level), None)
        if cost is None or any(batch.level < cost for batch in self._counted()):
            return None  # those that are running may find one that is cheaper
        level = self.levels[cost]
        share = min(most, -(-len(level) // 2))  # another process wants some, too
        return self._batch(cost, tuple(level.popleft() for _ in range(share)))

    def _batch(
        self, level: int = 0, begun: tuple[bytes, ...] = (), numbers: tuple[int, ...] = ()
    ) -> Batch:
        settings, seconds = self.settings, max(0.0, min(PIECE, self.ends - monotonic()))
        return Batch(
            self.target, settings.strategy, level, self.bound, settings.depth, settings.seed,
            begun, numbers, seconds, self.fresh,
        )  # fmt: skip

    # What came of the rest.

    def add(self, batch: Batch, found: Tally) -> None:
        """Count what a batch came to, and put in line what it left and found."""
        with self.changed:
            self.flying.remove(batch)
            if found.unsteady and not self.fresh:
                self._begin(fresh=True)
            elif batch.fresh == self.fresh:
                merge(self.tally, found)
                self._put_back(batch, found.left)
                for cost, beginning in found.todo:
                    self.levels[cost].append(beginning)
            self.changed.notify_all()

    def give_up(self, batch: Batch, error: Exception) -> None:
        """A batch failed as a whole: its process hung, died, or raised."""
        with self.changed:
            self.flying.remove(batch)
            if batch.fresh == self.fresh:
                self._put_back(batch, batch.items)
            self.error = self.error or error
            self.changed.notify_all()

    def _put_back(self, batch: Batch, left: Sequence[bytes | int]) -> None:
        for item in left[::-1]:
            if isinstance(item, bytes):
                self.levels[batch.level].appendleft(item)
            else:
                self.number = min(self.number, item)

    @property
    def exhausted(self) -> bool:
        """Whether every schedule within the bound has been run."""
        with self.changed:
            return self.settings.strategy == "dfs" and not self._counted() and not any(self.levels)

    @property
    def done(self) -> int:
        """Preemptions up to which every schedule has been run; -1: not even those without any."""
        with self.changed:
            waiting = [cost for cost, level in enumerate(self.levels) if level]
            waiting += [batch.level for batch in self._counted()]
        return min(waiting, default=self.bound + 1) - 1

    def spares(self, other: Search) -> bool:
        """Whether ``other`` differs in a smaller size alone, and no schedule of this knows that.

        Where nothing is added in place, no point and no decision of the scenarios that ship depends
        on the size (a test looks); of others nobody knows. So far: it is sure when this is
        exhausted.
        """
        mine, its = self.target, other.target
        size = its.params.size
        return (
            mine.source == its.source == SHIPPED
            and mine.params.size > size
            and mine.scenario == its.scenario
            and replace(mine.params, size=size) == its.params
            and not self.tally.in_place
            and (self.exhausted or not self.decided)
            and declared(mine) == declared(its)
        )

    @property
    def limited(self) -> bool:
        """Whether as many schedules were run as may be."""
        most = self.settings.schedules
        return most is not None and self.tally.schedules >= most

    @property
    def finished(self) -> bool:
        """Whether all is run that a PASS needs: every schedule, or as many as dice were asked for.

        A ``dfs`` that was cut short has proved nothing about the rest.
        """
        return self.exhausted if self.settings.strategy == "dfs" else self.limited

    @property
    def decided(self) -> bool:
        """Whether more time would change nothing."""
        tally = self.tally
        odd = bool(tally.unsteady or tally.skipped)
        ended = self.error is not None or tally.failed or odd
        return ended or self.exhausted or self.limited

    @property
    def left(self) -> int:
        """Beginnings that are known and have not been run."""
        return sum(map(len, self.levels))

    def state(self) -> dict[str, Any]:
        """All of it, for a file; what is running counts as not begun."""
        with self.changed:
            levels = [[item.hex() for item in level] for level in self.levels]
            for batch in self._counted():
                levels[batch.level] += [item.hex() for item in batch.beginnings]
            number = min([self.number, *(n for batch in self._counted() for n in batch.numbers)])
            tally = self.tally
            examples = {
                key: {**asdict(example), "decisions": example.decisions.hex()}
                for key, example in tally.examples.items()
            }
            return {
                "levels": levels, "number": number, "schedules": tally.schedules,
                "seconds": self.seconds, "racing": tally.racing, "outcomes": dict(tally.outcomes),
                "examples": examples, "unsteady": tally.unsteady, "in_place": tally.in_place,
                "fresh": self.fresh,
            }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where ``state`` stood."""
        self.levels = [deque(map(bytes.fromhex, level)) for level in state["levels"]]
        self.number, self.seconds = state["number"], state["seconds"]
        self.fresh = state["fresh"]
        examples = {
            key: Example(**{**example, "decisions": bytes.fromhex(example["decisions"])})
            for key, example in state["examples"].items()
        }
        self.tally = Tally(
            state["schedules"], state["racing"], Counter(state["outcomes"]), examples,
            state["unsteady"], in_place=state["in_place"],
        )  # fmt: skip


def declared(target: Target) -> list[tuple[str, Expect]]:
    """The outcomes of a configuration, and their classes."""
    outcomes = target.find().declared(target.params)
    return [(outcome.key, outcome.expect) for outcome in outcomes]


def merge(into: Tally, found: Tally) -> None:
    """Add what a batch came to."""
    for key, example in found.examples.items():
        into.examples.setdefault(key, replace(example, number=into.schedules + example.number))
    into.schedules += found.schedules
    into.racing += found.racing
    into.outcomes.update(found.outcomes)
    into.unsteady = into.unsteady or found.unsteady
    into.skipped = into.skipped or found.skipped
    into.in_place = into.in_place or found.in_place


def work_through(
    search: Search, children: Sequence[Child], seconds: float, look: Callable[[Search], None]
) -> None:
    """Run ``search`` in all of ``children``, for at most ``seconds``; ``look`` now and then.

    Nothing is lost when this is interrupted: what was running is run again by who goes on.
    """
    began = monotonic()
    search.ends, search.stopped = began + seconds, False
    threads = [
        threading.Thread(target=serve, args=(search, child), name="explore", daemon=True)
        for child in children
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(NOTICE)
                look(search)
    finally:
        search.stopped = True
        with search.changed:  # for Python 3.11 a thread has ended once Ctrl-C interrupts its join
            search.changed.wait_for(lambda: not search.flying)
        for thread in threads:
            thread.join()
        search.seconds += monotonic() - began


def serve(search: Search, child: Child) -> None:
    """Run batch after batch in ``child``."""
    while (batch := search.take()) is not None:
        try:
            found = child.call(run_batch, batch, LIMIT)
        except Exception as error:  # Hang, Crash, Failure: belongs to the result
            search.give_up(batch, error)
        else:
            search.add(batch, found)
