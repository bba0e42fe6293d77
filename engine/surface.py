"""The op table as functions and as methods of Tensor: nothing is listed here, all is generated.

Functions take anything that an array can be made of and return a Tensor. Keywords may be spelled
NumPy's way (``axis``, ``keepdims``) or PyTorch's (``dim``, ``keepdim``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ops import COMPOSED, OPS, Composed, Op
from .ops.op import space_of
from .tensor import Tensor, call, record

_SPELLINGS = {
    "dim": "axis",
    "keepdim": "keepdims",
    "dims": "axes",
    "dim0": "axis1",
    "dim1": "axis2",
    "interpolation": "method",
}
_VARIADIC = ("shape", "axes")  # x.reshape(2, 3) means x.reshape((2, 3))

_BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}
_INTERNAL = (
    "getitem",
    "put",
    "index_clear",
    "setitem",
    "linalg.cofactors",
    "view_clear",
    "view_write",
)


def function(row: Op | Composed) -> Callable[..., Any]:
    """The function that a user calls: ``engine.exp``."""
    count = len(row.inputs)
    variadic = count == 1 and row.keywords[:1] in [(name,) for name in _VARIADIC]
    several = "axes" in row.keywords and "axis" not in row.keywords
    spellings = {**_SPELLINGS, "dim": "axes"} if several else _SPELLINGS

    def run(*args: Any, **keywords: Any) -> Any:
        if variadic and len(args) > count and not isinstance(args[count], tuple | list):
            args = (*args[:count], args[count:])
        return call(row, args, {spellings.get(name, name): keywords[name] for name in keywords})

    run.__name__ = run.__qualname__ = row.name
    run.__doc__ = (
        f"``{row.name}({', '.join((*row.inputs, *row.keywords))})``, recorded for gradients. "
        "Reads its inputs and writes nothing: internally synchronised."
    )
    return run


def _by_name() -> dict[str, Op | Composed]:
    """Every row under each of its names; a name that PyTorch gives wins over one of NumPy's."""
    rows: list[Op | Composed] = [*OPS.values(), *COMPOSED.values()]
    rows = [row for row in rows if row.name not in _INTERNAL]
    found = {name: row for row in rows for name in row.numpy_names}
    said: dict[str, Op | Composed] = {}
    for row in rows:
        for name in row.names:
            if said.setdefault(name, row) is not row:
                raise TypeError(f"{name!r} means {said[name]!r} and {row!r}")
    return found | said


_ROWS = _by_name()
_CALLS = {row: function(row) for row in _ROWS.values()}


def namespace(prefix: str) -> dict[str, Callable[..., Any]]:
    """The functions whose names begin with ``prefix``, under what follows it; "" for engine's."""
    return {
        name.removeprefix(prefix): _CALLS[row]
        for name, row in _ROWS.items()
        if space_of(name) == prefix
    }


FUNCTIONS = namespace("")


def _unary(op: Op) -> Callable[[Tensor], Tensor]:
    return lambda self: record(op, (self,), {})


def _binary(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (self, other), {})


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (other, self), {})


def _install() -> None:
    for name, run in FUNCTIONS.items():
        if _ROWS[name].inputs[0] in ("a", "x") and not hasattr(Tensor, name):
            setattr(Tensor, name, run)
    for dunder, name in _BINARY.items():
        setattr(Tensor, f"__{dunder}__", _binary(OPS[name]))
        setattr(Tensor, f"__r{dunder}__", _reflected(OPS[name]))
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _binary(OPS[name]))
    for dunder, name in _UNARY.items():
        setattr(Tensor, f"__{dunder}__", _unary(OPS[name]))


_install()
