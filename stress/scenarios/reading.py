"""Who reads ``.grad`` while others accumulate: whole under the lock, and else perhaps in halves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stress.core.outcome import Outcome, acceptable, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario
from stress.scenarios.accumulate import RACES, Fixture, coded
from stress.scenarios.common import EXACT, at_typical, quick_in, scattered, times
from stress.scenarios.reset import State, accumulate, start

__all__ = ["READ"]

READINGS = 16


def readers(params: Params) -> int:
    """Those who accumulate, explored one, and one who reads."""
    return times(params, params.threads, 1) + 1


def start_read(fixture: Fixture) -> State:
    """A ``.grad`` that is there, and where it is small so slow to add to that readers meet that."""
    state = start(fixture)
    if fixture.params.size <= RACES:
        state.leaf.grad = scattered(fixture.params)
    return state


def add_or_read(state: State, index: int) -> None:
    """The last actor reads, every other time under the lock; the others accumulate."""
    params = state.fixture.params
    if index < readers(params) - 1:
        for _ in accumulate(state, index):
            pass
        return
    for number in range(times(params, READINGS, 2)):
        if number % 2:
            state.taken.append(state.way.read(state.leaf).copy())
        else:
            with state.leaf.grad_lock:
                state.taken.append(state.way.read(state.leaf).copy())


def judge_reads(state: State) -> Observation:
    """A reading is whole if all elements have seen the same contributions."""
    seen: Counter[str] = Counter()
    for number, reading in enumerate(state.taken):
        whole = bool((reading == reading[0]).all())
        seen[("plain " if number % 2 else "locked ") + ("whole" if whole else "torn")] += 1
    return Observation(seen)


def plain(params: Params) -> Sequence[Outcome]:
    """Without the lock; explored, they have to be torn, but sums that are rounded to be read."""
    tears = params.explored and params.size > 1 and params.mode != "reproducible"
    shows = required if tears else interesting
    return (
        acceptable("plain whole", "nothing came between"),
        shows("plain torn", "without grad_lock, a reader may meet an addition half-way"),
    )


def racy_reads(params: Params) -> Sequence[Outcome]:
    """The lock of a reader keeps out those who take it."""
    return (
        acceptable("locked whole", "nothing came between"),
        interesting("locked torn", "racy takes no lock, so a reader's lock keeps nobody out"),
        *plain(params),
    )


def exact_reads(params: Params) -> Sequence[Outcome]:
    """Whoever holds the lock is alone."""
    return (
        acceptable("locked whole", "under grad_lock nobody adds"),
        forbidden("locked torn", "under grad_lock nobody adds"),
        *plain(params),
    )


READ = Scenario(
    12,
    "reset.read",
    "a third thread reads .grad while others accumulate: whole under grad_lock",
    "readings",
    start_read,
    add_or_read,
    judge_reads,
    {"racy": racy_reads, **dict.fromkeys(EXACT, exact_reads)},
    prepare=coded,
    crew=readers,
    sizes=lambda edge: (10_000, 1_000_000),
    tags=at_typical(quick_in("racy", "locked")),
)
