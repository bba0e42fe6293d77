"""How tensors print: as PyTorch prints them, with NumPy doing the layout."""

from __future__ import annotations

from typing import Any

import numpy as np

_DEFAULT = ("float32", "int64", "bool")


def _float_format(data: np.ndarray) -> Any:
    """PyTorch's choice: whole numbers with a bare point, else 4 decimals, else scientific."""
    finite = np.abs(data[np.isfinite(data)]).astype(np.float64)
    nonzero = finite[finite != 0]
    if (finite == np.floor(finite)).all() and (not nonzero.size or nonzero.max() < 1e8):
        form = "{:.0f}."
    elif nonzero.size and (
        nonzero.max() / nonzero.min() > 1000 or nonzero.max() > 1e8 or nonzero.min() < 1e-4
    ):
        form = "{:.4e}"
    else:
        form = "{:.4f}"
    texts = [form.format(x) for x in finite]
    width = max(map(len, texts), default=0) + bool((data < 0).any()) if data.ndim else 0

    def write(x: Any) -> str:
        return (form.format(x) if np.isfinite(x) else str(float(x))).rjust(width)

    return write


def text(data: np.ndarray, grad_fn: Any, requires_grad: bool) -> str:
    """``tensor([1., 2.], requires_grad=True)``"""
    shown = data
    if data.size > 1000:  # the format is chosen from what will be seen, as PyTorch does
        shown = data.ravel()[:1000]
    formatter: Any = {"float_kind": _float_format(shown)} if data.dtype.kind == "f" else None
    body = np.array2string(
        data, separator=", ", prefix="tensor(", formatter=formatter, threshold=1000, edgeitems=3
    )
    if data.dtype.name not in _DEFAULT:
        body += f", dtype={data.dtype.name}"
    if grad_fn is not None:
        body += f", grad_fn=<{grad_fn.name()}>"
    elif requires_grad:
        body += ", requires_grad=True"
    return f"tensor({body})"
