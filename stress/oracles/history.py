"""The history oracle: is there an order of single steps that explains what concurrent calls saw?

A history is *linearizable* if every call can be given one moment between its begin and its end such
that a sequential object, called at these moments, answers the same. The search is Wing's and Gong's
("Testing and verifying concurrent objects", 1993) with Lowe's memory of what failed before
("Testing for linearizability", 2017): exponential at worst, so histories are to be short.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from time import perf_counter_ns
from typing import Any

__all__ = ["Call", "Model", "Recorder", "bag", "explain", "fifo", "linearize"]

Model = Callable[[Any, "Call"], Hashable | None]  # the next state; None: not what it would answer
Step = tuple[frozenset[int], Hashable, tuple[int, ...]]  # what is left, the state, what is done


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made of the object. Immutable. ``end``: infinite, if it never returned."""

    name: str
    argument: Any
    result: Any
    begin: float
    end: float = inf

    def __str__(self) -> str:
        given = "" if self.argument is None else repr(self.argument)
        answer = "" if self.result is None else f" -> {self.result!r}"
        return f"{self.name}({given}){answer}"


class Recorder:
    """Makes calls and remembers them. Internally synchronised: appending to a list is atomic."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, name: str, argument: Any, function: Callable[[], Any]) -> Any:
        """Call ``function``; remembered when it has returned."""
        begin = perf_counter_ns()
        result = function()
        self.calls.append(Call(name, argument, result, begin, perf_counter_ns()))
        return result


def linearize(history: Sequence[Call], model: Model, start: Hashable) -> list[Call] | None:
    """The calls of ``history`` in an order that ``model`` explains; None if there is none.

    A call that ended before another began comes before it. One that never returned may have had
    its effect, or not.

    >>> put, get = Call("put", 1, None, 0, 3), Call("get", None, 1, 1, 2)
    >>> [str(call) for call in linearize([get, put], fifo, ())]
    ['put(1)', 'get() -> 1']
    >>> linearize([Call("get", None, 1, 4, 5), Call("get", None, 1, 6, 7), put], fifo, ()) is None
    True
    """
    calls = sorted(history, key=lambda call: call.begin)
    search: list[Step] = [(frozenset(range(len(calls))), start, ())]
    seen: set[tuple[frozenset[int], Hashable]] = set()
    while search:
        left, state, done = search.pop()
        if all(calls[index].end == inf for index in left):
            return [calls[index] for index in done]
        if (left, state) in seen:
            continue
        seen.add((left, state))
        first = min(calls[index].end for index in left)
        for index in sorted(left, reverse=True):
            after = model(state, calls[index]) if calls[index].begin <= first else None
            if after is not None:
                search.append((left - {index}, after, (*done, index)))
    return None


def explain(history: Sequence[Call]) -> str:
    """The calls in the order in which they began, in words."""
    return ", ".join(map(str, sorted(history, key=lambda call: call.begin)))


def fifo(state: tuple[Any, ...], call: Call) -> tuple[Any, ...] | None:
    """A queue: ``put(x)``, and ``get()`` of the oldest."""
    if call.name == "put":
        return (*state, call.argument)
    return state[1:] if state and state[0] == call.result else None


def bag(state: frozenset[Any], call: Call) -> frozenset[Any] | None:
    """A cell that collects: ``add(x)``, and ``take()`` of all that there is."""
    if call.name == "add":
        return None if call.argument in state else state | {call.argument}
    return frozenset() if state == call.result else None
