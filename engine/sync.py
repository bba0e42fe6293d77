"""The one door to threading primitives, and where observers and controlled schedulers plug in.

Nothing else under ``engine/`` imports ``threading`` or ``queue`` (a test reads the imports). Three
things plug in here, and each costs a ``None`` check while it is absent:

* ``hook``: called as ``hook(point, subject)`` at every point where threads meet. A test parks a
  thread there to force an interleaving; an observer counts; a controlled scheduler decides there
  who runs next. It runs outside every engine lock, so it may block (at ``param.read`` and
  ``param.write`` of ``hogwild.train`` a ``snapshot`` waits meanwhile). If it has an attribute
  ``chunks``, it belongs to a scheduler in control, which knows who holds which lock: additions in
  place have so many parts then, each read and stored by itself, inside of a leaf's lock as well.
* ``primitives``: makes the locks, queues and threads, and tells the time. A controlled scheduler
  must know who waits for what and until when, so it installs its own before the objects it is to
  control are made. Objects made earlier keep the real primitives they were born with; that is why
  plain locks stay as fast as C.

Hook and primitives are process-wide. Setting them is externally synchronised: do it while no
backward runs.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty as Empty
from queue import SimpleQueue
from typing import Any, Protocol

__all__ = [
    "Counter",
    "Empty",
    "Hook",
    "Primitives",
    "Threads",
    "both",
    "controlled",
    "hook",
    "hooked",
    "ident",
    "idle_get",
    "in_main_thread",
    "local",
    "lock",
    "monotonic",
    "process_lock",
    "queue",
    "renew",
    "rlock",
    "start_thread",
]

Hook = Callable[[str, object], None]
Lock = AbstractContextManager[Any]

ident = threading.get_ident  # of the running thread

_locals: list[Any] = []  # appended to while modules are imported


class local(threading.local):
    """Attributes that each thread has for itself. Thread-local."""

    def __new__(cls, *args: Any) -> "local":
        made = super().__new__(cls, *args)
        _locals.append(made)
        return made


def renew() -> None:
    """Make this thread as a new one is to the engine: nothing that it did before is left in it.

    For a scheduler that lets one thread play many. Externally synchronised: at work on nothing.
    """
    for held in _locals:
        vars(held).clear()
        held.__init__()


class Joinable(Protocol):
    """A started thread: all that the engine ever does with one is wait for its end."""

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


class Primitives(Protocol):
    """What a controlled scheduler has to offer in place of ``threading``."""

    def lock(self) -> Lock: ...

    def rlock(self) -> Lock: ...

    def queue(self) -> "SimpleQueue[Any]": ...

    def start_thread(
        self, target: Callable[[], object], name: str, daemon: bool | None
    ) -> Joinable: ...

    def monotonic(self) -> float: ...


class Threads:
    """The real primitives."""

    lock = staticmethod(threading.Lock)
    rlock = staticmethod(threading.RLock)
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def queue() -> "SimpleQueue[Any]":
        return SimpleQueue()

    @staticmethod
    def start_thread(target: Callable[[], object], name: str, daemon: bool | None) -> Joinable:
        thread = threading.Thread(target=target, name=name, daemon=daemon)
        thread.start()
        return thread


hook: Hook | None = None
observer: Hook | None = None  # atomic: rebound by `runtime.observe` alone
primitives: Primitives = Threads()


@contextmanager
def hooked(function: Hook) -> Iterator[None]:
    """Call ``function(point, subject)`` at every meeting point of threads, for the ``with`` block.

    >>> import engine
    >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> seen = []
    >>> with hooked(lambda point, subject: seen.append(point)):
    ...     x.sum().backward()
    >>> seen[0], seen[-1], seen.count("node.begin")
    ('task.begin', 'task.end', 2)
    """
    global hook
    before, hook = hook, function
    try:
        yield
    finally:
        hook = before


def both() -> Hook | None:
    """What a point calls while there are observers: the hook, then these."""
    first, then = hook, observer
    if first is None or then is None:
        return first or then

    def call(point: str, subject: object) -> None:
        first(point, subject)
        then(point, subject)

    return call


@contextmanager
def controlled(by: Primitives) -> Iterator[None]:
    """Make every lock, queue and thread with ``by``, for the ``with`` block."""
    global primitives
    before, primitives = primitives, by
    try:
        yield
    finally:
        primitives = before


def lock() -> Lock:
    """A mutual-exclusion lock."""
    return primitives.lock()


def rlock() -> Lock:
    """A lock that its holder may take again."""
    return primitives.rlock()


_process_locks: list[Any] = []  # appended to while modules are imported


def process_lock() -> Lock:
    """A lock for a module: free in the child of a fork, whoever held it in the parent.

    What such a lock guards is changed by single assignments, so that a fork between them leaves
    nothing half-done.
    """
    made = threading.Lock()
    _process_locks.append(made)
    return made


def _free_after_fork() -> None:
    for held in _process_locks:
        held._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_after_fork)


def queue() -> "SimpleQueue[Any]":
    """An unbounded FIFO queue; its hand-off is the cheapest between two threads."""
    return primitives.queue()


# Built without the GIL: an object that one thread has made and another drops last is freed by the
# first, when that next runs; their reference counts are separate.
_FREES_LATER = "t" in getattr(sys, "abiflags", "")
_LOOK_UP = 0.5  # seconds


def idle_get(jobs: "SimpleQueue[Any]") -> Any:
    """The next item of a queue, for a thread that may wait long: it keeps nothing alive meanwhile.

    Where threads free what they have made themselves, it looks up twice a second to do so.
    """
    if not _FREES_LATER or type(jobs) is not SimpleQueue:
        return jobs.get()
    while True:
        with suppress(Empty):
            return jobs.get(timeout=_LOOK_UP)


def start_thread(
    target: Callable[[], object], name: str, *, daemon: bool | None = None
) -> Joinable:
    """Start a thread that runs ``target``; a daemon, if None is said, where this thread is one.

    So what works for a thread that the interpreter does not wait for does not keep it either.
    """
    return primitives.start_thread(target, name, daemon)


def monotonic() -> float:
    """Seconds on the clock that timeouts and deadlines go by; it never goes back."""
    return primitives.monotonic()


def in_main_thread() -> bool:
    """Whether this is the thread that signal handlers run in."""
    # Not `current_thread`, which makes up a thread where it is asked at the very end of one.
    return threading.get_ident() == threading.main_thread().ident


def this_thread() -> tuple[int, str]:
    """Number and name of the running thread."""
    thread = threading.current_thread()
    return threading.get_ident(), thread.name


def report(error: BaseException) -> None:
    """Tell of an exception that nobody waits for, as a thread that it ends would."""
    args = type(error), error, error.__traceback__, threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs(args))


def at_exit(function: Callable[[], None]) -> None:
    """Run ``function`` when the interpreter begins to exit, before it waits for threads.

    ``atexit`` is too late: the interpreter first joins every non-daemon thread, and a worker that
    waits for work would never be told to stop. Private in CPython since 3.9 and used by
    ``concurrent.futures`` itself; where it is missing, the workers are daemons (see ``EXITS``).
    """
    if EXITS:
        threading._register_atexit(function)  # type: ignore[attr-defined]


EXITS = hasattr(threading, "_register_atexit")


class Counter:
    """An integer that hands out each value once. Atomic.

    >>> ticket = Counter()
    >>> ticket.next(), ticket.next(), ticket.value
    (0, 1, 2)
    """

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = lock()
        self._value = 0  # guarded by _lock

    @property
    def value(self) -> int:
        """How many values were handed out."""
        return self._value

    def next(self) -> int:
        """The next value: no two callers get the same one."""
        with self._lock:
            value = self._value
            self._value = value + 1
        return value
