"""WorkerPool: threads that start late, are counted, and stop when told to."""

import threading
from contextlib import contextmanager

import pytest

import engine
from engine.errors import ArgumentError
from engine.runtime import pool as pools
from engine.sync import Threads
from tests.runtime.fakes import Fake, leaf, random_graph, walk
from tests.threads.together import PATIENCE, Meeting, together, until


@contextmanager
def busy(pool, count=1):
    """Keep `count` workers of the pool inside of a job."""
    go = threading.Event()
    begun = Meeting(count + 1)

    def job():
        begun.come()
        assert go.wait(PATIENCE)

    assert all(pool.offer(job) for _ in range(count))
    begun.come()
    try:
        yield
    finally:
        go.set()


WORKER = "engine-worker"


def sums(pool=None):
    """What arrives at the leaves of a graph: in their order, whichever was reached first."""
    root, nodes = random_graph(0, 40, price=1)
    got = walk(root, pool=pool)
    return [got[node] for node in nodes if node in got]


def test_no_thread_starts_before_there_is_something_to_do():
    pool = engine.WorkerPool(3, heavy=0)
    assert not pool._threads
    walk(Fake(1, leaf()), pool=pool)
    assert not pool._threads
    pool.shutdown()


def test_all_start_at_the_first_job():
    with engine.WorkerPool(3) as pool, busy(pool):
        assert len(pool._threads) == 3


def test_workers_are_no_daemons():
    """An interpreter that exits waits for them; it must, they may be writing."""
    with engine.WorkerPool(2) as pool, busy(pool):
        assert not any(t.daemon for t in threading.enumerate() if t.name.startswith(WORKER))


def test_a_pool_takes_as_many_jobs_as_it_has_workers():
    with engine.WorkerPool(2) as pool:
        with busy(pool, 2):
            assert pool.idle == 0
            assert not pool.offer(lambda: None)
        until(lambda: pool.idle == 2)
        with busy(pool, 2):
            assert not pool.offer(lambda: None)


def test_a_pool_without_workers_takes_none():
    pool = engine.WorkerPool(0)
    assert not pool.offer(lambda: None)
    assert not pool._threads


def test_callers_that_submit_at_once_never_reserve_a_worker_twice():
    with engine.WorkerPool(2) as pool:
        for _ in range(50):
            until(lambda: pool.idle == 2)
            go = threading.Event()
            taken = together(*[lambda go=go: pool.offer(go.wait) for _ in range(4)])
            go.set()
            assert sum(taken) == 2


def test_a_closed_pool_takes_none():
    with engine.WorkerPool(2) as pool, busy(pool):
        pass
    assert not pool.offer(lambda: None)
    assert pool.idle == 0


def test_shutdown_waits_for_what_is_being_done():
    done = []
    pool = engine.WorkerPool(1)
    with busy(pool):
        pass
    until(lambda: pool.offer(lambda: done.append(1)))
    pool.shutdown()
    assert done == [1]


def test_shutdown_may_be_called_again_and_by_several():
    pool = engine.WorkerPool(2)
    with busy(pool):
        threads = list(pool._threads)
    together(*[pool.shutdown] * 4)
    pool.shutdown()
    assert len(threads) == 2
    until(lambda: not any(thread in threading.enumerate() for thread in threads))


def test_shutdown_of_a_pool_that_never_started():
    engine.WorkerPool(2).shutdown()


def test_after_shutdown_backwards_run_inline():
    pool = engine.WorkerPool(2, heavy=0)
    pool.shutdown()
    root, nodes = random_graph(0, 40, price=1)
    assert walk(root, pool=pool) == walk(root)
    threads = {name for node in nodes if isinstance(node, Fake) for name in node.threads}
    assert threads == {threading.current_thread().name}


def test_shutdown_while_backwards_run():
    """The backwards that use the pool go on alone."""
    expected = sums()
    for _ in range(20):
        pool = engine.WorkerPool(2, heavy=0)

        def backwards(pool=pool):
            return [sums(pool) for _ in range(5)]

        *answers, _ = together(backwards, backwards, pool.shutdown)
        assert answers == [[expected] * 5] * 2


