"""Cancelled with nothing written, or done and written: the commit against cancel and deadline."""

import threading
from random import Random

import pytest

import engine
from engine.errors import CancelledError, DeadlineError
from tests.threads.cancelling import SIZE, STAGED, chain, leaves, parked
from tests.threads.together import PATIENCE, Gate, give_way, repeat, together


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
    monkeypatch.setattr("engine.sync.monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_a_deadline_that_passes_in_the_queue(clock):
    gate, ran = Gate(), list[int]()
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
    gate, ran = Gate(), list[int]()
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


# Every schedule with one preemption.


def backward_of_several():
    xs = [engine.ones(100, requires_grad=True) for _ in range(3)]
    return xs, (xs[0].exp() * xs[1].tanh() + xs[2].exp() * xs[0].sin()).sum()


def cancelled_at(moment, mode):
    """Cancel a submitted backward when it comes to a meeting point for the `moment`-th time.

    Returns the leaves, the handle, what `cancel` said and how many points there were.
    """
    gate, met = Gate(), []

    def hook(point, subject):
        if threading.current_thread() is not threading.main_thread():
            met.append(point)
            if len(met) == moment:
                gate.hold()

    with engine.WorkerPool(1), engine.accumulation(mode), engine.sync.hooked(hook):
        xs, loss = backward_of_several()
        handle = engine.submit(loss.backward)
        answer = None
        if moment:
            gate.reached()
            answer = handle.cancel()
            gate.open()
        engine.wait([handle], timeout=PATIENCE)  # only waits
    return xs, handle, answer, met


@pytest.mark.parametrize("mode", STAGED)
def test_at_every_meeting_point_the_handle_says_what_happened(mode):
    *_, met = cancelled_at(0, mode)
    assert {"handle.begin", "handle.claim", "handle.end", "node.begin", "grad.commit"} <= set(met)
    answers = []
    for moment in range(1, len(met) + 1):
        xs, handle, answer, _ = cancelled_at(moment, mode)
        written = [x.grad is not None for x in xs]
        assert written == [not answer] * 3, met[moment - 1]
        assert handle.cancelled() is answer
        answers.append(answer)
    # It can be cancelled up to the claim, and not after.
    first = answers.index(False)
    assert met[first - 1] == "handle.claim"
    assert answers == [True] * first + [False] * (len(met) - first)
