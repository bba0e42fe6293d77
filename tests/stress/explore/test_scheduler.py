"""One thread runs at a time, who could run is known, and every schedule can be reached."""

import signal
import threading
from math import comb

import numpy
import pytest

import engine
from engine import sync
from stress.core.outcome import acceptable
from stress.core.scenario import Observation, Params, one_actor
from stress.explore.strategies import Follow
from stress.explore.trial import Lab
from tests.stress.explore.toys import ABBA, COUNT, PARAMS, all_schedules, here, keys, steps, toy

THREE = Params("racy", threads=3, size=4, explored=True)


def orders(scenario, **options):
    """In which orders the steps of the actors come, over all schedules."""
    seen = []

    def arbiter(state):
        seen.append(tuple(state))
        return Observation({"kept": 1})

    all_schedules(toy(scenario.actor, arbiter=arbiter), **options)
    return seen


@pytest.mark.parametrize("points", [0, 1, 2, 3])
def test_every_interleaving_of_two_is_reached_exactly_once(points):
    seen = orders(toy(steps(points)))
    assert len(seen) == len(set(seen)) == comb(2 * (points + 1), points + 1)


def test_every_interleaving_of_three_is_reached_exactly_once():
    seen = orders(toy(steps(1)), params=THREE)
    assert len(seen) == len(set(seen)) == 90  # 6! / 2!^3


@pytest.mark.parametrize(("bound", "count"), [(0, 2), (1, 6), (2, 14)])
def test_the_bound_counts_preemptions(bound, count):
    schedules = all_schedules(toy(steps(2)), bound)
    assert len(schedules) == count
    assert {schedule.preemptions for schedule in schedules} == set(range(bound + 1))


def test_a_lost_update_is_found():
    assert keys(all_schedules(COUNT, 1))["lost"] > 0
    assert set(keys(all_schedules(COUNT, 0))) == {"kept"}


def test_threads_play_in_one_schedule_after_another_as_new_ones():
    seen = []

    def actor(state, index):
        modes = engine.is_grad_enabled(), numpy.geterr()["over"]
        seen.append((threading.get_ident(), threading.current_thread().name, modes))
        engine.set_grad_enabled(False)
        numpy.seterr(over="ignore")

    before = threading.active_count()
    with Lab(toy(actor), PARAMS) as lab:
        for _ in range(20):
            lab.run(Follow())
        assert threading.active_count() == before + 3
    assert threading.active_count() == before
    assert len({number for number, _, _ in seen}) == 2
    assert {name for _, name, _ in seen} == {"actor 0", "actor 1"}
    assert {modes for _, _, modes in seen} == {(True, "warn")}


def test_a_thread_that_was_broken_off_plays_no_more():
    played = []

    def actor(state, index):
        played.append(threading.current_thread())
        sync.queue().get()

    before = threading.active_count()
    with Lab(toy(actor), PARAMS) as lab:
        for _ in range(3):
            assert lab.run(Follow()).key == "deadlock"
            assert threading.active_count() == before
    assert len(set(played)) == 6


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, whatever a debugger has made of it before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_no_thread_behind():
    main = threading.get_ident()

    def actor(state, index):
        signal.pthread_kill(main, signal.SIGINT)
        while True:
            here()

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Lab(toy(actor), PARAMS, steps=10**9) as lab:
        lab.run(Follow())
    assert threading.active_count() == before


def test_threads_that_the_engine_starts_are_controlled():
    def actor(state, index):
        x = engine.ones(4, requires_grad=True)
        with engine.WorkerPool(1, heavy=0):
            (x.exp() + x.tanh()).sum().backward()
        state.append(x.grad.numpy().tobytes())

    def arbiter(state):
        return Observation({"kept" if len(set(state)) == 1 else "lost": 1})

    pooled = toy(actor, arbiter=arbiter, crew=one_actor)
    with Lab(pooled, PARAMS) as lab:
        first = lab.run(Follow())
        other = lab.run(Follow(bytes([2 if 2 in first.decisions[0].options else 1])))
    assert "engine-worker-0" in first.threads
    assert (first.key, other.key) == ("kept", "kept")


def test_what_an_actor_raises_is_an_outcome():
    def actor(state, index):
        if index:
            raise KeyError("boom")

    assert set(keys(all_schedules(toy(actor), 0))) == {"raised KeyError"}


def test_what_an_actor_raised_is_told_where_another_waits_for_it():
    def actor(state, index):
        if index:
            raise KeyError("boom")
        state.get()

    schedules = all_schedules(toy(actor, setup=lambda params: sync.queue()), 0)
    assert set(keys(schedules)) == {"deadlock, raised KeyError"}
    assert schedules[0].note.endswith("actor 0 waits for queue 1 of (empty); "
                                      "actor 1: KeyError: 'boom'")  # fmt: skip


