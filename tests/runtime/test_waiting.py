"""Who waits for a submitted task may run it: nesting, circles, wait, as_completed."""

import pytest

import engine
from engine.errors import ArgumentError, DeadlockError, WaitTimeoutError
from tests.runtime.fakes import Fake, leaf, walk
from tests.runtime.tasks import busy, me
from tests.threads.together import PATIENCE, Gate, together


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
