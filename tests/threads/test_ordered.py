"""`ordered`: nobody waits for a turn, nothing gets stuck, and what is missing is said."""

import threading
from functools import partial

import numpy as np
import pytest

import engine
from engine import Tickets
from engine.errors import ArgumentError, OperandError, TicketError, TicketsFullError
from tests.threads.together import PATIENCE, outcomes, together, until

SIZE = 10_000


def leaf(size=SIZE):
    return engine.zeros(size, requires_grad=True)


def add(x, amount, ticket=None, **options):
    x.backward(engine.full(x.shape, float(amount)), ticket=ticket, **options)


def listed(x):
    assert x.grad is not None
    return x.grad.tolist()


def test_who_comes_early_goes_on_and_who_fills_the_gap_adds_all():
    x, tickets = leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        add(x, 4, ticket=2)
        add(x, 2, ticket=1)
        assert x.grad is None
        assert tickets.pending() == engine.Pending(0, (0,), (), (1, 2))
        add(x, 1, ticket=0)
    assert listed(x) == [7] * 10
    assert tickets.pending() == engine.Pending(3, (), (), ())


def test_tickets_are_taken_as_calls_begin():
    x, y, tickets, began = leaf(10), leaf(10), Tickets(), []
    inner = x * 1
    inner.register_hook(lambda g: began.append(tickets.pending().running))
    with engine.accumulation("ordered", tickets):
        inner.sum().backward()
        add(y, 1)
        add(y, 1, ticket=3)
        add(y, 1)
        add(y, 1)  # 3 has one, so this takes 4
    assert began == [(0,)]
    assert tickets.pending().next == 5
    assert tickets.take() == 5
    assert tickets.take() == 6


def test_the_tickets_of_the_process_serve_who_has_none():
    x = leaf(10)
    tickets = engine.current_tickets()
    before = tickets.pending().next
    add(x, 1, accumulation="ordered")
    assert tickets.pending().next == before + 1
    mine = Tickets()
    with engine.accumulation("ordered", mine):
        assert engine.current_tickets() is mine
        with engine.accumulation("ordered"):
            assert engine.current_tickets() is mine
        assert together(engine.current_tickets) == [tickets]
    assert listed(x) == [1] * 10


def test_a_leaf_that_a_ticket_does_not_reach_is_not_held_up():
    x, y, tickets = leaf(10), leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        add(x, 1, ticket=0)
        add(y, 2, ticket=1)
        add(x, 4, ticket=2)
    assert (listed(x), listed(y)) == ([5] * 10, [2] * 10)


def test_what_waits_is_not_what_the_caller_writes_to_meanwhile():
    x, seed, tickets = leaf(10), engine.ones(10), Tickets()
    with engine.accumulation("ordered", tickets):
        x.backward(seed, ticket=1)
        seed.fill_(100)
        add(x, 1, ticket=0)
    assert listed(x) == [2] * 10


def test_taking_and_zeroing_do_not_touch_what_waits():
    x, tickets = leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        add(x, 1, ticket=0)
        add(x, 4, ticket=2)
        assert x.take_grad().tolist() == [1] * 10
        assert x.grad is None
        add(x, 2, ticket=1)
    assert listed(x) == [6] * 10


# Tickets that do not come


def failing(x):
    y = x * 2
    y.register_hook(lambda g: 1 / 0)
    return y.sum()


def test_a_backward_that_fails_releases_its_ticket_and_leaves_every_grad():
    x, y, tickets = leaf(10), leaf(10), Tickets()
    with engine.accumulation("ordered", tickets), engine.WorkerPool(0):
        add(x, 4, ticket=1)
        with pytest.raises(ZeroDivisionError):
            ((y * 3).sum() + failing(x)).backward(ticket=0)
        assert (listed(x), y.grad) == ([4] * 10, None)
        with pytest.raises(RuntimeError, match="scalar"):
            x.backward(ticket=2)  # before it has begun to walk
        add(x, 1)
    assert listed(x) == [5] * 10
    assert tickets.pending().next == 4


def test_a_hook_that_raises_after_the_commit_does_not_take_the_contribution_back():
    x, tickets = leaf(10), Tickets()
    x.register_post_accumulate_grad_hook(lambda t: 1 / 0)
    with engine.accumulation("ordered", tickets), pytest.raises(ZeroDivisionError):
        add(x, 1, ticket=1)
    assert tickets.pending().waiting == (1,)


def test_release_and_flush():
    x, tickets = leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        add(x, 1, ticket=1)
        tickets.release(0)
        assert listed(x) == [1] * 10
        add(x, 2, ticket=4)
        add(x, 4, ticket=6)
        assert tickets.flush() == (2, 3, 5)
        assert listed(x) == [7] * 10
        assert tickets.flush() == ()
        for late in (0, 2, 5, 6, -1):
            with pytest.raises(TicketError, match=f"ticket {late} has been used"):
                add(x, 1, ticket=late)
    assert listed(x) == [7] * 10


