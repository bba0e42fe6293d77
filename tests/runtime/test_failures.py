"""Errors: which one is raised, what it says, and that nothing goes on after it."""

import signal
import threading
from random import Random
from typing import Any

import pytest

import engine
from engine.hooks import hooks_of
from engine.runtime.accumulate import Capture
from engine.runtime.execute import run
from engine.runtime.ready import Newest, Seeded
from tests.runtime.fakes import Fake, Number, leaf, plan_of, random_graph, walk
from tests.threads.together import PATIENCE, Meeting, until


class Broken(Exception):
    """What the tests raise."""


def failing(error):
    def fail():
        raise error

    return fail


def failing_with(error):
    """A hook that raises."""
    fail = failing(error)
    return lambda g: fail()


def notes(error):
    return "\n".join(getattr(error, "__notes__", ()))


def test_what_a_rule_raises_is_raised_with_its_name():
    node = Fake(1, leaf(), label="Culprit", before=failing(Broken("no")))
    with pytest.raises(Broken, match="no") as caught:
        walk(node)
    assert "in the backward of Culprit" in notes(caught.value)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_nothing_is_committed_after_an_error(workers):
    commits = []

    class Policy(Capture):
        def commit(self):
            commits.append(self)

    branches = [Fake(seq, leaf(), price=1) for seq in range(1, 9)]
    branches[4].before = failing(Broken())
    plan = plan_of(Fake(10, *branches))
    with engine.WorkerPool(workers, heavy=0) as pool, pytest.raises(Broken):
        run(plan, [Number(1)], Policy(plan.nodes), pool)
    assert not commits


def test_nothing_runs_after_an_error():
    below, broken = Fake(1, leaf()), Fake(3, leaf(), before=failing(Broken()))
    other = Fake(2, below)
    with pytest.raises(Broken):
        walk(Fake(4, broken, other))
    assert not other.threads
    assert not below.threads


def two_that_fail_at_once(first, second):
    """Two branches, one on a worker, that raise when both have begun: the newer one `first`."""
    meeting = Meeting(2)

    def fail(error):
        meeting.come()
        raise error

    older = Fake(1, leaf(), label="Older", price=1, before=lambda: fail(second))
    newer = Fake(2, leaf(), label="Newer", price=1, before=lambda: fail(first))
    return Fake(3, older, newer)


@pytest.mark.parametrize("trial", range(10))
def test_of_two_errors_the_first_of_a_sequential_run_is_raised(trial):
    first, second = Broken("first"), Broken("second")
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(Broken) as caught:
        walk(two_that_fail_at_once(first, second), pool=pool)
    assert caught.value is first
    assert "in the backward of Newer" in notes(first)
    assert "also failed with Broken('second'): in the backward of Older" in notes(first)
    assert notes(second) == ""


@pytest.fixture
def task():
    """The tasks that begin, as they do."""
    begun: list[Any] = []
    with engine.sync.hooked(lambda point, s: begun.append(s) if point == "task.begin" else None):
        yield begun


def test_what_comes_before_an_error_runs_and_its_error_is_raised(task):
    """The worker is in the newer branch when the older one fails; what follows there is first."""
    working, first = threading.Event(), Broken("first")
    below = Fake(2, leaf(), label="Below", before=failing(first))

    def newer():
        working.set()
        until(lambda: task[0].failed)

    def older():
        assert working.wait(PATIENCE)
        raise Broken("second")

    branches = Fake(3, below, price=1, before=newer), Fake(1, leaf(), price=1, before=older)
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(Broken) as caught:
        walk(Fake(4, *branches), pool=pool)
    assert caught.value is first
    assert "also failed with Broken('second')" in notes(first)


def test_a_hook_of_a_leaf_that_comes_too_early_does_not_hide_what_comes_before():
    """The last to deliver to a shared leaf is the newer branch, whose other input fails."""
    working, delivered, first = threading.Event(), threading.Event(), Broken("first")
    shared, end = leaf(), leaf()
    hooks_of(shared).tensor.register(failing_with(Broken("the leaf")))
    below = Fake(2, end, label="Below", before=failing(first))

    def newer():
        working.set()
        assert delivered.wait(PATIENCE)

    older = Fake(1, shared, price=1, before=lambda: working.wait(PATIENCE))
    last = Fake(0, leaf(), price=1, before=delivered.set)  # begins when the older has delivered
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(Broken) as caught:
        walk(Fake(4, Fake(3, shared, below, price=1, before=newer), older, last), pool=pool)
    assert caught.value is first


@pytest.mark.parametrize("seed", range(40))
def test_which_error_is_raised_does_not_depend_on_the_schedule(seed):
    root, nodes = random_graph(seed, 30, leaves=6, price=1)
    random = Random(seed)
    for number, node in enumerate(random.sample(nodes, 8)):
        error = Broken(number)
        if isinstance(node, Fake):
            node.before = failing(error)
        else:
            hooks_of(node).tensor.register(failing_with(error))

    def told(pool=None):
        with pytest.raises(Broken) as caught:
            walk(root, pool=pool)
        return caught.value.args

    expected = told()
    for workers, order in ((1, Newest), (3, lambda: Seeded(seed))):
        with engine.WorkerPool(workers, heavy=0, order=order) as pool:
            assert [told(pool) for _ in range(5)] == [expected] * 5


