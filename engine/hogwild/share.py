"""Parameters that other threads update on purpose."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import OperandError
from ..tensor import Tensor


def share(params: Iterable[Tensor]) -> list[Tensor]:
    """Mark parameters as shared between threads that write to them, and return them.

    From here on their elements are racy by consent: a write in place, by any thread, between a
    forward and its backward neither raises nor crashes, and the backward uses the values it finds.
    Everything else stays as it was: ``.grad`` and its modes, and the checks on other tensors.

    >>> import engine
    >>> (w,) = share([engine.ones(3, requires_grad=True)])
    >>> loss = (w * w).sum()
    >>> with engine.no_grad():
    ...     _ = w.mul_(2)  # on an unshared w, backward would raise SavedValueChangedError
    >>> loss.backward()
    >>> w.grad
    tensor([4., 4., 4.])
    """
    shared = list(params)
    for p in shared:
        if not isinstance(p, Tensor) or not p.is_leaf:
            raise OperandError(f"share: only leaf Tensors can be shared, not {p!r}")
    for p in shared:
        p._version = None
    return shared
