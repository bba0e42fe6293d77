"""A submitted task: who runs it, who waits for it, and whether what it computed may still count."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from .. import modes, sync
from ..errors import CancelledError, DeadlineError, DeadlockError, WaitTimeoutError
from .accumulate import Reserved
from .elsewhere import DEEPEST, elsewhere
from .pool import WorkerPool
from .task import GraphTask
from .waiting import completions, in_event_loop

_QUEUED, _RUNNING, _DONE, _CANCELLED = "queued", "running", "done", "cancelled"
_ENDED = (_DONE, _CANCELLED)

Tell = Callable[["Handle"], object]
T = TypeVar("T")


class Handle:
    """What ``engine.submit`` returns: one task, from the queue of its pool to its result.

    A task ends in one of two ways, and which one is decided once, under the handle's lock.
    *Cancelled*: no backward of it has been committed since ``cancel``. *Done*: it has a result or
    an error. Nothing of it is written after ``done()`` is true.

    ``await handle`` is ``handle.result()`` for coroutines, in any event loop of ``asyncio``: the
    loop goes on meanwhile. If the one who awaits is cancelled, so is the task
    (``asyncio.shield`` prevents it).

    Internally synchronised: any number of threads may use one handle at once.

    >>> import engine
    >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> handle = engine.submit(engine.grad, (x * x).sum(), x)
    >>> handle.result(), handle.done(), handle.cancel()
    ((tensor([2., 4.]),), True, False)
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_clock",
        "_error",
        "_lock",
        "_modes",
        "_name",
        "_notes",
        "_owner",
        "_pool",
        "_state",
        "_stop",
        "_tasks",
        "_tell",
        "_value",
        "_waits_for",
        "_written",
        "deadline",
        "reserved",
    )

    def __init__(
        self,
        name: str,
        call: Callable[[], Any],
        pool: WorkerPool,
        timeout: float | None = None,
        reserved: Reserved | None = None,
    ) -> None:
        self._name = name  # immutable
        self._pool = pool  # immutable
        self.deadline = None if timeout is None else sync.monotonic() + timeout  # immutable
        self.reserved = reserved  # immutable: its ticket, in `ordered`
        # Taken by whoever runs the task, dropped when it ends: a handle keeps no graph alive.
        self._call: Callable[[], Any] | None = call
        self._modes: modes.Snapshot | None = modes.snapshot()
        self._clock: int = modes.state.clock  # what is recorded is numbered as if recorded here
        self._waits_for: Handle | None = None  # atomic: the handle whose result this task waits for
        self._lock = sync.lock()
        # Guarded by _lock, all below. The state, once it has ended, and what it ended with do not
        # change any more, and are read without.
        self._state = _QUEUED
        self._owner: object = None  # of whoever began it, and may end it
        self._stop: type[CancelledError] | None = None  # why it was cancelled; set once
        self._tasks: Sequence[GraphTask] = ()  # its backwards under way, the outermost first
        self._written = False  # the outermost of them has the right to commit, or the last had it
        self._tell: Sequence[Tell] = ()  # called, under no lock, when it has ended
        self._value: Any = None
        self._error: BaseException | None = None
        self._notes: Sequence[str] = ()

    # For whoever waits.

    def done(self) -> bool:
        """Whether it has ended: with a result, with an error, or cancelled. Atomic."""
        self.check()
        return self._state in _ENDED

    def cancelled(self) -> bool:
        """Whether it has ended cancelled, by ``cancel`` or by its ``timeout``. Atomic."""
        self.check()
        return self._state is _CANCELLED

    def failed(self) -> bool:
        """Whether it has ended with an error, or by its ``timeout``. Atomic."""
        return self._error is not None or (self.cancelled() and self._stop is DeadlineError)

    def cancel(self) -> bool:
        """Stop the task at its next node, or before it begins; whether that came in time. Atomic.

        True: it ends cancelled, and no backward of it is committed any more. False: it has
        ended, or its last backward is being committed or has been. If it begins another one after
        that, this raises ``CancelledError`` there. So of ``backward`` and ``grad``, True says
        "cancelled, nothing written", and False "done, written" (or failed by itself).

        ``racy`` accumulation writes as it goes: what had arrived stays.
        """
        return self._cancel(CancelledError)

    def result(self, timeout: float | None = None) -> Any:
        """What the task returned; what it raised is raised.

        Waits for at most ``timeout`` seconds, then raises ``WaitTimeoutError``; the task goes on.
        A task that nobody has begun is run here instead of waited for; with a ``timeout`` only by a
        thread that is itself inside of a task or a backward, which may then take longer.

        Raises ``CancelledError``, ``DeadlineError`` if its own ``timeout`` had passed, and
        ``DeadlockError`` if a task would wait for itself. Atomic.
        """
        self._wait(timeout)
        try:
            if self._state is _CANCELLED:
                raise self._refusal()
            if self._error is not None:
                raise self._error
            modes.state.clock = max(modes.state.clock, self._clock)
            return self._value
        finally:
            del self  # an exception must not hold the frame that holds it

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the task raised; None if it returned. Waits, and raises, as ``result``."""
        self._wait(timeout)
        if self._state is _CANCELLED:
            raise self._refusal()
        return self._error

    def __await__(self) -> Generator[Any, None, Any]:
        yield from in_event_loop(self)
        return self.result()

    def __repr__(self) -> str:
        return f"<Handle of {self._name}: {self._state}>"

    def _wait(self, timeout: float | None) -> None:
        if self._state in _ENDED:
            return
        waiter = modes.state.handle
        if waiter is not None:
            waiter._wait_for(self)
        try:
            until = None if timeout is None else sync.monotonic() + timeout
            for _ in completions([self], until, helps=until is None):
                return
        finally:
            if waiter is not None:
                waiter._waits_for = None
        raise WaitTimeoutError(f"{self._name} has not ended within {timeout} s; it goes on")

    def _wait_for(self, other: Handle) -> None:
        """Note it first, look then: of two that wait for each other, the second sees it."""
        self._waits_for, met, link = other, {self}, other
        while link not in met:
            met.add(link)
            if link._waits_for is None:
                return
            link = link._waits_for
        if link is self:
            raise DeadlockError(f"{self._name} waits for {other._name}, which waits for it")

    def tell(self, callback: Tell) -> None:
        """Call ``callback(self)`` once it has ended, in whatever thread ended it; perhaps twice."""
        with self._lock:
            ended = self._state in _ENDED
            if not ended:
                self._tell = [*self._tell, callback]
        if ended:
            callback(self)

    def untell(self, callback: Tell) -> None:
        """Call it no more."""
        with self._lock:
            self._tell = _without(self._tell, callback)

    # For the backwards of the task: `execute` calls these.

    def enter(self, task: GraphTask) -> None:
        """A backward begins; it fails at once if the task has been cancelled."""
        self.check()
        with self._lock:
            if not self._tasks:
                self._written = False  # of the one before
            self._tasks = [*self._tasks, task]
            stopped = self._is_stopped()
        if stopped:
            task.fail(-1, self._refusal())

    def claim(self, task: GraphTask) -> None:
        """Ask for the right to commit a backward; raises if the task has been cancelled."""
        hook = sync.hook
        if hook is not None:
            hook("handle.claim", self)
        self.check()
        with self._lock:
            stopped = self._is_stopped()
            if not stopped and task is self._tasks[0]:
                self._written = True
        if stopped:
            raise self._refusal()

    def leave(self, task: GraphTask) -> None:
        """A backward has ended."""
        with self._lock:
            self._tasks = _without(self._tasks, task)

    def check(self) -> bool:
        """Cancel the task if its deadline has passed; whether it has."""
        if self.deadline is None or sync.monotonic() < self.deadline:
            return False
        self._cancel(DeadlineError)
        return True

    def _is_stopped(self) -> bool:
        """Whether its backwards must stop; the caller holds ``_lock``."""
        return self._stop is not None and not self._written

    def _refusal(self) -> CancelledError:
        """What a cancelled task raises: new each time, an exception holds what it came through."""
        assert self._stop is not None
        why = "its timeout has passed" if self._stop is DeadlineError else "cancel() was called"
        error = self._stop(f"{self._name} was cancelled: {why}; nothing more of it is written")
        for note in self._notes:
            error.add_note(note)
        return error

    def _cancel(self, why: type[CancelledError]) -> bool:
        hook = sync.hook
        if hook is not None:
            hook("handle.cancel", self)
        try:
            with self._lock:
                if self._state in _ENDED:
                    return self._state is _CANCELLED
                late = self._written
                self._stop = self._stop or why
                if self._state is _QUEUED:
                    self._state = _CANCELLED
                tasks = () if late else self._tasks
            for task in tasks:
                task.fail(-1, self._refusal())
            return not late
        finally:
            self._close()

    # For whoever runs it.

    def help(self) -> bool:
        """Run it in this thread, if nobody has begun it; whether there was hope of that.

        Raises an interrupt (Ctrl-C) that lands here: it was meant for this thread.
        """
        if self._state is not _QUEUED:
            return False
        error = self.run() if modes.state.depth < DEEPEST else self._run_elsewhere()
        if error is not None and not isinstance(error, Exception):
            raise error
        return True

    def run(self) -> BaseException | None:
        """Run it, if nobody else has begun it: what a worker does. Returns what it raised."""
        owner, before = object(), modes.state.fields()
        try:
            if self._begin(owner):
                self._end(owner, self._result(), None)
        except BaseException as error:
            vars(modes.state).update(before)  # Ctrl-C may have kept `Snapshot.run` from it
            self._end(owner, None, error)
            return error
        finally:
            del self  # the error must not hold the frame that holds it
        return None

    def _run_elsewhere(self) -> BaseException | None:
        interrupts: list[BaseException] = []

        def stop(error: BaseException) -> None:
            interrupts.append(error)
            self.cancel()

        elsewhere(self.run, stop)
        return interrupts[0] if interrupts else None

    def _begin(self, owner: object) -> bool:
        hook = sync.hook
        if hook is not None:
            hook("handle.begin", self)
        self.check()
        with self._lock:
            if self._state is not _QUEUED:
                return False
            self._state, self._owner = _RUNNING, owner
        return True

    def _result(self) -> Any:
        """Call it as the thread that submitted it would have."""
        assert self._modes is not None
        also = {"handle": self, "task": None, "clock": self._clock, "pools": (self._pool,)}
        try:
            return self._modes.run(self._called, depth=modes.state.depth + 1, **also)
        finally:
            del self, also  # an error must not hold the frame that holds it

    def _called(self) -> Any:
        assert self._call is not None
        try:
            return self._call()
        finally:
            self._clock = modes.state.clock
            del self

    def _end(self, owner: object, value: Any, error: BaseException | None) -> None:
        """Decide how it ended, once, if ``owner`` has begun it."""
        hook = sync.hook
        if hook is not None:
            hook("handle.end", self)
        try:
            with self._lock:
                if self._owner is not owner or self._state is not _RUNNING:
                    return
                if self._is_stopped():
                    self._notes = _notes(error)
                    self._state = _CANCELLED
                else:
                    self._value, self._error = value, error
                    self._state = _DONE
        finally:
            self._close()

    def _close(self) -> None:
        """If it has ended: free what it holds, and tell whoever waits. May be called again."""
        if self._state in _ENDED:
            self._call = self._modes = None
            if self.reserved is not None:
                self.reserved.release()
            self._pool.leave(self)
            for callback in self._tell:
                callback(self)
            self._tell = ()

    def orphan(self) -> None:
        """In the child of a fork: nobody runs it here."""
        self._lock = sync.lock()
        self._tasks, self._written, self._tell = (), False, ()
        self._stop = self._stop or CancelledError
        self._state = _CANCELLED
        self._notes = ["it was in flight when the process forked, and belongs to the parent"]


def _without(several: Sequence[T], one: T) -> Sequence[T]:
    # Not in the block that holds the lock: 3.13 leaves jumps of some loops out of what `with`
    # covers, and Ctrl-C that lands on one leaves the lock held.
    return [other for other in several if other is not one]


def _notes(error: BaseException | None) -> Sequence[str]:
    """What a cancelled task tells of the error that it ended with."""
    if error is None or isinstance(error, CancelledError):
        return list(getattr(error, "__notes__", ()))
    return [f"before that it had failed with {error!r}"]
