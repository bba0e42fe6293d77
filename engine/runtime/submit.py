"""Whole backwards on the pool: ``submit`` one, ``wait`` for several, take them ``as_completed``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from .. import sync
from ..errors import ArgumentError, WaitTimeoutError
from .accumulate import reserve
from .handle import Handle
from .pool import current_pool
from .waiting import completions

_ENOUGH: dict[str, Callable[[Handle], bool]] = {
    "ALL_COMPLETED": lambda handle: False,
    "FIRST_COMPLETED": lambda handle: True,
    "FIRST_EXCEPTION": Handle.failed,
}


def submit(
    function: Callable[..., Any], /, *args: Any, timeout: float | None = None, **keywords: Any
) -> Handle:
    """Run ``function(*args, **keywords)`` on the pool of this thread, and return its ``Handle``.

    ``function``: ``loss.backward``, ``engine.backward``, ``engine.grad``, or whatever runs
    backwards. It sees the modes of this thread as they are now: recording, accumulation, anomaly
    detection, saved-tensor hooks; and it runs in a copy of this thread's context, as
    ``asyncio.to_thread``: ``contextvars``, and so ``np.errstate``. ``timeout``: seconds from now
    until the task is cancelled; its ``result`` then raises ``DeadlineError``, a ``TimeoutError``.
    In ``ordered`` it takes its ticket, for the first backward that it runs, now: the order is that
    of the calls of ``submit``. A task that ends without using it releases it.

    The workers take the oldest task first. If the pool has no thread (``WorkerPool(0)``, or after
    its shutdown), or ``max_in_flight`` tasks are queued or running already, ``submit`` runs the
    task itself before it returns, as a plain call would; errors are in the handle all the same.
    So it never waits for another thread, and tasks may submit tasks to their own pool and wait.

    A cancelled task is freed, stops at its next node, and no ``.grad`` changes from then on. Each
    backward of a function that runs several is committed, or not, by itself.

    Raises ``ArgumentError`` for a negative timeout. Internally synchronised.

    >>> import engine
    >>> x = engine.ones(3, requires_grad=True)
    >>> losses = [(x * k).sum() for k in range(4)]
    >>> with engine.WorkerPool(2):
    ...     handles = [engine.submit(loss.backward) for loss in losses]
    >>> x.grad, all(handle.done() for handle in handles)
    (tensor([6., 6., 6.]), True)
    """
    if timeout is not None and timeout < 0:
        raise ArgumentError(f"submit: timeout must be 0 or more seconds, got {timeout}")
    name = getattr(function, "__qualname__", None) or repr(function)
    call, pool = partial(function, *args, **keywords), current_pool()
    reserved = reserve(keywords.get("accumulation"), keywords.get("ticket"))
    handle = Handle(name, call, pool, timeout, reserved)
    if not pool.enqueue(handle):
        handle.help()
    return handle


class Waited(NamedTuple):
    """Which handles have ended, and which not. Immutable."""

    done: set[Handle]
    not_done: set[Handle]


def wait(
    handles: Iterable[Handle], timeout: float | None = None, return_when: str = "ALL_COMPLETED"
) -> Waited:
    """Wait until handles have ended; raises none of their errors.

    ``return_when``: ``"ALL_COMPLETED"``, ``"FIRST_COMPLETED"``, or ``"FIRST_EXCEPTION"`` (or a
    deadline that has passed). ``timeout``: wait for at most so many seconds. Waiting for all and
    without a timeout, this thread runs what nobody has begun; so does a thread that is itself
    inside of a task. Raises ``ArgumentError``. Atomic. As ``concurrent.futures.wait``.

    >>> import engine
    >>> x = engine.tensor(3.0, requires_grad=True)
    >>> handles = [engine.submit(engine.grad, x * k, x) for k in range(3)]
    >>> done, not_done = engine.wait(handles)
    >>> len(done), len(not_done), handles[2].result()
    (3, 0, (tensor(2.),))
    """
    if return_when not in _ENOUGH:
        known = ", ".join(map(repr, _ENOUGH))
        raise ArgumentError(f"wait: unknown return_when {return_when!r}: choose one of {known}")
    several = list(dict.fromkeys(handles))
    helps = timeout is None and return_when == "ALL_COMPLETED"
    for handle in completions(several, _moment(timeout), helps=helps):
        if _ENOUGH[return_when](handle):
            break
    done = {handle for handle in several if handle.done()}
    return Waited(done, set(several) - done)


def as_completed(handles: Iterable[Handle], timeout: float | None = None) -> Iterator[Handle]:
    """Each handle as it ends, whatever the order they were submitted in.

    Without a ``timeout``, this thread runs what nobody has begun rather than only wait. Raises
    ``WaitTimeoutError`` when not all have ended ``timeout`` seconds after the first was asked for.
    The iterator is externally synchronised. As ``concurrent.futures.as_completed``.

    >>> import engine
    >>> x = engine.tensor(3.0, requires_grad=True)
    >>> handles = [engine.submit(engine.grad, x * k, x) for k in range(3)]
    >>> sorted(float(h.result()[0]) for h in engine.as_completed(handles))
    [0.0, 1.0, 2.0]
    """
    several = list(dict.fromkeys(handles))
    left = len(several)
    for handle in completions(several, _moment(timeout), helps=timeout is None):
        left -= 1
        yield handle
    if left:
        raise WaitTimeoutError(f"{left} of {len(several)} tasks have not ended in {timeout} s")


def _moment(timeout: float | None) -> float | None:
    return None if timeout is None else sync.monotonic() + timeout
