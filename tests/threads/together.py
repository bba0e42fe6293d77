"""How the tests make threads meet: start together, wait for each other, take turns; never sleep."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, NamedTuple

PATIENCE = 20.0  # seconds until a thread that should have come is a failure


class Outcome(NamedTuple):
    """How a thread's function ended."""

    value: Any = None
    error: BaseException | None = None


def outcomes(*functions: Callable[[], Any]) -> list[Outcome]:
    """Call each function in a thread of its own; they begin together."""
    barrier = threading.Barrier(len(functions))
    ended: list[Outcome] = [Outcome()] * len(functions)

    def call(index: int, function: Callable[[], Any]) -> None:
        barrier.wait(PATIENCE)
        try:
            ended[index] = Outcome(function())
        except BaseException as error:
            ended[index] = Outcome(error=error)

    threads = [
        threading.Thread(target=call, args=job, name=f"together-{job[0]}", daemon=True)
        for job in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} does not come to an end"
    return ended


def together(*functions: Callable[[], Any]) -> list[Any]:
    """As `outcomes`, for functions that may not fail: their values."""
    ended = outcomes(*functions)
    for outcome in ended:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in ended]


def repeat(times: int, action: Callable[..., Any], *arguments: Any) -> None:
    """Call the action so many times."""
    for _ in range(times):
        action(*arguments)


def give_way() -> None:
    """Let another thread go on, if one can."""
    sleep(0)


def until(condition: Callable[[], bool]) -> None:
    """Yield to other threads until the condition holds."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "waited in vain"
        give_way()


class Turns:
    """Lets threads, known by their names, go from point to point in a given order.

    A thread that arrives at one of the points waits there for its turn, and has the turn until it
    arrives at the next point or leaves. `order` names a thread for each arrival.
    """

    def __init__(self, points: Iterable[str], order: Sequence[str]) -> None:
        self._points = set(points)
        self._order = list(order)
        self._running: str | None = None
        self._changed = threading.Condition()

    def hook(self, point: str, subject: object) -> None:
        """For `engine.sync.hooked`."""
        name = threading.current_thread().name
        if point in self._points and name in self._order:
            self.leave()
            with self._changed:
                mine = self._changed.wait_for(lambda: self._is_next(name), PATIENCE)
                assert mine, f"{name} waits at {point} for a turn that never comes"
                self._running = self._order.pop(0)

    def _is_next(self, name: str) -> bool:
        return self._running is None and self._order[:1] == [name]

    def leave(self) -> None:
        """Give up the turn, if the calling thread has it."""
        with self._changed:
            if self._running == threading.current_thread().name:
                self._running = None
                self._changed.notify_all()


class Meeting:
    """Where a number of threads have to be at the same time; the first `rounds` times."""

    def __init__(self, parties: int, rounds: int = 1) -> None:
        self._barrier = threading.Barrier(parties)
        self._left = parties * rounds
        self._lock = threading.Lock()

    def come(self) -> None:
        """Wait for the others."""
        with self._lock:
            coming = self._left > 0
            self._left -= coming
        if coming:
            self._barrier.wait(PATIENCE)


class Gate:
    """Where one thread is held, until another, which has seen it come, opens."""

    def __init__(self) -> None:
        self._came, self._opened = threading.Event(), threading.Event()

    def hold(self, *_: object) -> None:
        """Say that one is here, and wait."""
        self._came.set()
        assert self._opened.wait(PATIENCE), "nobody opens the gate"

    def reached(self) -> None:
        """Wait until somebody is held."""
        assert self._came.wait(PATIENCE), "nobody comes to the gate"

    def open(self) -> None:
        """Let whoever is held, or comes later, go on."""
        self._opened.set()


@contextmanager
def overlap(parties: int = 2, patience: float = 0.2):
    """`enter()` waits a moment for others; `most()` is how many have been inside at a time.

    Finds out whether something excludes threads from each other: where it does, the wait is in
    vain, and short.
    """
    changed = threading.Condition()
    inside = [0, 0]

    def enter() -> None:
        with changed:
            inside[0] += 1
            inside[1] = max(inside)
            changed.notify_all()
            changed.wait_for(lambda: inside[1] >= parties, patience)
            inside[0] -= 1

    yield enter, lambda: inside[1]
