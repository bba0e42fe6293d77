"""submit, wait, as_completed: who runs a task, and in which order."""

import gc
import weakref
from contextvars import ContextVar
from functools import partial

import numpy as np
import pytest

import engine
from engine.runtime.pool import current_pool
from tests.runtime.tasks import busy, me
from tests.threads.together import PATIENCE, together, until

MANY = 1000


def test_a_task_returns_what_its_function_returns():
    with engine.WorkerPool(1):
        handle = engine.submit(divmod, 7, 3)
        assert handle.result(PATIENCE) == (2, 1)
        assert handle.exception() is None
        assert handle.done()
        assert not handle.cancelled()
        assert engine.submit(dict, a=1).result() == {"a": 1}


def test_a_task_runs_in_a_worker():
    with engine.WorkerPool(1):
        assert engine.submit(me).result(PATIENCE) == "engine-worker-0"


def test_what_a_task_raises_is_raised_by_result_each_time():
    with engine.WorkerPool(1):
        handle = engine.submit(int, "seven")
        for _ in range(2):
            with pytest.raises(ValueError, match="seven"):
                handle.result()
        assert isinstance(handle.exception(), ValueError)
        assert not handle.cancelled()


def test_whole_backwards_of_several_threads():
    x = engine.ones(100, requires_grad=True)

    def submits():
        losses = [(x * k).sum() for k in range(25)]
        return [engine.submit(loss.backward) for loss in losses]

    with engine.WorkerPool(2) as pool:

        def caller():
            engine.modes.state.pools += (pool,)
            engine.wait(submits())

        together(*[caller] * 4)
    assert (x.grad.numpy() == 4 * sum(range(25))).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_task_sees_the_modes_of_who_submitted_it(workers):
    def modes():
        state = engine.modes.state
        return (
            engine.is_grad_enabled(),
            state.accumulation,
            state.anomaly,
            len(state.saved_hooks),
            np.geterr()["over"],
            current_pool(),
        )

    with engine.WorkerPool(workers) as pool:
        with (
            engine.no_grad(),
            engine.accumulation("racy"),
            engine.autograd.detect_anomaly(),
            engine.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
            np.errstate(over="raise"),
        ):
            handle = engine.submit(modes)
        assert handle.result() == (False, "racy", True, 1, "raise", pool)
        assert engine.submit(modes).result()[:4] == (True, None, False, 0)


WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_task_runs_in_a_copy_of_the_context_of_who_submitted_it(workers):
    def change(name):
        before = WHO.get()
        WHO.set(name)
        return before, WHO.get()

    def outer():
        return change("outer"), engine.submit(change, "inner").result(), WHO.get()

    with engine.WorkerPool(workers):
        token = WHO.set("caller")
        handle = engine.submit(outer)
        WHO.reset(token)
        assert handle.result() == (("caller", "outer"), ("outer", "inner"), "outer")
        assert WHO.get() == "nobody"
        assert engine.submit(WHO.get).result() == "nobody"


def test_what_a_task_records_is_numbered_as_if_recorded_by_who_submitted_it():
    """Numbers order sums in the next derivative: they must not depend on who ran the task."""

    def record():
        return engine.ones(1, requires_grad=True) * 2

    record()
    with engine.WorkerPool(1):
        clock = engine.modes.state.clock
        first, second = engine.submit(record), engine.submit(record)
        assert second.result().grad_fn.seq == first.result().grad_fn.seq == clock + 1
        assert record().grad_fn.seq == clock + 2


@pytest.mark.parametrize("count", [2, MANY])
def test_the_oldest_task_begins_first(count):
    begun: list[int] = []
    with busy():
        for k in range(count):
            engine.submit(begun.append, k)
    assert begun == list(range(count))


def test_no_task_waits_for_a_younger_one_whoever_submits():
    """Four callers: each caller's tasks begin in its order, and none is left out."""
    begun: list[tuple[int, int]] = []
    with busy() as (pool, _):

        def caller(who):
            engine.modes.state.pools += (pool,)
            for k in range(50):
                engine.submit(begun.append, (who, k))

        together(*[lambda who=who: caller(who) for who in range(4)])
    for who in range(4):
        assert [k for caller, k in begun if caller == who] == list(range(50))


