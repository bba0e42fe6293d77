"""Threads that wait for work: started when first needed, stopped at exit, new after a fork."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakSet

from .. import modes, sync
from ..errors import ArgumentError
from .ready import Newest, ReadyQueue

Job = Callable[[], object]

# In element operations, about a nanosecond each: what a hand-off costs (6-100 us) must be small
# against what it moves.
HEAVY = 50_000

MAX_IN_FLIGHT = 1024  # tasks, each with its graph


class Queued(Protocol):
    """A submitted task (``handle.Handle``), as its pool sees it."""

    def run(self) -> object: ...

    def cancel(self) -> bool: ...

    def orphan(self) -> None: ...


class WorkerPool:
    """``workers`` threads that help the backwards of whoever uses the pool.

    Used as a ``with`` block it serves the backwards of this thread and is shut down at the end.
    A backward offers nodes of estimated cost of at least ``heavy`` element operations (about a
    nanosecond each) to workers that are idle, and runs the rest itself: ``workers=0`` is plain
    sequential code. ``order`` makes the queue that decides who runs next. ``max_in_flight``: so
    many submitted tasks may be queued or running, see ``engine.submit``.

    The end of the block waits for all that was submitted; if the block raises, it cancels it.

    Internally synchronised: any number of threads may use one pool at once.

    >>> import engine
    >>> x = engine.ones(100, 100, requires_grad=True)
    >>> with engine.WorkerPool(2, heavy=0):
    ...     (x.exp() + x.tanh()).sum().backward()
    >>> x.grad.shape
    (100, 100)
    """

    def __init__(
        self,
        workers: int,
        *,
        heavy: int = HEAVY,
        order: Callable[[], ReadyQueue] = Newest,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        if workers < 0:
            raise ArgumentError(f"WorkerPool: workers must be 0 or more, got {workers}")
        if max_in_flight < 0:
            raise ArgumentError(f"WorkerPool: max_in_flight must be 0 or more, got {max_in_flight}")
        self.workers = workers  # immutable
        self.heavy = heavy  # immutable
        self.order = order  # immutable
        self.max_in_flight = max_in_flight  # immutable
        self._forget_threads()
        with _pools_lock:
            _pools.add(self)

    def _forget_threads(self) -> None:
        """The state of a pool that has started no thread yet; after a fork, of the child's."""
        self._lock = sync.lock()
        self._jobs = sync.queue()  # internally synchronised
        self._threads: list[sync.Joinable] = []  # guarded by _lock
        self._closed = False  # guarded by _lock
        self._flying: set[Queued] = set()  # tasks that have not ended; guarded by _lock
        # Those that wait for a worker, the oldest first: no worker is idle then. Guarded by _lock.
        self._backlog: OrderedDict[Queued, None] = OrderedDict()
        # Workers that no job is reserved for. Changed under _lock; read without it as a hint: a
        # stale read costs an offer that is refused, or one that is not made.
        self.idle = self.workers

    def offer(self, job: Job) -> bool:
        """Give ``job`` to an idle worker; False if there is none, now or any more."""
        with self._lock:
            if not self.idle or self._closed or not (self._threads or self._start()):
                return False
            self.idle -= 1
            self._jobs.put(job)  # here, where Ctrl-C cannot come between: it would cost a worker
        return True

    def enqueue(self, task: Queued) -> bool:
        """Run ``task`` when all older ones have begun; False if there is no thread or no room."""
        with self._lock:
            full = len(self._flying) >= self.max_in_flight
            if full or self._closed or not (self._threads or self._start()):
                return False
            self._flying.add(task)
            if self.idle:
                self.idle -= 1
                self._jobs.put(task.run)
            else:
                self._backlog[task] = None
        return True

    def leave(self, task: Queued) -> None:
        """A submitted task has ended. May be called again."""
        with self._lock:
            self._flying.discard(task)
            self._backlog.pop(task, None)

    @property
    def queued(self) -> int:
        """How many submitted tasks wait for a worker. Atomic."""
        return len(self._backlog)

    def _next(self) -> Job | None:
        """What a worker that has finished a job does next; None: what the queue brings."""
        with self._lock:
            if not self._backlog:
                self.idle += not self._closed
                return None
            oldest = self._backlog.popitem(last=False)[0].run
            if self._closed:
                return oldest
            # Behind what is reserved for a worker that has not come for it yet: that is older.
            self._jobs.put(oldest)
        return None

    def _start(self) -> bool:
        """Start the threads; the caller holds ``_lock``. False when the interpreter is exiting."""
        if _exiting:
            self.idle = 0
            return False
        for index in range(self.workers):
            try:
                thread = sync.start_thread(
                    self._serve, f"engine-worker-{index}", daemon=not sync.EXITS
                )
            except RuntimeError:  # "can't start new thread": the interpreter is shutting down
                self.idle = len(self._threads)
                break
            self._threads.append(thread)
        return bool(self._threads)

    def _serve(self) -> None:
        modes.state.pools += (self,)  # a nested backward in a hook is helped by this pool too
        job: Job | None = None
        jobs = self._jobs
        while True:
            job = job or sync.idle_get(jobs)
            if job is None:
                # For the next: also for a thread that Ctrl-C kept out of the list while it started.
                self._jobs.put(None)
                return
            try:
                job()
            except BaseException as error:  # a worker outlives its jobs
                sync.report(error)
            job = None  # an idle worker must not keep a graph alive
            if jobs is not self._jobs:
                return  # a hook has forked, and this is the child, which has a pool of its own
            job = self._next()

    def shutdown(self, *, cancel: bool = False) -> None:
        """Stop the threads, once they have done all that was submitted. May be called again.

        ``cancel``: cancel what was submitted and has not ended, and wait for what has begun to
        stop. What is submitted later ``engine.submit`` runs itself, so no task is lost.
        """
        for thread in self._dismiss(cancel):
            thread.join()

    def _dismiss(self, cancel: bool) -> list[sync.Joinable]:
        """Tell the threads to end when they have nothing to do, and give no new job to them."""
        with self._lock:
            threads, self._threads = self._threads, []
            self._closed = True
            self.idle = 0
            flying: Sequence[Queued] = list(self._flying) if cancel else ()
        self._jobs.put(None)  # one is enough: each worker passes it on
        for task in flying:
            task.cancel()
        return threads

    def __enter__(self) -> WorkerPool:
        modes.state.pools += (self,)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        modes.state.pools = modes.state.pools[:-1]
        self.shutdown(cancel=kind is not None)

    def __repr__(self) -> str:
        return f"WorkerPool({self.workers})"


