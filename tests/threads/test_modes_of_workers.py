"""A worker runs with the modes of the task it helps, and keeps none of them."""

import threading
from contextvars import ContextVar

import numpy as np
import pytest

import engine
from engine import modes
from engine.autograd import edge_of
from engine.autograd.graph import saved_tensors_hooks
from engine.runtime import execute
from tests.threads.together import Meeting, together, until

SIZE = 10_000


def seen_by_both(look, pool=None):
    """What `look()` returns inside of a backward: (in the caller, in a worker)."""
    meeting, seen = Meeting(2), {}

    def hook(g):
        meeting.come()
        seen[threading.current_thread().name] = look()

    with engine.enable_grad():
        x = engine.ones(SIZE, requires_grad=True)
        one, two = x.exp(), x.tanh()
        loss = (one + two).sum()
    one.register_hook(hook)
    two.register_hook(hook)
    if pool is None:
        with engine.WorkerPool(1, heavy=0) as pool:
            run(loss, pool)
    else:
        run(loss, pool)
    caller = seen.pop(threading.current_thread().name)
    (worker,) = seen.values()
    return caller, worker


def run(loss, pool):
    modes.state.pools += (pool,)
    try:
        loss.backward()
    finally:
        modes.state.pools = modes.state.pools[:-1]


def everything():
    state = modes.state
    return (
        state.grad,
        state.anomaly,
        state.inference,
        state.accumulation,
        state.saved_hooks,
        np.geterr(),
        np.geterrcall(),
    )


def test_workers_see_the_error_state_of_the_caller():
    with np.errstate(over="raise", divide="ignore", invalid="warn"):
        caller, worker = seen_by_both(np.geterr)
    assert caller == worker
    assert worker["over"] == "raise"


def test_workers_call_the_callers_error_function():
    calls: list[str] = []

    def divide():
        np.divide(np.ones(600), np.zeros(600))
        return len(calls)

    with np.errstate(divide="call", call=lambda kind, flag: calls.append(kind)):
        seen_by_both(divide)
    assert calls == ["divide by zero"] * 2


def test_an_error_state_that_raises_does_so_in_a_worker():
    def divide():
        if threading.current_thread() is threading.main_thread():
            return
        np.divide(np.ones(600), np.zeros(600))

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        seen_by_both(divide)


WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def test_workers_see_the_context_variables_of_the_caller():
    with engine.WorkerPool(1, heavy=0) as pool:
        for name in ("one", "two"):  # the worker is not new for the second
            WHO.set(name)
            assert seen_by_both(WHO.get, pool) == (name, name)


def test_what_a_worker_sets_in_its_context_is_seen_by_nobody_else():
    def change():
        before = WHO.get()
        if threading.current_thread() is not threading.main_thread():
            WHO.set("a worker")
        return before

    WHO.set("the caller")
    with engine.WorkerPool(1, heavy=0) as pool:
        for _ in range(2):
            assert seen_by_both(change, pool) == ("the caller", "the caller")
            until(lambda: pool.idle == 1)
    assert WHO.get() == "the caller"


def test_many_workers_are_in_the_context_of_one_backward_at_once():
    """A context cannot be entered twice: each has a copy."""
    meeting, seen = Meeting(3), []

    def hook(g):
        meeting.come()
        seen.append(WHO.get())

    WHO.set("the caller")
    x = engine.ones(SIZE, requires_grad=True)
    branches = [x.exp() for _ in range(3)]
    for branch in branches:
        branch.register_hook(hook)
    with engine.WorkerPool(2, heavy=0):
        engine.backward(branches, [engine.ones(SIZE)] * 3)
    assert seen == ["the caller"] * 3


def test_a_backward_that_is_nested_too_deep_for_its_stack_keeps_the_context(monkeypatch):
    monkeypatch.setattr(execute, "DEEPEST", 0)
    seen = []

    def hook(g):
        seen.append((WHO.get(), threading.current_thread().name))

    x = engine.ones(SIZE, requires_grad=True)
    y = x.exp()
    y.register_hook(hook)
    WHO.set("the caller")
    y.sum().backward()
    assert seen == [("the caller", "engine-nested")]


@pytest.mark.parametrize("mode", [True, False])
def test_workers_do_not_record_whatever_the_caller_does_outside(mode):
    with engine.set_grad_enabled(mode):
        assert seen_by_both(engine.is_grad_enabled) == (False, False)


