"""Waiting for submitted tasks: in a thread, which may help, or in an event loop, which goes on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from .. import modes, sync


class Task(Protocol):
    """A submitted task (``handle.Handle``), as those who wait for it see it."""

    deadline: float | None

    def tell(self, callback: Callable[[Any], object], /) -> None: ...

    def untell(self, callback: Callable[[Any], object], /) -> None: ...

    def help(self) -> bool: ...

    def check(self) -> bool: ...

    def cancel(self) -> bool: ...


T = TypeVar("T", bound=Task)


def inside() -> bool:
    """Whether this thread is inside of a task or a backward: its pool may have no other thread."""
    return modes.state.handle is not None or modes.state.task is not None


def completions(tasks: Sequence[T], until: float | None, *, helps: bool) -> Iterator[T]:
    """Each task as it ends, up to the moment ``until``.

    ``helps``: the thread may run what nobody has begun. One that is inside of a task does in any
    case, since others may wait for it.
    """
    arrived: Any = sync.queue()
    tell = arrived.put
    pending = dict.fromkeys(tasks)
    queued = iter(list(pending) if helps or inside() else ())  # what is begun never comes back
    timed = [task for task in pending if task.deadline is not None]
    try:
        for task in tasks:
            task.tell(tell)
        while pending:
            if arrived.empty() and any(task.help() for task in queued):
                continue
            ended = _next(arrived, timed, until)
            if ended is None:
                return
            if ended in pending:  # told only once
                del pending[ended]
                yield ended
    finally:
        for task in pending:
            task.untell(tell)


def _next(arrived: Any, timed: list[T], until: float | None) -> T | None:
    """The next task that ends; None if none does before ``until``."""
    while True:
        moments = [task.deadline for task in timed if task.deadline is not None]
        if until is not None:
            moments.append(until)
        with suppress(sync.Empty):
            # Without a moment no timeout either: a controlled scheduler lets any timeout pass.
            left = [max(0.0, min(moments) - sync.monotonic())] if moments else []
            ended: T = arrived.get(True, *left)
            return ended
        timed[:] = [task for task in timed if not task.check()]
        if until is not None and sync.monotonic() >= until and arrived.empty():
            return None


def in_event_loop(task: Task) -> Generator[Any, None, None]:
    """Wait in a coroutine; cancel the task if the coroutine is cancelled."""
    from asyncio import CancelledError, get_running_loop

    if inside():
        task.help()  # this thread may be the only one that could run it
    loop = get_running_loop()
    ended = loop.create_future()

    def wake() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(wake)

    left = None if task.deadline is None else max(0.0, task.deadline - sync.monotonic())
    timer = None if left is None else loop.call_later(left, task.check)
    task.tell(tell)
    try:
        yield from ended
    except CancelledError:
        task.cancel()
        raise
    finally:
        task.untell(tell)
        if timer is not None:
            timer.cancel()