_pools_lock = sync.process_lock()
_pools: WeakSet[WorkerPool] = WeakSet()  # guarded by _pools_lock
_exiting = False  # set once, when the interpreter begins to exit: nobody would stop a thread
_default: WorkerPool | None = None  # set under _pools_lock; read without: atomic


def cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def current_pool() -> WorkerPool:
    """The pool of this thread, else the process's: one worker fewer than there are cores."""
    pools = modes.state.pools
    if pools:
        chosen: WorkerPool = pools[-1]
        return chosen
    return _default or _make_default(cores() - 1, replace=False)


def set_num_workers(workers: int) -> None:
    """Give the process's default pool ``workers`` threads; 0 makes backwards sequential.

    Internally synchronised; a backward that is running keeps the pool that it started with.
    """
    _make_default(workers, replace=True)


def _make_default(workers: int, *, replace: bool) -> WorkerPool:
    global _default
    pool = WorkerPool(workers)
    with _pools_lock:
        before = _default
        if before is not None and not replace:
            return before
        _default = pool
    if before is not None:
        before.shutdown()
    return pool


def _shutdown_all() -> None:
    global _exiting
    _exiting = True  # a pool that starts threads meanwhile is in `pools`, and waits for its lock
    with _pools_lock:
        pools = list(_pools)
    for pool in pools:
        # The interpreter waits for the threads after this; a hook may wait for main first.
        pool._dismiss(cancel=True)


def _after_fork_in_child() -> None:
    """The child has none of the parent's threads, and locks as they happened to be."""
    modes.state.handle = None  # what this thread does from here on is no part of the parent's task
    backward = modes.state.task
    while backward is not None:  # the fork was made by a hook
        backward.orphan()
        backward = backward.outer
    for pool in list(_pools):
        flying = list(pool._flying)
        pool._forget_threads()
        for task in flying:
            task.orphan()


sync.at_exit(_shutdown_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
