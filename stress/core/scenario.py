"""Scenarios: what to build, what the threads do to it, and how to tell what became of it.

A scenario knows nothing of threads. Its actors are plain callables, and whoever runs it decides
who runs them, when, and how often: real threads (``runner``) or a scheduler in control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from stress.core.outcome import Outcome

__all__ = [
    "MODES",
    "Observation",
    "Params",
    "Scenario",
    "Skip",
    "one_actor",
    "one_per_thread",
    "quick",
    "slow",
]

MODES = ("racy", "locked", "ordered", "reproducible", "functional")


class Skip(Exception):
    """Raised by a scenario's ``prepare`` where it cannot run at all; the message says why."""


@dataclass(frozen=True, slots=True)
class Params:
    """One configuration of a scenario. Immutable.

    ``explored``: it runs under a scheduler in control, every schedule of it. So it has to be short:
    an actor does what it does once or twice, and an outcome that schedules can reach is required.
    """

    mode: str
    threads: int = 2
    size: int = 10_000
    dtype: str = "float64"
    seed: int = 0
    explored: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What the arbiter saw in one trial. Immutable.

    ``outcomes`` counts samples by outcome key. ``lost`` of ``offered`` counts element-updates: one
    contribution of a gradient with n elements offers n of them. ``overlapped`` is for scenarios
    whose threads are the engine's own: did two of them work at once? ``None`` leaves the
    measurement to the runner. ``note`` says in words what a failing or interesting trial showed.
    Raises ``TypeError`` or ``ValueError`` for what is no count of outcomes.

    >>> Observation({"kept": 3, "lost": True}).outcomes
    {'kept': 3, 'lost': 1}
    """

    outcomes: Mapping[str, int]
    lost: int = 0
    offered: int = 0
    overlapped: bool | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", counted(self.outcomes))


def counted(outcomes: Any) -> dict[str, int]:
    """``outcomes``, if they are what there may be."""
    if isinstance(outcomes, Mapping):
        return {key: samples(key, count) for key, count in outcomes.items()}
    given = type(outcomes).__name__
    raise TypeError(f"an Observation takes a dict from outcome to samples, not a {given}")


def samples(key: object, count: Any) -> int:
    """``count``, if that is how many samples of outcome ``key`` there may be."""
    if not isinstance(key, str):
        raise TypeError(f"an outcome is named by a string, not by {key!r}")
    whole = int(count)
    if whole != count or whole < 0:
        raise ValueError(f"the samples of {key!r} must be a whole number from 0 on, got {count!r}")
    return whole


def one_per_thread(params: Params) -> int:
    """As many actors as threads asked for."""
    return params.threads


def one_actor(params: Params) -> int:
    """A single actor: the threads that race are the engine's own."""
    return 1


def hundred(params: Params) -> int:
    """A hundred samples, where a scenario has no better reason."""
    return 100


def tiny(params: Params) -> tuple[Params, ...]:
    """One element, which is read and written in one go, and several, which can be torn."""
    return tuple(replace(params, size=size, explored=True) for size in (1, 4))


def quick(params: Params) -> frozenset[str]:
    """Belongs to every run: tells something within a second."""
    return frozenset({"quick"})


def slow(params: Params) -> frozenset[str]:
    """Belongs to long runs only: one trial takes longer than a quick run may."""
    return frozenset({"slow"})


@dataclass(frozen=True, slots=True)
class Scenario:
    """A race, and what may come of it. Immutable.

    ``prepare(params)`` is entered once a run and yields the fixture: what all trials share, such as
    gradients and reference results (default: the params themselves). Each trial then calls
    ``setup(fixture)`` for a fresh state, ``actor(state, index)`` once for every actor, all at the
    same time, and ``arbiter(state)`` after the last of them returned. An exception in an actor is
    the outcome ``"raised <type>"``; one in ``prepare``, ``setup`` or ``arbiter`` is an error of the
    harness, unless ``prepare`` raises ``Skip``.

    ``outcomes`` declares, for each mode that applies, what samples may be. ``sizes`` lists the
    array sizes worth running, given the smallest at which NumPy lets go of the GIL; ``minimum`` the
    samples below which a run proves nothing; ``crew`` the number of actors. ``explore`` lists the
    configurations worth exploring under a scheduler in control, none where it cannot be controlled
    (processes, signals, clocks), and ``bound`` the preemptions that are then tried by default.
    ``tags``: what sorts of run a configuration belongs to: ``quick``, ``slow``, or neither.
    """

    number: int
    name: str
    title: str
    unit: str
    setup: Callable[[Any], Any]
    actor: Callable[[Any, int], object]
    arbiter: Callable[[Any], Observation]
    outcomes: Mapping[str, Callable[[Params], Sequence[Outcome]]]
    prepare: Callable[[Params], AbstractContextManager[Any]] = nullcontext
    crew: Callable[[Params], int] = one_per_thread
    sizes: Callable[[int], tuple[int, ...]] = field(default=lambda edge: (10_000,))
    minimum: Callable[[Params], int] = hundred
    tags: Callable[[Params], frozenset[str]] = quick
    explore: Callable[[Params], tuple[Params, ...]] = tiny
    bound: int = 2

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that apply, in the order of ``MODES``."""
        return tuple(mode for mode in MODES if mode in self.outcomes)

    def declared(self, params: Params) -> Sequence[Outcome]:
        """The outcomes of this configuration. Raises ``TypeError`` for what is no list of them."""
        found: Any = self.outcomes[params.mode](params)
        if isinstance(found, Sequence) and all(isinstance(item, Outcome) for item in found):
            return found
        made = "acceptable(), interesting(), required() and forbidden()"
        raise TypeError(f"outcomes[{params.mode!r}] must be a list of what {made} make")

    def seen(self, state: Any) -> Observation:
        """What the arbiter sees. Raises ``TypeError`` for what is no ``Observation``."""
        found: Any = self.arbiter(state)
        if isinstance(found, Observation):
            return found
        raise TypeError(f"the arbiter must return an Observation, not {found!r}")
