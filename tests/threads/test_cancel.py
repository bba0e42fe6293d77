"""Cancelling a task: before it begins, at each node, and whatever it does after that."""

import gc
import threading
import weakref

import pytest

import engine
from engine.errors import CancelledError, GraphReleasedError
from tests.threads.cancelling import SIZE, STAGED, chain, leaves, parked
from tests.threads.together import PATIENCE, Gate, until

# Before it begins.


def test_a_task_cancelled_before_it_begins_never_begins():
    gate, ran = Gate(), list[int]()
    with engine.WorkerPool(1):
        held = engine.submit(gate.hold)
        gate.reached()
        handle = engine.submit(ran.append, 1)
        assert handle.cancel()
        assert handle.cancelled()
        assert handle.cancel()  # again: it is
        with pytest.raises(CancelledError, match=r"append was cancelled: cancel\(\) was called"):
            handle.result()
        with pytest.raises(CancelledError):
            handle.exception()
        gate.open()
        held.result()
    assert not ran


def test_a_task_cancelled_as_a_worker_takes_it_never_begins():
    gate, ran = Gate(), list[int]()
    with engine.WorkerPool(1), parked("handle.begin", gate):
        handle = engine.submit(ran.append, 1)
        gate.reached()
        assert handle.cancel()
        gate.open()
    assert not ran
    assert handle.cancelled()


