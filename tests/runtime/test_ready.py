"""ReadyQueue: who runs next."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.runtime.ready import Newest, Seeded
from tests.runtime.fakes import Fake, Number, leaf, plan_of, random_graph, walk


def drained(queue, pushed):
    for position in pushed:
        queue.push(position)
    return [queue.pop() for _ in pushed]


@given(st.lists(st.integers(0, 1000), unique=True))
def test_newest_pops_in_the_order_of_positions(pushed):
    assert drained(Newest(), pushed) == sorted(pushed)


@given(st.lists(st.integers(0, 1000), unique=True), st.integers())
def test_seeded_pops_each_position_once(pushed, seed):
    assert sorted(drained(Seeded(seed), pushed)) == sorted(pushed)


@given(st.integers())
def test_a_seed_repeats_its_order(seed):
    pushed = list(range(50))
    assert drained(Seeded(seed), pushed) == drained(Seeded(seed), pushed)


def test_seeds_differ_in_their_orders():
    orders = {tuple(drained(Seeded(seed), range(6))) for seed in range(100)}
    assert len(orders) > 50


def ran(root, nodes, order):
    """The order in which a walk with this queue takes the nodes."""
    log: list[int] = []
    for node in nodes:
        if isinstance(node, Fake):
            node.before = partial(log.append, node.seq)
    walk(root, pool=engine.WorkerPool(0, order=order))
    return log


def test_a_walk_takes_the_newest_that_is_ready():
    root, nodes = random_graph(1, 40)
    assert ran(root, nodes, Newest) == list(range(40, 0, -1))


def test_a_walk_follows_the_queue_that_the_pool_makes():
    orders = set()
    for seed in range(20):
        root, nodes = random_graph(1, 40)
        order = ran(root, nodes, partial(Seeded, seed))
        assert sorted(order) == list(range(1, 41))
        orders.add(tuple(order))
    assert len(orders) > 5


def test_no_order_runs_a_node_before_all_that_feed_it():
    for seed in range(30):
        root, nodes = random_graph(seed, 40)
        rank = {seq: i for i, seq in enumerate(ran(root, nodes, partial(Seeded, seed)))}
        for node in nodes:
            for target, _ in node.edges:
                if isinstance(target, Fake):
                    assert rank[node.seq] < rank[target.seq]


def test_leaves_take_no_place_in_a_queue():
    pushed = []

    class Watched(Newest):
        def __init__(self):
            super().__init__()
            enqueue = self.push

            def push(position):
                pushed.append(position)
                enqueue(position)

            self.push = push

    x, y = leaf(), leaf()
    root = Fake(2, Fake(1, x, y), y)
    got = walk(root, seeds=[Number(1)], pool=engine.WorkerPool(0, order=Watched))
    assert got == {x: 1, y: 2}
    assert {plan_of(root).nodes[p].name() for p in pushed} == {"Fake1", "Fake2"}