@pytest.mark.parametrize("report", [False, True])
def test_what_only_unwinding_makes_a_thread_raise_is_no_outcome(report):
    def waits():
        try:
            sync.queue().get()
        except BaseException:
            if report:
                sync.report(KeyError("boom"))
            raise KeyError("boom") from None

    def actor(state, index):
        if index:
            sync.start_thread(waits, "waits")
        else:
            waits()

    schedules = all_schedules(toy(actor), 0)
    assert set(keys(schedules)) == {"deadlock"}


def test_what_a_thread_ends_with_is_an_outcome():
    def fall():
        raise KeyError("boom")

    def actor(state, index):
        sync.start_thread(fall, "falls").join()

    schedules = all_schedules(toy(actor, crew=one_actor), 0)
    assert set(keys(schedules)) == {"kept, reported KeyError"}


@pytest.mark.parametrize("part", ["setup", "arbiter"])
def test_what_the_scenarios_own_code_raises_is_raised(part):
    def broken(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        all_schedules(toy(steps(0), **{part: broken}), 0)


def test_a_schedule_without_an_end_is_broken_off():
    def actor(state, index):
        while True:
            here()

    assert set(keys(all_schedules(toy(actor), 0, steps=200))) == {"endless"}


def test_a_thread_out_of_control_is_reported():
    """It waits for a lock that the scheduler knows nothing of, and whose holder is parked."""

    def actor(state, index):
        with state:
            here()

    outside = toy(actor, setup=lambda params: threading.Lock())
    schedules = all_schedules(outside, 1, most=50, patience=1.0)
    assert keys(schedules)["stuck"] == 2
    assert keys(schedules)["kept"] == len(schedules) - 2


def test_a_thread_out_of_control_is_shown_where_it_is():
    def waits_outside(lock):
        with lock:
            here()

    outside = toy(lambda state, index: waits_outside(state), setup=lambda params: threading.Lock())
    schedules = all_schedules(outside, 1, most=50, patience=1.0)
    lost = next(schedule for schedule in schedules if schedule.key == "stuck")
    assert "in waits_outside" in lost.stack
    assert "with lock:" in lost.stack
    assert "is stuck in" in lost.note
    assert lost.stack.strip() in lost.note


def test_worker_threads_that_only_wait_are_no_deadlock():
    def actor(state, index):
        queue = sync.queue()
        state.append(sync.start_thread(queue.get, "waits"))

    before = threading.active_count()
    assert set(keys(all_schedules(toy(actor), 0))) == {"kept"}
    assert threading.active_count() == before


def test_worker_threads_that_wait_for_each_others_locks_are_a_deadlock():
    def actor(state, index):
        first, second = state if index == 0 else state[::-1]

        def crossed():
            with first, second:
                pass

        sync.start_thread(crossed, f"crossed {index}")

    left = toy(actor, setup=lambda params: [sync.lock(), sync.lock()])
    schedules = all_schedules(left, 1)
    assert set(keys(schedules)) == {"kept", "deadlock, kept"}
    found = next(schedule for schedule in schedules if schedule.table)
    assert ("crossed 0", "lock 2", "crossed 1", "lock 1") in found.table


def test_primitives_and_hooks_are_those_of_before_when_it_has_ended():
    before = sync.primitives, sync.hook, threading.excepthook
    all_schedules(ABBA, 1)
    assert (sync.primitives, sync.hook, threading.excepthook) == before


def test_an_observer_of_the_scenario_still_sees_the_points():
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def prepare(params):
        with sync.hooked(lambda point, subject: seen.append(point)):
            yield params

    all_schedules(toy(steps(1), prepare=prepare), 0)
    assert seen == ["toy"] * 4


def test_an_addition_in_place_is_split_where_it_can_tear():
    def setup(params):
        leaf = engine.zeros(params.size, requires_grad=True)
        leaf.grad = engine.zeros(params.size)
        return leaf

    def actor(state, index):
        state.reshape(-1).backward(engine.ones(state.shape), accumulation="racy")

    def arbiter(state):
        values = set(state.grad.numpy().tolist())
        return Observation(
            {"kept" if values == {2.0} else "torn" if len(values) > 1 else "lost": 1}
        )

    def outcomes(params):
        return [acceptable("*", "")]

    racing = toy(actor, setup=setup, arbiter=arbiter, outcomes={"racy": outcomes})
    several = keys(all_schedules(racing, 1))
    assert several["torn"] > 0
    one = keys(all_schedules(racing, 1, Params("racy", 2, 1, explored=True)))
    assert set(one) == {"kept", "lost"}
