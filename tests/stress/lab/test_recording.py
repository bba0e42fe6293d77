"""A record holds the order of additions, and a replay comes to the same bits or says where not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import engine
from stress.lab.files import LabError
from stress.lab.record_file import log_of, setup_of
from stress.lab.recording import Arrivals, Replayed, first_difference, record, replay
from stress.lab.training import LEAVES, Setup, train
from tests.threads.together import together

SETUP = Setup("locked", workers=3, steps=6, contributions=5)


@pytest.fixture(scope="module")
def recorded():
    return record(SETUP)


def test_a_record_has_an_order_for_each_leaf_and_step(recorded):
    trained, log = recorded
    assert len(log) == SETUP.steps == len(trained.digests)
    for orders in log:
        assert [sorted(order) for order in orders] == [[0, 1, 2, 3, 4]] * len(LEAVES)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("shuffle", [None, 1])
def test_any_number_of_threads_replays_it(recorded, workers, shuffle):
    trained, log = recorded
    again = replay(replace(SETUP, workers=workers, shuffle=shuffle), log)
    assert first_difference(trained.digests, again.digests) is None
    assert again.hash == trained.hash


def test_concurrent_runs_differ_and_each_is_replayed():
    hashes = set()
    for run in range(200):  # threads may be late, and then nothing differs
        trained, log = record(SETUP)
        hashes.add(trained.hash)
        assert replay(replace(SETUP, workers=2), log).hash == trained.hash
        if run >= 8 and len(hashes) > 1:
            return
    pytest.fail("all runs were the same: this shows nothing")


def test_an_order_that_one_thread_took_on_purpose_is_what_the_record_says():
    setup = replace(SETUP, workers=1, shuffle=7)
    trained, log = record(setup)
    expected = [np.random.default_rng((7, step)).permutation(5).tolist() for step in range(6)]
    assert [[list(order) for order in orders] for orders in log] == [[o] * 4 for o in expected]
    assert replay(replace(setup, shuffle=None), log).hash == trained.hash


def test_each_leaf_has_an_order_of_its_own():
    """One ticket a backward could not do that: here no two leaves agree."""
    random = np.random.default_rng(0)
    terms = [[random.normal(size=600).astype("f4") for _ in range(4)] for _ in range(2)]
    orders = ((2, 0, 3, 1), (1, 3, 0, 2))
    leaves = [engine.zeros(600, requires_grad=True) for _ in orders]
    way = Replayed((orders,), leaves)
    for c in (3, 2, 1, 0):
        parts = [leaf * engine.from_numpy(terms[i][c]) for i, leaf in enumerate(leaves)]
        way(0, c, (parts[0] + parts[1]).sum())
    for leaf, order, term in zip(leaves, orders, terms, strict=True):
        expected = term[order[0]].copy()
        for c in order[1:]:
            expected += term[c]
        assert leaf.grad is not None
        assert leaf.grad.numpy().tobytes() == expected.tobytes()


def test_a_swapped_pair_is_found_at_its_step_and_leaf(recorded):
    trained, log = recorded
    broken = [list(map(list, orders)) for orders in log]
    order = broken[3][0]  # weight1 in step 3; the last and the first are never the two that commute
    order[0], order[-1] = order[-1], order[0]
    again = replay(SETUP, tuple(tuple(map(tuple, orders)) for orders in broken))
    found = first_difference(trained.digests, again.digests)
    assert found is not None
    assert (found.step, found.leaf) == (3, "weight1")
    assert "step 3, weight1.grad" in str(found)
    assert again.hash != trained.hash


def test_a_replay_that_does_not_order_is_found():
    """The policy of the replay, broken: everything is added as it comes."""
    trained, _ = record(replace(SETUP, workers=1, shuffle=1))
    again = train(SETUP)
    assert first_difference(trained.digests, again.digests) is not None


def test_a_leaf_is_held_from_the_note_to_the_end_of_the_addition():
    """Or a thread that is announced first could add second, and the note would be wrong."""
    leaf, other = (engine.zeros(3, requires_grad=True) for _ in range(2))
    arrivals = Arrivals([leaf, other])
    free = []

    def look(point, subject):
        arrivals(point, subject)
        if point == "grad.commit":
            free.append((taken(leaf), taken(other)))

    arrivals.begin(0, 0)
    with engine.sync.hooked(look):
        (leaf + other).sum().backward()
    assert sorted(free) == [(False, True), (True, False)]  # one at a time
    assert (taken(leaf), taken(other)) == (True, True)  # and none afterwards
    assert arrivals.log(1) == (((0,), (0,)),)


def taken(leaf):
    """Whether another thread gets the leaf's lock at once."""
    lock: Any = engine.autograd.edge_of(leaf)[0]
    lock = lock.lock

    def ask():
        got = lock.acquire(blocking=False)
        if got:
            lock.release()
        return got

    return together(ask)[0]


def test_a_backward_that_raises_leaves_no_lock_behind():
    leaf = engine.zeros(3, requires_grad=True)
    arrivals = Arrivals([leaf])
    arrivals.begin(0, 0)
    product = leaf * 2.0
    product.register_hook(lambda g: 1 / 0)
    with engine.sync.hooked(arrivals), pytest.raises(ZeroDivisionError):
        product.sum().backward()
    assert taken(leaf)
    assert arrivals.log(1) == (((),),)


# Files


def good():
    order = [[0, 1, 2, 3, 4]] * len(LEAVES)
    return {
        "settings": {"mode": "locked", "workers": 2, "steps": 2, "contributions": 5},
        "arrivals": [order, order], "digests": [["d"] * len(LEAVES)] * 2, "hash": "x",
    }  # fmt: skip


def test_a_sound_record_is_read():
    assert setup_of(good()) == Setup("locked", 2, 2, 5)
    assert log_of(good())[1][3] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"settings": {"unknown": 1}}, "not those of a training"),
        ({"settings": {"mode": "locked", "steps": 0}}, "make no training"),
        ({"arrivals": []}, "each of 2 steps"),
        ({"arrivals": [[[0, 1, 2, 3, 4]], []]}, "order for each leaf in step 0"),
        ({"arrivals": [[[0, 1, 2, 3, 3]] * 4] * 2}, "step 0, weight1: .* is no order of 5"),
        ({"digests": [["d"] * 4]}, "a digest for each of 4 leaves in each of 2 steps"),
        ({"digests": [["d"] * 4, ["d"] * 3]}, "a digest for each of 4 leaves in each of 2 steps"),
    ],
)
def test_a_record_that_is_none_is_refused(change, what):
    with pytest.raises(LabError, match=what):
        log_of(good() | change)
