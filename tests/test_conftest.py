"""The check that no test leaves a thread behind does see one; the collector sees little."""

import gc
import signal
import threading

import pytest

import engine
from engine.runtime import pool
from tests.conftest import leftover_threads


@pytest.fixture
def thread():
    """A thread that runs until the test ends."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield thread
    end.set()
    thread.join()


def test_a_thread_that_stays_is_seen(thread):
    before = set(threading.enumerate()) - {thread}
    assert leftover_threads(before, patience=0.0) == [thread]


def test_a_thread_that_was_there_before_may_stay(thread):
    assert leftover_threads({*threading.enumerate()}, patience=0.0) == []


def test_a_thread_that_is_ending_is_waited_for():
    before = set(threading.enumerate())
    thread = threading.Thread(target=sum, args=(range(10**6),))
    thread.start()
    assert leftover_threads(before, patience=30.0) == []


@pytest.fixture
def started():
    """Let `pool` start its threads, by giving it something to do."""

    def start(pool):
        done = threading.Event()
        assert pool.offer(done.set)
        assert done.wait(30.0)
        return pool

    return start


def test_a_pool_that_nobody_shut_down_is_seen(started):
    before = set(threading.enumerate())
    forgotten = started(engine.WorkerPool(2))
    try:
        assert len(leftover_threads(before, patience=0.0)) == 2
    finally:
        forgotten.shutdown()
    assert leftover_threads(before, patience=0.0) == []


def test_the_default_pool_may_stay(started):
    before = {t for t in threading.enumerate() if not t.name.startswith("engine-worker-")}
    engine.set_num_workers(2)
    started(pool.current_pool())
    assert leftover_threads(before, patience=0.0) == []
    engine.set_num_workers(max(pool.cores() - 1, 0))


def test_the_collector_looks_only_at_what_this_module_has_made():
    assert gc.get_freeze_count() > 10 * len(gc.get_objects())


def test_processes_that_tests_start_can_be_interrupted():
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
