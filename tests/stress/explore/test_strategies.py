"""Strategies reach what they promise to reach, and the same seed decides the same."""

from dataclasses import replace

import pytest

from stress.core.outcome import acceptable
from stress.core.scenario import Observation
from stress.explore.strategies import Follow, Priorities, Walk
from stress.explore.trial import Lab
from stress.explore.work import longest
from tests.stress.explore.toys import COUNT, PARAMS, all_schedules, here, steps, toy


def late(state, index):
    """Wrong only if actor 1, of few steps, comes after actor 0 with its 20."""
    if index == 0:
        for _ in range(20):
            here()
        state.append("far")
    else:
        state.append("near")


def judged(state):
    return Observation({"lost" if state == ["far", "near"] else "kept": 1})


LATE = toy(late, arbiter=judged)


def found(chooser_of, times=100):
    with Lab(LATE, PARAMS) as lab:
        return sum(lab.run(chooser_of(number)).key == "lost" for number in range(times))


def test_priorities_find_an_order_that_dice_do_not():
    """In theory half of the schedules of depth 1, and one in two million."""
    assert found(lambda n: Walk(f"0:{n}")) == 0
    assert 30 < found(lambda n: Priorities(f"0:{n}", 1, 25)) < 70


@pytest.mark.parametrize("make", [Walk, lambda seed: Priorities(seed, 3, 8)])
def test_a_seed_repeats_its_schedule_and_another_does_not(make):
    with Lab(COUNT, PARAMS) as lab:
        first = [lab.run(make(f"{n}")).chosen for n in range(20)]
        second = [lab.run(make(f"{n}")).chosen for n in range(20)]
    assert first == second
    assert len(set(first)) > 3


def test_depth_makes_the_one_that_runs_fall_behind():
    with Lab(COUNT, PARAMS) as lab:
        shallow = {lab.run(Priorities(f"{n}", 1, 6)).key for n in range(30)}
        deep = {lab.run(Priorities(f"{n}", 2, 6)).key for n in range(30)}
    assert shallow == {"kept"}
    assert deep == {"kept", "lost"}


def told(state, index):
    state.append(index)
    if index < 2:
        here()
        state.append(index)


def test_who_falls_behind_later_may_go_on_sooner():
    """Thread 0 falls, then 1 does, and 1 goes on before 0: that takes two changes."""
    order = toy(told, arbiter=lambda state: Observation({"".join(map(str, state)): 1}),
                outcomes={"racy": lambda params: [acceptable("*", "")]})  # fmt: skip
    with Lab(order, replace(PARAMS, threads=3)) as lab:
        seen = {lab.run(Priorities(f"{n}", 3, 4)).key for n in range(400)}
    assert "01210" in seen
    assert "10201" in seen


def test_changes_come_late_as_well():
    """The first schedule has half of the decisions: the second thread runs alone."""
    decided = [len(schedule.decisions) for schedule in all_schedules(toy(steps(3)), 2)]
    with Lab(toy(steps(3)), PARAMS) as lab:
        first = lab.run(Follow())
    assert len(first.decisions) < max(decided) <= longest(first)


def test_a_list_that_cannot_be_followed_says_where():
    chooser = Follow(bytes([1, 7]))
    with Lab(COUNT, PARAMS) as lab:
        lab.run(chooser)
    assert chooser.problem == "decision 1: thread 7 is to go on, and only [1, 2] can"


def test_a_list_of_another_length_says_so():
    with Lab(COUNT, PARAMS) as lab:
        whole = lab.run(Follow()).chosen
        short, long, exact = Follow(whole[:-1]), Follow(whole + b"\1"), Follow(whole)
        for chooser in (short, long, exact):
            lab.run(chooser)
    assert "the list has 2" in short.strictly()
    assert "the list has 4" in long.strictly()
    assert exact.strictly() == ""
