"""Ends of pools that have tasks in flight: every one is run or cancelled, none is lost."""

import threading
from functools import partial

import pytest

import engine
from engine.runtime.pool import current_pool
from tests.runtime.tasks import me
from tests.threads.together import PATIENCE, Gate, together


def test_the_end_of_the_block_waits_for_what_was_submitted():
    x = engine.ones(10, requires_grad=True)
    with engine.WorkerPool(2):
        handles = [engine.submit((x * 1).sum().backward) for _ in range(100)]
    assert all(handle.done() and not handle.cancelled() for handle in handles)
    assert (x.grad.numpy() == 100).all()


def test_a_block_that_raises_cancels_what_was_submitted():
    gate = Gate()
    handles: list[engine.Handle] = []
    cancelled: list[object] = []

    def hook(point, subject):
        if point == "handle.cancel":
            cancelled.append(subject)
            if len(cancelled) == 11:
                gate.open()

    def leave():
        handles.append(engine.submit(gate.hold))
        gate.reached()
        handles.extend(engine.submit(me) for _ in range(10))
        raise KeyError

    with engine.sync.hooked(hook), pytest.raises(KeyError), engine.WorkerPool(1):
        leave()
    assert all(handle.cancelled() for handle in handles)


@pytest.mark.parametrize("cancel", [False, True])
def test_shutdown_with_a_backlog_runs_or_cancels_every_task(cancel):
    for _ in range(10):
        xs = [engine.ones(3, requires_grad=True) for _ in range(50)]
        pool = engine.WorkerPool(2)
        engine.modes.state.pools += (pool,)
        try:
            handles = [engine.submit((x * 1).sum().backward) for x in xs]
            together(*[partial(pool.shutdown, cancel=cancel)] * 2)
            late = engine.submit(me)
        finally:
            engine.modes.state.pools = engine.modes.state.pools[:-1]
        assert all(handle.done() for handle in handles)
        assert [x.grad is None for x in xs] == [handle.cancelled() for handle in handles]
        assert cancel or all(x.grad is not None for x in xs)
        assert late.result() == me()
        assert not pool._flying


@pytest.fixture
def default_pool():
    yield
    engine.set_num_workers(max(engine.runtime.pool.cores() - 1, 0))


@pytest.mark.usefixtures("default_pool")
def test_no_task_is_lost_when_the_number_of_workers_changes():
    ran: list[int] = []

    def submits(who):
        handles = [engine.submit(ran.append, 100 * who + k) for k in range(100)]
        engine.wait(handles)
        return handles

    def resizes():
        for workers in (1, 2, 0, 3, 1) * 4:
            engine.set_num_workers(workers)

    *submitted, _ = together(*[lambda who=who: submits(who) for who in range(3)], resizes)
    assert sorted(ran) == list(range(300))
    assert all(handle.exception() is None for handles in submitted for handle in handles)


@pytest.mark.usefixtures("default_pool")
def test_a_resize_lets_what_is_running_and_what_waits_go_on():
    gate = Gate()
    engine.set_num_workers(1)
    held = engine.submit(gate.hold)
    gate.reached()
    waiting = [engine.submit(me) for _ in range(5)]
    threading.Timer(0, gate.open).start()
    engine.set_num_workers(2)
    assert held.done()
    assert [handle.result() for handle in waiting] == ["engine-worker-0"] * 5


@pytest.mark.usefixtures("default_pool")
def test_a_resize_from_inside_of_a_task_is_an_error_and_loses_nothing():
    def resize():
        engine.set_num_workers(2)

    engine.set_num_workers(1)
    handle = engine.submit(resize)
    with pytest.raises(RuntimeError, match="current thread"):
        handle.result(PATIENCE)
    assert current_pool().workers == 2
    assert engine.submit(me).result(PATIENCE) in ("engine-worker-0", "engine-worker-1")
