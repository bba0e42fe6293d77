"""submit, wait, as_completed: who runs a task, in which order, and who waits for whom."""

import gc
import threading
import weakref
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

import engine
from engine.errors import ArgumentError, DeadlockError, WaitTimeoutError
from engine.runtime.pool import current_pool
from tests.runtime.fakes import Fake, leaf, walk
from tests.threads.together import PATIENCE, Gate, together, until

MANY = 1000


def me():
    return threading.current_thread().name


@contextmanager
def busy(workers=1, **options):
    """A pool whose workers are all held inside of a task."""
    gates = [Gate() for _ in range(workers)]
    with engine.WorkerPool(workers, **options) as pool:
        held = [engine.submit(gate.hold) for gate in gates]
        for gate in gates:
            gate.reached()

        def release():
            for gate in gates:
                gate.open()

        try:
            yield pool, release
        finally:
            release()
    assert all(handle.done() for handle in held)


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
            engine.modes.state.pools.append(pool)
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
            engine.modes.state.pools.append(pool)
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
            engine.modes.state.pools.append(pool)
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


# Waiting and helping.


def test_who_waits_for_a_task_that_nobody_has_begun_runs_it():
    with busy():
        assert engine.submit(me).result() == me()


def test_with_a_timeout_who_waits_only_waits():
    with busy() as (_, release):
        handle = engine.submit(me)
        with pytest.raises(WaitTimeoutError, match=r"me has not ended within 0\.0 s"):
            handle.result(timeout=0.0)
        assert not handle.done()
        release()
        assert handle.result(PATIENCE) == "engine-worker-0"


def test_a_helper_sees_the_task_s_modes_and_gets_its_own_back():
    with busy():
        with engine.no_grad():
            handle = engine.submit(lambda: (engine.is_grad_enabled(), engine.modes.state.handle))
        assert handle.result() == (False, handle)
        assert engine.is_grad_enabled()
        assert engine.modes.state.handle is None
        assert engine.modes.state.depth == 0


def test_an_interrupt_of_a_helper_is_its_own_and_ends_the_task():
    def interrupt():
        raise KeyboardInterrupt

    with busy():
        handle = engine.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.wait([handle])
        assert handle.done()
        assert isinstance(handle.exception(), KeyboardInterrupt)


def test_two_who_wait_for_one_task_run_it_once():
    ran: list[str] = []
    with busy():
        for _ in range(50):
            ran.clear()
            handle = engine.submit(lambda: ran.append(me()))
            together(*[handle.result] * 3)
            assert len(ran) == 1


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_a_task_may_submit_to_its_own_pool_and_wait(workers, timeout):
    def task(depth):
        if not depth:
            return 0
        parts = [engine.submit(task, depth - 1) for _ in range(2)]
        return 1 + sum(part.result(timeout) for part in parts)

    with engine.WorkerPool(workers):
        assert engine.submit(task, 6).result() == 2**6 - 1


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("how", ["result", "wait", "as_completed", "bound"])
def test_tasks_that_wait_for_tasks_may_be_nested_deeper_than_a_stack_is(workers, how):
    waits = {
        "result": lambda handle: handle.result(),
        "bound": lambda handle: handle.result(),
        "wait": lambda handle: engine.wait([handle]).done.pop().result(),
        "as_completed": lambda handle: next(engine.as_completed([handle])).result(),
    }

    def task(depth):
        return depth and 1 + waits[how](engine.submit(task, depth - 1))

    with engine.WorkerPool(workers, max_in_flight=0 if how == "bound" else 1024):
        assert engine.submit(task, 500).result() == 500


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("depth", [5, 500])
def test_a_rule_may_submit_to_its_own_pool_and_wait(workers, depth):
    """Inside of a backward in a task in a backward ...: also in the worker that only helps."""
    reached: list[int] = []

    def descend(depth):
        reached.append(depth)
        if depth:
            branches = [Fake(1, leaf(), price=1), Fake(2, leaf(), price=1)]
            branches[depth % 2].before = lambda: engine.submit(descend, depth - 1).result()
            assert len(walk(Fake(3, *branches), pool=pool)) == 2

    with engine.WorkerPool(workers, heavy=0) as pool:
        descend(depth)
    assert reached == list(range(depth, -1, -1))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_backward_in_a_task_is_helped_by_the_pool(workers):
    branches = [Fake(seq, leaf(), price=1) for seq in range(1, 9)]
    with engine.WorkerPool(workers, heavy=0) as pool:
        got = engine.submit(walk, Fake(9, *branches), pool=pool).result()
    assert len(got) == 8


