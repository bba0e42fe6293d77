"""Plan: what a backward walks, in which order, and where each contribution goes."""

import gc
from time import thread_time

import pytest

from engine.runtime.plan import NOWHERE, Joint, Plan
from tests.runtime.fakes import Fake, Number, Term, added_up, leaf, plan_of, random_graph, walk


def labels(plan: Plan) -> list[str]:
    return [node.name() for node in plan.nodes]


def routes(plan: Plan, node: Fake) -> list[tuple[int, int] | None]:
    """Where each edge of a node leads: the position and the slot."""
    start = plan.starts[list(plan.nodes).index(node)]
    numbers = range(start, start + len(node.edges))
    targets = plan.targets
    return [None if targets[n] == NOWHERE else (targets[n], plan.slots[n]) for n in numbers]


def test_newest_first_and_leaves_before_all():
    x = leaf()
    a = Fake(1, x)
    b = Fake(2, a)
    c = Fake(3, a, b)
    plan = plan_of(c)
    assert list(plan.nodes) == [x, c, b, a]
    assert plan.leaves == 1


def test_a_diamond_has_a_slot_for_each_contribution():
    x = leaf()
    a = Fake(1, x)
    b, c = Fake(2, a), Fake(3, a)
    d = Fake(4, b, c)
    plan = plan_of(d)
    at = list(plan.nodes).index
    assert plan.joints == [Joint(at(a), 1, (0, 0))]
    # c is newer than b, so a sequential run takes it first
    assert routes(plan, c) == [(at(a), 0)]
    assert routes(plan, b) == [(at(a), 1)]
    assert routes(plan, d) == [(at(b), 0), (at(c), 0)]


def test_an_edge_that_needs_no_gradient_has_no_route():
    x = leaf()
    a = Fake(1, None, x, None)
    plan = plan_of(a)
    assert routes(plan, a) == [None, (0, 0), None]
    assert plan.starts == [NOWHERE, 1]  # behind the root's edge; a leaf has none


def test_one_node_may_feed_one_input_twice():
    x = leaf()
    square = Fake(1, x, x)
    assert walk(square) == {x: 2}


@pytest.mark.parametrize("seed", range(20))
def test_slots_are_filled_as_a_sequential_run_would(seed):
    root, _ = random_graph(seed, 30, rule=lambda g, index: Term((g.made, index)))
    got = walk(root, seeds=[Term("seed")])
    expected = added_up(root, Term("seed"))
    assert {n: g.made for n, g in got.items()} == {n: g.made for n, g in expected.items()}


def test_only_what_leads_to_a_target_is_walked():
    x, y = leaf(), leaf()
    a, b = Fake(1, x), Fake(2, y)
    c = Fake(3, a, b)
    assert walk(c, targets=[x]) == {x: 1}
    assert a.threads
    assert not b.threads


def test_an_inner_target_ends_the_walk():
    x = leaf()
    a = Fake(1, x)
    b = Fake(2, a)
    assert walk(b, targets=[a]) == {a: 1}
    assert not a.threads


def test_an_inner_target_above_another_is_walked_through():
    x = leaf()
    a = Fake(1, x)
    b = Fake(2, a)
    assert walk(b, targets=[a, x]) == {a: 1, x: 1}


def test_a_target_that_nothing_leads_to_gets_nothing():
    x, stranger = leaf(), leaf()
    assert walk(Fake(1, x), targets=[stranger]) == {}


def test_several_roots_are_walked_once_together():
    x = leaf()
    trunk = Fake(1, x)
    one, two = Fake(2, trunk), Fake(3, trunk)
    assert walk(one, two, seeds=[Number(3), Number(4)]) == {x: 7}
    assert len(trunk.threads) == 1


def test_a_root_may_be_given_twice():
    x = leaf()
    a = Fake(1, x)
    assert walk(a, a, seeds=[Number(3), Number(4)]) == {x: 7}
    assert len(a.threads) == 1


def test_a_root_may_lie_below_another():
    x = leaf()
    a = Fake(1, x)
    b = Fake(2, a)
    assert walk(a, b, seeds=[Number(10), Number(1)]) == {x: 11}


def test_a_leaf_may_be_a_root():
    x = leaf()
    assert walk(x, x, seeds=[Number(1), Number(2)]) == {x: 3}


def test_seeds_come_before_what_flows_in():
    x = leaf()
    a = Fake(1, x)
    b = Fake(2, a)
    got = walk(a, b, seeds=[Term("a"), Term("b")])
    assert got[x].made == ("a", "b")


def test_outputs_of_one_node_are_kept_apart():
    x = leaf()
    seen = []

    def rule(g, index):
        seen.append(g)
        return Number(1)

    both = Fake(1, x, outputs=2, rule=rule)
    first, second, third = Fake(2, (both, 1)), Fake(3, (both, 0)), Fake(4, (both, 1))
    walk(Fake(5, first, second, third), seeds=[Term("g")])
    assert [[term.made for term in outputs] for outputs in seen] == [["g", ("g", "g")]]


def test_an_output_that_nothing_flows_into_gets_none():
    x = leaf()
    seen = []

    def rule(g, index):
        seen.append(g)
        return Number(1)

    both = Fake(1, x, outputs=2, rule=rule)
    walk(Fake(2, (both, 1)), seeds=[Number(5)])
    assert seen == [[None, 5]]


def test_equal_sequence_numbers_are_ordered_by_the_graph_alone():
    def build():
        # Nodes made by different threads may have the same number.
        x = leaf()
        garbage = [object() for _ in range(len(orders) * 7)]  # other addresses each time
        middle = [Fake(2, x, label=str(i)) for i in range(20)]
        root = Fake(3, *middle)
        del garbage
        return labels(plan_of(root))

    orders: list[list[str]] = []
    for _ in range(20):
        orders.append(build())
        gc.collect()
    assert all(order == orders[0] for order in orders)


def test_a_plan_may_be_walked_twice():
    root, _ = random_graph(0, 50)
    assert walk(root) == walk(root)


def test_a_chain_of_a_hundred_thousand_nodes_needs_no_stack():
    x = leaf()
    node = Fake(1, x)
    for seq in range(2, 100_001):
        node = Fake(seq, node)
    assert walk(node) == {x: 1}


def chain(size):
    node = Fake(1, leaf())
    for seq in range(2, size):
        node = Fake(seq, node)
    return node


def wide(size):
    x = leaf()
    return Fake(size + 1, *[Fake(seq, x) for seq in range(1, size)])


@pytest.mark.parametrize("shape", [chain, wide])
def test_the_cost_of_a_plan_grows_with_the_graph_and_no_faster(shape):
    def best(size):
        root = shape(size)
        times = []
        for _ in range(5):
            begun = thread_time()
            plan_of(root)
            times.append(thread_time() - begun)
        return min(times)

    gc.disable()  # it looks at all that the process has, and not at this graph alone
    try:
        assert best(20_000) < 25 * best(2_000)
    finally:
        gc.enable()
