"""How threads are brought to meet: rendezvous or none, chaos at the points where they do."""

import sys
import threading

import pytest

import engine
from stress.core import chaos as module
from stress.core.chaos import Starve, Yield, chaos
from stress.core.outcome import acceptable
from stress.core.rendezvous import Barrier, Broken, Free, Spin, rendezvous, start_line
from stress.core.runner import Budget, run
from stress.core.scenario import Observation, Params, Scenario
from stress.core.tactics import SYNC, Tactics


def scenario(**changes):
    return Scenario(
        **{
            "number": 99,
            "name": "test",
            "title": "",
            "unit": "trials",
            "setup": lambda params: [],
            "actor": lambda state, index: state.append(index),
            "arbiter": lambda state: Observation({str(sorted(state)): 1}, overlapped=True),
            "outcomes": {"racy": lambda params: [acceptable("[[]0, 1, 2]", "each ran once")]},
            "minimum": lambda params: 50,
            **changes,
        }
    )


PARAMS = Params("racy", threads=3)


@pytest.mark.parametrize("sync", SYNC)
def test_every_actor_runs_once_in_every_trial_however_they_meet(sync):
    result = run(scenario(), PARAMS, Budget(0.0, patience=20.0), tactics=Tactics(sync=sync))
    assert (result.verdict, result.reason) == ("PASS", "")
    assert result.tactics.sync == sync


def test_what_is_asked_for_is_what_is_made():
    assert isinstance(rendezvous(2, "spin"), Spin)
    assert isinstance(rendezvous(2, "barrier"), Barrier)
    assert isinstance(start_line(2, "free"), Free)
    assert isinstance(start_line(2, "barrier"), Barrier)


def test_with_no_rendezvous_the_first_does_not_wait():
    line = Free(2)
    line.wait(0)  # would hang in any other
    line.wait(1)


def test_with_no_rendezvous_the_others_wait_for_the_first():
    line, passed = Free(2), threading.Event()

    def second():
        line.wait(1)
        passed.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not passed.wait(0.05)
    line.wait(0)
    assert passed.wait(10)
    thread.join()


def test_what_is_broken_off_raises():
    line = Free(2)
    line.abort()
    for index in range(2):
        with pytest.raises(Broken):
            line.wait(index)


def test_the_switch_interval_is_what_was_asked_for():
    seen = []

    def setup(params):
        seen.append(sys.getswitchinterval())
        return []

    tactics = Tactics(switch_interval=2e-3)
    run(scenario(setup=setup), PARAMS, Budget(0.0, patience=20.0), tactics=tactics)
    assert set(seen) == {2e-3}


# Chaos


@pytest.fixture
def naps(monkeypatch):
    """What chaos sleeps, without sleeping, and a clock that goes on meanwhile."""
    slept, now = [], [0.0]

    class Clock:
        @staticmethod
        def monotonic():
            now[0] += 1e-4  # a point takes a tenth of a millisecond
            return now[0]

        @staticmethod
        def sleep(seconds):
            slept.append(seconds)
            now[0] += seconds

    monkeypatch.setattr(module, "time", Clock)
    return slept, now


def test_one_point_in_eight_yields(naps):
    hook = Yield(seed=0)
    for _ in range(8_000):
        hook("node.begin", None)
    assert set(naps[0]) == {0}
    assert 800 < len(naps[0]) < 1_200


def test_starving_takes_a_fifth_of_the_time_at_most_and_takes_some(naps):
    hook = Starve(seed=0)
    for _ in range(50_000):
        hook("node.begin", None)
    slept, now = naps
    assert 0.05 * now[0] < sum(slept) <= 0.2 * now[0]
    assert min(slept) == 0.001
    assert max(slept) == 0.064


def test_the_seed_and_the_threads_name_decide(naps):
    def drawn(seed):
        del naps[0][:]
        naps[1][0] = 0.0
        hook = Starve(seed)
        for _ in range(5_000):
            hook("node.begin", None)
        return list(naps[0])

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize("kind", ["yield", "starve"])
def test_chaos_is_at_the_engines_points_for_the_time_of_a_run(kind):
    seen = []

    def actor(state, index):
        seen.append(type(engine.sync.hook))
        engine.ones(3, requires_grad=True).sum().backward()
        state.append(index)

    run(scenario(actor=actor), PARAMS, Budget(0.0, patience=1.0), tactics=Tactics(chaos=kind))
    assert set(seen) == {{"yield": Yield, "starve": Starve}[kind]}
    assert engine.sync.hook is None


def test_without_chaos_there_is_no_hook():
    with chaos("off", 0):
        assert engine.sync.hook is None
