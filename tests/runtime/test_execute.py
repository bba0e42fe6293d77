"""The loop: who runs what, on which thread, and that nothing waits for itself."""

import threading
from functools import partial

import pytest

import engine
from engine.runtime.ready import Seeded
from tests.runtime.fakes import Fake, Number, Term, leaf, random_graph, walk
from tests.threads.together import Meeting, give_way, together

HEAVY = 10


def threads_of(nodes):
    return {name for node in nodes if isinstance(node, Fake) for name in node.threads}


def me():
    return threading.current_thread().name


def paths(nodes, root):
    """How many ways lead from the root to each leaf."""
    ways = dict.fromkeys(nodes, 0)
    ways[root] = 1
    for node in reversed(nodes):
        for target, _ in node.edges:
            ways[target] += ways[node]
    return {node: n for node, n in ways.items() if n and not isinstance(node, Fake)}


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_each_node_runs_once_and_every_path_counts(workers, seed):
    root, nodes = random_graph(seed, 60, price=HEAVY)
    with engine.WorkerPool(workers, heavy=HEAVY, order=lambda: Seeded(seed)) as pool:
        assert walk(root, pool=pool) == paths(nodes, root)
    assert all(len(node.threads) == 1 for node in nodes if isinstance(node, Fake))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_order_of_additions_does_not_depend_on_who_makes_them(workers):
    def answer(pool):
        root, nodes = random_graph(
            7, 60, price=HEAVY, rule=lambda g, i: Term((g.made, i)), before=give_way
        )
        got = walk(root, seeds=[Term("seed")], pool=pool)
        return [got[node].made for node in nodes if node in got], threads_of(nodes)

    expected, _ = answer(engine.WorkerPool(0))
    helped = set()
    for seed in range(40):
        with engine.WorkerPool(workers, heavy=0, order=partial(Seeded, seed)) as pool:
            got, threads = answer(pool)
        assert got == expected
        helped |= threads
    assert len(helped) > 1


def test_two_to_the_twenty_paths_are_counted_exactly():
    x = leaf()
    node = Fake(1, x)
    for seq in range(2, 22):
        node = Fake(seq, node, node)
    assert walk(node) == {x: 2**20}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_and_caller_work_at_the_same_time(workers):
    """One heavy node for each: they meet, which they could not one after the other."""
    meeting = Meeting(workers + 1)
    branches = [
        Fake(seq, leaf(), price=HEAVY, before=meeting.come) for seq in range(1, workers + 2)
    ]
    with engine.WorkerPool(workers, heavy=HEAVY) as pool:
        walk(Fake(10, *branches), pool=pool)
    threads = threads_of(branches)
    assert me() in threads
    assert len(threads) == workers + 1


def test_light_nodes_stay_with_the_thread_that_made_them_ready():
    root, nodes = random_graph(3, 200, price=HEAVY - 1)
    with engine.WorkerPool(2, heavy=HEAVY) as pool:
        walk(root, pool=pool)
        assert threads_of(nodes) == {me()}
        assert not pool._threads


def test_a_chain_is_never_handed_over():
    node = Fake(1, leaf(), price=HEAVY)
    nodes = [node]
    for seq in range(2, 50):
        nodes.append(Fake(seq, nodes[-1], price=HEAVY))
    with engine.WorkerPool(2, heavy=HEAVY) as pool:
        walk(nodes[-1], pool=pool)
        assert not pool._threads
    assert threads_of(nodes) == {me()}


def test_without_workers_all_is_done_by_the_caller():
    root, nodes = random_graph(3, 50, price=HEAVY)
    walk(root, pool=engine.WorkerPool(0, heavy=0))
    assert threads_of(nodes) == {me()}


@pytest.mark.parametrize("size", [300, 3000])
def test_each_node_is_weighed_once(size):
    """What waits is not looked at again whenever something runs: cost grows with the graph."""
    weighed = []

    class Weighed(Fake):
        __slots__ = ()

        def cost(self, g):
            weighed.append(self)
            return 0

    x = leaf()
    terms = [Weighed(seq, x) for seq in range(1, size)]
    with engine.WorkerPool(1, heavy=1) as pool:
        walk(Fake(size, *terms), pool=pool)
    assert len(weighed) <= size


