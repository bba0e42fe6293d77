"""The table of operations: one row each, gradients written by argument name.

    multiply = op("multiply", np.multiply, "a b", a=lambda g, b: g * b, b=lambda g, a: g * a)

A row gives the forward on ndarrays, the names of its array inputs, and for each differentiable
input the vector-Jacobian product: ``g``, the gradient of the output, comes first; every further
parameter asks by name for what it needs, and only that is saved:

* an input (``a``), a keyword of the forward (``axis``), or ``ans``, the output;
* ``a_shape``: the shape of an input that is itself being differentiated;
* a *residual*: something that the forward computed on its way and returned next to the answer.

Where the gradients of several inputs share most of their work, one rule ``together`` returns them
all, in order; it may ask for ``needed``, a tuple of bools. A row whose input is spelled ``*arrays``
takes a sequence; its rule is one together, and may ask for ``arrays`` and for ``shapes``. A row
with several ``outputs`` names them, and is given a tuple of gradients, None where there is none.

Rules are plain NumPy. On ndarrays that is first order at full speed; for ``create_graph`` the same
rule receives Tensors, which record through operators and NumPy's protocols. A rule never sums back
to a broadcast input's shape and never casts to its dtype: the loop does that, once. A rule does not
write to its arguments. It may return ``g``, a view, or a shared array: the loop copies what must be
private. A rule is linear in ``g`` and conjugates nothing: for complex numbers the loop conjugates
what goes in and what comes out, which makes of it the gradient in PyTorch's convention.

What is made of other operations and has no rule of its own is ``composed``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import NotSupportedError, OperandError
from .recipe import Recipe, Rule

Forward = Callable[..., Any]
NumPy = Callable[..., Any] | tuple[Callable[..., Any], ...]


def space_of(name: str) -> str:
    """The namespace in a name, with the dot: ``linalg.`` of ``linalg.det``."""
    return name[: name.rfind(".") + 1]


def _name(function: Any) -> str:
    name: str = function.__name__
    return name


class Row:
    """What has a name, takes arrays, and can be found by NumPy's and PyTorch's names. Immutable.

    ``numpy``: NumPy's functions, if any. ``torch``: PyTorch's name, or None where it has none.
    ``names``: its own, PyTorch's and further ones. ``sequences``: which inputs are a sequence of
    arrays. ``variadic``: its only one is.
    """

    def __init__(
        self,
        name: str,
        forward: Forward,
        inputs: str,
        *,
        numpy: NumPy,
        torch: str | None,
        also: str,
    ) -> None:
        self.name = name
        self.forward = forward
        self.sequences = tuple(name.startswith("*") for name in inputs.split())
        self.variadic = self.sequences == (True,)
        self.inputs = tuple(inputs.replace("*", "").split())
        self.defaults = _keyword_defaults(forward, len(self.inputs))
        self.keywords = tuple(self.defaults)
        functions = numpy if isinstance(numpy, tuple) else (numpy,)
        self.numpy = (forward, *functions) if isinstance(forward, np.ufunc) else functions
        self.torch = name if torch == "" else torch
        spelled = [name, *also.split()]
        self.names = tuple(dict.fromkeys([*spelled, self.torch] if self.torch else spelled))
        self.numpy_names = tuple(space_of(name) + _name(f) for f in self.numpy)

    def split(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A call's arguments as inputs, None for those left out, and keywords.

        Raises ``OperandError`` for an argument that the row does not take.
        """
        count = len(self.inputs)
        if len(args) == count and keywords.keys() <= self.defaults.keys():  # the most common
            return args, dict(keywords)
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


class Op(Row):
    """One operation. Immutable but for the caches of its recipes and of its fixed forms.

    Called with ndarrays it runs the forward; called with a Tensor it is recorded, so rules may
    call ops. ``view``: the answer may share memory with input 0. ``outputs``: the class of what it
    returns, a named tuple, where that is more than one array. ``parts(k, **keywords)``: where those
    share memory with input 0, the operation and keywords that would make a view of output ``k``.
    """

    def __init__(
        self,
        name: str,
        forward: Forward,
        inputs: str,
        rules: dict[str, Rule],
        *,
        numpy: NumPy = (),
        torch: str | None = "",
        also: str = "",
        residuals: Mapping[str, Callable[..., Any] | None] | None = None,
        outputs: Any = None,
        view: bool = False,
        cost: Callable[..., int] | None = None,
        together: Rule | None = None,
        ordered: bool = False,
        parts: Callable[..., tuple[Op, dict[str, Any]]] | None = None,
    ) -> None:
        super().__init__(name, forward, inputs, numpy=numpy, torch=torch, also=also)
        self.residuals = dict(residuals or {})
        self.outputs = outputs
        self.answers: tuple[str, ...] = outputs._fields if outputs else ("ans",)
        self.environment = (*self.inputs, *self.keywords, *self.answers, *self.residuals)
        self.view = view
        self.parts = parts
        self.cost = cost
        self.ordered = ordered
        self.together = together
        self.rules = dict.fromkeys(self.inputs, together) if together and not rules else rules
        self.recipes: dict[int, Recipe] = {}  # a lost or repeated write only costs time: atomic
        self.forms: dict[int, Op] = {}  # by the number of arrays; as above
        unknown = set(self.rules) - set(self.inputs)
        if unknown:
            raise TypeError(f"op {name!r} has no input {sorted(unknown)}")

    def recipe(self, mask: int) -> Recipe:
        """The recipe where bit ``i`` of ``mask`` says that input ``i`` is differentiated.

        Of ``~mask`` where complex numbers are in play.
        """
        recipe = self.recipes.get(mask)
        if recipe is None:
            if mask < 0 and self.ordered:
                raise NotSupportedError(
                    f"{self.name} has no gradient for complex numbers, which have no order: take "
                    ".real, .imag or .abs() first"
                )
            recipe = self.recipes[mask] = Recipe(self, mask)
        return recipe

    def form(self, count: int) -> Op:
        """The same for ``count`` arrays, as an op with that many inputs."""
        form = self.forms.get(count)
        if form is None:
            form = self.forms[count] = _fixed(self, count)
        return form

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        for value in args[0] if self.variadic else args:
            record = getattr(value, "__record__", None)
            if record is not None:
                return record(self, args, keywords)
        ans = self.forward(*args, **keywords)
        if self.outputs:
            return self.outputs(*ans[: len(self.answers)])
        return ans[0] if self.residuals else ans

    def bind(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Op, tuple[Any, ...], dict[str, Any]]:
        """A call's arguments as what is recorded: an op, its inputs and its keywords.

        Raises ``OperandError`` for an argument that the op does not take.
        """
        inputs, named = self.split(args, keywords)
        if not self.variadic:
            return self, inputs, named
        arrays = tuple(inputs[0])
        return self.form(len(arrays)), arrays, named


