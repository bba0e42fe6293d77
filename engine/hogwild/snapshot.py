"""Values of parameters that no concurrent writer tears.

Each thread of ``train`` has a lock of its own, and holds it while it writes a step into the
parameters. A snapshot takes the locks of all of them, and copies: so it sees no step half-written,
while the writers of different threads go on racing each other. In Linux this is called a big-reader
lock, with the roles the other way round. A lock that nobody else wants costs a tenth of a
microsecond a step; a sequence counter costs no less here, and a reader of it starves when writers
are always at work. See ``docs/decisions/0014-snapshots.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import is_not
from typing import Any, TypeVar

import numpy as np

from .. import modes, sync
from ..errors import DeadlockError, OperandError
from ..graph import Leaf
from ..nn import Module
from ..tensor import Tensor, from_array

T = TypeVar("T")


class Writers:
    """The threads that write to ``params`` in one run of ``train``: a lock for each. Immutable."""

    __slots__ = ("locks", "params")

    def __init__(self, params: Sequence[Tensor], threads: int) -> None:
        self.params = frozenset(params)
        self.locks = [sync.lock() for _ in range(threads)]


_lock = sync.process_lock()
_running: list[Writers] = []  # changed under _lock; read without: each change makes a new list


@contextmanager
def writing(writers: Writers) -> Iterator[None]:
    """Let snapshots know of ``writers``, for a ``with`` block around all that they write."""
    global _running
    with _lock:
        _running = [*_running, writers]
    try:
        yield
    finally:
        with _lock:
            # No comprehension: on CPython 3.13 Ctrl-C in one would leave the lock held for ever.
            _running = list(filter(partial(is_not, writers), _running))


def _forget_writers() -> None:
    """In the child of a fork none of them is left, and their locks are as they happened to be."""
    global _running
    _running = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writers)


def snapshot(params: Module | Mapping[str, Tensor] | Iterable[Tensor]) -> Any:
    """Copies of parameters that no concurrent writer tears, in memory of their own.

    ``params``: Tensors, then a list comes back; a mapping of names to Tensors, or a ``Module``
    (its parameters and buffers, as in ``state_dict()``), then a dict. What comes back is detached,
    of the same shapes and dtypes, and fit for ``load_state_dict`` and ``engine.nn.save``.

    Which writers it is safe from:

    * Steps of ``hogwild.train`` in any mode, ``racy`` too: each step is in all of the values
      or in none. (What racy steps lose to each other stays lost.)
    * ``SGD.step``, and whatever else writes under a parameter's ``grad_lock``: each *value* is from
      before or after the write; one parameter may be from before a step and another from after.
    * No others: ``SGD.update`` and writes in place (``p.add_(...)``, ``p.data``) without
      ``grad_lock``, and the running statistics of BatchNorm, may be seen half-done.

    Steps wait while the values are copied, and it waits for steps that are being written: reads
    and gradients go on. Internally synchronised. Raises ``OperandError`` for what is no Tensor, and
    ``DeadlockError`` in a thread that holds a ``grad_lock`` while the parameters are being trained:
    a step may be waiting for that lock.

    >>> import engine
    >>> w = engine.ones(3, requires_grad=True)
    >>> (before,) = snapshot([w])
    >>> with engine.no_grad():
    ...     _ = w.mul_(2)
    >>> before, snapshot({"w": w})
    (tensor([1., 1., 1.]), {'w': tensor([2., 2., 2.])})
    """
    if isinstance(params, Module):
        params = params._state()
    if isinstance(params, Mapping):
        return dict(zip(params, _values(list(params.values())), strict=True))
    if isinstance(params, Tensor):
        raise OperandError("snapshot: got one Tensor, whose rows it would be: pass a list, [p]")
    return _values(list(params))


def _values(params: Sequence[Tensor]) -> list[Tensor]:
    for p in params:
        if not isinstance(p, Tensor):
            raise OperandError(f"snapshot: only Tensors can be copied, not {type(p).__name__}")
    hook = sync.hook
    if hook is not None:
        hook("param.snapshot", params)
    while True:
        before = _running
        locks = [lock for w in before if not w.params.isdisjoint(params) for lock in w.locks]
        if locks and modes.state.held:
            raise DeadlockError(
                "snapshot: this thread holds a grad_lock, for which a step of hogwild.train may "
                "wait that this would wait for: take the snapshot before the lock, or after it"
            )
        copies = _holding(locks, lambda: [_copy(p) for p in params])
        if _running is before:  # else a run began meanwhile, whose threads waited for nobody
            return [from_array(copy) for copy in copies]


def _holding(locks: Sequence[Any], call: Callable[[], T], first: int = 0) -> T:
    """Call it with all locks held. A level for each: a ``with`` is what Ctrl-C leaves no lock in.

    In the order in which runs began and of their threads, by every snapshot: none waits for one
    that waits for it.
    """
    if first == len(locks):
        return call()
    with locks[first]:
        return _holding(locks, call, first + 1)


def _copy(p: Tensor) -> np.ndarray:
    """The elements, under the leaf's lock where there is one."""
    edge = p._edge
    if edge is None or not isinstance(edge[0], Leaf):
        return p._data.copy()
    with edge[0].lock:
        return p._data.copy()
