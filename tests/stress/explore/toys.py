"""Small scenarios for the tests of the explorer, and engines that were broken on purpose."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import engine
from engine import sync
from stress.core.outcome import acceptable, forbidden, required
from stress.core.scenario import Observation, Params, Scenario
from stress.explore.search import Search, Settings, work_through
from stress.explore.strategies import Follow, alternatives
from stress.explore.trial import Lab

PARAMS = Params("racy", threads=2, size=4, explored=True)


def nothing(state):
    return Observation({"kept": 1})


def toy(actor, setup=lambda params: [], arbiter=nothing, **changes):
    """A scenario of which only what it does matters."""
    return Scenario(
        **{
            "number": 99,
            "name": "toy",
            "title": "a toy",
            "unit": "trials",
            "setup": setup,
            "actor": actor,
            "arbiter": arbiter,
            "outcomes": {"racy": lambda params: [acceptable("kept", ""), forbidden("lost", "")]},
            **changes,
        }
    )


def here(point="toy"):
    """A point, as those of the engine are announced."""
    assert sync.hook is not None
    sync.hook(point, None)


def steps(count):
    """An actor that writes down its number ``count`` times, with a point before each."""

    def actor(state, index):
        state.append(index)
        for _ in range(count):
            here()
            state.append(index)

    return actor


class Cell:
    """A number that is read and written in two steps."""

    def __init__(self):
        self.value = 0


def bump(state, index):
    """Loses updates."""
    here("cell.read")
    value = state.value
    here("cell.write")
    state.value = value + 1


COUNT = toy(
    bump,
    setup=lambda params: Cell(),
    arbiter=lambda state: Observation({"kept" if state.value == 2 else "lost": 1}),
)


LOSING = toy(
    COUNT.actor,
    setup=COUNT.setup,
    arbiter=COUNT.arbiter,
    outcomes={"racy": lambda params: [acceptable("kept", ""), required("lost", "")]},
)


def crossed(state, index):
    """Two leaves, each actor takes their locks in an order of its own."""
    first, second = state if index == 0 else reversed(state)
    with first.grad_lock, second.grad_lock:
        pass


ABBA = toy(crossed, setup=lambda params: [engine.zeros(1, requires_grad=True) for _ in range(2)])


def all_schedules(scenario, bound=99, params=PARAMS, most=5_000, **options):
    """Every schedule within the bound, those of few preemptions first."""
    levels = [[b""]] + [[] for _ in range(bound)]
    found = []
    with Lab(scenario, params, **options) as lab:
        for level in levels:
            while level:
                beginning = level.pop(0)
                chooser = Follow(beginning)
                found.append(lab.run(chooser))
                assert not chooser.problem
                assert len(found) <= most
                for cost, other in alternatives(found[-1], len(beginning), bound):
                    levels[cost].append(other)
    return found


def keys(schedules):
    return Counter(schedule.key for schedule in schedules)


@dataclass(frozen=True)
class _Aim:
    """A configuration of a scenario that is in no module."""

    scenario: str
    params: Params
    find: Callable[[], Scenario]
    source: str = "a file"


class _Here:
    """A child process that is none."""

    def call(self, function, argument, limit, progress=None):
        return function(argument, lambda value: None)


class Dies:
    """A child process that dies at its ``last`` call, in the way of ``error``."""

    def __init__(self, error, last=1):
        self.error, self.left = error, last

    def call(self, function, argument, limit, progress=None):
        self.left -= 1
        if not self.left:
            raise self.error
        return HERE.call(function, argument, limit, progress)


def aim(scenario, params=PARAMS, **options) -> Any:
    """For a target."""
    return _Aim(scenario.name, params, lambda: scenario, **options)


HERE: Any = _Here()


def searched(scenario, seconds=30.0, look=lambda search: None, **settings):
    found = Search(aim(scenario), Settings(**settings))
    work_through(found, [HERE], seconds, look)
    return found