def _fixed(row: Op, count: int) -> Op:
    """``row``, which takes a sequence, as an op of ``count`` inputs."""

    def forward(*arrays: Any, **keywords: Any) -> Any:
        ans = row.forward(arrays, **keywords)
        made = ans if row.residuals else (ans,)
        return *made, tuple(array.shape for array in arrays)

    signature = inspect.signature(row.forward)
    names = [f"{row.inputs[0]}{index}" for index in range(count)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    forward.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            *[inspect.Parameter(name, kind) for name in names],
            *list(signature.parameters.values())[1:],
        ]
    )
    return Op(
        row.name,
        forward,
        " ".join(names),
        dict.fromkeys(names, row.together) if row.together else {},
        residuals={**row.residuals, "shapes": None},
        cost=row.cost,
        together=row.together,
    )


class Composed(Row):
    """What is made of other operations: it runs on ndarrays and on Tensors alike. Immutable."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.forward(*args, **keywords)


class Spread(Composed):
    """One that is called with its arrays as arguments of their own: ``meshgrid(x, y)``."""

    def split(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return super().split((args,), keywords)


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
COMPOSED: dict[str, Composed] = {}
BY_FUNCTION: dict[Callable[..., Any], Op | Composed] = {}


def op(
    name: str,
    forward: Forward,
    inputs: str,
    *,
    numpy: NumPy = (),
    torch: str | None = "",
    also: str = "",
    residuals: Mapping[str, Callable[..., Any] | None] | None = None,
    outputs: Any = None,
    view: bool = False,
    cost: Callable[..., int] | None = None,
    together: Rule | None = None,
    kind: type[Op] = Op,
    ordered: bool = False,
    **rules: Rule,
) -> Op:
    """Add a row to the table.

    ``name``: PyTorch's where it has one, with the namespace if that is not the engine's own:
    ``linalg.det``. ``numpy``: the NumPy function that means this op when it meets a Tensor, or
    several, whose names are names of the op too; a ``forward`` that is a ufunc means itself.
    ``torch``: PyTorch's name where it is another, None where it has none. ``also``: further names.
    ``residuals``: names of what ``forward`` returns after the answer, each with the op of the
    inputs that computes it again where it has to be differentiated, None where it is a constant.
    ``outputs``: a named tuple, where there are several. ``together``: one rule for all inputs.
    ``cost(g, *saved)``: element operations of the backward, where that is not the size of ``g``.
    ``kind``: the class of the row, where a call of it is read in a way of its own.
    ``ordered``: complex numbers have no gradient here.
    """
    row = kind(
        name,
        forward,
        inputs,
        rules,
        numpy=numpy,
        torch=torch,
        also=also,
        residuals=residuals,
        outputs=outputs,
        view=view,
        cost=cost,
        together=together,
        ordered=ordered,
    )
    _enter(OPS, row)
    return row


def composed(
    name: str,
    function: Forward,
    inputs: str,
    *,
    numpy: NumPy = (),
    torch: str | None = "",
    also: str = "",
    kind: type[Composed] = Composed,
) -> Composed:
    """Add what other operations make up, under its names: see ``op``.

    ``function`` calls NumPy's functions and methods on what it is given, arrays or Tensors.
    """
    row = kind(name, function, inputs, numpy=numpy, torch=torch, also=also)
    _enter(COMPOSED, row)
    return row


def _enter(table: dict[str, Any], row: Any) -> None:
    if row.name in OPS or row.name in COMPOSED:
        raise TypeError(f"op {row.name!r} is in the table already")
    table[row.name] = row
    for function in row.numpy:
        if function in BY_FUNCTION:
            raise TypeError(f"op {row.name!r}: {function} means {BY_FUNCTION[function]!r}")
        BY_FUNCTION[function] = row
