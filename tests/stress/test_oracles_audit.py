"""The audit orders accesses by locks, queues and threads, and by nothing else; leaks are seen."""

import threading

import numpy as np
import pytest

import engine
from stress.oracles.audit import Audit, races
from stress.oracles.leaks import Nodes, Threads, resident, slope
from stress.scenarios.common import Both, observed

LEAF = object()


@pytest.fixture
def audit():
    return Audit(engine.sync.Threads())


def in_thread(function):
    """Call it in a thread that the audit does not know to have been started or joined."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def write(audit, point="grad.store"):
    audit(point, LEAF)


def test_writes_of_two_threads_without_a_lock_are_a_race(audit):
    in_thread(lambda: write(audit))
    in_thread(lambda: write(audit))  # long after, and all the same nothing orders them
    ordered, found = races(audit.accesses)
    assert ordered == 0
    assert len(found) == 1
    assert "grad.store" in found[0]


def test_reads_are_no_race_and_neither_is_one_thread(audit):
    in_thread(lambda: (audit("grad.read", LEAF), audit("grad.read", LEAF)))
    in_thread(lambda: audit("grad.read", LEAF))
    assert races(audit.accesses) == (0, [])


def test_other_subjects_are_no_race(audit):
    in_thread(lambda: write(audit))
    in_thread(lambda: audit("grad.store", object()))
    assert races(audit.accesses) == (0, [])


@pytest.mark.parametrize("make", ["lock", "rlock"])
def test_a_lock_orders(audit, make):
    lock = getattr(audit, make)()

    def locked():
        with lock:
            write(audit)

    in_thread(locked)
    in_thread(locked)
    assert races(audit.accesses) == (1, [])


def test_two_locks_do_not(audit):
    def locked(lock):
        with lock:
            write(audit)

    in_thread(lambda: locked(audit.lock()))
    in_thread(lambda: locked(audit.lock()))
    assert len(races(audit.accesses)[1]) == 1


def test_an_access_before_the_lock_is_not_ordered_by_taking_it(audit):
    lock = audit.lock()

    def late():
        write(audit)
        with lock:
            pass

    def early():
        with lock:
            pass
        write(audit)

    in_thread(early)
    in_thread(late)
    assert len(races(audit.accesses)[1]) == 1


def test_a_queue_orders(audit):
    queue = audit.queue()
    in_thread(lambda: (write(audit), queue.put(1)))
    in_thread(lambda: (queue.get(timeout=5), write(audit)))
    assert queue.empty()
    assert races(audit.accesses) == (1, [])


def test_starting_and_joining_order(audit):
    def parent():
        write(audit)
        thread = audit.start_thread(lambda: write(audit), "child", False)
        thread.join()
        write(audit)

    in_thread(parent)
    assert races(audit.accesses) == (2, [])


def test_without_the_join_they_are_not_ordered(audit):
    ended = threading.Event()

    def child():
        write(audit)
        ended.set()

    def parent():
        thread = audit.start_thread(child, "child", False)
        ended.wait(5)
        write(audit)
        thread.join()

    in_thread(parent)
    assert len(races(audit.accesses)[1]) == 1


class Guarded:
    """A leaf with a lock."""

    def __init__(self, lock):
        self.lock = lock


def test_a_commit_takes_place_when_the_leafs_lock_is_taken(audit):
    leaf, other = Guarded(audit.rlock()), audit.lock()

    def commit(lock):
        audit("grad.commit", leaf)
        with lock:
            pass
        audit("task.end", leaf)

    in_thread(lambda: commit(leaf.lock))
    in_thread(lambda: commit(leaf.lock))
    assert races(audit.accesses) == (1, [])
    in_thread(lambda: commit(other))  # not its own
    assert len(races(audit.accesses)[1]) == 2


def test_a_new_trial_forgets(audit):
    in_thread(lambda: write(audit))
    audit.begin()
    in_thread(lambda: write(audit))
    assert races(audit.accesses) == (0, [])


def test_two_holders_are_seen(audit):
    class Open:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    audit.base = type("Base", (), {"lock": staticmethod(Open)})()
    lock = audit.lock()
    with lock:
        in_thread(lock.acquire)
    assert len(audit.intruders) == 1


# Who else listens


def test_observers_are_both_told_and_chunks_are_kept():
    seen = []

    class Scheduler:
        chunks = 3

        def __call__(self, point, subject):
            seen.append(("second", point))

    with (
        engine.sync.hooked(Scheduler()),
        observed(lambda point, subject: seen.append(("first", point))),
    ):
        assert isinstance(engine.sync.hook, Both)
        assert engine.sync.hook.chunks == 3
        engine.sync.hook("grad.read", None)
    assert seen == [("first", "grad.read"), ("second", "grad.read")]


# Leaks


def test_a_node_that_is_kept_is_seen():
    nodes = Nodes()
    x = engine.ones(3, requires_grad=True)
    y = (x * x).sum()
    nodes.watch(y)
    kept = y.grad_fn
    del y
    assert nodes.alive() == 2
    del kept
    assert nodes.alive() == 0


def test_a_thread_that_is_left_is_seen():
    threads, go_on = Threads(), threading.Event()
    thread = threading.Thread(target=go_on.wait, name="left behind")
    thread.start()
    assert threads.left() == ["left behind"]
    go_on.set()
    thread.join()
    assert threads.left() == []


def test_memory_that_grows_is_seen():
    kept, sizes = [], []
    for _ in range(5):
        kept.append(np.ones(5_000_000))  # 40 MB: too large for memory that was freed before
        sizes.append(resident() or 0)
    if sizes[0]:
        assert slope(sizes) > 10_000_000