def nesting(depth, pool, log):
    """A graph whose heavy nodes each run a backward of the next depth, inline."""

    def inner():
        log.append(depth)
        if depth:
            walk(nesting(depth - 1, pool, log), pool=pool)

    branches = [Fake(seq, leaf(), price=HEAVY, before=inner) for seq in (1, 2)]
    return Fake(3, *branches)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_backward_in_a_backward_runs_inline_and_waits_for_nobody(workers):
    log: list[int] = []
    with engine.WorkerPool(workers, heavy=0) as pool:
        walk(nesting(5, pool, log), pool=pool)
    assert sorted(log) == sorted(depth for depth in range(6) for _ in range(2 ** (6 - depth)))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_backwards_may_be_nested_deeper_than_a_stack_is(workers):
    """Some ten Python frames each: five hundred are too many for one thread."""
    reached = []

    def descend(depth):
        reached.append(depth)
        if depth:
            node = Fake(1, leaf(), price=HEAVY, before=lambda: descend(depth - 1))
            other = Fake(2, leaf(), price=HEAVY)
            assert len(walk(Fake(3, node, other), pool=pool)) == 2

    with engine.WorkerPool(workers, heavy=0) as pool:
        descend(500)
    assert reached == list(range(500, -1, -1))


def test_an_error_comes_up_through_all_nested_backwards():
    def descend(depth):
        if not depth:
            raise KeyError("at the bottom")
        walk(Fake(1, leaf(), before=lambda: descend(depth - 1)))

    with pytest.raises(KeyError, match="at the bottom"):
        descend(100)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_backward_in_every_thread_at_once_waits_for_nobody(workers):
    """All workers and the caller are inside of a node when they start a backward of their own."""
    meeting = Meeting(workers + 1)

    def inner():
        meeting.come()
        root, nodes = random_graph(1, 30, price=HEAVY)
        assert walk(root, pool=pool) == paths(nodes, root)

    branches = [Fake(seq, leaf(), price=HEAVY, before=inner) for seq in range(1, workers + 2)]
    with engine.WorkerPool(workers, heavy=0) as pool:
        walk(Fake(10, *branches), pool=pool)
    assert len(threads_of(branches)) == workers + 1


def test_a_nested_backward_runs_in_the_thread_that_started_it():
    inner = Fake(1, leaf())
    outer = Fake(1, leaf(), before=lambda: walk(inner))
    walk(outer)
    assert inner.threads == outer.threads == [me()]


def test_many_callers_share_one_pool():
    def caller(seed):
        root, nodes = random_graph(seed, 60, price=HEAVY)
        for _ in range(20):
            assert walk(root, pool=pool) == paths(nodes, root)

    with engine.WorkerPool(2, heavy=HEAVY) as pool:
        together(*[lambda seed=seed: caller(seed) for seed in range(4)])


def test_a_node_that_nothing_flows_into_passes_nothing_on():
    x, y = leaf(), leaf()
    silent = Fake(3, Fake(1, x), Fake(2, y), rule=lambda g, i: None if i else g)
    assert walk(silent, seeds=[Number(1)]) == {x: 1}


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loop_holds_no_gradient_when_it_is_done(workers):
    root, _ = random_graph(5, 60, price=HEAVY)
    tasks = []

    def hook(point, subject):
        if point == "task.end":
            tasks.append(subject)

    with engine.sync.hooked(hook), engine.WorkerPool(workers, heavy=0) as pool:
        walk(root, pool=pool)
    (task,) = tasks
    assert not any(cell is not None for cell in task.cells)
    assert not any(total for gather in task.gathers.values() for total in gather.totals)
    assert task.outstanding == 0
    assert not task.offers


@pytest.mark.parametrize("workers", [1, 2])
def test_hooks_may_nest_backwards_as_deep(workers):
    """By tensor hooks, as user code does, every level with something for the workers to do."""
    reached = []

    def descend(depth):
        reached.append(depth)
        x = engine.ones(3, requires_grad=True)
        y, z = x.exp(), x.tanh()
        if depth:
            y.register_hook(lambda g: below(depth - 1))
        (y + z).sum().backward()
        assert x.grad is not None

    def below(depth):
        with engine.enable_grad():
            descend(depth)

    with engine.WorkerPool(workers, heavy=0):
        descend(500)
    assert reached == list(range(500, -1, -1))
