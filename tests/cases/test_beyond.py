"""What PyTorch does not promise, and where it loses updates or crashes: cases 65 to 69.

Numbers are those of the list of cases that `test_complete` counts. Only the engine runs these.
"""

import threading
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

import engine
from engine.errors import SavedValueChangedError
from tests.cases.lib import PATIENCE, SIZE, long, only, outcomes, together

ROUNDS = 100


class Window:
    """Parks the first thread that comes to a point, until somebody has done something there."""

    def __init__(self, point):
        self._point, self._first = point, threading.Lock()
        self._inside, self._go = threading.Event(), threading.Event()

    def hook(self, point, subject):
        """For `engine.sync.hooked`."""
        if point == self._point and self._first.acquire(blocking=False):
            self._inside.set()
            assert self._go.wait(PATIENCE)

    def during(self, action):
        """Call `action()` while a thread is parked; what it returned."""
        try:
            assert self._inside.wait(PATIENCE)
            return action()
        finally:
            self._go.set()


# 65: the gradient is replaced, zeroed or taken during a backward.


def replace(p):
    p.grad = None


def renew(p):
    p.grad = engine.zeros(SIZE)


REMOVALS = {
    "none": replace,
    "new": renew,
    "zero": lambda p: p.zero_grad(set_to_none=False),
    "take": lambda p: p.take_grad(),
}


@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize(("mode", "point"), [("locked", "grad.commit"), ("racy", "grad.store")])
def test_case_65_a_gradient_may_go_while_a_backward_is_about_to_add_to_it(removal, mode, point):
    p = long(engine)
    p.sum().backward()
    window = Window(point)
    with engine.sync.hooked(window.hook):
        together(
            lambda: (p * 3).sum().backward(accumulation=mode),
            lambda: window.during(lambda: REMOVALS[removal](p)),
        )
    left = 0.0 if p.grad is None else only(p.grad)
    # Racy, the contribution lands in the array that it has read: with what was there, or nowhere.
    assert left == 3 if mode == "locked" else left in (0, 1 + 3)
    (p * 2).sum().backward()
    assert only(p.grad) == left + 2


@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize("mode", ["locked", "racy"])
def test_case_65_nobody_crashes_however_often_it_goes(removal, mode):
    p = long(engine)

    def produce():
        for _ in range(ROUNDS):
            (p * 3).sum().backward(accumulation=mode)

    def remove():
        for _ in range(ROUNDS):
            REMOVALS[removal](p)

    together(produce, produce, remove)
    if p.grad is not None:
        assert np.all(p.grad.numpy() <= 3 * 2 * ROUNDS)
        assert np.all(p.grad.numpy() % 3 == 0)


def test_case_65_what_was_taken_and_what_is_left_are_what_was_produced():
    p, taken = long(engine), []

    def produce():
        for _ in range(ROUNDS):
            (p * 3).sum().backward()

    def take():
        for _ in range(ROUNDS):
            g = p.take_grad()
            if g is not None:
                taken.append(g)

    together(produce, produce, take)
    left = p.take_grad()
    assert p.grad is None
    total = np.sum([g.numpy() for g in [*taken, left] if g is not None], axis=0)
    assert np.all(total == 3 * 2 * ROUNDS)


# 66 and 67: parameters are written to by others, between a forward and its backward.


def write(p):
    with engine.no_grad():
        p.mul_(2)


def differentiated(p, how):
    """The gradient of p * p at 3, while another thread doubles p after the forward."""
    window = Window("task.begin")

    def backward():
        loss = (p * p).sum()
        if how == "grad":
            return engine.grad(loss, p)[0]
        loss.backward()
        return p.grad

    with engine.sync.hooked(window.hook):
        return outcomes(backward, lambda: window.during(lambda: write(p)))


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("backward", id="case_66_backward"),
        pytest.param("grad", id="case_67_grad"),
    ],
)
class TestWritesByOthers:
    def test_case_66_67_to_a_shared_parameter_are_no_error(self, how):
        (p,) = engine.hogwild.share([long(engine, 3.0)])
        (gradient, error), written = differentiated(p, how)
        assert error is None
        assert written.error is None
        assert only(gradient) == 12  # of what was there at the backward, as documented

    def test_case_66_67_to_another_one_raise(self, how):
        p = long(engine, 3.0)
        (_, error), written = differentiated(p, how)
        assert isinstance(error, SavedValueChangedError)
        assert written.error is None
        assert p.grad is None


def train(p, how):
    """Steps of a worker: minimises p * p / 2 - p, which saves p, together with others."""
    for _ in range(ROUNDS):
        loss = (p * p * 0.5 - p).sum()
        if how == "grad":
            (g,) = engine.grad(loss, p)
        else:
            loss.backward()
            g = p.take_grad()
        if g is not None:
            with engine.no_grad():
                p.sub_(g, alpha=0.1)


@pytest.mark.parametrize("how", ["backward", "grad"])
def test_case_66_67_threads_that_share_a_parameter_train_it(how):
    (p,) = engine.hogwild.share([long(engine, 3.0)])
    together(*[partial(train, p, how)] * 4)
    assert np.allclose(p.detach().numpy(), 1, atol=1e-2)


# 68: a hook on several tensors, of which each backward reaches others.


def test_case_68_a_hook_on_several_tensors_is_exact_in_every_thread():
    """Both backwards are at `a` at once, in each round: only one of them reaches `b`, too."""
    a, b = long(engine, 2.0), long(engine, 5.0)
    calls, meet = [], threading.Barrier(2)

    def look(g):
        meet.wait(PATIENCE)

    def note(grads):
        calls.append(tuple(None if g is None else only(g) for g in grads))

    a.register_hook(look)
    handle = engine.autograd.graph.register_multi_grad_hook([a, b], note)

    def run(loss):
        for _ in range(ROUNDS):
            loss().backward()

    together(lambda: run(lambda: (a * b).sum()), lambda: run(lambda: (a * 3).sum()))
    handle.remove()
    assert sorted(calls, key=str) == sorted([(5.0, 2.0), (3.0, None)] * ROUNDS, key=str)


# 69: an optimiser that steps in the backward, as soon as a gradient is there.


def test_case_69_an_optimiser_in_a_hook_conserves_updates():
    """The first to read the parameter waits a moment for another to read it, too: in vain."""
    p, factors = long(engine, 0.0), (3, 5)
    both = threading.Barrier(len(factors))

    def step(p):
        with p.grad_lock:
            g = p.take_grad()
            if g is None:
                return  # the other hook has used both
            new = p.detach() - g
            with suppress(threading.BrokenBarrierError):  # broken for good by the first wait
                both.wait(0.2)
            with engine.no_grad():
                p.copy_(new)

    p.register_post_accumulate_grad_hook(step)

    def work(factor):
        for _ in range(ROUNDS):
            (p * factor).sum().backward()

    together(*(partial(work, factor) for factor in factors))
    assert p.grad is None
    assert only(p) == -sum(factors) * ROUNDS
