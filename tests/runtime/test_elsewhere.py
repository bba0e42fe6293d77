"""What is nested too deeply runs in a thread of its own, whose end is waited for in any case."""

import threading

import pytest

import engine
from engine.runtime.elsewhere import elsewhere
from engine.sync import Threads
from tests.threads.together import PATIENCE, until


class Starts(Threads):
    """Threads of which none starts, or whose start is interrupted: before or after it counts."""

    def __init__(self, error, *, alive):
        self.error, self.alive = error, alive

    def start_thread(self, target, name, daemon):  # type: ignore[override]
        if self.alive:
            Threads.start_thread(target, name, daemon)
        raise self.error


def run(primitives):
    """Where the work ran, and what `stop` was told."""
    ran: list[threading.Thread] = []
    told: list[BaseException] = []
    begin = threading.Event()

    def work():
        begin.wait(PATIENCE)
        ran.append(threading.current_thread())

    def stop(error):
        told.append(error)
        begin.set()

    if not isinstance(primitives.error, KeyboardInterrupt):
        begin.set()
    with engine.sync.controlled(primitives):
        elsewhere(work, stop)
    return ran, told


def test_without_a_thread_it_runs_here():
    ran, told = run(Starts(RuntimeError("can't start new thread"), alive=False))
    assert ran == [threading.current_thread()]
    assert not told


def test_interrupted_before_the_thread_lives_it_never_runs():
    error = KeyboardInterrupt()
    ran, told = run(Starts(error, alive=False))
    assert (ran, told) == ([], [error])


@pytest.mark.parametrize("trial", range(20))
def test_interrupted_while_the_thread_starts_it_has_run_before_the_return_or_never_will(trial):
    error = KeyboardInterrupt()
    ran, told = run(Starts(error, alive=True))
    assert told == [error]
    before = len(ran)
    for thread in threading.enumerate():
        if thread.name == "engine-nested":
            thread.join(PATIENCE)
    assert len(ran) == before


def test_an_error_of_the_work_ends_the_wait():
    """It is reported as that of any thread: what the engine runs there catches its own."""
    seen: list[object] = []
    before, threading.excepthook = threading.excepthook, seen.append

    def work():
        raise KeyError

    try:
        elsewhere(work, print)
        until(lambda: len(seen) == 1)
    finally:
        threading.excepthook = before


def test_a_backward_that_is_nested_deeply_needs_no_thread():
    def nested(depth):
        with engine.enable_grad():
            x = engine.ones(3, requires_grad=True)
            y = x * 2
            y.register_hook(lambda g: nested(depth - 1) and None if depth else None)
            y.sum().backward()
        return x.grad.tolist()

    with engine.sync.controlled(Starts(RuntimeError(), alive=False)):
        assert nested(45) == [2.0, 2.0, 2.0]
