"""The Op record and its table: one row per operation, gradients written by argument name.

    multiply = op("multiply", np.multiply, "a b", a=lambda g, b: g * b, b=lambda g, a: g * a)

A row gives the forward on ndarrays, the names of its array inputs, and for each differentiable
input the vector-Jacobian product: ``g``, the gradient of the output, comes first; every further
parameter asks by name for what it needs, and only that is saved:

* an input (``a``), a keyword of the forward (``axis``), or ``ans``, the output;
* ``a_shape``: the shape of an input that is itself being differentiated;
* a *residual*: something that the forward computed on its way and returned next to the answer.

Rules are plain NumPy. On ndarrays that is first order at full speed; for ``create_graph`` the same
rule receives Tensors, which record through operators and NumPy's protocols. A rule never sums back
to a broadcast input's shape and never casts to its dtype: the loop does that, once. A rule does not
write to its arguments. It may return ``g``, a view, or a shared array: the loop copies what must be
private.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from ..errors import NotSupportedError, OperandError

Rule = Callable[..., Any]
Forward = Callable[..., Any]


class Recipe:
    """What one op saves, and how it pulls back, for one set of differentiated inputs. Immutable.

    ``saved``: positions in the environment (inputs, keywords, answer, residuals) of what to keep.
    ``saved_inputs``: those of them that are inputs. ``consumes``: whether any of it is an array, so
    that a backward releases it; shapes and keywords alone may be used again. ``rules[i]``: None, or
    the rule of input ``i`` with what it asks for: an index into ``saved``, or ``~i`` for the shape
    of input ``i``.
    """

    __slots__ = ("ans", "consumes", "pick", "rules", "saved", "saved_inputs", "saves_ans")

    def __init__(self, op: Op, mask: int) -> None:
        # Where something may have to be computed again, all inputs are kept for it.
        names: list[str] = list(op.inputs) if op.residuals else []
        rules: list[tuple[Rule, tuple[int, ...]] | None] = []
        for index, name in enumerate(op.inputs):
            if not mask >> index & 1:
                rules.append(None)
            elif name in op.rules:
                rules.append((op.rules[name], self._asks(op, op.rules[name], names)))
            else:
                raise NotSupportedError(
                    f"{op.name}: no gradient with respect to {name!r}; pass it detached"
                )
        self.rules = tuple(rules)
        self.saved = tuple(op.environment.index(name) for name in names)
        self.saved_inputs = tuple(index for index in self.saved if index < len(op.inputs))
        self.saves_ans = "ans" in names
        self.ans = op.environment.index("ans")
        self.consumes = any(name not in op.keywords for name in names)
        self.pick = _picker(self.saved)

    @staticmethod
    def _asks(op: Op, rule: Rule, names: list[str]) -> tuple[int, ...]:
        asks = []
        for name in list(inspect.signature(rule).parameters)[1:]:
            if name.endswith("_shape"):
                asks.append(~op.inputs.index(name.removesuffix("_shape")))
                continue
            if name not in op.environment:
                raise TypeError(f"op {op.name!r}: a rule asks for {name!r}, which nothing provides")
            if name not in names:
                names.append(name)
            asks.append(names.index(name))
        return tuple(asks)


def _picker(saved: tuple[int, ...]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """``environment -> tuple of the saved``, as fast as Python has it."""
    if not saved:
        return lambda environment: ()
    if len(saved) == 1:
        (only,) = saved
        return lambda environment: (environment[only],)
    return itemgetter(*saved)


class Op:
    """One operation. Immutable but for the cache of its recipes, whose writes are idempotent.

    Called with ndarrays it runs the forward; called with a Tensor it is recorded, so rules may
    call ops. ``view``: the answer may share memory with input 0.
    """

    __slots__ = (
        "cost",
        "defaults",
        "environment",
        "forward",
        "inputs",
        "keywords",
        "name",
        "recipes",
        "residuals",
        "rules",
        "view",
    )

    def __init__(
        self,
        name: str,
        forward: Forward,
        inputs: str,
        *,
        residuals: Mapping[str, Callable[..., Any]],
        view: bool,
        cost: Callable[..., int] | None,
        rules: dict[str, Rule],
    ) -> None:
        self.name = name
        self.forward = forward
        self.inputs = tuple(inputs.split())
        self.defaults = _keyword_defaults(forward, len(self.inputs))
        self.keywords = tuple(self.defaults)
        self.residuals = dict(residuals)
        self.environment = (*self.inputs, *self.keywords, "ans", *self.residuals)
        self.view = view
        self.cost = cost
        self.rules = rules
        self.recipes: dict[int, Recipe] = {}  # a lost or repeated write only costs time: atomic
        unknown = set(rules) - set(self.inputs)
        if unknown:
            raise TypeError(f"op {name!r} has no input {sorted(unknown)}")

    def recipe(self, mask: int) -> Recipe:
        """The recipe where bit ``i`` of ``mask`` says that input ``i`` is differentiated."""
        recipe = self.recipes.get(mask)
        if recipe is None:
            recipe = self.recipes[mask] = Recipe(self, mask)
        return recipe

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        for value in args:
            record = getattr(value, "__record__", None)
            if record is not None:
                return record(self, args, keywords)
        ans = self.forward(*args, **keywords)
        return ans[0] if self.residuals else ans

    def bind(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Split a call's arguments into inputs, None for those left out, and keywords.

        Raises ``OperandError`` for an argument that the op does not take.
        """
        count = len(self.inputs)
        rest, named = args[count:], dict(keywords)
        inputs = (*args[:count], *[named.pop(name, None) for name in self.inputs[len(args) :]])
        if len(rest) > len(self.keywords) or not named.keys() <= set(self.keywords[len(rest) :]):
            raise OperandError(
                f"{self.name} takes ({', '.join(self.inputs + self.keywords)}), got "
                f"{len(args)} arguments and the keywords {sorted(keywords)}"
            )
        return inputs, dict(zip(self.keywords, rest, strict=False), **named)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _keyword_defaults(forward: Forward, inputs: int) -> dict[str, Any]:
    """The keywords of ``forward`` with their defaults; those of a ufunc do not matter here."""
    if isinstance(forward, np.ufunc):
        return {}
    parameters = list(inspect.signature(forward).parameters.values())
    return {p.name: p.default for p in parameters[inputs:]}


