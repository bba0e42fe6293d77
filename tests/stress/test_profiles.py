"""What a profile runs, and how a budget is shared out."""

import re
from collections import Counter
from dataclasses import replace
from math import inf

import pytest

from stress import profiles, suite
from stress.core.outcome import acceptable
from stress.core.scenario import Observation, Scenario, quick, slow
from stress.core.tactics import Tactics
from stress.profiles import PROFILES, Pace
from stress.suite import Choice, plan

KEPT = dict.fromkeys(("racy", "locked"), lambda params: [acceptable("kept", "")])
QUICK = Scenario(
    1, "quick", "", "trials", lambda params: None, lambda state, index: None,
    lambda state: Observation({"kept": 1}), KEPT, tags=quick, sizes=lambda edge: (1, edge),
)  # fmt: skip
PLAIN = replace(QUICK, number=2, name="plain", tags=lambda params: frozenset())
SLOW = replace(QUICK, number=3, name="slow", tags=slow)


@pytest.fixture(autouse=True)
def _scenarios(monkeypatch):
    monkeypatch.setattr(suite, "load", lambda source: (QUICK, PLAIN, SLOW))


def counted(**choice):
    return dict(Counter(job.scenario for job in plan(Choice(**choice))))


@pytest.mark.parametrize(
    ("profile", "jobs"),
    [
        ("smoke", {"quick": 1}),
        ("quick", {"quick": 4}),
        ("default", {"quick": 4, "plain": 4}),
        ("nightly", {"quick": 4, "plain": 4, "slow": 4}),
    ],
)
def test_tags_say_what_belongs_to_a_profile(profile, jobs):
    assert counted(profile=PROFILES[profile]) == jobs


def test_a_budget_is_shared_between_threads_and_schedules():
    nightly = PROFILES["nightly"]
    assert nightly.preemptions == 3
    assert nightly.budget + nightly.exploring >= 3600
    assert nightly.share == 0.5
    assert {PROFILES[name].share for name in PROFILES if name != "nightly"} == {1.0}


def test_smoke_draws_its_configuration_from_the_seed():
    def drawn(seed):
        (job,) = plan(Choice(profile=PROFILES["smoke"], seed=seed))
        return job.params.mode, job.params.size

    assert drawn(3) == drawn(3)
    assert len({drawn(seed) for seed in range(20)}) == 4


def test_every_combination_is_a_job_and_every_fork_has_its_seed():
    tactics = [Tactics(switch_interval=interval) for interval in (1e-3, 1e-6)]
    jobs = plan(Choice(pattern=re.compile("plain"), threads=(2, 4), sizes=(5, 6, 7), forks=2,
                       tactics=tactics, modes=["locked"], seed=9))  # fmt: skip
    assert len(jobs) == 2 * 3 * 2 * 2
    assert len({(job.params, job.tactics, job.fork) for job in jobs}) == len(jobs)
    assert {job.params.mode for job in jobs} == {"locked"}
    assert {(job.fork, job.params.seed) for job in jobs} == {(0, 9), (1, 10)}


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = [100.0]
    monkeypatch.setattr(profiles, "monotonic", lambda: now[0])
    return now


def test_a_budget_is_kept_even_if_every_job_takes_all_that_it_may(clock):
    pace = Pace(100, budget=60.0)
    for left in range(100, 0, -1):
        budget = pace.budget(left)
        assert budget is not None
        clock[0] += budget.patience + profiles.START
    assert clock[0] <= 100.0 + 60.0 + 0.5


def test_jobs_that_need_less_leave_more_to_those_that_need_more(clock):
    pace = Pace(100, budget=60.0)
    before = pace.budget(100)
    clock[0] += 1.0
    after = pace.budget(20)
    assert before is not None
    assert after is not None
    assert after.patience > 2 * before.patience


def test_when_the_time_is_over_nothing_runs(clock):
    pace = Pace(2, budget=1.0)
    clock[0] += 1.0
    assert pace.budget(1) is None


def test_seconds_that_were_asked_for_are_given_whatever_it_takes(clock):
    pace = Pace(10_000, budget=inf, seconds=2.0, limit=7.0)
    budget = pace.budget(10_000)
    assert budget is not None
    assert (budget.seconds, budget.patience, budget.limit) == (2.0, 20.0, 7.0)
