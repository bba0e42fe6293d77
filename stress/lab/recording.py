"""Record in which order contributions reached each leaf, and replay that order to the same bits.

What a locked run leaves open is one thing: the order of the additions to each leaf. A record has
that order, a permutation for each leaf and step, and nothing of the schedule. See decision 17 for
why a replay has a sequence of tickets for each leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import engine
from stress.lab.training import LEAVES, Accumulate, Setup, Through, Trained, train

__all__ = ["Arrivals", "Difference", "Log", "first_difference", "record", "replay"]

# arrivals[step][leaf]: the contributions in the order in which they were added.
Log = tuple[tuple[tuple[int, ...], ...], ...]
Notice = Callable[[int], None]


def unheard(step: int) -> None:
    """Nobody wants to know how far it is."""


class Arrivals:
    """A hook that notes in which order contributions are added to each leaf.

    The engine announces an addition before it takes the leaf's lock, so two threads may be
    announced in one order and add in the other. So this takes the lock at the announcement, and
    gives it back at the thread's next point, which comes when the addition is done: the order that
    is noted is that of the additions. The lock is reentrant and one is held at a time, by a thread
    that then does nothing but add; so nobody waits for long, and not in a circle.

    Internally synchronised: a leaf's notes are guarded by its lock.
    """

    def __init__(self, parameters: Sequence[engine.Tensor]) -> None:
        edge = engine.autograd.graph.get_gradient_edge
        self.leaves = {edge(p).node: (index, p) for index, p in enumerate(parameters)}
        self.notes: list[list[tuple[int, int]]] = [[] for _ in parameters]
        self.own = threading.local()

    def begin(self, step: int, contribution: int) -> None:
        """What this thread adds from now on is of that contribution."""
        self.own.adding = step, contribution

    def __call__(self, point: str, subject: Any) -> None:
        """The hook."""
        held: AbstractContextManager[Any] | None = getattr(self.own, "held", None)
        if held is not None:
            self.own.held = None
            held.__exit__(None, None, None)
        if point == "grad.commit" and subject in self.leaves:
            index, parameter = self.leaves[subject]
            lock = parameter.grad_lock
            lock.__enter__()  # left at the next point
            self.own.held = lock
            self.notes[index].append(self.own.adding)

    def log(self, steps: int) -> Log:
        """What was noted, by step and leaf."""
        return tuple(
            tuple(tuple(c for at, c in notes if at == step) for notes in self.notes)
            for step in range(steps)
        )


class Recorded:
    """As the engine does it; each contribution says first which it is."""

    def __init__(self, way: Accumulate, arrivals: Arrivals) -> None:
        self.way, self.arrivals = way, arrivals

    def __call__(self, step: int, contribution: int, loss: engine.Tensor) -> None:
        """A backward."""
        self.arrivals.begin(step, contribution)
        self.way(step, contribution, loss)

    def finish(self, step: int) -> None:
        """Nothing is left to do."""


def record(setup: Setup, notice: Notice = unheard) -> tuple[Trained, Log]:
    """Train in ``setup.mode``, and note the orders. Sets the process's hook meanwhile."""
    seen: list[Arrivals] = []
    with ExitStack() as stack:

        def make(setup: Setup, parameters: Sequence[engine.Tensor]) -> Accumulate:
            seen.append(Arrivals(parameters))
            stack.enter_context(engine.sync.hooked(seen[0]))
            return Recorded(Through(setup, parameters), seen[0])

        trained = train(setup, make, notice)
    return trained, seen[0].log(setup.steps)


class Replayed:
    """Each contribution's gradients are taken functionally, and added leaf by leaf by ``ordered``,
    each leaf in a sequence of tickets of its own: the ticket is the place in the recorded order.

    Who comes early leaves its gradient there and goes on, so no thread ever waits, and any number
    of threads will do. Internally synchronised.
    """

    def __init__(self, log: Log, parameters: Sequence[engine.Tensor]) -> None:
        self.parameters = parameters
        self.tickets = [engine.Tickets(bound=1 + longest(log)) for _ in parameters]
        # place[step][leaf][contribution]: its ticket in the sequence of the leaf
        self.place: list[list[Mapping[int, int]]] = []
        begun = [0] * len(parameters)
        for orders in log:
            self.place.append([
                {c: first + turn for turn, c in enumerate(order)}
                for first, order in zip(begun, orders, strict=True)
            ])  # fmt: skip
            begun = [first + len(order) for first, order in zip(begun, orders, strict=True)]

    def __call__(self, step: int, contribution: int, loss: engine.Tensor) -> None:
        """A gradient, and an addition to each leaf when its turn has come."""
        gradients = engine.grad(loss, self.parameters)
        for index, (leaf, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            with engine.accumulation("ordered", self.tickets[index]):
                engine.backward(leaf, g, ticket=self.place[step][index][contribution])

    def finish(self, step: int) -> None:
        """All have come, so all have had their turn."""


def longest(log: Log) -> int:
    """The most contributions that a leaf got in a step."""
    return max((len(order) for orders in log for order in orders), default=0)


def replay(setup: Setup, log: Log, notice: Notice = unheard) -> Trained:
    """Train again, with the additions in the order of ``log``."""
    return train(setup, lambda setup, parameters: Replayed(log, parameters), notice)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two runs part: the gradient of a leaf in a step. Immutable."""

    step: int
    leaf: str
    one: str
    other: str

    def __str__(self) -> str:
        return f"step {self.step}, {self.leaf}.grad: {self.one} there, {self.other} here"


def first_difference(
    one: Sequence[Sequence[str]], other: Sequence[Sequence[str]]
) -> Difference | None:
    """The first step, and the first leaf in it, whose digests differ; None: there is none."""
    for step, (left, right) in enumerate(zip(one, other, strict=False)):
        for leaf, a, b in zip(LEAVES, left, right, strict=False):
            if a != b:
                return Difference(step, leaf, a, b)
    return None
