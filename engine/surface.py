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

# PyTorch's names for keywords, and what they may be called here; of several the last that fits.
_SPELLINGS = {
    "dim": "axes axis",
    "keepdim": "keepdims",
    "dims": "reps axis axes",
    "dim0": "axis1",
    "dim1": "axis2",
    "interpolation": "method",
    "diagonal": "k",
    "shifts": "shift",
    "sections": "indices_or_sections",
    "indices": "indices_or_sections",
    "split_size_or_sections": "split_size",
    "tensors": "arrays",
    "end": "stop",
    "steps": "num",
}
_SPELLINGS_OF = {
    "diagonal": {"dim1": "axis1", "dim2": "axis2"},
    "diagflat": {"offset": "k"},
    "scatter": {"value": "src"},
}
_VARIADIC = (("shape",), ("axes",), ("reps",))  # x.reshape(2, 3) means x.reshape((2, 3))
_VARIADIC_ROWS = ("flip",)

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
_INTERNAL = """
constant_pad diagonal_spread getitem index_clear linalg.cofactors put setitem view_clear
view_write window_sum
"""
# Methods that write in place what the function of the same name answers: `x.clamp_(0, 1)`.
_IN_PLACE = """
abs acos acosh asin asinh atan atanh ceil clamp clip cos cosh deg2rad erf erfc exp exp2 expm1
float_power floor fmod index_add index_copy index_fill index_put leaky_relu log log10 log1p log2
masked_fill nan_to_num neg negative pow rad2deg reciprocal relu remainder round rsqrt scatter
scatter_add sigmoid sign sin sinc sinh sqrt square tan tanh tril triu trunc xlogy
"""


def function(row: Op | Composed) -> Callable[..., Any]:
    """The function that a user calls: ``engine.exp``."""
    count = len(row.inputs)
    variadic = count == 1 and (row.keywords[:1] in _VARIADIC or row.name in _VARIADIC_ROWS)
    spelled = _spellings(row)

    def run(*args: Any, **keywords: Any) -> Any:
        if variadic and len(args) > count and not isinstance(args[count], tuple | list):
            args = (*args[:count], args[count:])
        return call(row, args, {spelled.get(name, name): keywords[name] for name in keywords})

    run.__name__ = run.__qualname__ = row.name
    run.__doc__ = (
        f"``{row.name}({', '.join((*row.inputs, *row.keywords))})``, recorded for gradients. "
        "Reads its inputs and writes nothing: internally synchronised."
    )
    return run


def _spellings(row: Op | Composed) -> dict[str, str]:
    """PyTorch's names of this row's arguments, where they differ from its own."""
    own = (*row.inputs, *row.keywords)
    found = {
        theirs: name
        for theirs, ours in _SPELLINGS.items()
        for name in ours.split()
        if name in own and theirs not in own
    }
    return found | _SPELLINGS_OF.get(row.name, {})


def _by_name() -> dict[str, Op | Composed]:
    """Every row under each of its names; a name that PyTorch gives wins over one of NumPy's."""
    rows: list[Op | Composed] = [*OPS.values(), *COMPOSED.values()]
    rows = [row for row in rows if row.name not in _INTERNAL.split()]
    found = {name: row for row in rows for name in row.numpy_names}
    said: dict[str, Op | Composed] = {}
    for row in rows:
        for name in row.names:
            if said.setdefault(name, row) is not row:
                raise TypeError(f"{name!r} means {said[name]!r} and {row!r}")
    return found | said


ROWS = _by_name()  # what is public, under each of its names: immutable
_CALLS = {row: function(row) for row in ROWS.values()}


def namespace(prefix: str) -> dict[str, Callable[..., Any]]:
    """The functions whose names begin with ``prefix``, under what follows it; "" for engine's."""
    return {
        name.removeprefix(prefix): _CALLS[row]
        for name, row in ROWS.items()
        if space_of(name) == prefix
    }


FUNCTIONS = namespace("")


def _unary(op: Op) -> Callable[[Tensor], Tensor]:
    return lambda self: record(op, (self,), {})


def _binary(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (self, other), {})


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: record(op, (other, self), {})


def _in_place(name: str) -> Callable[..., Tensor]:
    run = FUNCTIONS[name]

    def write(self: Tensor, *args: Any, **keywords: Any) -> Tensor:
        return self._become(f"{name}_", run, *args, **keywords)

    write.__name__ = f"{name}_"
    write.__doc__ = f"``{name}``, written into this tensor: externally synchronised."
    return write


def _install() -> None:
    for name, run in FUNCTIONS.items():
        if ROWS[name].inputs[:1] in (("a",), ("x",)) and not hasattr(Tensor, name):
            setattr(Tensor, name, run)
    for name in _IN_PLACE.split():
        setattr(Tensor, f"{name}_", _in_place(name))
    for dunder, name in _BINARY.items():
        setattr(Tensor, f"__{dunder}__", _binary(OPS[name]))
        setattr(Tensor, f"__r{dunder}__", _reflected(OPS[name]))
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _binary(OPS[name]))
    for dunder, name in _UNARY.items():
        setattr(Tensor, f"__{dunder}__", _unary(OPS[name]))


_install()
