"""`ordered`: the same tickets give the same bits, whoever comes when."""

import threading
from functools import partial
from itertools import permutations
from random import Random

import numpy as np
import pytest

import engine
from engine import RowSparse, Tickets
from engine.runtime.ready import Seeded
from tests.rows import pick
from tests.threads.together import (
    Turns,
    give_way,
    together,
)

SIZE = 10_000
COUNT = 8  # contributions
SEEDS = [
    engine.from_numpy(np.random.default_rng(n).standard_normal(SIZE).astype("f4"))
    for n in range(COUNT)
]
ROWS = [np.random.default_rng(n).integers(0, SIZE, 500) for n in range(COUNT)]


def leaf(size=SIZE):
    return engine.zeros(size, requires_grad=True)


def dense(x, n, **options):
    """Backward of a contribution of noise, the same for each number."""
    (x * SEEDS[n]).sum().backward(**options)


def hooked(x, n, **options):
    inner = x * 1
    inner.register_hook(lambda g: g * 0.1)
    (inner * SEEDS[n]).sum().backward(**options)


def rows(x, n, **options):
    pick(x, ROWS[n]).backward(SEEDS[n][:500].detach(), **options)


def mixed(x, n, **options):
    (rows if n % 2 else dense)(x, n, **options)


KINDS = {"dense": dense, "hooked": hooked, "rows": rows, "mixed": mixed}


def bits(x):
    grad = x.grad
    return (grad.to_dense() if isinstance(grad, RowSparse) else grad.numpy()).tobytes()


def schedule(kind, seed, threads, mode="ordered", workers=0):
    """The bits after COUNT backwards in so many threads, in an order that the seed shuffles."""
    random = Random(seed)
    order = random.sample(range(COUNT), COUNT)
    x, tickets = leaf(), Tickets()
    lock = threading.Lock()

    def hook(point, subject):
        if point in ("ticket.arrive", "grad.commit") and random.random() < 0.5:
            give_way()

    def work():
        with engine.WorkerPool(workers, heavy=0, order=partial(Seeded, seed)):
            while True:
                with lock:
                    if not order:
                        return
                    ticket = order.pop()
                if mode == "ordered":
                    with engine.accumulation("ordered", tickets):
                        KINDS[kind](x, ticket, ticket=ticket)
                else:
                    KINDS[kind](x, ticket, accumulation=mode)

    with engine.sync.hooked(hook):
        together(*[work] * threads)
    assert tickets.pending() == engine.Pending(COUNT if mode == "ordered" else 0, (), (), ())
    return bits(x)


@pytest.mark.parametrize("kind", KINDS)
def test_four_hundred_schedules_give_one_bit_pattern(kind):
    """A hundred for each kind of contribution, one to eight threads, with and without workers."""
    seen = {
        schedule(kind, seed, threads=1 + seed % 8, workers=(seed // 8) % 2) for seed in range(100)
    }
    assert len(seen) == 1


def test_locked_gives_many():
    """The control: what the test above tells apart does differ."""
    assert len({schedule("dense", seed, 1 + seed % 8, "locked") for seed in range(50)}) > 10


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_every_order_of_arrival_gives_the_bits_of_the_order_of_tickets(order):
    x, plain, tickets = leaf(), leaf(), Tickets()
    for ticket in range(3):
        dense(plain, ticket)
    turns = Turns(["ticket.arrive"], order)

    def work(name, ticket):
        threading.current_thread().name = name
        with engine.accumulation("ordered", tickets):
            dense(x, ticket, ticket=ticket)
        turns.leave()

    with engine.sync.hooked(turns.hook):
        together(*[partial(work, *job) for job in zip("abc", range(3), strict=True)])
    assert bits(x) == bits(plain)