def test_a_thousand_handles_on_a_pool_of_two():
    x = engine.ones(10, requires_grad=True)
    with engine.WorkerPool(2):
        handles = [engine.submit((x * 1).sum().backward) for _ in range(MANY)]
        done, not_done = engine.wait(handles)
        assert (len(done), len(not_done)) == (MANY, 0)
    assert (x.grad.numpy() == MANY).all()


def test_a_thousand_callers_on_a_pool_of_two():
    """Callers, not tasks: each waits for its own."""
    x = engine.ones(10, requires_grad=True)
    with engine.WorkerPool(2) as pool:

        def callers():
            engine.modes.state.pools += (pool,)
            for _ in range(MANY // 20):
                engine.submit((x * 1).sum().backward).result()

        together(*[callers] * 20)
        until(lambda: pool.idle == 2)
    assert (x.grad.numpy() == MANY).all()


# The bound.


def test_at_the_bound_submit_runs_the_task_itself():
    ran: list[str] = []
    with busy(max_in_flight=3) as (pool, _):
        queued = [engine.submit(lambda: ran.append(me())) for _ in range(2)]
        mine = engine.submit(lambda: ran.append(me()))
        assert mine.done()
        assert ran == [me()]
        assert not any(handle.done() for handle in queued)
        assert len(pool._flying) == 3
    assert ran == [me(), "engine-worker-0", "engine-worker-0"]


def test_a_task_that_has_ended_makes_room():
    with busy(max_in_flight=2) as (pool, release):
        queued = engine.submit(me)
        assert queued.cancel()
        assert not engine.submit(me).done()
        release()
        until(lambda: not pool._flying)


def test_an_error_at_the_bound_is_in_the_handle():
    with engine.WorkerPool(1, max_in_flight=0):
        handle = engine.submit(int, "seven")
        assert handle.done()
        with pytest.raises(ValueError, match="seven"):
            handle.result()


def test_without_workers_submit_is_a_plain_call():
    with engine.WorkerPool(0):
        handle = engine.submit(me)
        assert handle.done()
        assert handle.result() == me()


def test_an_interrupt_in_a_plain_call_is_raised_there():
    def interrupt():
        raise KeyboardInterrupt

    with engine.WorkerPool(0), pytest.raises(KeyboardInterrupt):
        engine.submit(interrupt)


# What a handle keeps.


def gone(seen):
    """Without a GIL what a thread made is freed when it runs again."""
    engine.submit(me).result(PATIENCE)
    return seen() is None


class Big:
    """Something whose end can be seen."""

    def __call__(self):
        return 1

    def fail(self):
        raise ValueError


@pytest.mark.parametrize("method", ["__call__", "fail"])
def test_a_handle_that_has_ended_keeps_nothing_of_its_task(method):
    big = Big()
    seen = weakref.ref(big)
    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(1) as pool:
            handle = engine.submit(getattr(big, method))
            engine.wait([handle], timeout=PATIENCE)
            until(lambda: pool.idle == 1)
            if handle.failed():
                handle._error = None  # its traceback holds the frames that it came through
            del big
            until(partial(gone, seen))
    finally:
        gc.enable()


def test_an_error_and_its_handle_are_no_circle():
    def fail():
        raise ValueError

    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(1) as pool:
            for _ in range(3):
                handle = engine.submit(fail)
                seen = weakref.ref(handle)
                with pytest.raises(ValueError):  # noqa: PT011
                    handle.result(PATIENCE)
                until(lambda: pool.idle == 1)
                del handle
                until(partial(gone, seen))
    finally:
        gc.enable()


def test_a_handle_shows_what_it_is():
    with busy():
        handle = engine.submit(me)
        assert repr(handle) == "<Handle of me: queued>"
        handle.result()
        assert repr(handle) == "<Handle of me: done>"
