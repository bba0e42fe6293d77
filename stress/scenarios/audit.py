"""Is every access to ``.grad`` ordered by a lock, or does it only happen to come out right?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import engine
from engine.optim import SGD
from stress.core.outcome import acceptable, forbidden, required
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.audit import Audit, races
from stress.scenarios.common import EXACT, Way, always, fresh_leaf, observed, quick_in, times

__all__ = ["ACCESSES"]

EACH = 6  # backwards of an actor: pairs of accesses grow with the square


@dataclass(frozen=True, slots=True)
class Audited:
    """What the trials of one run share."""

    params: Params
    audit: Audit


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial."""

    fixture: Audited
    way: Way
    leaf: engine.Tensor
    optimizer: SGD


@contextmanager
def audited(params: Params) -> Iterator[Audited]:
    """Watch every access, and make every lock, queue and thread."""
    audit = Audit(engine.sync.primitives)
    with engine.sync.controlled(audit), observed(audit):
        yield Audited(params, audit)


def start(fixture: Audited) -> Trial:
    """A leaf whose lock has a clock."""
    fixture.audit.begin()
    leaf = fresh_leaf(fixture.params)
    return Trial(fixture, Way(fixture.params.mode), leaf, SGD([leaf], lr=0.5))


def train(state: Trial, index: int) -> None:
    """Accumulate, helped by a worker; then a step."""
    params = state.fixture.params
    with engine.WorkerPool(1, heavy=0):
        for _ in range(times(params, EACH)):
            outputs = [state.leaf.reshape(-1), state.leaf + 0.0]
            state.way(outputs, [state.leaf], [engine.ones_like(output) for output in outputs])
        if params.mode != "functional":
            state.optimizer.step()


def judge(state: Trial) -> Observation:
    """Pairs of accesses, of which at least one writes, by different threads."""
    audit = state.fixture.audit
    ordered, found = races(audit.accesses)
    seen = {"ordered": ordered, "race": len(found), "intruder": len(audit.intruders)}
    if state.fixture.params.mode == "functional":
        seen = {"touched": len(audit.accesses)} if audit.accesses else {"untouched": 1}
    note = f"{found[0]}: neither had seen the other" if found else ""
    return Observation({key: count for key, count in seen.items() if count}, note=note)


EXCLUSIVE = forbidden("intruder", "a lock has one holder at a time")

ACCESSES = Scenario(
    39,
    "audit.accesses",
    "backwards and steps under vector clocks: accesses to .grad and weight are ordered by locks",
    "pairs of accesses",
    start,
    train,
    judge,
    {
        "racy": always(
            acceptable("ordered", "the first .grad, and the steps, are made under the lock"),
            required("race", "racy: accumulation takes no lock, and the audit has to see that"),
            EXCLUSIVE,
        ),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("ordered", "one had seen the other: a lock lay between them"),
                forbidden("race", "outside of racy every access is under the leaf's lock"),
                EXCLUSIVE,
            ),
        ),
        "functional": always(
            acceptable("untouched", "no leaf was accessed"),
            forbidden("touched", "a functional gradient accesses no .grad"),
        ),
    },
    prepare=audited,
    explore=lambda params: (),  # it makes the primitives itself
    tags=quick_in("racy", *EXACT),
)
