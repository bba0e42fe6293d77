"""Which policy a call of ``backward`` uses: its own, else its thread's, else the process's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ... import modes
from ...errors import ArgumentError
from .locked import Locked
from .racy import Racy

POLICIES: dict[str, type[Locked]] = {"racy": Racy, "locked": Locked}

# Atomic: a reference that is only ever rebound.
_default = "locked"


def _check(mode: str) -> str:
    if mode not in POLICIES:
        known = ", ".join(map(repr, POLICIES))
        raise ArgumentError(f"unknown accumulation mode {mode!r}: choose one of {known}")
    return mode


@contextmanager
def accumulation(mode: str) -> Iterator[None]:
    """How backwards of this thread add to ``.grad``, for a ``with`` block. Thread-local.

    ``"locked"``: every contribution counted exactly once, under the leaf's lock.
    ``"racy"``: in place and without a lock; may lose or tear contributions, never crashes.

    >>> import engine
    >>> x = engine.tensor([1.0], requires_grad=True)
    >>> with engine.accumulation("racy"):
    ...     x.sum().backward()
    >>> x.grad
    tensor([1.])
    """
    state = modes.state
    before, state.accumulation = state.accumulation, _check(mode)
    try:
        yield
    finally:
        state.accumulation = before


def set_accumulation(mode: str) -> None:
    """How backwards add to ``.grad`` in threads that have not chosen for themselves. Atomic."""
    global _default
    _default = _check(mode)


def chosen_policy(call: str | None) -> type[Locked]:
    """The policy of a call: its own, else its thread's, else the process's."""
    return POLICIES[_check(call) if call is not None else modes.state.accumulation or _default]
