"""Two backwards on one graph: exactly one may release it."""

import threading

import pytest

import engine
from engine.errors import GraphReleasedError
from engine.runtime.ready import Newest, Seeded
from tests.threads.together import PATIENCE, outcomes, together


class Oldest(Newest):
    """The other way round than a sequential run."""

    def __init__(self):
        self.positions = []
        self.push = self.positions.append
        self.pop = lambda: self.positions.pop(self.positions.index(max(self.positions)))


def branches(x):
    """The root saves nothing: the first that could be consumed are the branches."""
    return (x.exp() + x.tanh()).sum()


def chain(x):
    return (x.exp() * x).tanh().sum()


GRAPHS = [branches, chain]


def walking(loss, order=Newest, workers=0):
    def work():
        with engine.WorkerPool(workers, heavy=0, order=order):
            loss.backward()

    return work


def kinds(ended):
    return sorted(type(outcome.error).__name__ for outcome in ended)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("orders", [(Newest, Newest), (Newest, Oldest)])
def test_exactly_one_of_two_succeeds(graph, orders):
    for _ in range(60):
        x = engine.ones(10_000, requires_grad=True)
        loss = graph(x)
        (expected,) = engine.grad(loss, x, retain_graph=True)
        ended = outcomes(*[walking(loss, order) for order in orders])
        assert kinds(ended) == ["GraphReleasedError", "NoneType"]
        assert x.grad.numpy().tobytes() == expected.numpy().tobytes()


def test_exactly_one_of_four_succeeds_with_workers_and_any_order():
    for seed in range(30):
        x = engine.ones(10_000, requires_grad=True)
        loss = branches(x)
        ended = outcomes(
            *[walking(loss, lambda s=seed + n: Seeded(s), workers=n % 3) for n in range(4)]
        )
        assert kinds(ended) == ["GraphReleasedError"] * 3 + ["NoneType"]


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("parked", ["task.begin", "node.begin", "node.end", "grad.commit"])
def test_whoever_begins_first_wins_wherever_it_is(graph, parked):
    """One is held at a point on its way; the other fails at once, and disturbs nothing."""
    x = engine.ones(10_000, requires_grad=True)
    loss = graph(x)
    first = threading.local()
    there, go = threading.Event(), threading.Event()

    def hook(point, subject):
        if point == parked and getattr(first, "is_it", False) and not there.is_set():
            there.set()
            assert go.wait(PATIENCE)

    def winner():
        first.is_it = True
        loss.backward()

    def loser():
        assert there.wait(PATIENCE)
        try:
            with pytest.raises(GraphReleasedError):
                loss.backward()
        finally:
            go.set()

    (expected,) = engine.grad(loss, x, retain_graph=True)
    with engine.sync.hooked(hook), engine.WorkerPool(0):
        together(winner, loser)
    assert x.grad.numpy().tobytes() == expected.numpy().tobytes()


def test_backwards_that_retain_all_succeed():
    x = engine.ones(10_000, requires_grad=True)
    loss = branches(x)
    together(*[lambda: [loss.backward(retain_graph=True) for _ in range(20)]] * 4)
    once = engine.grad(loss, x)[0]
    assert (abs(x.grad - 80 * once) < 1e-3 * abs(x.grad)).all()


def test_one_that_fails_before_it_consumed_anything_leaves_the_graph():
    x = engine.ones(10, requires_grad=True)
    y = x * x
    loss = y.exp().sum()
    handle = loss.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    handle.remove()
    loss.backward()
    assert x.grad is not None


def test_the_loser_names_the_line_and_the_way_out():
    x = engine.ones(10, requires_grad=True)
    loss = chain(x)
    loss.backward()
    with pytest.raises(GraphReleasedError, match=r"test_one_graph\.py:\d+ in chain.*retain_graph"):
        loss.backward()
