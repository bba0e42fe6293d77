"""The list of supported operations, made from the op table: ``python -m engine.listing``.

``docs/ops.md`` is what this prints; a test compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from .nn import functional
from .ops import Composed, Op
from .ops.op import COMPOSED, OPS, space_of
from .surface import ROWS

_INTRODUCTION = """# Supported operations

Made from the op table by `python -m engine.listing > docs/ops.md`; do not edit. A function is a
method of `Tensor` too where its first argument is one. NumPy's functions do the same when they meet
a `Tensor`.

* **gradients for**: the inputs that gradients flow to; *all* of a sequence; *made of others*:
  whatever the operations pass on that it is made of; nothing: the answer is a constant.
* **saved**: what a rule keeps for the backward, beside shapes and keywords: inputs, the answer
  (`ans`), or what the forward computed on its way. A write in place to a tensor that was saved
  raises in the backward.

A write to a view is a write to what it views. Of this the one that NumPy's users may not expect is
`positive`, or `+x`: NumPy makes a copy, here it is a view. A copy is made by `clone` and `np.copy`.
"""

_TITLES = {
    "": "engine",
    "linalg.": "engine.linalg",
    "fft.": "engine.fft",
    "special.": "engine.special",
    "nn.": "engine.nn.functional",
    "scipy.": "engine.scipy",
    "numpy.": "Reached through NumPy alone",
}
_MODULES: tuple[tuple[str, ModuleType], ...] = (
    ("np", np),
    ("np.linalg", np.linalg),
    ("np.fft", np.fft),
    ("np.lib.stride_tricks", np.lib.stride_tricks),
)
_HEAD = "| operation | also called | NumPy | PyTorch | gradients for | saved |\n" + "|---" * 6 + "|"

Row = Op | Composed


def public() -> dict[str, Row | None]:
    """Every operation that can be called, by its name; None where Python code calls several."""
    found: dict[str, Row | None] = {}
    for row in ROWS.values():
        if space_of(row.name) != "nn.":
            found[row.name] = row
    table: dict[str, Row] = {**OPS, **COMPOSED}
    for name in functional.__all__:
        if name not in table:  # those that are operations of the engine itself stand there
            found[f"nn.{name}"] = table.get(f"nn.{name}")
    return found


def markdown() -> str:
    """The whole page."""
    rows = public()
    parts = [_INTRODUCTION]
    for prefix, title in _TITLES.items():
        names = sorted(name for name in rows if _section(name) == prefix)
        parts.append(f"## {title} ({len(names)})\n\n{_HEAD}")
        parts[-1] += "".join(f"\n{_line(name, rows[name])}" for name in names) + "\n"
    return "\n".join(parts)


def _section(name: str) -> str:
    space = space_of(name)
    return f"{space.split('.')[0]}." if space else ""


def _line(name: str, row: Row | None) -> str:
    shown = name.removeprefix(_section(name))
    if row is None:
        return f"| `{shown}` | | | `{shown}` | made of others | |"
    spelled = {row.name, row.torch, *row.numpy_names}
    also = _code(other.removeprefix(_section(name)) for other in row.names if other not in spelled)
    theirs = _code([row.torch.removeprefix(_section(name))] if row.torch else ())
    if isinstance(row, Op):
        gradients = ("all" if row.variadic else _code(row.rules)) if row.rules else ""
        saved = _code(_saved(row))
    else:
        gradients, saved = "made of others", ""
    cells = (_code([shown]), also, _code(map(_path, row.numpy)), theirs, gradients, saved)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _path(function: Any) -> str:
    """Where NumPy has a function, or SciPy."""
    name: str = function.__name__
    for path, module in _MODULES:
        if getattr(module, name, None) is function:
            return f"{path}.{name}"
    return f"{function.__module__}.{name}"


def _saved(row: Op) -> Iterator[str]:
    """What the rules of ``row`` ask for that is an array, in the order of its table entry."""
    asked: set[str] = set()
    for rule in row.rules.values():
        asked |= set(list(inspect.signature(rule).parameters)[1:])
    if any(row.residuals.values()):  # for what may have to be computed again
        asked |= set(row.inputs)
    arrays = (*row.inputs, *row.answers, *row.residuals)
    return (name for name in arrays if name in asked)


if __name__ == "__main__":
    print(markdown(), end="")
