"""Where schedules leave something in their threads, each gets new ones."""

import gc
import threading
from weakref import WeakSet

import pytest

from engine import sync
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation
from stress.explore import trial
from stress.explore.explore import Plan, conclude
from stress.explore.search import Search, Settings
from stress.explore.strategies import Follow
from stress.explore.trial import Lab
from stress.explore.work import Request, repeat, run_batch, shrink
from tests.stress.explore.toys import HERE, PARAMS, aim, searched, steps, toy


def cached(outcomes):
    """Each actor takes a lock where its thread has not done so before."""
    cache = threading.local()

    def setup(params):
        return sync.lock(), []

    def actor(state, index):
        lock, missed = state
        if not hasattr(cache, "here"):
            cache.here = True
            with lock:
                missed.append(index)

    def arbiter(state):
        return Observation({"".join(map(str, state[1])): 1})

    return toy(actor, setup=setup, arbiter=arbiter, outcomes={"racy": lambda params: outcomes})


EITHER = [acceptable("01", ""), acceptable("10", "")]


@pytest.mark.parametrize("strategy", ["dfs", "pct", "random"])
def test_what_a_thread_keeps_is_not_there_in_the_next_schedule(strategy, tmp_path):
    most = None if strategy == "dfs" else 30
    found = searched(cached(EITHER), strategy=strategy, schedules=most)
    explored = conclude(found, Plan(found.settings, False, tmp_path), HERE)
    assert found.fresh
    assert set(found.tally.outcomes) == {"01", "10"}
    assert sum(found.tally.outcomes.values()) == found.tally.schedules  # nothing from before
    assert (explored.result.verdict, explored.result.reason) == ("PASS", "")


def test_threads_are_kept_where_that_makes_no_difference():
    assert not searched(toy(steps(1))).fresh


def test_such_a_schedule_is_replayed_and_made_smaller_all_the_same():
    scenario = cached([EITHER[0], forbidden("10", "")])
    example = searched(scenario).tally.examples["10"]
    request = Request(aim(scenario), example.decisions)
    replayed = repeat(request, lambda number: None)
    assert (replayed.outcomes, replayed.problem) == ({"10": 10}, "")
    assert shrink(request, lambda number: None).schedule.key == "10"


def test_what_was_begun_before_all_began_anew_does_not_count():
    found = Search(aim(toy(steps(1))), Settings("random", schedules=100))
    first, second = found.take(), found.take()
    assert first is not None
    assert second is not None
    odd = run_batch(first, lambda index: None)
    odd.unsteady = "odd"
    found.add(first, odd)
    assert (found.fresh, found.tally.schedules) == (True, 0)
    found.add(second, run_batch(second, lambda index: None))
    assert found.tally.schedules == 0
    again = found.take()
    assert again is not None
    assert (again.fresh, again.numbers) == (True, first.numbers)


def test_it_goes_on_with_new_threads():
    found = searched(cached(EITHER))
    rest = Search(found.target, found.settings)
    rest.restore(found.state())
    assert rest.fresh


@pytest.mark.parametrize("threads", [253, 254])
def test_there_are_as_many_threads_as_decisions_can_name(threads):
    """With the trial and two actors 256; a schedule with more has no list of its decisions."""

    def actor(state, index):
        if index == 0:
            for _ in range(threads):
                sync.start_thread(int, "more", daemon=True).join()

    crowd = toy(actor)
    if threads == 253:
        repeat(Request(aim(crowd, PARAMS), b"", times=1), lambda number: None)
        return
    with pytest.raises(ValueError, match=r"more than 256 threads in one schedule"):
        repeat(Request(aim(crowd, PARAMS), b"", times=1), lambda number: None)
    assert not [thread for thread in threading.enumerate() if thread.name == "more"]


def test_a_batch_collects_its_garbage():
    """Batches follow each other at once, and each holds the collector off."""
    left: WeakSet[object] = WeakSet()

    class Cycle:
        def __init__(self):
            self.itself = self
            left.add(self)

    found = Search(aim(toy(lambda state, index: Cycle())), Settings("random", schedules=5))
    batch = found.take()
    assert batch is not None
    gc.disable()
    try:
        assert run_batch(batch, lambda index: None).schedules == 5
        assert not left
    finally:
        gc.enable()


def test_threads_are_replaced_now_and_then(monkeypatch):
    """One that stays keeps memory that others have freed, without the GIL more and more of it."""
    monkeypatch.setattr(trial, "TIDY", 3)
    met = set()
    with Lab(toy(lambda state, index: met.add(threading.current_thread())), PARAMS) as lab:
        for _ in range(8):
            lab.run(Follow())
    assert len(met) == 3 * 2
