"""The oracles name what was done to hand-made arrays and histories."""

import threading
from inspect import getattr_static

import numpy as np
import pytest

import engine
from stress.oracles.coding import CAPACITY, Coding
from stress.oracles.count import count
from stress.oracles.order import NodeLog, overlapping, violations
from stress.oracles.trap import GradTrap

SIZE = 12_000


def total(code, contributions, size=SIZE):
    array = np.zeros(size, code.dtype)
    for index in contributions:
        array += code.value(index)
    return array


# Counting


def test_count_of_all():
    assert count(np.full(SIZE, 7.0), 7) == count(np.full((30, 400), 7.0), 7)
    assert count(np.full(SIZE, 7.0), 7).lost == 0


def test_count_sees_each_missing_element_update():
    array = np.full(SIZE, 7.0)
    array[3] = 5.0
    array[4] = 6.0
    counted = count(array, 7)
    assert (counted.lost, counted.worst, counted.most) == (3, 2, 0)


def test_count_does_not_set_off_too_many_against_too_few():
    array = np.full(SIZE, 7.0)
    array[3], array[4] = 6.0, 8.0
    counted = count(array, 7)
    assert (counted.lost, counted.worst, counted.most) == (1, 1, 1)


@pytest.mark.parametrize("odd", [6.5, 7.25, np.nan, np.inf])
def test_count_sees_what_is_no_whole_number(odd):
    array = np.full(SIZE, 7.0)
    array[3] = odd
    counted = count(array, 7)
    assert (counted.lost, counted.most, counted.strange) == (0, 0, 1)
    assert count(array[:3], 7).strange == 0


# Coding


@pytest.mark.parametrize("dtype", CAPACITY)
def test_a_full_set_of_the_largest_size_is_exact(dtype):
    code = Coding(dtype)
    decoded = code.decode(total(code, range(code.capacity)), code.capacity)
    assert decoded.outcomes == {"kept": code.capacity}
    assert decoded.missing == 0


