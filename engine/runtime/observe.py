"""Watching the engine at work: observers, which are told what happens and change nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from .. import modes, sync
from ..errors import OperandError
from ..graph import Node

Watching = TypeVar("Watching")


class Observer:
    """What ``engine.observe`` tells of. Any object with one of these methods will do.

    Each is called in the thread that does what it tells of, at once, and under no engine lock: it
    may block, take locks, read ``.grad``. It is told nothing of what it does itself, a backward,
    say. An observer of several threads is externally synchronised by whoever writes it.

    >>> import engine
    >>> class Names(engine.Observer):
    ...     def node_begin(self, node):
    ...         print(node.name(), node.shape)
    >>> x = engine.ones(2, requires_grad=True)
    >>> with engine.observe(Names()):
    ...     x.exp().sum().backward()
    SumBackward0 ()
    ExpBackward0 (2,)
    AccumulateGrad (2,)
    """

    def task_begin(self, task: Any) -> None:
        """A backward begins. ``task`` stands for it: the same object in ``task_end``.

        Keep its ``id``, not the object: it holds the graph.
        """

    def task_end(self, task: Any) -> None:
        """A backward has ended; ``task.failed`` says whether its walk failed."""

    def node_begin(self, node: Node) -> None:
        """A node is about to run: see ``node.name()``, ``node.shape``, ``node.dtype``."""

    def node_end(self, node: Node) -> None:
        """A node has run; not called when it raised."""

    def hand_off(self, node: Node) -> None:
        """This thread offers a node that is ready to whoever has nothing to do."""

    def accumulate(self, leaf: Node) -> None:
        """A backward is about to add to the ``.grad`` of ``leaf``."""

    def update(self, parameter: Any) -> None:
        """An optimiser, or a step of ``hogwild.train``, is about to write to ``parameter``."""


METHODS = {
    "task.begin": "task_begin",
    "task.end": "task_end",
    "node.begin": "node_begin",
    "node.end": "node_end",
    "node.offer": "hand_off",
    "grad.commit": "accumulate",
    "grad.store": "accumulate",
    "grad.rows": "accumulate",
    "param.write": "update",
}

Calls = Mapping[str, Callable[[Any], object]]


class Watcher:
    """One observer in one block. What it raises stays here until the end of that block."""

    __slots__ = ("calls", "error")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls  # by point; atomic, rebound once: to nothing, when it is told no more
        self.error: Exception | None = None  # atomic

    def tell(self, point: str, subject: object) -> None:
        """Call what is there for ``point``."""
        call = self.calls.get(point)
        if call is None:
            return
        try:
            call(subject)
        except Exception as error:  # an interrupt is not its own: it goes on to the backward
            self.calls, self.error = {}, self.error or error


def _calls(observer: object) -> Calls:
    """The methods that an observer has of its own."""
    found = {}
    for point, name in METHODS.items():
        method = getattr(observer, name, None)
        if method is not None and getattr(method, "__func__", None) is not vars(Observer)[name]:
            found[point] = method
    if not found and not isinstance(observer, Observer):
        known = ", ".join(dict.fromkeys(METHODS.values()))
        raise OperandError(f"observe: {observer!r} has none of an observer's methods: {known}")
    return found


class _Telling(sync.local):
    """Whether this thread is telling observers. Thread-local."""

    now = False


_telling = _Telling()
_lock = sync.process_lock()
_blocks = 0  # blocks that watch, in all threads; guarded by _lock
_everywhere: tuple[Watcher, ...] = ()  # changed under _lock, read without: only ever rebound


def _tell(point: str, subject: object) -> None:
    """``sync.observer`` while there is one: tell those of this thread's backwards, and of all."""
    watchers = _everywhere + modes.state.observers
    if not watchers or _telling.now:
        return
    try:
        _telling.now = True
        for watcher in watchers:
            watcher.tell(point, subject)
    finally:
        _telling.now = False


@contextmanager
def watching(watcher: Watcher, everywhere: bool) -> Iterator[None]:
    """Tell ``watcher``, for a ``with`` block."""
    state = modes.state
    _count(1, (watcher,) if everywhere else ())
    try:
        if everywhere:
            yield
        else:
            before, state.observers = state.observers, (*state.observers, watcher)
            try:
                yield
            finally:
                state.observers = before
    finally:
        watcher.calls = {}  # also for tasks that were submitted and go on
        _count(-1, (watcher,))


def _count(change: int, watchers: tuple[Watcher, ...]) -> None:
    global _blocks, _everywhere
    with _lock:
        _blocks += change
        if change > 0:
            _everywhere += watchers
        else:
            _everywhere = tuple(w for w in _everywhere if w not in watchers)
        sync.observer = _tell if _blocks else None


@contextmanager
def observe(observer: Watching, *, everywhere: bool = False) -> Iterator[Watching]:
    """Tell ``observer`` what the backwards of this thread do, for a ``with`` block.

    That is also what workers do for them, and what they submit, as long as the block lasts.
    ``everywhere``: what is done in any thread. A backward under way in another thread may go on
    unheard. Yields the observer; see ``engine.Observer`` for what it is told.

    An observer cannot break what it watches. When it raises, the backward goes on and gives the
    same bits, the observer is told no more, and its exception is raised at the end of the block; if
    the block raises by itself, it is a note on that. Ctrl-C in an observer is Ctrl-C.

    While nobody observes, an event costs a check for None. Internally synchronised. Raises
    ``OperandError`` for an object without any of the methods.

    >>> import engine
    >>> x = engine.ones(2, requires_grad=True)
    >>> with engine.observe(engine.Trace()) as trace:
    ...     x.exp().sum().backward()
    >>> sorted({event["name"] for event in trace.events() if event["ph"] == "X"})
    ['AccumulateGrad', 'ExpBackward0', 'SumBackward0', 'backward']
    """
    watcher = Watcher(_calls(observer))
    try:
        with watching(watcher, everywhere):
            yield observer
    except BaseException as error:
        if watcher.error is not None:
            error.add_note(f"before that an observer had failed with {watcher.error!r}")
        raise
    if watcher.error is not None:
        raise watcher.error
