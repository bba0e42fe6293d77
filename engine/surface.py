"""The op table as functions and as methods of Tensor: nothing is listed here, all is generated.

Functions take anything that an array can be made of and return a Tensor. Keywords may be spelled
NumPy's way (``axis``, ``keepdims``) or PyTorch's (``dim``, ``keepdim``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ops import OPS, Op
from .tensor import Tensor, record

_SPELLINGS = {
    "dim": "axis",
    "keepdim": "keepdims",
    "dims": "axes",
    "dim0": "axis1",
    "dim1": "axis2",
}
_VARIADIC = ("shape", "axes")  # x.reshape(2, 3) means x.reshape((2, 3))

_OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "pow": "pow",
    "matmul": "matmul",
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_ALIASES = {
    "transpose": "swapaxes",
    "max": "amax",
    "min": "amin",
    "absolute": "abs",
    "negative": "neg",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "expand": "broadcast_to",
    "to": "astype",
    "take": "index_select",
}
_INTERNAL = ("getitem", "put")


def _bind(op: Op, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
    """A call's arguments as inputs and keywords, in whichever spelling they came."""
    count = len(op.inputs)
    inputs, rest = args[:count], args[count:]
    if rest and op.keywords[0] in _VARIADIC and not isinstance(rest[0], tuple | list):
        rest = (rest,)
    named = {_SPELLINGS.get(name, name): value for name, value in keywords.items()}
    inputs += tuple(named.pop(name) for name in op.inputs[len(inputs) :] if name in named)
    return inputs, dict(zip(op.keywords, rest, strict=False), **named)


def function(op: Op) -> Callable[..., Tensor]:
    """The function that a user calls: ``engine.exp``."""

    def call(*args: Any, **keywords: Any) -> Tensor:
        return record(op, *_bind(op, args, keywords))

    call.__name__ = call.__qualname__ = op.name
    call.__doc__ = (
        f"``{op.name}({', '.join((*op.inputs, *op.keywords))})``, recorded for gradients. "
        "Reads its inputs and writes nothing: internally synchronised."
    )
    return call


FUNCTIONS = {name: function(op) for name, op in OPS.items() if name not in _INTERNAL}
FUNCTIONS |= {alias: FUNCTIONS[name] for alias, name in _ALIASES.items()}


def _operator(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (self, other), {})


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (other, self), {})


def _install() -> None:
    for name, call in FUNCTIONS.items():
        if name not in vars(Tensor):
            setattr(Tensor, name, call)
    for dunder, name in _OPERATORS.items():
        setattr(Tensor, f"__{dunder}__", _operator(OPS[name]))
        setattr(Tensor, f"__r{dunder}__", _reflected(OPS[name]))
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _operator(OPS[name]))
    Tensor.__neg__ = lambda self: record(OPS["neg"], (self,), {})
    Tensor.__abs__ = lambda self: record(OPS["abs"], (self,), {})


_install()
