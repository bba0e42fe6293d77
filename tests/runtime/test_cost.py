"""What a backward costs grows with its graph and no faster."""

import gc
import time
from typing import Any

import pytest

import engine
from engine.runtime.accumulate import Capture
from engine.runtime.task import GraphTask
from tests.runtime.fakes import leaf, plan_of


def seconds(build, n):
    """Of CPU time of this thread, to build, walk and free: the least of three runs.

    Without the collector, which looks at all that the process has, and not at this graph alone.
    """
    best = float("inf")
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            best = min(best, _seconds(build, n))
    finally:
        gc.enable()
    return best


def _seconds(build, n):
    x = engine.ones(1, requires_grad=True)
    begun = time.thread_time()
    y = build(x, n)
    y.backward()
    del y
    return time.thread_time() - begun


def chain(x, n):
    for _ in range(n):
        x = x + 1
    return x


def fan(x, n):
    y = x
    for _ in range(n // 2):
        y = y + x * 1
    return y


def tree(x, n):
    level = [x * 1 for _ in range(n // 2)]
    while len(level) > 1:
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
    return level[0]


def writes_to_one(x, n):
    y = x * 1
    for _ in range(n):
        y.add_(x)
    return y


def views_of_views(x, n):
    y = x * 1
    for _ in range(n):
        y = y[:]
    return y


def hooked_leaves(x, n):
    y = x * 1
    for _ in range(n):
        leaf = engine.ones(1, requires_grad=True)
        leaf.register_post_accumulate_grad_hook(lambda leaf: None)
        y = y + leaf
    return y


@pytest.mark.parametrize("build", [chain, fan, tree, writes_to_one, views_of_views, hooked_leaves])
def test_ten_times_the_nodes_cost_ten_times_the_time(build):
    """Not a hundred: what is quadratic in a graph shows here, whatever else the machine does."""
    with engine.WorkerPool(0):
        small, large = seconds(build, 1 << 10), seconds(build, 10 << 10)
    assert large < 30 * small


def test_a_chain_of_views_shares_its_steps():
    """Views that each copied the steps of the one before would hold half a million here."""
    tensors = [engine.ones(1, requires_grad=True) * 1]
    for _ in range(1_000):
        tensors.append(tensors[-1][:])
    views: list[Any] = [t._view for t in tensors[1:]]
    runs = {id(run): len(run) for view in views for run in view.blocks}
    assert [len(view.chain) for view in views] == list(range(1, 1_001))
    assert sum(runs.values()) < 1_000 * 11


def test_a_branch_leaves_the_chain_of_the_other_views_as_it_was():
    base = engine.zeros(8, requires_grad=True) * 1
    trunk = base[1:][1:]
    left: Any = trunk[1:]
    right: Any = trunk[2:]
    base.mul_(1)
    left.sum().backward()
    assert [keywords["index"].start for _, keywords in left._view.chain] == [1, 1, 1]
    assert [keywords["index"].start for _, keywords in right._view.chain] == [1, 1, 2]


def test_what_a_task_collects_is_not_copied_each_time():
    task = plain_task()
    for add, collected in (
        (task.reached, task.hooked),
        (task.call_at_end, task.callbacks),
        (task.offer, task.offers),
    ):
        for index in range(3):
            add(index)
        assert collected == [0, 1, 2]


def plain_task():
    plan = plan_of(leaf())
    return GraphTask(plan, Capture(plan.nodes), retain=False, graph=False)
