"""Cancelling: before the task begins, at each node, and against the commit; deadlines alike."""

import gc
import threading
import weakref
from random import Random

import pytest

import engine
from engine.errors import CancelledError, DeadlineError, GraphReleasedError
from tests.threads.together import PATIENCE, Gate, give_way, repeat, together, until

SIZE = 10_000
STAGED = ["locked"]


def leaves(count=3):
    return [engine.ones(SIZE, requires_grad=True) for _ in range(count)]


def chain(x, gate):
    """Two nodes: in the newer one a backward is held; whether the older one ran."""
    ran = []
    middle = x * 2
    middle.register_hook(lambda g: ran.append(1))
    top = middle * 3
    top.register_hook(gate.hold)
    return top.sum(), ran


def parked(point, gate):
    """Hold whoever comes to a meeting point, but for the main thread."""

    def hook(at, subject):
        if at == point and threading.current_thread() is not threading.main_thread():
            gate.hold()

    return engine.sync.hooked(hook)


# Before it begins.


def test_a_task_cancelled_before_it_begins_never_begins():
    gate, ran = Gate(), []
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
    gate, ran = Gate(), []
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


# Against the commit.


@pytest.mark.parametrize("mode", STAGED)
def test_cancelled_just_before_the_commit_nothing_is_written(mode):
    gate = Gate()
    xs = leaves()
    loss = (xs[0] * xs[1] * xs[2]).sum()
    with engine.WorkerPool(1), engine.accumulation(mode), parked("handle.claim", gate):
        handle = engine.submit(loss.backward)
        gate.reached()
        assert handle.cancel()
        gate.open()
        with pytest.raises(CancelledError):
            handle.result()
    assert handle.cancelled()
    assert all(x.grad is None for x in xs)


@pytest.mark.parametrize("point", ["grad.commit", "task.end", "handle.end"])
@pytest.mark.parametrize("mode", STAGED)
def test_cancelled_once_the_commit_has_begun_it_is_done_and_written(mode, point):
    gate = Gate()
    xs = leaves()
    loss = (xs[0] * xs[1] * xs[2]).sum()
    with engine.WorkerPool(1), engine.accumulation(mode), parked(point, gate):
        handle = engine.submit(loss.backward)
        gate.reached()
        assert not handle.cancel()
        gate.open()
        assert handle.result() is None
    assert not handle.cancelled()
    assert not handle.cancel()
    assert all((x.grad.numpy() == 1).all() for x in xs)


def test_cancelled_in_a_hook_that_runs_after_the_commit_it_is_done():
    gate, (x,) = Gate(), leaves(1)
    inner = leaves(1)[0]

    def after(leaf):
        gate.hold()
        with engine.enable_grad():
            (inner * 2).sum().backward()  # belongs to what has been committed

    x.register_post_accumulate_grad_hook(after)
    with engine.WorkerPool(1):
        handle = engine.submit((x * 1).sum().backward)
        gate.reached()
        assert not handle.cancel()
        gate.open()
        assert handle.result() is None
    assert (inner.grad.numpy() == 2).all()


def test_cancelled_after_the_last_pass_of_grad_it_has_a_result_or_is_cancelled():
    for point, cancelled in [("handle.claim", True), ("task.end", False), ("handle.end", False)]:
        gate, (x,) = Gate(), leaves(1)
        with engine.WorkerPool(1), parked(point, gate):
            handle = engine.submit(engine.grad, (x * 3).sum(), x)
            gate.reached()
            assert handle.cancel() is cancelled
            gate.open()
            engine.wait([handle])
        assert handle.cancelled() is cancelled
        assert cancelled or (handle.result()[0].numpy() == 3).all()


@pytest.mark.parametrize("mode", STAGED)
def test_whenever_it_is_cancelled_the_handle_says_what_happened(mode):
    """Threads that cancel, and threads that help, at moments drawn by lot."""
    outcomes = set()
    random = Random(0)
    with engine.WorkerPool(2, heavy=0), engine.accumulation(mode):
        for _ in range(300):
            xs = [engine.ones(100, requires_grad=True) for _ in range(3)]
            loss = (xs[0].exp() * xs[1].tanh() + xs[2].exp() * xs[0].sin()).sum()
            handle = engine.submit(loss.backward)

            pauses = random.randrange(40)

            def cancel(handle=handle, pauses=pauses):
                repeat(pauses, give_way)
                return handle.cancel()

            answers = together(cancel, cancel)
            engine.wait([handle], timeout=PATIENCE)
            written = [x.grad is not None for x in xs]
            assert len(set(written)) == 1
            assert handle.cancelled() is not written[0]
            assert set(answers) == {handle.cancelled()}
            outcomes.add(handle.cancelled())
    assert outcomes  # which ones, depends on the machine; the tests above force both


# Functions that run several backwards.


def test_each_backward_of_a_task_is_committed_or_not_by_itself():
    gate, xs = Gate(), leaves(3)

    def several():
        for index, x in enumerate(xs):
            loss = (x * 2).sum()
            if index == 1:
                loss.register_hook(gate.hold)
            loss.backward()

    with engine.WorkerPool(1):
        handle = engine.submit(several)
        gate.reached()
        assert handle.cancel()
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert [x.grad is not None for x in xs] == [True, False, False]


def test_cancelled_between_two_backwards_the_second_does_not_begin():
    gate, xs = Gate(), leaves(2)

    def two():
        (xs[0] * 2).sum().backward()
        gate.hold()
        (xs[1] * 2).sum().backward()

    with engine.WorkerPool(1):
        handle = engine.submit(two)
        gate.reached()
        assert not handle.cancel()  # the first is written, and no second has begun
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert [x.grad is not None for x in xs] == [True, False]


