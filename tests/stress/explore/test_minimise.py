"""A schedule becomes smaller and comes to the same."""

from contextlib import contextmanager
from dataclasses import replace
from math import inf

import pytest

from stress.core.scenario import Observation, Params
from stress.explore.minimise import Search, later, minimise, smaller, sooner
from stress.explore.strategies import Walk
from stress.explore.token import Recorded, fitting
from stress.explore.trial import Lab
from stress.explore.work import Request, shrink
from stress.scenarios import SCENARIOS
from tests.stress.explore.toys import COUNT, PARAMS, aim, all_schedules, bump, here, toy


def chatty(state, index):
    """Many points around the one race."""
    for _ in range(4):
        here()
    COUNT.actor(state, index)
    for _ in range(4):
        here()


RACE = toy(chatty, setup=COUNT.setup, arbiter=COUNT.arbiter)


def worst_found(scenario, key, params=PARAMS):
    with Lab(scenario, params) as lab:
        runs = [lab.run(Walk(f"{seed}")) for seed in range(40)]
    return max((run for run in runs if run.key == key), key=lambda run: run.preemptions)


def made_smaller(scenario, schedule, seconds=20.0, fewer=(), params=PARAMS):
    @contextmanager
    def opened(params):
        with Lab(scenario, params) as lab:
            yield lab.run

    return minimise(opened, params, fewer, schedule.chosen, seconds)


def test_a_race_needs_one_preemption_and_the_first_there_is():
    start = worst_found(RACE, "lost")
    minimal = made_smaller(RACE, start)
    assert start.preemptions > 3
    assert (minimal.schedule.key, minimal.schedule.preemptions) == ("lost", 1)
    assert minimal.done
    assert minimal.before == start
    assert minimal.words.startswith(f"{start.preemptions} → 1 preemptions")


def places(schedule):
    return [decision.options.index(decision.chosen) for decision in schedule.decisions]


def test_it_is_the_lexicographically_smallest_of_the_fewest_preemptions():
    of_a_kind = [schedule for schedule in all_schedules(COUNT) if schedule.key == "lost"]
    first = min(of_a_kind, key=lambda schedule: (schedule.preemptions, places(schedule)))
    assert len(of_a_kind) > 3
    for schedule in of_a_kind:
        assert made_smaller(COUNT, schedule).schedule.chosen == first.chosen


def test_to_spare_an_interruption_a_thread_goes_on_sooner_or_begins_later():
    order = [1, 1, 2, 2, 1, 1, 2]
    sooner(order, 2, 1)
    assert order == [1, 1, 1, 1, 2, 2, 2]
    order = [1, 1, 2, 2, 1, 1, 2]
    later(order, 2, 1)
    assert order == [2, 2, 1, 1, 1, 1, 2]


def test_delta_debugging_alone_leaves_what_is_needed():
    """Of many interruptions at random, before any search."""
    with Lab(RACE, PARAMS) as lab:
        walks = [run for seed in range(40) if (run := lab.run(Walk(f"{seed}"))).key == "lost"]
        search = Search(frozenset({"lost"}), frozenset({"kept"}), inf, lambda tried: None)
        left = [search.fewer(lab.run, walk) for walk in walks]
    assert max(walk.preemptions for walk in walks) > 5
    assert {schedule.key for schedule in left} == {"lost"}
    assert {schedule.preemptions for schedule in left} == {1}
    assert search.tried < 15 * len(walks)


def test_it_stops_when_time_is_up_and_says_so():
    start = worst_found(RACE, "lost")
    minimal = made_smaller(RACE, start, seconds=0.0, fewer=[replace(PARAMS, size=1)])
    assert minimal.schedule.chosen == start.chosen
    assert minimal.params == PARAMS
    assert not minimal.done
    assert "time was up" in minimal.words


def test_a_schedule_that_does_not_go_as_decided_is_refused():
    start = worst_found(RACE, "lost")
    wrong = [start.decisions[0], start.decisions[1]._replace(chosen=9)]
    with pytest.raises(ValueError, match="not as decided: decision 1: thread 9 is to go on"):
        made_smaller(RACE, replace(start, decisions=tuple(wrong)))


# -- fewer actors, fewer elements ------------------------------------------------------------------

WIDE = Params("racy", threads=3, size=4, explored=True)


def counted(state):
    """How many of the actors' additions are there: the fixture says of how many."""
    return Observation({"kept" if state.value == state.actors else "lost": 1})


def start(params):
    cell = COUNT.setup(params)
    cell.actors = params.threads
    return cell


CROWD = toy(bump, setup=start, arbiter=counted)


def shrunk(scenario, params, key):
    start = worst_found(scenario, key, params)
    return shrink(Request(aim(scenario, params), start.chosen), lambda tried: None)


def test_actors_and_elements_that_are_not_needed_are_left_out():
    minimal = shrunk(CROWD, WIDE, "lost")
    assert (minimal.params.threads, minimal.params.size) == (2, 1)
    assert (minimal.schedule.key, minimal.schedule.preemptions) == ("lost", 1)
    assert minimal.done
    assert minimal.words.startswith("threads 3 → 2, size 4 → 1, ")
    fitting(Recorded("toy", minimal.params, minimal.schedule.chosen), CROWD)


def test_what_needs_them_keeps_them():
    """Only where all three are there, and in the array of several elements."""
    first = toy(bump, setup=start, arbiter=lambda state: Observation(
        {"lost" if (state.actors, state.value) == (3, 1) else "kept": 1}))  # fmt: skip
    minimal = shrunk(first, WIDE, "lost")
    assert (minimal.params.threads, minimal.params.size) == (3, 1)
    large = toy(bump, setup=lambda params: replaced(start(params), params), arbiter=sized)
    assert shrunk(large, WIDE, "lost").params == replace(WIDE, threads=2)


def replaced(cell, params):
    cell.size = params.size
    return cell


def sized(state):
    lost = state.value < state.actors and state.size > 1
    return Observation({"lost" if lost else "kept": 1})


def test_a_configuration_that_a_scenario_is_not_made_for_is_passed_over():
    def picky(params):
        if params.threads < 3:
            raise IndexError(params.threads)
        return start(params)

    minimal = shrunk(toy(bump, setup=picky, arbiter=counted), WIDE, "lost")
    assert minimal.params == replace(WIDE, size=1)


def test_a_scenario_that_counts_on_two_actors_keeps_them():
    """Alone an actor loses nothing, and the arbiter says so: that is not this failure."""
    minimal = shrunk(COUNT, PARAMS, "lost")
    assert minimal.params == replace(PARAMS, size=1)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_token_can_carry_every_smaller_configuration(scenario):
    for mode in scenario.modes:
        for params in scenario.explore(Params(mode, 3)):
            for other in smaller(scenario, params):
                fitting(Recorded(scenario.name, other, b""), scenario)
                assert scenario.crew(other) <= other.threads
