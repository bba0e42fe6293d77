"""The history oracle accepts what some order explains, and nothing else."""

from itertools import permutations
from random import Random
from typing import Any

import pytest

from stress.oracles.history import Call, Recorder, bag, explain, fifo, linearize


def put(x, begin, end=float("inf")):
    return Call("put", x, None, begin, end)


def get(x, begin, end=float("inf")):
    return Call("get", None, x, begin, end)


def add(x, begin, end):
    return Call("add", x, None, begin, end)


def take(xs, begin, end):
    return Call("take", None, frozenset(xs), begin, end)


def order(history, model=fifo, start=()):
    found = linearize(history, model, start)
    return None if found is None else [str(call) for call in found]


ACCEPTED = {
    "nothing": [],
    "one after the other": [put(1, 0, 1), put(2, 2, 3), get(1, 4, 5), get(2, 6, 7)],
    "puts at once, taken the other way round": [
        put(1, 0, 10),
        put(2, 0, 10),
        get(2, 11, 12),
        get(1, 13, 14),
    ],
    "a get that began before the put": [get(1, 0, 5), put(1, 2, 3)],
    "a put that never returned and had its effect": [put(1, 0), get(1, 5, 6)],
    "a put that never returned and had none": [put(1, 0), put(2, 1, 2), get(2, 5, 6)],
    "they touch": [put(1, 0, 1), get(1, 1, 2)],
}
REJECTED = {
    "the younger first": [put(1, 0, 1), put(2, 2, 3), get(2, 4, 5), get(1, 6, 7)],
    "taken twice": [put(1, 0, 1), get(1, 2, 3), get(1, 4, 5)],
    "taken before it came": [get(1, 0, 1), put(1, 2, 3)],
    "from nowhere": [put(1, 0, 1), get(3, 2, 3)],
    "one of two that were put at once is older than a third": [
        put(1, 0, 4),
        put(2, 0, 4),
        put(3, 5, 6),
        get(3, 7, 8),
    ],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_queues_that_some_order_explains(name):
    assert order(ACCEPTED[name]) is not None


@pytest.mark.parametrize("name", REJECTED)
def test_queues_that_no_order_explains(name):
    assert order(REJECTED[name]) is None


def test_the_order_is_told():
    history = [get(2, 11, 12), put(1, 0, 10), get(1, 13, 14), put(2, 0, 10)]
    assert order(history) == ["put(2)", "put(1)", "get() -> 2", "get() -> 1"]
    assert explain(history).startswith("put(1), put(2), get() -> 2")


def test_a_cell_that_collects():
    calls = [add(1, 0, 3), add(2, 1, 2), take({2}, 2, 4), take({1}, 5, 6), take((), 7, 8)]
    assert order(calls, bag, frozenset()) is not None
    assert order([*calls[:2], take({2}, 4, 5)], bag, frozenset()) is None  # 1 was there
    assert order([add(1, 0, 1), take({1}, 2, 3), take({1}, 4, 5)], bag, frozenset()) is None
    assert order([add(1, 0, 1), take((), 2, 3), take({1}, 4, 5)], bag, frozenset()) is None


def brute_force(history):
    """Whether any permutation that respects time is explained: the definition itself."""
    for calls in permutations(history):
        ends = [any(b.end < a.begin for b in calls[i + 1 :]) for i, a in enumerate(calls)]
        state: Any = ()
        for call in calls:
            state = None if state is None else fifo(state, call)
        if state is not None and not any(ends):
            return True
    return False


@pytest.mark.parametrize("seed", range(200))
def test_the_search_agrees_with_the_definition(seed):
    random = Random(seed)
    history = []
    for name in ("put", "put", "put", "get", "get"):
        begin = random.randrange(10)
        make = put if name == "put" else get
        history.append(make(random.randrange(3), begin, begin + random.randrange(1, 8)))
    assert (order(history) is not None) == brute_force(history)


def test_some_of_those_are_accepted_and_some_rejected():
    """Or the test before this one would say nothing."""
    assert brute_force(ACCEPTED["puts at once, taken the other way round"])
    assert not brute_force(REJECTED["the younger first"])


def test_the_recorder_remembers_calls_with_their_times():
    recorder = Recorder()
    assert recorder("get", None, lambda: 7) == 7
    (call,) = recorder.calls
    assert (call.name, call.result) == ("get", 7)
    assert call.begin <= call.end