def test_cancelled_after_its_last_backward_a_task_has_its_result():
    gate, (x,) = Gate(), leaves(1)

    def task():
        (x * 2).sum().backward()
        gate.hold()
        return 7

    with engine.WorkerPool(1):
        handle = engine.submit(task)
        gate.reached()
        assert not handle.cancel()
        gate.open()
        assert handle.result() == 7


def test_what_racy_had_written_stays():
    """Documented: it writes as it goes, and the node that is under way ends."""
    gate, (x, y) = Gate(), leaves(2)
    for leaf in (x, y):
        leaf.grad = engine.zeros(SIZE)
    below = y * 2
    below.register_hook(gate.hold)
    loss = (below * 3 + x).sum()
    with engine.WorkerPool(1), engine.accumulation("racy"):
        handle = engine.submit(loss.backward)
        gate.reached()
        assert handle.cancel()
        gate.open()
        engine.wait([handle])
    assert handle.cancelled()
    assert set(x.grad.numpy()) == {1.0}
    assert set(y.grad.numpy()) == {6.0}


# Deadlines.


@pytest.fixture
def clock(monkeypatch):
    """Time goes on when the test says so."""
    now = [100.0]
    monkeypatch.setattr("engine.runtime.handle.monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_a_deadline_that_passes_in_the_queue(clock):
    gate, ran = Gate(), []
    with engine.WorkerPool(1):
        engine.submit(gate.hold)
        gate.reached()
        handle = engine.submit(ran.append, 1, timeout=5.0)
        clock(4.9)
        assert not handle.done()
        clock(0.2)
        assert handle.done()
        assert handle.cancelled()
        with pytest.raises(DeadlineError, match="append was cancelled: its timeout has passed"):
            handle.result()
        gate.open()
    assert not ran


def test_a_deadline_is_a_timeout_error():
    with engine.WorkerPool(0):
        handle = engine.submit(int, timeout=0.0)
    with pytest.raises(TimeoutError):
        handle.result()
    assert handle.failed()


def test_a_deadline_that_passes_unseen_in_the_queue(clock):
    """Nobody asks: the worker that takes the task finds out."""
    gate, ran = Gate(), []
    with engine.WorkerPool(1):
        engine.submit(gate.hold)
        gate.reached()
        handle = engine.submit(ran.append, 1, timeout=5.0)
        clock(6)
        gate.open()
    assert not ran
    assert handle.cancelled()


@pytest.mark.parametrize("mode", STAGED)
def test_a_deadline_that_passes_in_a_node_stops_the_backward_there(mode, clock):
    gate, (x,) = Gate(), leaves(1)
    loss, ran = chain(x, gate)
    with engine.WorkerPool(1), engine.accumulation(mode):
        handle = engine.submit(loss.backward, timeout=5.0)
        gate.reached()
        clock(6)
        gate.open()
    with pytest.raises(DeadlineError):
        handle.result()
    assert not ran
    assert x.grad is None


def test_a_deadline_that_passes_after_the_last_node(clock):
    gate, (x,) = Gate(), leaves(1)
    with engine.WorkerPool(1), parked("handle.claim", gate):
        handle = engine.submit((x * 2).sum().backward, timeout=5.0)
        gate.reached()
        clock(6)
        gate.open()
    assert handle.cancelled()
    assert x.grad is None


def test_a_deadline_that_passes_after_the_commit_has_begun(clock):
    gate, (x,) = Gate(), leaves(1)
    with engine.WorkerPool(1), parked("grad.commit", gate):
        handle = engine.submit((x * 2).sum().backward, timeout=5.0)
        gate.reached()
        clock(6)
        gate.open()
    assert handle.result() is None
    assert (x.grad.numpy() == 2).all()


@pytest.mark.parametrize("waits", ["result", "wait", "as_completed"])
def test_who_waits_sees_a_deadline_pass(waits):
    """Real time: the one worker is held, and nobody but the waiting thread looks at the clock."""
    gate = Gate()
    with engine.WorkerPool(1):
        engine.submit(gate.hold)
        gate.reached()
        handle = engine.submit(int, timeout=0.02)
        if waits == "result":
            with pytest.raises(DeadlineError):
                handle.result(PATIENCE)
        elif waits == "wait":
            assert engine.wait([handle], timeout=PATIENCE).done == {handle}
        else:
            assert list(engine.as_completed([handle], timeout=PATIENCE)) == [handle]
        assert handle.cancelled()
        gate.open()


# Checks of the checks.


@pytest.fixture
def hasty(monkeypatch):
    """A gate that nobody opens any more is given up soon."""
    monkeypatch.setattr("tests.threads.together.PATIENCE", 0.5)


@pytest.mark.usefixtures("hasty")
def test_without_the_right_to_commit_the_tests_notice(monkeypatch):
    monkeypatch.setattr(engine.Handle, "claim", lambda self, task: None)
    with pytest.raises(AssertionError):
        test_cancelled_once_the_commit_has_begun_it_is_done_and_written("locked", "grad.commit")


@pytest.mark.usefixtures("hasty")
def test_without_the_mode_that_carries_the_handle_the_tests_notice(monkeypatch):
    carried = tuple(name for name in engine.modes._CARRIED if name != "handle")
    monkeypatch.setattr(engine.modes, "_CARRIED", carried)
    with pytest.raises(AssertionError):
        test_a_backward_nested_in_a_helper_is_stopped_as_well()
