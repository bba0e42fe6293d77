"""A backward that fails while a sibling is inside of a node: it raises when that one has left."""

import threading
from typing import Any

import numpy as np
import pytest

import engine
from engine.runtime.accumulate import POLICIES
from tests.threads.cancelling import SIZE, STAGED
from tests.threads.together import Gate, outcomes, until


class Broken(Exception):
    """What the failing branch raises."""


def failing_while_held(accumulation, events):
    """A backward in this thread: one of its two branches fails, the worker is held in the other.

    Returns the leaves and the grads as they were at the raise.
    """
    gate, main = Gate(), threading.current_thread()
    tasks: list[Any] = []
    xs = [engine.ones(SIZE, requires_grad=True) for _ in range(2)]
    for x in xs:
        x.grad = engine.ones(SIZE)

    def hook(g):
        if threading.current_thread() is main:
            gate.reached()
            threading.Thread(target=open_when_failed).start()
            raise Broken
        gate.hold()
        events.append("the sibling left its node")

    def open_when_failed():
        until(lambda: tasks[0].failed)
        gate.open()

    def note(point, subject):
        if point == "task.begin":
            tasks.append(subject)

    branches = [x.exp() for x in xs]
    for branch in branches:
        branch.register_hook(hook)
    loss = (branches[0] + branches[1]).sum()
    with (
        engine.sync.hooked(note),
        engine.WorkerPool(1, heavy=0) as pool,
        engine.accumulation(accumulation),
    ):
        try:
            loss.backward()
        except Broken:
            events.append("raised")
        raised = [x.grad.numpy().copy() for x in xs]
        until(lambda: pool.idle == 1)
    return xs, raised


@pytest.mark.parametrize("accumulation", POLICIES)
def test_the_error_waits_for_the_sibling(accumulation):
    events: list[str] = []
    xs, raised = failing_while_held(accumulation, events)
    assert events == ["the sibling left its node", "raised"]
    for x, grad in zip(xs, raised, strict=True):
        assert np.array_equal(x.grad.numpy(), grad)  # nothing came later


@pytest.mark.parametrize("accumulation", STAGED)
def test_every_grad_is_as_it_was(accumulation):
    xs, _ = failing_while_held(accumulation, [])
    assert all((x.grad.numpy() == 1).all() for x in xs)


@pytest.mark.parametrize("accumulation", POLICIES)
def test_pool_and_leaves_are_usable_afterwards(accumulation):
    xs, raised = failing_while_held(accumulation, [])
    with engine.WorkerPool(1, heavy=0), engine.accumulation(accumulation):
        (xs[0].exp() + xs[1].exp()).sum().backward()
    for x, grad in zip(xs, raised, strict=True):
        assert np.allclose(x.grad.numpy(), grad + np.exp(1.0))


@pytest.mark.parametrize("accumulation", STAGED)
def test_backwards_that_fail_beside_backwards_that_do_not(accumulation):
    """Eight callers on one pool and one leaf, half of them fail: the others count, exactly."""
    x = engine.zeros(SIZE, requires_grad=True)

    def good():
        ((x * 1).tanh() * 0 + x * 1).sum().backward()

    def bad():
        y = x * 1
        y.register_hook(lambda g: 1 / 0)
        (y.tanh() + x * 1).sum().backward()

    with engine.WorkerPool(2, heavy=0) as pool:

        def caller(action):
            engine.modes.state.pools += (pool,)
            with engine.accumulation(accumulation):
                for _ in range(10):
                    try:
                        action()
                    except ZeroDivisionError:
                        continue

        ended = outcomes(*[lambda action=action: caller(action) for action in (good, bad) * 4])
    assert not any(outcome.error for outcome in ended)
    assert (x.grad.numpy() == 40).all()


def test_errors_of_submitted_backwards_stay_apart():
    """Each handle has its own, with the line of its own forward."""
    x = engine.ones(3, requires_grad=True)

    def fail(k):
        def hook(g):
            raise Broken(k)

        return hook

    handles = []
    with engine.WorkerPool(2, heavy=0):
        for k in range(20):
            y = x * k
            y.register_hook(fail(k))
            handles.append(engine.submit((y + x).sum().backward))
        errors: list[Any] = [handle.exception() for handle in handles]
    assert [error.args for error in errors] == [(k,) for k in range(20)]
    for error in errors:
        (note,) = error.__notes__
        assert "in the backward of MulBackward0, recorded at" in note
        assert "test_no_write_after_the_raise.py" in note
    assert x.grad is None
