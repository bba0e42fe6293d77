"""How tensors print: as PyTorch prints them."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

WIDTH = 80  # of a line
MANY = 1000  # elements from which on only the edges are shown
EDGE = 3  # how many at either end of an axis

_DEFAULT = ("float32", "complex64", "int64", "bool")  # the dtypes that go without saying

Write = Callable[[Any], str]


def text(data: np.ndarray, grad_fn: Any, requires_grad: bool) -> str:
    """``tensor([1., 2.], requires_grad=True)``"""
    suffixes = []
    if not data.size and data.ndim != 1:
        suffixes.append(f"size={data.shape}")
    if data.dtype.name not in (_DEFAULT if data.size else _DEFAULT[:1]):
        suffixes.append(f"dtype={data.dtype.name}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn.name()}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    lines = f"tensor({_body(data)}"
    for suffix in suffixes:
        last = len(lines) - (lines.rfind("\n") + 1)
        fits = last + len(suffix) + 4 <= WIDTH
        lines += f", {suffix}" if fits else f",\n       {suffix}"
    return lines + ")"


def _body(data: np.ndarray) -> str:
    if not data.size:
        return "[]"
    short = data.size > MANY
    return _nested(data, len("tensor("), short, _writer(_seen(data) if short else data))


def _seen(data: np.ndarray) -> np.ndarray:
    """The elements at the edges."""
    for axis, size in enumerate(data.shape):
        if size > 2 * EDGE:
            data = np.take(data, [*range(EDGE), *range(size - EDGE, size)], axis)
    return data


def _nested(data: np.ndarray, indent: int, short: bool, write: Write) -> str:
    if not data.ndim:
        return write(data.item())
    cut = short and len(data) > 2 * EDGE
    ends = [*data[:EDGE], *data[-EDGE:]] if cut else list(data)
    parts = [_nested(np.asarray(part), indent + 1, short, write) for part in ends]
    if cut:
        parts.insert(EDGE, "..." if data.ndim > 1 else " ...")
    if data.ndim > 1:
        gap = "," + "\n" * (data.ndim - 1) + " " * (indent + 1)
        return f"[{gap.join(parts)}]"
    count = max(1, (WIDTH - indent) // (len(write(data.flat[0].item())) + 2))
    lines = [", ".join(parts[i : i + count]) for i in range(0, len(parts), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _writer(seen: np.ndarray) -> Write:
    """Writes an element so that it lines up with those that are seen."""
    if seen.dtype.kind == "c":
        real, imag = _writer(seen.real), _float_writer(seen.imag)
        return lambda z: f"{real(z.real)}{'-' if np.signbit(z.imag) else '+'}{imag(abs(z.imag))}j"
    write = _float_writer(seen) if seen.dtype.kind == "f" else str
    counted = seen[np.isfinite(seen) & (seen != 0)] if seen.dtype.kind == "f" else seen
    width = max((len(write(x)) for x in counted.ravel().tolist()), default=1)
    return lambda x: write(x).rjust(width)


def _float_writer(seen: np.ndarray) -> Write:
    """Whole numbers with a bare point, others with 4 decimals, far-flung ones with exponents."""
    finite = [abs(x) for x in seen[np.isfinite(seen) & (seen != 0)].tolist()]
    low, high = min(finite, default=1.0), max(finite, default=1.0)
    if high / low > 1000 or high > 1e8 or low < 1e-4:
        return "{:.4e}".format
    if any(x != ceil(x) for x in finite):
        return "{:.4f}".format
    return lambda x: f"{x:.0f}." if np.isfinite(x) else f"{x:.0f}"
