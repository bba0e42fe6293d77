"""Submitted tasks under ``ordered``: a ticket as they are submitted, released when they end."""

import numpy as np
import pytest

import engine
from tests.threads.together import PATIENCE, Gate

SIZE = 10_000


def contribution(x, k):
    """A loss whose gradients are such that float32 sums of them depend on their order."""
    values = np.random.default_rng(k + 10).standard_normal(SIZE).astype("float32")
    return (x * engine.tensor(values * 10.0**k)).sum()


def in_order(ks):
    x = engine.zeros(SIZE, requires_grad=True)
    for k in ks:
        contribution(x, k).backward()
    return x.grad.numpy()


KS = (-3, 5, 7, -1, 3, 6, -2, 8)


def test_the_order_of_submission_differs_from_others():
    """The control: else the tests below would show nothing."""
    assert not np.array_equal(in_order(KS), in_order(KS[::-1]))


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_the_order_is_that_of_the_calls_of_submit(workers):
    x = engine.zeros(SIZE, requires_grad=True)
    with engine.WorkerPool(workers), engine.accumulation("ordered", engine.Tickets()):
        handles = [engine.submit(contribution(x, k).backward) for k in KS]
        for handle in handles[::-1]:  # this thread runs the youngest first
            handle.result()
    assert np.array_equal(x.grad.numpy(), in_order(KS))


def test_the_first_may_be_the_last_to_end():
    gate = Gate()
    x = engine.zeros(SIZE, requires_grad=True)
    losses = [contribution(x, k) for k in KS]
    losses[0].register_hook(gate.hold)
    tickets = engine.Tickets()
    with engine.WorkerPool(2), engine.accumulation("ordered", tickets):
        handles = [engine.submit(loss.backward) for loss in losses]
        gate.reached()
        engine.wait(handles[1:])
        assert not x.grad
        assert tickets.pending().waiting == tuple(range(1, len(KS)))
        gate.open()
    assert np.array_equal(x.grad.numpy(), in_order(KS))


@pytest.mark.parametrize("given", [False, True])
def test_a_task_that_is_cancelled_before_it_begins_releases_its_ticket(given):
    gate = Gate()
    x = engine.zeros(SIZE, requires_grad=True)
    tickets = engine.Tickets()
    with engine.WorkerPool(1):
        engine.submit(gate.hold)
        gate.reached()
        with engine.accumulation("ordered", tickets):
            handles = [
                engine.submit(contribution(x, k).backward, **({"ticket": n} if given else {}))
                for n, k in enumerate(KS)
            ]
        assert handles[2].cancel()
        gate.open()
        engine.wait(handles)
    assert tickets.pending() == (engine.Pending(len(KS), (), (), ()))
    assert np.array_equal(x.grad.numpy(), in_order(KS[:2] + KS[3:]))


def test_a_task_that_is_cancelled_at_a_node_releases_its_ticket():
    gate = Gate()
    x = engine.zeros(SIZE, requires_grad=True)
    losses = [contribution(x, k) for k in KS]
    losses[0].register_hook(gate.hold)
    tickets = engine.Tickets()
    with engine.WorkerPool(2), engine.accumulation("ordered", tickets):
        handles = [engine.submit(loss.backward) for loss in losses]
        gate.reached()
        assert handles[0].cancel()
        engine.wait(handles[1:])
        gate.open()
    assert handles[0].cancelled()
    assert tickets.pending().next == len(KS)
    assert np.array_equal(x.grad.numpy(), in_order(KS[1:]))


@pytest.mark.parametrize("fails", [lambda: 1 / 0, lambda: None])
def test_a_task_that_runs_no_backward_releases_its_ticket(fails):
    x = engine.zeros(SIZE, requires_grad=True)
    tickets = engine.Tickets()
    with engine.WorkerPool(1), engine.accumulation("ordered", tickets):
        handles = [engine.submit(fails), engine.submit(contribution(x, 2).backward)]
        engine.wait(handles)
    assert tickets.pending().next == 2
    assert np.array_equal(x.grad.numpy(), in_order([2]))


def test_a_task_with_several_backwards_takes_more_tickets_as_they_begin():
    xs = [engine.zeros(SIZE, requires_grad=True) for _ in range(3)]
    tickets = engine.Tickets()

    def several():
        for x in xs:
            contribution(x, 1).backward()

    with engine.WorkerPool(1), engine.accumulation("ordered", tickets):
        engine.submit(several).result(PATIENCE)
        assert tickets.pending().next == 3
    assert all(x.grad is not None for x in xs)
