"""Strategies reach what they promise to reach, and the same seed decides the same."""

import pytest

from stress.explore.strategies import Follow, Priorities, Walk
from stress.explore.trial import Lab
from tests.stress.explore.toys import COUNT, PARAMS, here, toy


def late(state, index):
    """Wrong only if actor 1, of few steps, comes after actor 0 with its 20."""
    if index == 0:
        for _ in range(20):
            here()
        state.append("far")
    else:
        state.append("near")


def judged(state):
    from stress.core.scenario import Observation

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