@pytest.mark.parametrize("dtype", CAPACITY)
def test_the_lost_one_is_named(dtype):
    code = Coding(dtype)
    parts = 2 if code.dtype.kind == "c" else 1
    for lost in (0, code.capacity // 2, code.capacity - 1):
        kept = [index for index in range(code.capacity) if index != lost]
        decoded = code.decode(total(code, kept), code.capacity)
        assert (decoded.lost, decoded.torn, decoded.doubled) == ((lost,), (), ())
        assert decoded.missing == parts * SIZE


@pytest.mark.parametrize("dtype", CAPACITY)
def test_the_doubled_one_is_named_and_never_hidden_by_a_lost_neighbour(dtype):
    code = Coding(dtype)
    decoded = code.decode(total(code, [0, 2, 3, 3]), 5)
    assert (decoded.lost, decoded.torn, decoded.doubled) == ((1, 4), (), (3,))


def test_the_torn_one_is_named():
    code = Coding("float64")
    array = total(code, range(4))
    array[: SIZE // 2] -= code.value(2)
    decoded = code.decode(array, 4)
    assert (decoded.lost, decoded.torn, decoded.doubled) == ((), (2,), ())
    assert decoded.outcomes == {"torn": 1, "kept": 3}
    assert decoded.describe("c{}".format) == "torn: c2"
    assert decoded.missing == SIZE // 2


def test_two_torn_in_disjoint_halves_are_torn_and_not_lost():
    code = Coding("float64")
    array = total(code, range(2))
    array[: SIZE // 2] -= code.value(0)
    array[SIZE // 2 :] -= code.value(1)
    decoded = code.decode(array, 2)
    assert (decoded.lost, decoded.torn) == ((), (0, 1))


@pytest.mark.parametrize("strange", [-1.0, 0.5, np.nan, np.inf, 4.0**10])
def test_what_no_contribution_explains_is_strange(strange):
    code = Coding("float64")
    array = total(code, range(3))
    array[7] = strange
    decoded = code.decode(array, 3)
    assert decoded.strange == 1
    assert decoded.outcomes == {"kept": 3, "strange": 1}


def test_nothing_at_all_is_all_lost():
    assert Coding("float64").decode(np.zeros(SIZE), 3).lost == (0, 1, 2)


# The trap on .grad


@pytest.fixture
def leaf():
    return engine.ones(10_000, requires_grad=True)


def test_the_trap_stays_silent_for_a_functional_gradient(leaf):
    with GradTrap() as trap:
        engine.grad((leaf * leaf).sum(), [leaf])
        assert trap.touched() == []


def test_the_trap_sees_reads_writes_and_accumulation(leaf):
    with GradTrap() as trap:
        assert leaf.grad is None
        assert trap.touched() == [".grad read"]
        leaf.grad = None
        assert trap.touched() == [".grad written"]
        leaf.sum().backward()
        assert [point for point in trap.touched() if point.startswith("grad.")]


def test_the_trap_sees_other_threads(leaf):
    with GradTrap() as trap:
        thread = threading.Thread(target=lambda: leaf.grad)
        thread.start()
        thread.join()
        assert trap.touched() == [".grad read"]


def test_the_trap_leaves_everything_as_it_was(leaf):
    before = getattr_static(engine.Tensor, "grad"), engine.sync.hook
    with GradTrap():
        pass
    assert (getattr_static(engine.Tensor, "grad"), engine.sync.hook) == before
    leaf.sum().backward()
    assert leaf.grad is not None


# The order of nodes


class Fake:
    """As much of a node as the oracle reads."""

    def __init__(self, label, *targets):
        self.label = label
        self.next_functions = tuple((target, 0) for target in targets)

    def name(self):
        return self.label


@pytest.fixture
def diamond():
    leaf = Fake("leaf")
    left, right = Fake("left", leaf), Fake("right", leaf)
    return Fake("root", left, right), left, right, leaf


def history(*steps):
    return [(f"node.{what}", node, thread) for what, node, thread in steps]


def whole(*nodes):
    return history(*((what, node, 1) for node in nodes for what in ("begin", "end")))


def test_a_proper_order_is_accepted(diamond):
    root, left, right, leaf = diamond
    assert violations(whole(root, left, right, leaf), [root]) == []
    assert violations(whole(root, right, left, leaf), [root]) == []


def test_a_node_before_its_last_feeder_is_a_violation(diamond):
    root, left, right, leaf = diamond
    assert violations(whole(root, left, leaf, right), [root]) == [
        "leaf ran before all of its gradient had arrived"
    ]


def test_beginning_before_a_feeder_has_ended_is_a_violation(diamond):
    root, left, right, leaf = diamond
    events = whole(root, left) + history(
        ("begin", right, 1), ("begin", leaf, 2), ("end", right, 1), ("end", leaf, 2)
    )
    assert len(violations(events, [root])) == 1


def test_a_node_that_ran_twice_or_never_is_a_violation(diamond):
    root, left, right, leaf = diamond
    assert "left ran 2 times" in violations(whole(root, left, left, right, leaf), [root])
    assert "right ran 0 times" in violations(whole(root, left, leaf), [root])


def test_overlap_takes_two_threads(diamond):
    root, left, right, leaf = diamond
    assert not overlapping(whole(root, left, right, leaf))
    assert not overlapping(history(("begin", left, 1), ("end", left, 1), ("begin", right, 2)))
    assert overlapping(history(("begin", left, 1), ("begin", right, 2)))


def test_the_log_agrees_with_the_engine_about_nodes(leaf):
    log = NodeLog()
    root = (leaf * 2.0 + leaf * 3.0).sum()
    node = root.grad_fn
    with engine.sync.hooked(log), engine.WorkerPool(0):
        root.backward()
    events = log.take()
    assert len(events) >= 8
    assert violations(events, [node]) == []
    assert log.take() == []


def test_coding_tells_the_parts_of_complex_numbers_apart():
    code = Coding("complex64")
    total = np.full(4, sum(code.value(c) for c in range(12)), "complex64")
    assert code.decode(total, 12).outcomes == {"kept": 12}
    total[2] -= 1j * 4**3  # of one element, the imaginary part
    decoded = code.decode(total, 12)
    assert (decoded.torn, decoded.missing) == ((3,), 1)


def test_coding_holds_five_contributions_in_half_a_float():
    code = Coding("float16")
    total = np.zeros(3, "float16")
    for c in range(code.capacity):
        total += code.value(c)
    assert code.decode(total, 5).outcomes == {"kept": 5}
    total += code.value(4)
    assert code.decode(total, 5).doubled == (4,)
