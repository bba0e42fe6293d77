"""The check that no test leaves a thread behind does see one."""

import threading

from tests.conftest import POOL_THREAD, leftover_threads


def running_thread(name):
    """A thread that runs until the event is set."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name=name)
    thread.start()
    return thread, end


def test_a_thread_that_stays_is_seen():
    before = set(threading.enumerate())
    thread, end = running_thread("stray")
    try:
        assert leftover_threads(before, patience=0.0) == [thread]
    finally:
        end.set()
    assert leftover_threads(before, patience=10.0) == []


def test_threads_of_the_default_pool_and_older_ones_may_stay():
    worker, end_worker = running_thread(f"{POOL_THREAD}0")
    older, end_older = running_thread("older")
    try:
        before = set(threading.enumerate()) - {worker}
        assert leftover_threads(before, patience=0.0) == []
    finally:
        end_worker.set()
        end_older.set()
        worker.join()
        older.join()
