"""A schedule becomes smaller and comes to the same."""

from stress.explore.minimise import minimise
from stress.explore.strategies import Walk
from stress.explore.trial import Lab
from tests.stress.explore.toys import COUNT, PARAMS, all_schedules, here, toy


def chatty(state, index):
    """Many points around the one race."""
    for _ in range(4):
        here()
    COUNT.actor(state, index)
    for _ in range(4):
        here()


RACE = toy(chatty, setup=COUNT.setup, arbiter=COUNT.arbiter)


def worst_found(lab, key):
    runs = [lab.run(Walk(f"{seed}")) for seed in range(40)]
    return max((run for run in runs if run.key == key), key=lambda run: run.preemptions)


def test_a_race_needs_one_preemption_and_the_first_there_is():
    with Lab(RACE, PARAMS) as lab:
        start = worst_found(lab, "lost")
        minimal = minimise(lab.run, start.chosen, 20.0)
    assert start.preemptions > 3
    assert (minimal.schedule.key, minimal.schedule.preemptions) == ("lost", 1)
    assert minimal.done
    assert minimal.before == start.preemptions
    assert minimal.words.startswith(f"{start.preemptions} → 1 preemptions")


def test_all_of_a_kind_become_the_same():
    smallest = set()
    with Lab(COUNT, PARAMS) as lab:
        for schedule in all_schedules(COUNT):
            if schedule.key == "lost":
                smallest.add(minimise(lab.run, schedule.chosen, 20.0).schedule.chosen)
    assert len(smallest) == 1


def test_it_stops_when_time_is_up_and_says_so():
    with Lab(RACE, PARAMS) as lab:
        start = worst_found(lab, "lost")
        minimal = minimise(lab.run, start.chosen, 0.0)
    assert minimal.schedule.chosen == start.chosen
    assert not minimal.done
    assert "time was up" in minimal.words
