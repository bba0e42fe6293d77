"""What one op saves, and how it pulls back, for one set of differentiated inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Protocol

from ..errors import NotSupportedError
from ..values import Shape, Value

Rule = Callable[..., Any]
Edge = tuple[Any, int]  # (node, which of its outputs)
Asks = tuple[int, ...]
Wanted = Sequence[object | None]


class Described(Protocol):
    """What a recipe reads of an op."""

    name: str
    inputs: tuple[str, ...]
    keywords: tuple[str, ...]
    answers: tuple[str, ...]
    environment: tuple[str, ...]
    residuals: dict[str, Callable[..., Any] | None]
    rules: dict[str, Rule]
    together: Rule | None


class Recipe:
    """For one op and one set of differentiated inputs. Immutable.

    ``saved``: positions in the environment (inputs, keywords, answers, residuals) of what to keep.
    ``saved_inputs``, ``saved_answers``: those of them that are inputs, and answers. ``consumes``:
    whether any of it is an array, so that a backward releases it; shapes and keywords alone may be
    used again. ``rules[i]``: None, or the rule of input ``i`` with what it asks for: an index into
    ``saved``, or ``~i`` for the shape of input ``i``. ``together``: the one rule of all inputs, if
    there is one. ``conjugates``: whether complex numbers are in play.
    """

    __slots__ = (
        "conjugates",
        "consumes",
        "pick",
        "rules",
        "saved",
        "saved_answers",
        "saved_inputs",
        "together",
    )

    def __init__(self, op: Described, mask: int) -> None:
        self.conjugates = mask < 0
        mask = ~mask if mask < 0 else mask
        # Where something may have to be computed again, all inputs are kept for it.
        names: list[str] = list(op.inputs) if any(op.residuals.values()) else []
        self.together = None if op.together is None else _Together(op, names)
        self.rules = tuple(_entry(op, index, mask, names) for index in range(len(op.inputs)))
        first = op.environment.index(op.answers[0])
        answers = range(first, first + len(op.answers))
        self.saved = tuple(op.environment.index(name) for name in names)
        self.saved_inputs = tuple(index for index in self.saved if index < len(op.inputs))
        self.saved_answers = tuple((i, i - first) for i in self.saved if i in answers)
        self.consumes = any(name not in op.keywords and name != "shapes" for name in names)
        self.pick = _picker(self.saved)

    def pull(
        self,
        g: Value,
        values: Sequence[Any],
        wanted: Wanted,
        edges: Sequence[Edge | None],
    ) -> list[Value]:
        """The gradient of each input from that of the output; None where none is ``wanted``."""
        if self.together is not None:
            return self.together(g, values, wanted, edges)
        grads: list[Value] = []
        for route, entry in zip(wanted, self.rules, strict=True):
            if route is None or entry is None:
                grads.append(None)
                continue
            rule, asks = entry
            if not asks:
                grads.append(rule(g))
            elif len(asks) == 1 and asks[0] >= 0:
                grads.append(rule(g, values[asks[0]]))
            else:
                asked = [values[i] if i >= 0 else _shape(edges[~i]) for i in asks]
                grads.append(rule(g, *asked))
        return grads


class _Together:
    """One rule for all inputs, and what it asks for: an index, ``~i`` as above, or a function."""

    __slots__ = ("asks", "rule")

    def __init__(self, op: Described, names: list[str]) -> None:
        assert op.together is not None
        self.rule = op.together
        asks: list[Any] = []
        for name in _parameters(self.rule):
            if name == "needed":
                asks.append(_needed)
            elif f"{name}0" in op.inputs:  # the sequence of all arrays
                asks.append(_all(tuple(_ask(op, each, names) for each in op.inputs)))
            else:
                asks.append(_ask(op, name, names))
        self.asks = tuple(asks)

    def __call__(
        self,
        g: Value,
        values: Sequence[Any],
        wanted: Wanted,
        edges: Sequence[Edge | None],
    ) -> list[Value]:
        asked = [
            ask(values, wanted)
            if callable(ask)
            else values[ask]
            if ask >= 0
            else _shape(edges[~ask])
            for ask in self.asks
        ]
        grads = self.rule(g, *asked)
        return [None if route is None else grad for route, grad in zip(wanted, grads, strict=True)]


def _shape(edge: Edge | None) -> Shape:
    assert edge is not None
    shape: Shape = edge[0].output(edge[1])[0]
    return shape


def _needed(values: Sequence[Any], wanted: Wanted) -> tuple[bool, ...]:
    return tuple(route is not None for route in wanted)


def _all(positions: Asks) -> Callable[[Sequence[Any], Wanted], tuple[Any, ...]]:
    return lambda values, wanted: tuple(values[position] for position in positions)


def _entry(op: Described, index: int, mask: int, names: list[str]) -> tuple[Rule, Asks] | None:
    """The rule of an input with what it asks for, which is added to ``names``."""
    name = op.inputs[index]
    if not mask >> index & 1:
        return None
    if name not in op.rules:
        raise NotSupportedError(
            f"{op.name}: no gradient with respect to {name!r}; pass it detached"
        )
    rule = op.rules[name]
    if op.together is not None:
        return rule, ()
    return rule, tuple(_ask(op, asked, names) for asked in _parameters(rule))


def _parameters(rule: Rule) -> list[str]:
    return list(inspect.signature(rule).parameters)[1:]


def _ask(op: Described, name: str, names: list[str]) -> int:
    """Where a rule finds what it asks for."""
    if name.endswith("_shape") and name not in op.environment:
        return ~op.inputs.index(name.removesuffix("_shape"))
    if name not in op.environment:
        raise TypeError(f"op {op.name!r}: a rule asks for {name!r}, which nothing provides")
    if name not in names:
        names.append(name)
    return names.index(name)


def _picker(saved: tuple[int, ...]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """``environment -> tuple of the saved``, as fast as Python has it."""
    if not saved:
        return lambda environment: ()
    if len(saved) == 1:
        (only,) = saved
        return lambda environment: (environment[only],)
    return itemgetter(*saved)