def test_a_task_cancelled_in_the_queue_frees_its_graph_at_once():
    gate = Gate()
    x = engine.ones(3, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(1):
            engine.submit(gate.hold)
            gate.reached()
            loss = (x * 2).sum()
            node = weakref.ref(loss.grad_fn)
            handle = engine.submit(loss.backward)
            del loss
            assert node() is not None
            handle.cancel()
            assert node() is None
            gate.open()
    finally:
        gc.enable()


# At a node.


@pytest.mark.parametrize("mode", STAGED)
def test_a_running_backward_stops_at_its_next_node_and_writes_nothing(mode):
    gate = Gate()
    (x,) = leaves(1)
    x.grad = engine.ones(SIZE)
    loss, ran = chain(x, gate)
    with engine.WorkerPool(1), engine.accumulation(mode):
        handle = engine.submit(loss.backward)
        gate.reached()
        assert handle.cancel()
        assert not handle.done()  # it is still inside of the node
        gate.open()
        with pytest.raises(CancelledError):
            handle.result()
        assert not ran
        assert (x.grad.numpy() == 1).all()
        assert handle.cancelled()
        # Pool and leaf are usable, the graph is as after any backward that failed on its way.
        engine.submit((x * 2).sum().backward).result()
        assert (x.grad.numpy() == 3).all()


def test_a_cancelled_grad_has_no_result():
    gate = Gate()
    (x,) = leaves(1)
    loss, ran = chain(x, gate)
    with engine.WorkerPool(1):
        handle = engine.submit(engine.grad, loss, x, retain_graph=True)
        gate.reached()
        assert handle.cancel()
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert not ran
    (g,) = engine.grad(loss, x)  # with retain_graph it may be tried again
    assert (g.numpy() == 6).all()


def test_a_graph_whose_backward_was_cancelled_before_any_node_may_be_tried_again():
    gate = Gate()
    (x,) = leaves(1)
    loss = (x * x).sum()

    def held():
        gate.hold()
        loss.backward()

    with engine.WorkerPool(1):
        handle = engine.submit(held)
        gate.reached()
        assert handle.cancel()
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    loss.backward()
    assert (x.grad.numpy() == 2).all()


def test_a_graph_that_was_cancelled_half_way_says_that_it_is_released():
    gate = Gate()
    (x,) = leaves(1)
    loss, _ = chain(x.exp(), gate)
    top = (loss * x.exp()).sum()
    with engine.WorkerPool(1):
        handle = engine.submit(top.backward)
        gate.reached()
        handle.cancel()
        gate.open()
        engine.wait([handle])
    with pytest.raises(GraphReleasedError):
        top.backward()


def test_a_cancelled_task_frees_its_graph():
    gate = Gate()
    x = engine.ones(3, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(1) as pool:
            loss, _ = chain(x, gate)
            node = weakref.ref(loss.grad_fn)
            handle = engine.submit(loss.backward)
            del loss
            gate.reached()
            handle.cancel()
            gate.open()
            with pytest.raises(CancelledError):
                handle.result()
            until(lambda: pool.idle == 1)
            until(lambda: engine.submit(int).result(PATIENCE) == 0 and node() is None)
    finally:
        gc.enable()


def test_the_workers_that_help_stop_too():
    """Caller and helper are each inside of a node when the task is cancelled."""
    gates = [Gate(), Gate()]
    ran: list[int] = []
    xs = leaves(2)
    branches = []
    for x, gate in zip(xs, gates, strict=True):
        middle = x.exp()
        middle.register_hook(lambda g: ran.append(1))
        top = middle.tanh()
        top.register_hook(gate.hold)
        branches.append(top)
    loss = (branches[0] + branches[1]).sum()
    with engine.WorkerPool(2, heavy=0):
        handle = engine.submit(loss.backward)
        for gate in gates:
            gate.reached()
        handle.cancel()
        for gate in gates:
            gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert not ran
    assert all(x.grad is None for x in xs)


def test_a_backward_nested_in_a_helper_is_stopped_as_well():
    """The modes of a helper carry the handle: what its hooks begin belongs to the task."""
    gate, inner = Gate(), leaves(1)[0]
    both = threading.Barrier(2)

    def nested(g):
        both.wait(PATIENCE)
        if threading.current_thread().name == caller[0]:
            return
        with engine.enable_grad():
            loss, _ = chain(inner, gate)
        loss.backward()

    xs, caller = leaves(2), []
    branches = [x.exp() for x in xs]
    for branch in branches:
        branch.register_hook(nested)

    def task():
        caller.append(threading.current_thread().name)
        (branches[0] + branches[1]).sum().backward()

    with engine.WorkerPool(2, heavy=0):
        handle = engine.submit(task)
        gate.reached()
        assert handle.cancel()
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert inner.grad is None
    assert all(x.grad is None for x in xs)


def test_a_task_that_swallows_the_cancellation_is_cancelled_all_the_same():
    gate = Gate()
    (x,) = leaves(1)
    losses = [chain(x, gate)[0] for _ in range(3)]
    errors = []

    def stubborn():
        for loss in losses:
            try:
                loss.backward()
            except CancelledError as error:
                errors.append(error)
        return 7

    with engine.WorkerPool(1):
        handle = engine.submit(stubborn)
        gate.reached()
        assert handle.cancel()
        gate.open()
        with pytest.raises(CancelledError):
            handle.result()
    assert len(errors) == 3
    assert x.grad is None


def test_an_error_that_came_with_the_cancellation_is_told():
    gate = Gate()

    def fail():
        gate.hold()
        raise KeyError("lost")

    with engine.WorkerPool(1):
        handle = engine.submit(fail)
        gate.reached()
        handle.cancel()
        gate.open()
        with pytest.raises(CancelledError) as caught:
            handle.result()
    assert "before that it had failed with KeyError('lost')" in caught.value.__notes__[0]


# Checks of the checks.


@pytest.fixture
def hasty(monkeypatch):
    """A gate that nobody opens any more is given up soon."""
    monkeypatch.setattr("tests.threads.together.PATIENCE", 0.5)


@pytest.mark.usefixtures("hasty")
def test_without_the_mode_that_carries_the_handle_the_tests_notice(monkeypatch):
    carried = tuple(name for name in engine.modes._CARRIED if name != "handle")
    monkeypatch.setattr(engine.modes, "_CARRIED", carried)
    with pytest.raises(AssertionError):
        test_a_backward_nested_in_a_helper_is_stopped_as_well()