@lru_cache(maxsize=16)  # few, because one may be as long as a batch is
def ones(count: int, dtype: np.dtype[Any]) -> np.ndarray:
    """A vector of ones to sum with: ``ones @ x`` runs in BLAS, far faster than a reduction.

    Shared and read-only: immutable.
    """
    vector = np.ones(count, dtype)
    vector.flags.writeable = False
    return vector


@lru_cache(maxsize=16)
def arange(count: int) -> np.ndarray:
    """0, 1, ..., count - 1. Shared and read-only: immutable."""
    vector = np.arange(count)
    vector.flags.writeable = False
    return vector


OPS: dict[str, Op] = {}
BY_FUNCTION: dict[Callable[..., Any], Op] = {}


def op(
    name: str,
    forward: Forward,
    inputs: str,
    *,
    numpy: Callable[..., Any] | None = None,
    residuals: Mapping[str, Callable[..., Any]] | None = None,
    view: bool = False,
    cost: Callable[..., int] | None = None,
    **rules: Rule,
) -> Op:
    """Add a row to the table.

    ``numpy``: the NumPy function that means this op when it meets a Tensor; a ``forward`` that is a
    ufunc means itself. ``residuals``: names of what ``forward`` returns after the answer, each with
    the op of the inputs that computes it again where it has to be differentiated.
    ``cost(g, *saved)``: element operations of the backward, where that is not the size of ``g``.
    """
    if name in OPS:
        raise TypeError(f"op {name!r} is in the table already")
    row = Op(name, forward, inputs, residuals=residuals or {}, view=view, cost=cost, rules=rules)
    OPS[name] = row
    function = forward if isinstance(forward, np.ufunc) else numpy
    if function is not None:
        BY_FUNCTION[function] = row
    return row
