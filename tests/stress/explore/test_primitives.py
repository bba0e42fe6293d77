"""Locks, queues and timeouts under control: who waits is known, and every outcome is reached."""

import time

import pytest

from engine import sync
from stress.core.outcome import acceptable
from stress.core.scenario import Observation, one_actor
from tests.stress.explore.toys import ABBA, COUNT, all_schedules, here, keys, toy


@pytest.mark.parametrize("make", [sync.lock, sync.rlock])
def test_a_lock_excludes(make):
    class Guarded:
        def __init__(self):
            self.lock, self.value = make(), 0

    def actor(state, index):
        with state.lock:
            COUNT.actor(state, index)

    guarded = toy(actor, setup=lambda params: Guarded(), arbiter=COUNT.arbiter)
    schedules = all_schedules(guarded, 2)
    assert set(keys(schedules)) == {"kept"}
    assert len(schedules) > 10


def test_an_rlock_is_taken_again_and_held_until_the_last_release():
    def actor(state, index):
        with state, state:
            here()

    schedules = all_schedules(toy(actor, setup=lambda params: sync.rlock()), 2)
    assert set(keys(schedules)) == {"kept"}
    taken = [event.point for event in schedules[0].events if event.thread == 1]
    assert taken == ["begin", "acquire", "toy", "release", "end"]


def test_an_rlock_is_given_back_by_its_holder_alone():
    def actor(state, index):
        if index == 0:
            state.acquire()
        else:
            here()
            state.release()

    schedules = all_schedules(toy(actor, setup=lambda params: sync.rlock()))
    assert set(keys(schedules)) == {"raised RuntimeError"}


def test_a_try_does_not_wait():
    def actor(state, index):
        lock, got = state
        if lock.acquire(False):
            here()
            lock.release()
            got.append(index)

    def arbiter(state):
        return Observation({f"{len(state[1])} got it": 1})

    tried = toy(actor, setup=lambda params: (sync.lock(), []), arbiter=arbiter)
    assert set(keys(all_schedules(tried, 1))) == {"1 got it", "2 got it"}


def test_a_deadlock_is_reported_with_who_waits_for_what():
    schedules = all_schedules(ABBA, 1)
    stuck = [schedule for schedule in schedules if schedule.key == "deadlock"]
    assert stuck
    table = {row[0]: row[1:] for row in stuck[0].table}
    assert table["actor 0"] == ("rlock 2", "actor 1", "rlock 1")
    assert table["actor 1"] == ("rlock 1", "actor 0", "rlock 2")
    assert "actor 0 waits for rlock 2 of actor 1 and holds rlock 1" in stuck[0].note
    assert set(keys(all_schedules(ABBA, 0))) == {"kept"}


def test_a_queue_hands_over_in_order():
    def actor(state, index):
        queue, got = state
        if index == 0:
            queue.put(1)
            queue.put(2)
        else:
            got += [queue.get(), queue.get()]

    def arbiter(state):
        return Observation({"kept" if state[1] == [1, 2] else "lost": 1})

    passed = toy(actor, setup=lambda params: (sync.queue(), []), arbiter=arbiter)
    assert set(keys(all_schedules(passed, 2))) == {"kept"}


def test_a_getter_that_nobody_serves_is_a_deadlock():
    def actor(state, index):
        if index == 0:
            state.get()

    schedules = all_schedules(toy(actor, setup=lambda params: sync.queue()), 0)
    assert set(keys(schedules)) == {"deadlock"}
    assert ("actor 0", "queue 1", "(empty)", "") in schedules[0].table


def test_a_timeout_may_pass_and_need_not():
    def actor(state, index):
        queue, got = state
        if index == 0:
            queue.put(1)
            return
        try:
            got.append(queue.get(timeout=0.01))
        except sync.Empty:
            got.append("empty")

    def arbiter(state):
        return Observation({str(state[1][0]): 1})

    timed = toy(actor, setup=lambda params: (sync.queue(), []), arbiter=arbiter)
    assert set(keys(all_schedules(timed, 1))) == {"1", "empty"}


def test_a_timeout_that_passes_takes_no_time_and_moves_the_clock():
    def actor(state, index):
        queue, got = state
        before = sync.monotonic()
        try:
            queue.get(timeout=3_600.0 * (index + 1))
        except sync.Empty:
            got.append((index, sync.monotonic() - before))

    def arbiter(state):
        return Observation({str(sorted(state[1])): 1})

    began = time.monotonic()
    hours = toy(actor, setup=lambda params: (sync.queue(), []), arbiter=arbiter,
                outcomes={"racy": lambda params: [acceptable("*", "")]})  # fmt: skip
    seen = keys(all_schedules(hours, 1))
    assert time.monotonic() - began < 60.0
    # The second begins to wait when the first has waited, or before, or is the first to be woken.
    assert set(seen) == {
        "[(0, 3600.0), (1, 7200.0)]",
        "[(0, 7200.0), (1, 7200.0)]",
    }


def test_a_deadline_passes_when_the_clock_says_so():
    def actor(state, index):
        queue, got = state
        until = sync.monotonic() + 100.0
        while sync.monotonic() < until:
            try:
                queue.get(timeout=30.0)
            except sync.Empty:
                got.append(sync.monotonic())

    def arbiter(state):
        return Observation({str(state[1]): 1})

    waiting = toy(actor, setup=lambda params: (sync.queue(), []), arbiter=arbiter, crew=one_actor)
    assert set(keys(all_schedules(waiting, 1))) == {"[30.0, 60.0, 90.0, 120.0]"}