def test_flush_waits_for_nobody_and_does_not_overtake_who_runs():
    x, tickets = leaf(10), Tickets()
    begun, go = threading.Event(), threading.Event()

    def slow():
        def hold(g):
            begun.set()
            assert go.wait(PATIENCE)

        y = x * 1
        y.register_hook(hold)
        with engine.accumulation("ordered", tickets):
            y.sum().backward(ticket=1)

    def fast():
        assert begun.wait(PATIENCE)
        with engine.accumulation("ordered", tickets):
            add(x, 2, ticket=2)
        assert tickets.pending() == engine.Pending(0, (0,), (1,), (2,))
        assert tickets.flush() == (0,)
        assert x.grad is None
        go.set()

    together(slow, fast)
    assert listed(x) == [3] * 10


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ticket": 0}, TicketError),
        ({"ticket": 1.5}, OperandError),
        ({"ticket": 1, "accumulation": "locked"}, ArgumentError),
        ({"ticket": 1, "accumulation": "racy"}, ArgumentError),
    ],
)
def test_misuse_of_tickets(options, error):
    x, tickets = leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        add(x, 1, ticket=0)
        with pytest.raises(error):
            add(x, 1, **options)
    assert listed(x) == [1] * 10
    assert tickets.pending() == engine.Pending(1, (), (), ())


def test_a_ticket_that_runs_cannot_be_used_again():
    x, tickets, raised = leaf(10), Tickets(), []

    def again(g):
        for use in (lambda: add(leaf(10), 1, ticket=5), lambda: tickets.release(5)):
            with pytest.raises(TicketError):
                use()
        raised.append(True)

    y = x * 1
    y.register_hook(again)
    with engine.accumulation("ordered", tickets):
        y.sum().backward(ticket=5)
    assert raised


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tickets(bound=0),
        lambda: Tickets(timeout=-1),
        lambda: engine.accumulation("locked", Tickets()).__enter__(),
    ],
)
def test_tickets_that_cannot_be(make):
    with pytest.raises(ArgumentError):
        make()


# Back-pressure


def full(bound=2, timeout=0.01):
    """Tickets of which so many wait for ticket 0 that no more may."""
    x, tickets = leaf(10), Tickets(bound, timeout)
    with engine.accumulation("ordered", tickets):
        for ticket in range(1, bound + 1):
            add(x, 1, ticket=ticket)
    return x, tickets


def test_where_too_many_wait_a_call_waits_before_it_begins():
    x, tickets = full(timeout=PATIENCE)
    waits = leaf(10)

    def late():
        with engine.accumulation("ordered", tickets):
            add(waits, 1, ticket=3)

    def gap():
        until(lambda: 3 in tickets.pending().running)
        assert waits.grad is None
        with engine.accumulation("ordered", tickets):
            add(x, 1, ticket=0)

    together(late, gap)
    assert (listed(x), listed(waits)) == ([3] * 10, [1] * 10)
    assert tickets.pending().next == 4


def test_in_vain_it_raises_and_says_what_is_missing():
    x, tickets = full()
    assert tickets.take() == 0
    with engine.accumulation("ordered", tickets):
        with pytest.raises(TicketsFullError, match=r"2 backwards wait.*missing tickets: 0;"):
            add(x, 1, ticket=4)  # one that is given may be used again
        with pytest.raises(TicketsFullError, match="ticket 3 cannot begin"):
            add(x, 1)  # one that is taken is released
        add(x, 1, ticket=0)
        add(x, 1, ticket=4)
    assert listed(x) == [4] * 10
    assert tickets.pending() == engine.Pending(5, (), (), ())


def test_nested_and_under_a_lock_it_does_not_wait():
    """It would wait for ever: these tickets have a minute of patience, the test has less."""
    x, tickets = full(timeout=60.0)
    y, other = leaf(10), leaf(10)
    with engine.accumulation("ordered", tickets):
        with y.grad_lock, y.grad_lock, pytest.raises(TicketsFullError, match="grad_lock"):
            add(x, 1, ticket=3)
        nested = other * 1
        nested.register_hook(lambda g: add(x, 1, ticket=5))
        with pytest.raises(TicketsFullError, match="nested"):
            nested.sum().backward(ticket=0)
    assert listed(x) == [2] * 10  # ticket 0 failed, and was released
    assert other.grad is None


def test_locks_held_around_ordered_backwards_do_not_block_each_other():
    """Each thread holds the lock of one leaf while its backward reaches both."""
    x, y, tickets = leaf(), leaf(), Tickets()
    barrier = threading.Barrier(2)

    def work(mine):
        with engine.accumulation("ordered", tickets):
            for _ in range(50):
                barrier.wait(PATIENCE)
                with mine.grad_lock:
                    (x + y).sum().backward()

    results = outcomes(partial(work, x), partial(work, y))
    assert [result.error for result in results] == [None, None]
    for grad in (x.grad, y.grad):
        assert np.unique(grad.numpy()).tolist() == [100]


def test_with_create_graph():
    x, tickets = leaf(10), Tickets()
    with engine.accumulation("ordered", tickets):
        (x * x).sum().backward(create_graph=True, ticket=1)
        (x * x * 2).sum().backward(create_graph=True, ticket=0)
    assert x.grad.requires_grad
    assert engine.grad(x.grad.sum(), x)[0].tolist() == [6] * 10


def test_retained_gradients_of_inner_tensors_are_ordered_too():
    x, tickets = leaf(10), Tickets()
    inner = x * 1
    inner.retain_grad()
    with engine.accumulation("ordered", tickets):
        inner.sum().backward(ticket=1, retain_graph=True)
        assert inner.grad is None
        (inner * 2).sum().backward(ticket=0)
    assert listed(inner) == [3] * 10
