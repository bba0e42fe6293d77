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

_BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}
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
    "clamp": "clip",
    "expand": "broadcast_to",
    "ravel": "flatten",
    "view": "reshape",
    "to": "astype",
}
_INTERNAL = ("getitem", "put", "index_clear", "setitem", "view_clear", "view_write")


def function(op: Op) -> Callable[..., Tensor]:
    """The function that a user calls: ``engine.exp``."""
    count = len(op.inputs)
    variadic = op.keywords[:1] in [(name,) for name in _VARIADIC]

    def call(*args: Any, **keywords: Any) -> Tensor:
        if variadic and len(args) > count and not isinstance(args[count], tuple | list):
            args = (*args[:count], args[count:])
        named = {_SPELLINGS.get(name, name): value for name, value in keywords.items()}
        return record(op, *op.bind(args, named))

    call.__name__ = call.__qualname__ = op.name
    call.__doc__ = (
        f"``{op.name}({', '.join((*op.inputs, *op.keywords))})``, recorded for gradients. "
        "Reads its inputs and writes nothing: internally synchronised."
    )
    return call


FUNCTIONS = {name: function(op) for name, op in OPS.items() if name not in _INTERNAL}
FUNCTIONS |= {alias: FUNCTIONS[name] for alias, name in _ALIASES.items()}


def _unary(op: Op) -> Callable[[Tensor], Tensor]:
    return lambda self: record(op, (self,), {})


def _binary(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (self, other), {})


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (other, self), {})


def _install() -> None:
    for name, call in FUNCTIONS.items():
        method = OPS[_ALIASES.get(name, name)].inputs[0] in ("a", "x")
        if method and not hasattr(Tensor, name):
            setattr(Tensor, name, call)
    for dunder, name in _BINARY.items():
        setattr(Tensor, f"__{dunder}__", _binary(OPS[name]))
        setattr(Tensor, f"__r{dunder}__", _reflected(OPS[name]))
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _binary(OPS[name]))
    for dunder, name in _UNARY.items():
        setattr(Tensor, f"__{dunder}__", _unary(OPS[name]))


_install()
