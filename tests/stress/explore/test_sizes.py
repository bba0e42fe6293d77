"""Where the size of the arrays makes no difference the smaller one is spared, and only there."""

from dataclasses import replace
from functools import cache
from itertools import groupby, permutations

import numpy as np

import engine
from stress.core.outcome import acceptable, required
from stress.core.scenario import MODES
from stress.core.source import SHIPPED, load
from stress.explore import trial, work
from stress.explore.campaign import targets_of
from stress.explore.search import Search, Settings, work_through
from stress.explore.strategies import Walk
from tests.stress.explore.toys import HERE, LOSING, PARAMS, aim, here, toy


def in_size(size, scenario, source=SHIPPED, **settings):
    target = aim(scenario, replace(PARAMS, size=size), source=source)
    found = Search(target, Settings(**settings))
    work_through(found, [HERE], 30.0, lambda search: None)
    return found


def adds_in_place(state, index):
    state.reshape(-1).backward(engine.ones(state.shape), accumulation="racy")


def with_a_gradient(params):
    leaf = engine.zeros(params.size, requires_grad=True)
    leaf.grad = engine.zeros(params.size)
    return leaf


ADDING = toy(adds_in_place, setup=with_a_gradient)


def test_a_smaller_size_is_spared_where_it_would_show_the_same():
    large, small = in_size(4, LOSING, bound=1), in_size(1, LOSING, bound=1)
    assert large.spares(small)
    assert not small.spares(large)
    assert large.tally == small.tally  # or it would show something else
    begun = Search(large.target, large.settings)
    assert begun.spares(small)  # for as long as it may
    assert not begun.exhausted
    other = aim(LOSING, replace(PARAMS, size=1, mode="locked"), source=SHIPPED)
    assert not large.spares(Search(other, large.settings))


def test_the_sizes_of_a_users_scenario_are_all_run():
    """It may have a fast path for one element, without a lock."""

    def actor(state, index):
        if state.shape == (1,):
            here()

    own = toy(actor, setup=lambda params: np.zeros(params.size))
    large, small = (in_size(size, own, source="my_scenarios.py", bound=1) for size in (4, 1))
    assert large.exhausted
    assert not large.spares(small)
    assert small.tally.schedules > large.tally.schedules


def alike():
    """Of what ships, the configurations that may be spared, each with what may spare it."""
    aims = targets_of(SHIPPED, load(SHIPPED), MODES, 2, 0)
    for _, some in groupby(aims, lambda aim: (aim.scenario, aim.params.mode)):
        searches = [Search(aim, Settings()) for aim in some]
        for large, small in permutations(searches, 2):
            if large.spares(small):
                yield large.target, small.target


def shown(target):
    """Some schedules of a configuration: points, decisions and outcomes; does it add in place?"""
    with trial.Lab(target.find(), target.params) as lab:
        made = [lab.run(Walk(seed)) for seed in "abc"]
    rows = [[event[:2] for event in schedule.events] for schedule in made]
    in_place = any(point == work.IN_PLACE for events in rows for _, point in events)
    return [(s.chosen, s.outcomes, r) for s, r in zip(made, rows, strict=True)], in_place


def test_no_schedule_that_ships_knows_a_size_that_is_spared():
    shows = cache(shown)
    blind = [pair for pair in alike() if not shows(pair[0])[1]]
    assert len(blind) > 50
    assert [small for large, small in blind if shows(large) != shows(small)] == []


def test_a_smaller_size_is_not_spared_where_it_could_show_something_else():
    large, small = in_size(4, ADDING, bound=1), in_size(1, ADDING, bound=1)
    assert not large.spares(small)
    assert large.tally.schedules > small.tally.schedules
    declares = {1: [required("lost", "")], 4: [acceptable("lost", "")]}
    kept = acceptable("kept", "")
    sized = replace(LOSING, outcomes={"racy": lambda params: [kept, *declares[params.size]]})
    assert not in_size(4, sized, bound=1).spares(in_size(1, sized, bound=1))
    cut = in_size(4, LOSING, bound=1, schedules=3)
    assert not cut.spares(in_size(1, LOSING, bound=1))