@pytest.mark.parametrize("trial", range(5))
def test_an_interrupt_goes_before_an_error(trial):
    interrupt = KeyboardInterrupt()
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(KeyboardInterrupt) as caught:
        walk(two_that_fail_at_once(Broken("no"), interrupt), pool=pool)
    assert caught.value is interrupt
    assert "also failed with Broken('no')" in notes(interrupt)


def test_one_error_object_raised_twice_is_not_attached_to_itself():
    error = Broken("the same")
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(Broken) as caught:
        walk(two_that_fail_at_once(error, error), pool=pool)
    assert "also failed" not in notes(caught.value)


def test_what_an_error_is_attached_to_does_not_depend_on_where_it_is_raised():
    """A worker's traceback reaches into the rule that failed."""
    meeting = Meeting(2)
    main = threading.current_thread()

    def fail():
        meeting.come()
        if threading.current_thread() is not main:
            raise Broken

    branches = [Fake(seq, leaf(), price=1, before=fail) for seq in (1, 2)]
    with engine.WorkerPool(1, heavy=0) as pool, pytest.raises(Broken) as caught:
        walk(Fake(3, *branches), pool=pool)
    assert caught.traceback[-1].name == "fail"


def test_siblings_do_not_begin_once_one_has_failed():
    """The worker is inside of its node when the caller's fails: it begins no other."""
    main = threading.current_thread()
    working = threading.Event()
    tasks: list[Any] = []

    def first():
        if threading.current_thread() is main:
            assert working.wait(PATIENCE)
            raise Broken
        working.set()
        until(lambda: tasks[0].failed)

    late = Fake(1, leaf())
    branches = [Fake(seq, late, price=1, before=first) for seq in (2, 3)]
    with (
        engine.sync.hooked(lambda point, s: tasks.append(s) if point == "task.begin" else None),
        engine.WorkerPool(1, heavy=0) as pool,
        pytest.raises(Broken),
    ):
        walk(Fake(4, *branches), pool=pool)
    assert not late.threads


@pytest.mark.parametrize("seed", range(10))
def test_nothing_begins_after_the_raise(seed):
    root, nodes = random_graph(seed, 60, price=1)
    nodes[20 + seed].before = failing(Broken())
    raised: list[bool] = []
    late: list[str] = []

    def hook(point, subject):
        if raised:
            late.append(point)

    with engine.WorkerPool(3, heavy=0) as pool, engine.sync.hooked(hook):
        with pytest.raises(Broken):
            walk(root, pool=pool)
        raised.append(True)
        until(lambda: pool.idle == 3)
    assert not late


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_pool_and_graph_can_be_used_after_an_error(workers):
    root, nodes = random_graph(0, 40, price=1)
    expected = walk(root)
    with engine.WorkerPool(workers, heavy=0) as pool:
        for culprit in nodes[5::7]:
            culprit.before = failing(Broken())
            with pytest.raises(Broken):
                walk(root, pool=pool)
            culprit.before = lambda: None
            assert walk(root, pool=pool) == expected
        until(lambda: pool.idle == workers)


def test_a_rule_with_too_few_gradients_is_an_error_of_its_node():
    class Short(Fake):
        __slots__ = ()

        def pull(self, g, wanted, retain):
            return [g]

    with pytest.raises(ValueError, match="shorter") as caught:
        walk(Short(1, leaf(), leaf(), label="Short"))
    assert "in the backward of Short" in notes(caught.value)


def test_an_order_that_fails_in_a_worker_is_raised_in_the_caller_or_harmless():
    """`order` is user code too."""
    main = threading.get_ident()

    def order():
        if threading.get_ident() != main:
            raise Broken
        return engine.runtime.ready.Newest()

    root, _ = random_graph(0, 40, price=1)
    expected = walk(root)
    with engine.WorkerPool(1, heavy=0, order=order) as pool:
        for _ in range(20):
            try:
                assert walk(root, pool=pool) == expected
            except Broken:
                continue
        until(lambda: pool.idle == 1)
        assert all(thread.is_alive() for thread in pool._threads)


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt in the main thread, as it does in a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_in_a_rule_stops_the_backward(interruptible):
    root, nodes = random_graph(0, 40)
    nodes[20].before = interruptible
    with pytest.raises(KeyboardInterrupt):
        walk(root)
    assert not nodes[10].threads


@pytest.mark.parametrize("trial", range(5))
def test_an_interrupt_while_waiting_for_a_worker(interruptible, trial):
    """The caller has nothing left to do: Ctrl-C wakes it, the worker stops after its node."""
    main = threading.current_thread()
    meeting, late = Meeting(2), Fake(1, leaf())
    tasks: list[Any] = []

    def begin():
        meeting.come()
        if threading.current_thread() is not main:
            interruptible()
            until(lambda: tasks[0].failed)

    branches = [Fake(seq, late, price=1, before=begin) for seq in (2, 3)]
    with (
        engine.sync.hooked(lambda point, s: tasks.append(s) if point == "task.begin" else None),
        engine.WorkerPool(1, heavy=0) as pool,
    ):
        with pytest.raises(KeyboardInterrupt):
            walk(Fake(4, *branches), pool=pool)
        assert tasks[0].outstanding == 0
        until(lambda: pool.idle == 1)
    assert not late.threads
