"""A training that fails or is interrupted stops all its threads, and says where."""

import os
import signal
import subprocess
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.sync import Threads
from tests.hogwild.lib import MODES, Problem
from tests.threads.together import PATIENCE, Meeting, until

TOP = Path(__file__).parent.parent.parent


class Broken(Exception):
    """What the tests raise."""


def running():
    return [t.name for t in threading.enumerate() if t.name.startswith("hogwild")]


def failing_at(problem, step, error):
    """A loss that raises when the batch of that step comes."""
    order = np.random.default_rng((0, 0)).permutation(len(problem.index))
    first = int(order[step * 16])

    def loss(x, y, index):
        if index.tolist()[0] == first:
            raise error
        return problem.loss(x, y, index)

    return loss


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_an_exception_is_raised_with_its_step_and_stops_all(mode, threads):
    problem, error = Problem(rows=1600), Broken("no")
    with pytest.raises(Broken, match="no") as caught:
        problem.train(
            loss=failing_at(problem, 7, error), mode=mode, threads=threads, batch_size=16, epochs=50
        )
    assert caught.value is error
    assert "in step 7 of engine.hogwild.train (batch 7 of its epoch)" in error.__notes__
    assert len(problem.batches) < 100
    assert not running()


def test_the_step_of_a_later_epoch_is_counted_on():
    problem = Problem(rows=64)
    calls = []

    def loss(*batch):
        calls.append(batch)
        if len(calls) == 7:
            raise Broken
        return problem.loss(*batch)

    with pytest.raises(Broken) as caught:
        problem.train(loss=loss, mode="serial", batch_size=16, epochs=5)
    assert caught.value.__notes__ == ["in step 6 of engine.hogwild.train (batch 2 of its epoch)"]


@pytest.mark.parametrize("trial", range(5))
def test_of_several_failures_the_first_step_is_raised(trial):
    problem, meeting = Problem(rows=32), Meeting(2)

    def loss(*batch):
        meeting.come()
        raise Broken

    with pytest.raises(Broken) as caught:
        problem.train(loss=loss, threads=2, batch_size=16)
    assert "in step 0 of" in caught.value.__notes__[0]


def test_an_exception_in_a_backward_says_both_places():
    problem = Problem()

    def loss(x, y, index):
        out = x @ problem.w
        out.register_hook(lambda g: 1 / 0)
        return out.mean()

    with pytest.raises(ZeroDivisionError) as caught:
        problem.train(loss=loss, threads=2)
    notes = "\n".join(caught.value.__notes__)
    assert "in the backward of" in notes
    assert "in step" in notes


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("callback", ["evaluate", "progress"])
def test_a_callback_that_fails_leaves_nothing_running(mode, callback):
    def fail(*_):
        raise Broken

    problem = Problem(rows=1600)
    with pytest.raises(Broken):
        problem.train(mode=mode, threads=3, batch_size=1, epochs=100, **{callback: fail})
    assert not running()
    with pytest.raises(engine.errors.InPlaceError):
        problem.w.add_(1)  # a leaf as before


def test_progress_says_how_far_it_is():
    seen: list[Any] = []
    problem = Problem()
    problem.train(threads=2, epochs=3, batch_size=16, progress=seen.append)
    assert all(0 <= p.epoch <= p.epochs == 3 and 0 <= p.step <= p.steps == 13 for p in seen)
    assert [p.epoch for p in seen] == sorted(p.epoch for p in seen)
    assert seen[-1].epoch == 3
    assert seen[-1].last.epoch == 2
    assert {threading.current_thread().name} == {"MainThread"}


class Refusing(Threads):
    """Starts one thread and no more."""

    def __init__(self):
        self.left = 1

    def start_thread(self, target, name, daemon):  # type: ignore[override]
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("can't start new thread")
        return Threads.start_thread(target, name, daemon)


def test_a_thread_that_cannot_be_started_stops_those_that_could():
    problem = Problem(rows=1600)
    with (
        engine.sync.controlled(Refusing()),
        pytest.raises(RuntimeError, match="can't start new thread"),
    ):
        problem.train(threads=3, batch_size=1, epochs=100)
    assert not running()


class Interrupted(Threads):
    """Ctrl-C while the second thread is being started: it lives, but its starter does not know."""

    def __init__(self):
        self.left = 1

    def start_thread(self, target, name, daemon):  # type: ignore[override]
        thread = Threads.start_thread(target, name, daemon)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return thread


def test_an_interrupt_while_a_thread_starts_leaves_no_step():
    problem = Problem(rows=1600)
    with engine.sync.controlled(Interrupted()), pytest.raises(KeyboardInterrupt):
        problem.train(threads=3, batch_size=1, epochs=100)
    until(lambda: not running())
    assert not problem.batches


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupt_stops_all(mode):
    problem = Problem(rows=1600)
    main = threading.main_thread().ident or 0

    def loss(*batch):
        if len(problem.batches) == 20:
            signal.pthread_kill(main, signal.SIGINT)
        return problem.loss(*batch)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            problem.train(loss=loss, mode=mode, threads=2, batch_size=1, epochs=10_000)
    finally:
        signal.signal(signal.SIGINT, before)
    until(lambda: not running())


def test_an_interrupted_script_ends_in_good_time():
    script = """
import os, signal, threading
import numpy as np
import engine

signal.signal(signal.SIGINT, signal.default_int_handler)
w = engine.zeros(4, requires_grad=True)
x = np.ones((1000, 4), "f4")
steps = []

def loss(x):
    steps.append(1)
    if len(steps) == 50:
        os.kill(os.getpid(), signal.SIGINT)
    return (x @ w).mean()

try:
    engine.hogwild.train(loss, (x,), engine.optim.SGD([w], lr=0.1), batch_size=1, epochs=10**6)
except KeyboardInterrupt:
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)  # one that was just being started notices by itself
    print(threading.active_count(), flush=True)
"""
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "1\n", "")


def test_steps_that_were_done_before_an_error_stay():
    problem, error = Problem(rows=1600), Broken()
    before = problem.weights()
    with pytest.raises(Broken):
        problem.train(loss=failing_at(problem, 7, error), mode="serial", batch_size=16)
    alone = Problem(rows=1600)
    assert len(problem.batches) == 7
    assert problem.weights() != before

    def stop(*batch):
        if len(alone.batches) == 7:
            raise Broken
        return alone.loss(*batch)

    with pytest.raises(Broken):
        alone.train(loss=stop, mode="serial", batch_size=16)
    assert alone.weights() == problem.weights()


def test_a_training_can_follow_one_that_failed():
    problem = Problem()
    with pytest.raises(Broken):
        problem.train(loss=failing_at(problem, 3, Broken()), batch_size=16)
    assert problem.train(threads=2, epochs=20, batch_size=8).loss < 0.01


def test_threads_see_the_error_state_of_the_caller():
    problem = Problem()

    def loss(x, y, index):
        return ((x @ problem.w) / 0.0).sum()

    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        problem.train(loss=loss, threads=2)


WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def test_each_thread_has_a_copy_of_the_context_of_the_caller():
    problem, meeting, seen = Problem(), Meeting(2), {}

    def loss(x, y, index):
        name = threading.current_thread().name
        if name not in seen:  # its first step: both threads have one
            seen[name] = WHO.get()
            WHO.set(name)
            meeting.come()
        return problem.loss(x, y, index)

    token = WHO.set("the caller")
    problem.train(loss=loss, threads=2)
    WHO.reset(token)
    assert list(seen.values()) == ["the caller"] * 2
    assert WHO.get() == "nobody"