def test_a_task_that_waits_for_itself_is_told():
    box: list[engine.Handle] = []
    ready = Gate()

    def task():
        ready.hold()
        return box[0].result()

    with engine.WorkerPool(1):
        box.append(engine.submit(task))
        ready.open()
        with pytest.raises(DeadlockError, match=r"task waits for .*task, which waits for it"):
            box[0].result(PATIENCE)


def test_tasks_that_wait_for_each_other_are_told():
    """Each is inside of its function when it begins to wait: no thread could run the other."""
    box: list[engine.Handle] = []
    gates = [Gate(), Gate(), Gate()]

    def task(index):
        gates[index].hold()
        return box[(index + 1) % 3].result()

    with engine.WorkerPool(3):
        box.extend([engine.submit(task, index) for index in range(3)])
        for gate in gates:
            gate.reached()
        for gate in gates:
            gate.open()
        engine.wait(box)
        assert all(isinstance(handle.exception(), DeadlockError) for handle in box)


# wait and as_completed.


def test_wait_for_the_first():
    with busy(2) as (_, release):
        gate = Gate()
        slow, quick = engine.submit(gate.hold), engine.submit(me)
        release()
        done, not_done = engine.wait([slow, quick], return_when="FIRST_COMPLETED")
        assert (done, not_done) == ({quick}, {slow})
        gate.open()
        assert engine.wait([slow, quick]) == ({slow, quick}, set())


def test_wait_for_the_first_error():
    gate = Gate()
    with engine.WorkerPool(2):
        slow = engine.submit(gate.hold)
        fine, wrong = engine.submit(me), engine.submit(int, "seven")
        done, not_done = engine.wait([slow, fine, wrong], return_when="FIRST_EXCEPTION")
        assert wrong in done
        assert not_done == {slow}
        gate.open()


def test_wait_no_longer_than_asked():
    with busy() as (_, release):
        handles = [engine.submit(me) for _ in range(3)]
        assert engine.wait(handles, timeout=0.01) == (set(), set(handles))
        release()
        assert engine.wait(handles, timeout=PATIENCE) == (set(handles), set())


def test_wait_leaves_nothing_behind_in_the_handles():
    with busy():
        handle = engine.submit(me)
        for _ in range(3):
            engine.wait([handle], timeout=0.0)
        with pytest.raises(WaitTimeoutError):
            next(engine.as_completed([handle], timeout=0.0))
        assert not handle._tell


def test_wait_takes_what_it_knows():
    with pytest.raises(ArgumentError, match="unknown return_when 'SOME'"):
        engine.wait([], return_when="SOME")
    assert engine.wait([]) == (set(), set())
    with engine.WorkerPool(0):
        handle = engine.submit(me)
    assert engine.wait([handle, handle]) == ({handle}, set())


def test_as_completed_yields_in_the_order_of_the_ends():
    gates = [Gate() for _ in range(3)]
    with engine.WorkerPool(3):
        handles = [engine.submit(gate.hold) for gate in gates]
        for gate in gates:
            gate.reached()
        ended = []
        gates[1].open()
        for handle in engine.as_completed(handles):
            ended.append(handles.index(handle))
            if len(ended) < 3:
                gates[(2, 0)[len(ended) - 1]].open()
    assert ended == [1, 2, 0]


def test_as_completed_tells_how_many_are_left():
    with busy():
        handles = [engine.submit(me) for _ in range(3)]
        with pytest.raises(WaitTimeoutError, match="3 of 3 tasks have not ended"):
            list(engine.as_completed(handles, timeout=0.0))


def test_submit_takes_no_negative_timeout():
    with pytest.raises(ArgumentError, match="timeout must be 0 or more"):
        engine.submit(me, timeout=-1.0)
    with pytest.raises(ArgumentError, match="max_in_flight must be 0 or more"):
        engine.WorkerPool(1, max_in_flight=-1)


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


# Ends of pools.


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
        engine.modes.state.pools.append(pool)
        try:
            handles = [engine.submit((x * 1).sum().backward) for x in xs]
            together(*[partial(pool.shutdown, cancel=cancel)] * 2)
            late = engine.submit(me)
        finally:
            engine.modes.state.pools.pop()
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
    assert engine.submit(me).result(PATIENCE) == "engine-worker-0"