def test_a_hook_may_not_wait_for_its_own_thread():
    """Shutting a pool down from one of its workers is an error, no deadlock."""
    meeting = Meeting(2)
    main = threading.current_thread()

    def stop():
        meeting.come()
        if threading.current_thread() is not main:
            pool.shutdown()

    branches = [Fake(seq, leaf(), price=1, before=stop) for seq in (1, 2)]
    pool = engine.WorkerPool(1, heavy=0)
    with pytest.raises(RuntimeError, match="current thread"):
        walk(Fake(3, *branches), pool=pool)
    assert len(walk(Fake(3, *[Fake(1, leaf(), price=1)] * 2), pool=pool)) == 1


def test_a_job_that_fails_ends_no_worker():
    def fail():
        raise KeyError("a job")

    with engine.WorkerPool(1) as pool:
        before = threading.excepthook
        threading.excepthook = lambda info: None
        try:
            for _ in range(3):
                until(lambda: pool.offer(fail))
            until(lambda: pool.idle == 1)
            with busy(pool):
                pass
        finally:
            threading.excepthook = before


def test_an_idle_worker_keeps_nothing_alive():
    freed = threading.Event()

    class Job:
        def __call__(self):
            pass

        def __del__(self):
            freed.set()

    with engine.WorkerPool(1) as pool:
        assert pool.offer(Job())
        until(freed.is_set)  # without a GIL it is freed when the thread that made it runs again


class Refusing(Threads):
    """Primitives that start a few threads and then no more, as an exiting interpreter does."""

    def __init__(self, starts):
        self.left = starts

    def start_thread(self, target, name, daemon):  # type: ignore[override]
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("can't start new thread")
        return Threads.start_thread(target, name, daemon)


@pytest.mark.parametrize("starts", [0, 1])
def test_a_thread_that_cannot_be_started_is_done_without(starts):
    expected = sums()
    with engine.sync.controlled(Refusing(starts)), engine.WorkerPool(3, heavy=0) as pool:
        for _ in range(3):
            assert sums(pool) == expected
        assert len(pool._threads) == starts
        until(lambda: pool.idle == starts)


def test_a_pool_needs_a_number_of_workers():
    with pytest.raises(ArgumentError, match="0 or more, got -1"):
        engine.WorkerPool(-1)


def test_the_innermost_pool_of_a_thread_serves_it():
    with engine.WorkerPool(0) as outer:
        with engine.WorkerPool(0) as inner:
            assert pools.current_pool() is inner
        assert pools.current_pool() is outer


def test_a_pool_serves_its_own_thread_only():
    default = pools.current_pool()
    with engine.WorkerPool(0) as mine:
        (other,) = together(pools.current_pool)
        assert pools.current_pool() is mine
        assert other is default


def test_a_worker_is_served_by_its_own_pool():
    meeting, seen = Meeting(2), []

    def look():
        meeting.come()
        seen.append(pools.current_pool())

    branches = [Fake(seq, leaf(), price=1, before=look) for seq in (1, 2)]
    with engine.WorkerPool(1, heavy=0) as pool:
        walk(Fake(3, *branches), pool=pool)
    assert seen == [pool, pool]


@pytest.fixture
def default_pool():
    yield
    engine.set_num_workers(max(pools.cores() - 1, 0))


@pytest.mark.usefixtures("default_pool")
def test_the_default_pool_is_made_once():
    engine.set_num_workers(1)
    made = together(*[pools.current_pool] * 8)
    assert all(pool is made[0] for pool in made)


@pytest.mark.usefixtures("default_pool")
def test_set_num_workers_replaces_the_default_pool():
    engine.set_num_workers(2)
    first = pools.current_pool()
    with busy(first):
        pass
    engine.set_num_workers(1)
    second = pools.current_pool()
    assert (first.workers, second.workers) == (2, 1)
    assert not first._threads
    assert not first.offer(lambda: None)
    engine.set_num_workers(0)
    assert pools.current_pool().workers == 0


@pytest.mark.usefixtures("default_pool")
def test_a_running_backward_keeps_its_pool_when_the_default_is_replaced():
    def backwards():
        return [sums(pools.current_pool()) for _ in range(20)]

    def resize():
        for workers in (1, 2, 0, 3):
            engine.set_num_workers(workers)

    expected = sums()
    *answers, _ = together(backwards, backwards, resize)
    assert answers == [[expected] * 20] * 2


def test_set_num_workers_refuses_a_negative_number():
    before = pools.current_pool()
    with pytest.raises(ArgumentError, match="0 or more"):
        engine.set_num_workers(-1)
    assert pools.current_pool() is before
