"""What concurrent training changes for everybody: shared parameters, and the threads of BLAS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import threadpoolctl
from threadpoolctl import threadpool_limits

from .. import sync
from ..errors import OperandError
from ..graph import caller
from ..tensor import Tensor
from ..versions import VersionCell


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
        p._cell = None
    return shared


_lock = sync.process_lock()
_users: dict[Tensor, tuple[int, VersionCell | None]] = {}  # guarded by _lock: runs, former cell
_capped = 0  # guarded by _lock: runs that want one BLAS thread
_cap: threadpool_limits | None = None  # guarded by _lock


@contextmanager
def shared(params: Sequence[Tensor]) -> Iterator[None]:
    """``share`` for a ``with`` block: versions are counted again when the last block has ended."""
    with _lock:
        for p in params:
            runs, cell = _users.get(p, (0, p._cell))
            _users[p] = runs + 1, cell
            p._cell = None
    try:
        yield
    finally:
        with _lock:
            for p in params:
                runs, cell = _users.pop(p)
                if runs > 1:
                    _users[p] = runs - 1, cell
                else:
                    p._cell = cell
                    p._wrote(caller(2))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS capped at one thread, process-wide, until the last of these blocks has ended."""
    global _capped, _cap
    with _lock:
        _capped += 1
        if _cap is None:
            _any_thread_may_set_it()
            _cap = threadpool_limits(1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _capped -= 1
            if not _capped and _cap is not None:
                _any_thread_may_set_it()
                _cap.restore_original_limits()
                _any_thread_may_set_it()
                _cap = None


def _any_thread_may_set_it() -> None:
    """From its version 3.8 on threadpoolctl ignores, silently, all threads but the first to ask."""
    controller = getattr(threadpoolctl, "OpenBLASController", None)
    release = getattr(controller, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
