"""Contributions are folded in slot order, whoever brings them and whenever."""

import threading
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.accumulate import Capture
from engine.runtime.task import GraphTask
from tests.runtime.fakes import Fake, Term, leaf, plan_of
from tests.threads.together import PATIENCE, together


def task_of(slots, outputs=1, ports=None):
    """A task in which `slots` contributions flow into one node: (task, its position)."""
    target = Fake(1, leaf(), outputs=outputs)
    edges = [(target, port) for port in ports or [0] * slots]
    plan = plan_of(Fake(2, *edges))
    task = GraphTask(plan, Capture(plan.nodes), retain=False, graph=False)
    return task, list(plan.nodes).index(target)


def nested(terms):
    """What adding these terms one after the other leaves behind; None for none at all."""
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else (total, term)
    return total


@given(st.permutations(range(8)))
def test_any_order_of_arrival_gives_the_same_sum(arrival):
    task, at = task_of(8)
    complete = [task.gather(at, slot, Term(slot)) for slot in arrival]
    assert complete == [False] * 7 + [True]
    assert task.gathers[at].result().made == nested(range(8))


@given(st.lists(st.booleans(), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_what_does_not_flow_is_left_out(flows, random):
    task, at = task_of(len(flows))
    arrival = list(range(len(flows)))
    random.shuffle(arrival)
    for slot in arrival:
        task.gather(at, slot, Term(slot) if flows[slot] else None)
    result = task.gathers[at].result()
    assert (result and result.made) == nested(s if flow else None for s, flow in enumerate(flows))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_outputs_are_added_up_apart(ports, random):
    task, at = task_of(len(ports), outputs=3, ports=ports)
    arrival = list(range(len(ports)))
    random.shuffle(arrival)
    for slot in arrival:
        task.gather(at, slot, Term(slot))
    result = [total and total.made for total in task.gathers[at].result()]
    assert result == [nested(s for s, p in enumerate(ports) if p == port) for port in range(3)]


@given(st.permutations(range(6)))
def test_a_finished_prefix_is_folded_at_once_and_not_kept(arrival):
    task, at = task_of(6)
    gather, came = task.gathers[at], set()
    for slot in arrival:
        came.add(slot)
        task.gather(at, slot, Term(slot))
        prefix = next(n for n in range(7) if n not in came)
        assert gather.done == prefix
        assert gather.cells[:prefix] == [None] * prefix
        assert (gather.totals[0] and gather.totals[0].made) == nested(range(prefix))


@pytest.mark.parametrize("seed", range(25))
def test_threads_that_bring_at_once_get_one_completion_and_one_sum(seed):
    task, at = task_of(12)
    arrival = list(range(12))
    Random(seed).shuffle(arrival)
    parts = [arrival[i::4] for i in range(4)]
    done = together(
        *[lambda part=part: [task.gather(at, s, Term(s)) for s in part] for part in parts]
    )
    assert sum(map(sum, done)) == 1
    assert task.gathers[at].result().made == nested(range(12))


def test_nobody_waits_for_an_addition():
    """While one thread adds, others leave their contribution and go; it adds theirs too."""
    adding, go = threading.Event(), threading.Event()

    class Slow(Term):
        def __add__(self, other):
            adding.set()
            assert go.wait(PATIENCE)
            return Term((self.made, other.made))

    task, at = task_of(4)
    assert not task.gather(at, 0, Slow(0))

    def add():
        return task.gather(at, 1, Term(1))

    def leave():
        assert adding.wait(PATIENCE)
        left = [task.gather(at, slot, Term(slot)) for slot in (3, 2)]
        go.set()
        return left

    assert together(add, leave) == [True, [False, False]]
    assert task.gathers[at].result().made == nested(range(4))
