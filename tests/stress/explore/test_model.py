"""The explorer finds exactly what a second, simpler explorer finds: ``model.py``."""

from collections import Counter

import pytest

from stress.core.outcome import acceptable
from stress.core.scenario import Observation
from tests.stress.explore.model import World, act, ways
from tests.stress.explore.toys import all_schedules, searched, toy

MARK = ("mark", "x")
PROGRAMS = {
    "marks": [[MARK, MARK], [MARK, MARK]],
    "three": [[MARK], [("put", 0)], [("get", 0)]],
    "crossed": [[("with", (0, [("with", (1, []))]))], [("with", (1, [("with", (0, []))]))]],
    "again": [[("with", (1, [("with", (1, [MARK]))]))], [("with", (1, [MARK]))]],
    "itself": [[("with", (0, [("with", (0, []))]))], [MARK]],
    "tried": [[("try", (0, [MARK]))], [("try", (0, [])), ("try", (1, []))]],
    "timed": [[("timed", (0, [("get", 0)]))], [("timed", (0, [])), ("put", 0)]],
    "permits": [[("put", 0), ("get", 0), MARK, ("put", 0)], [("get", 0), MARK, ("put", 0)]],
    "signal": [[("with", (0, [MARK])), ("get", 0)], [("with", (0, [("put", 0)]))]],
    "polled": [[("poll", 0), ("poll", 0)], [("put", 0), MARK]],
    "both late": [[("poll", 0)], [("poll", 1)]],
    "children": [[("start", [MARK]), ("join", None)], [MARK]],
    "grandchild": [[("start", [("start", [MARK]), ("join", None)]), MARK]],
    "orphan": [[("start", [("with", (0, [("with", (0, []))]))])], [("with", (0, []))]],
    "raised": [[("with", (0, [("raise", None)]))], [("with", (0, [MARK]))]],
    "raised and awaited": [[MARK, ("raise", None), ("put", 0)], [("get", 0)]],
    "both raised": [[("raise", None)], [MARK, ("raise", None)]],
}  # fmt: skip


def scenario(programs):
    """The programs as a scenario of which everything may come."""
    return toy(
        lambda world, index: act(world, str(index), programs[index]),
        setup=lambda params: World(),
        arbiter=lambda world: Observation({str(tuple(world.log)): 1}),
        crew=lambda params: len(programs),
        outcomes={"racy": lambda params: [acceptable("*", "")]},
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_interleaving_is_found_once_at_what_it_costs(name):
    whole = ways(PROGRAMS[name])
    schedules = all_schedules(scenario(PROGRAMS[name]))
    assert Counter((schedule.key, schedule.preemptions) for schedule in schedules) == whole


@pytest.mark.parametrize("bound", [0, 1, 2])
@pytest.mark.parametrize("name", ["crossed", "timed", "polled", "children"])
def test_a_search_that_says_all_has_found_all_within_the_bound(name, bound):
    within = {came: times for came, times in ways(PROGRAMS[name]).items() if came[1] <= bound}
    found = searched(scenario(PROGRAMS[name]), bound=bound)
    assert (found.exhausted, found.tally.unsteady) == (True, "")
    assert found.tally.schedules == sum(within.values())
    assert set(found.tally.examples) == {key for key, _ in within}


def test_the_model_knows_what_can_be_counted_by_hand():
    assert sum(ways(PROGRAMS["marks"]).values()) == 20  # of six steps, three are of the first
    assert {key for key, _ in ways(PROGRAMS["raised and awaited"])} == {"deadlock, raised KeyError"}
    costs = Counter(cost for _, cost in ways(PROGRAMS["marks"]).elements())
    assert (costs[0], costs[1]) == (2, 4)  # interrupt either at either mark
