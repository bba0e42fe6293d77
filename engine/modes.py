"""Thread-local modes: what a thread may set for itself without another thread noticing.

``threading.local``, not ``contextvars``: whether a new thread inherits its creator's context is up
to the build of Python. Here it starts with the defaults. A pool worker runs with a snapshot of the
modes of the task that it helps, and in a copy of its context, where the user's own variables are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ContextDecorator
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial, wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

import numpy as np

from . import sync

Value = TypeVar("Value")


class ThreadState(sync.local):
    """The modes of one thread. Thread-local: no other thread can reach them."""

    # Defaults of the class, which each thread sets for itself: its state is made when it is first
    # asked for, and a finalizer that runs meanwhile must not find it half made.
    grad: bool = True  # are operations recorded?
    before: tuple[bool, ...] = ()  # what it was outside of the blocks that this thread is in
    clock: int = 0  # Lamport clock: the newest sequence number made or met in this thread
    accumulation: str | None = None  # None: the process's default
    tickets: Any = None  # of ordered accumulation; None: the process's
    held: int = 0  # leaf locks that user code of this thread holds
    depth: int = 0  # backwards under way in this thread, each nested in the one before
    task: Any = None  # the backward that this thread is at work on
    handle: Any = None  # the submitted task that this thread is at work on
    pools: tuple[Any, ...] = ()  # the last one serves; empty: the process's default pool
    anomaly: bool = False  # look for NaN in what a backward computes?
    inference: bool = False  # make tensors that no graph can use?
    saved_hooks: tuple[Any, ...] = ()  # (pack, unpack), the last one counts
    no_saved_hooks: str | None = None  # the message that forbids them
    stream: Stream | None = None  # None: the process's random numbers
    generator: np.random.Generator | None = None  # what streams draw with
    observers: tuple[Any, ...] = ()  # who is told of what this thread's backwards do
    counts: Any = ()  # what this thread has done (`runtime.stats`), once it has

    def fields(self) -> dict[str, Any]:
        """All that it holds at this moment."""
        return {name: getattr(self, name) for name in ThreadState.__annotations__}


state = ThreadState()


class Stream:
    """Random numbers that depend on a key, and on how many draws from it came before, alone.

    Each draw has a sub-stream of its own, of which Philox can be put to the start at once: the
    generator is counter-based (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
    1, 2, 3", 2011). So nothing is shared while numbers are drawn, and neither threads nor the sizes
    of earlier draws change them. Externally synchronised: it belongs to one thread at a time.
    """

    __slots__ = ("_key", "_position", "_words")

    def __init__(self, *key: int) -> None:
        self._key = key
        self._position = 0
        self._words: np.ndarray | None = None  # a repeated write only costs time: atomic

    def _next(self) -> int:
        position = self._position
        self._position = position + 1
        return position

    def next(self) -> np.random.Generator:
        """A generator for the next draw: this thread's, until its next draw."""
        if self._words is None:
            seeds = np.random.SeedSequence(self._key, spawn_key=(len(self._key),))  # (1,) or (1, 0)
            self._words = seeds.generate_state(2, np.uint64)
        if state.generator is None:
            state.generator = np.random.Generator(np.random.Philox(key=0))
        counter = np.array([0, 0, 0, self._next()], np.uint64)  # a draw counts in the lower words
        state.generator.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": self._words},
            "buffer": _EMPTY,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return state.generator


_EMPTY = np.zeros(4, np.uint64)  # immutable


# The modes that a backward carries to the workers that help it. Not the random stream: it belongs
# to one thread at a time.
_CARRIED = (
    "grad",
    "anomaly",
    "inference",
    "accumulation",
    "tickets",
    "saved_hooks",
    "no_saved_hooks",
    "handle",
    "observers",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The modes of a thread at one moment, and its context, with NumPy's error state. Immutable."""

    modes: dict[str, Any]
    context: Context  # never entered, for two threads cannot be in one: copies of it are

    def run(self, function: Callable[[], Value], **also: Any) -> Value:
        """``function()`` as if in that thread at that moment, and under ``also`` more of its state.

        What it sets in its context is seen by nobody else, and gone at the end.
        """
        mine, seen = vars(state), {**self.modes, **also}
        before = {name: getattr(state, name) for name in seen}
        try:
            mine.update(seen)
            return self.context.copy().run(function)
        finally:
            mine.update(before)
            del self, function, also, mine, seen, before  # an error holds this frame


def snapshot() -> Snapshot:
    """The modes and the context of this thread, as a worker is to see them."""
    return Snapshot({name: getattr(state, name) for name in _CARRIED}, copy_context())


class _GradMode(ContextDecorator):
    """A block, or a decorated function, with recording on or off."""

    mode: bool

    def __enter__(self) -> None:
        state.before += (state.grad,)  # in the thread: one object may serve several
        state.grad = self.mode

    def __exit__(self, *_: object) -> None:
        state.grad = state.before[-1]
        state.before = state.before[:-1]

    def __call__(self, function: Callable[..., Any]) -> Any:
        if isgeneratorfunction(function):
            return _in_each_step(self._recreate_cm, function)
        return super().__call__(function)

    def _recreate_cm(self) -> _GradMode:
        """A block of its own for each call of a decorated function, which may run in any thread."""
        block = _GradMode()
        block.mode = self.mode
        return block


def _in_each_step(block: Callable[[], _GradMode], function: Callable[..., Any]) -> Any:
    """A generator function whose body runs in the mode, while its caller keeps its own."""

    @wraps(function)
    def generator(*args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **keywords)
        step: Callable[[], Any] = partial(next, inner)
        while True:
            try:
                with block():
                    value = step()
            except StopIteration as stop:
                return stop.value
            try:
                step = partial(inner.send, (yield value))
            except GeneratorExit:
                with block():
                    inner.close()
                raise
            except BaseException as error:
                step = partial(inner.throw, error)

    return generator


class no_grad(_GradMode):
    """Do not record operations in this thread, for a ``with`` block or a decorated function.

    Thread-local: no other thread notices, and a new thread starts recording.

    >>> import engine
    >>> w = engine.tensor([1.0], requires_grad=True)
    >>> with engine.no_grad():
    ...     w.mul_(3.0)
    tensor([3.], requires_grad=True)
    """

    mode = False


class enable_grad(_GradMode):
    """Record operations in this thread, for a ``with`` block or a decorated function.

    Thread-local, as ``no_grad``.
    """

    mode = True


class set_grad_enabled(_GradMode):
    """Record operations in this thread, or not: at once, or for a block or a decorated function.

    Thread-local, as ``no_grad``.

    >>> import engine
    >>> x = engine.tensor(1.0, requires_grad=True)
    >>> with engine.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._before = state.grad
        state.grad = self.mode

    def __enter__(self) -> None:
        state.before += (self._before,)
        state.grad = self.mode

    def __call__(self, function: Callable[..., Any]) -> Any:
        state.grad = self._before  # decorating a function is not setting the mode
        return super().__call__(function)


class inference_mode(ContextDecorator):
    """Neither record nor make recording possible, for a ``with`` block or a decorated function.

    Tensors computed here cannot be saved for a backward later, nor be written in place outside.
    Thread-local, as ``no_grad``. As ``torch.inference_mode``.

    >>> import engine
    >>> w = engine.ones(2, requires_grad=True)
    >>> with engine.inference_mode():
    ...     y = w * 2
    >>> y.is_inference(), y.requires_grad
    (True, False)
    """

    def __init__(self, mode: bool = True) -> None:
        self._mode = mode

    def __enter__(self) -> None:
        self._before = state.grad, state.inference
        state.grad, state.inference = not self._mode, self._mode

    def __exit__(self, *_: object) -> None:
        state.grad, state.inference = self._before

    def _recreate_cm(self) -> inference_mode:
        return inference_mode(self._mode)


class set_detect_anomaly:
    """Look for NaN in every gradient that this thread's backwards compute: at once, or for a block.

    Thread-local: PyTorch's is process-wide. Each NaN raises ``AnomalyError`` naming the operation
    and the line of the forward pass. As ``torch.autograd.set_detect_anomaly``.
    """

    def __init__(self, mode: bool) -> None:
        self._before = state.anomaly
        state.anomaly = bool(mode)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        state.anomaly = self._before


class detect_anomaly:
    """``set_detect_anomaly(True)`` for a ``with`` block. Thread-local.

    >>> import engine
    >>> x = engine.tensor(0.0, requires_grad=True)
    >>> with engine.autograd.detect_anomaly(), np.errstate(all="ignore"):
    ...     (x.sqrt() * 0).backward()
    Traceback (most recent call last):
    engine.errors.AnomalyError: Function 'SqrtBackward0' returned nan values in its 0th output. ...
    """

    def __enter__(self) -> None:
        self._before = state.anomaly
        state.anomaly = True

    def __exit__(self, *_: object) -> None:
        state.anomaly = self._before


def is_anomaly_enabled() -> bool:
    """Whether backwards of this thread look for NaN."""
    return state.anomaly


def is_inference_mode_enabled() -> bool:
    """Whether this thread makes inference tensors."""
    return state.inference


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded."""
    return state.grad