def test_workers_record_where_the_backward_is_recorded():
    meeting, seen = Meeting(2), []

    def hook(g):
        meeting.come()
        seen.append(engine.is_grad_enabled())

    x = engine.ones(SIZE, requires_grad=True)
    one, two = x.exp(), x.tanh()
    one.register_hook(hook)
    two.register_hook(hook)
    with engine.WorkerPool(1, heavy=0):
        (one + two).sum().backward(create_graph=True)
    assert seen == [True, True]
    assert x.grad.requires_grad
    x.grad = None  # breaks the circle


def test_all_modes_reach_workers():
    hooks = saved_tensors_hooks(lambda t: t, lambda t: t)
    with (
        engine.accumulation("racy"),
        engine.autograd.detect_anomaly(),
        np.errstate(all="ignore"),
    ):
        caller, worker = seen_by_both(everything)
        assert caller == worker
        with hooks:
            caller, worker = seen_by_both(everything)
    assert caller == worker
    assert worker[3] == "racy"
    assert worker[4]


def test_a_nested_backward_accumulates_as_its_task_says():
    """In whichever thread the hook runs."""
    leaf = engine.zeros(4, requires_grad=True)
    leaf.grad = engine.zeros(4)
    node, points = edge_of(leaf)[0], []

    def watch(point, subject):
        if subject is node and point.startswith("grad."):
            points.append(point)

    def nested():
        with engine.enable_grad():
            (leaf * 1).sum().backward()

    with engine.sync.hooked(watch), engine.accumulation("racy"):
        seen_by_both(nested)
    assert set(points) == {"grad.read", "grad.store"}


def test_a_worker_keeps_no_mode_for_the_next_task():
    with engine.WorkerPool(1, heavy=0) as pool:
        plain = seen_by_both(everything, pool)
        with (
            engine.accumulation("racy"),
            engine.autograd.detect_anomaly(),
            np.errstate(all="ignore"),
        ):
            seen_by_both(everything, pool)
        assert seen_by_both(everything, pool) == plain


def test_a_worker_keeps_no_mode_after_an_error():
    def fail():
        raise KeyError

    def broken():
        with (
            engine.accumulation("racy"),
            np.errstate(all="ignore"),
            pytest.raises(KeyError),
        ):
            seen_by_both(fail, pool)

    with engine.WorkerPool(1, heavy=0) as pool:
        plain = seen_by_both(everything, pool)
        broken()
        until(lambda: pool.idle == 1)
        assert seen_by_both(everything, pool) == plain


def test_a_hook_that_changes_a_mode_changes_it_for_no_other_task():
    def change():
        np.seterr(all="raise")
        modes.state.accumulation = "racy"
        engine.set_grad_enabled(True)

    before = np.geterr()
    with engine.WorkerPool(1, heavy=0) as pool:
        plain = seen_by_both(everything, pool)
        seen_by_both(change, pool)
        modes.state.accumulation = None  # the caller's own change is the caller's
        np.seterr(**before)
        until(lambda: pool.idle == 1)
        assert seen_by_both(everything, pool) == plain


def test_new_threads_start_with_the_defaults():
    with (
        engine.no_grad(),
        engine.accumulation("racy"),
        engine.autograd.detect_anomaly(),
        engine.inference_mode(),
    ):
        ((grad, anomaly, inference, accumulation, *_),) = together(everything)
    assert (grad, anomaly, inference, accumulation) == (True, False, False, None)


def test_one_object_serves_many_threads_and_nests_in_itself():
    quiet, meeting = engine.no_grad(), Meeting(2, rounds=3)

    def work(outside):
        engine.set_grad_enabled(outside)
        seen = []
        with quiet:
            meeting.come()
            with quiet:
                seen.append(engine.is_grad_enabled())
            meeting.come()
            seen.append(engine.is_grad_enabled())
        meeting.come()
        return [*seen, engine.is_grad_enabled()]

    answers = together(lambda: work(True), lambda: work(False))
    assert answers == [[False, False, True], [False, False, False]]


def test_a_flag_that_flips_in_one_thread_is_seen_by_no_other():
    x = engine.ones(3, requires_grad=True)

    def flip():
        for i in range(2_000):
            engine.set_grad_enabled(bool(i % 2))

    def build():
        return all((x * 2).requires_grad for _ in range(2_000))

    assert together(flip, build, build) == [None, True, True]
