"""Many backwards meet one leaf: what `locked` and `racy` promise."""

import threading
from itertools import permutations

import numpy as np
import pytest

import engine
from engine.runtime.accumulate import locked
from tests.threads.together import PATIENCE, Meeting, Turns, outcomes, overlap, together

SIZE = 10_000  # NumPy releases the GIL from 500 elements on
MODES = ("locked", "racy")
ALL = (*MODES, "ordered", "reproducible")


def leaf(size=SIZE):
    return engine.zeros(size, requires_grad=True)


def contribute(x, amount, **options):
    """A backward that adds `amount` to each element of `x.grad`."""
    x.backward(engine.full(x.shape, float(amount)), **options)


def value(grad):
    """What all elements of a gradient are; None for none."""
    if grad is None:
        return None
    values = np.unique(grad.numpy())
    assert values.size == 1, f"torn: {values}"
    return float(values[0])


def lost(x, threads, rounds):
    """Let threads contribute ones at once: how many are missing, over all elements."""

    def work():
        for _ in range(rounds):
            contribute(x, 1)

    together(*[work] * threads)
    return threads * rounds * x.numel() - int(x.grad.numpy().sum(dtype="f8"))


def test_locked_loses_nothing():
    assert lost(leaf(), threads=4, rounds=1_000) == 0


def test_locked_loses_nothing_through_graphs_and_workers():
    x = leaf()
    with engine.no_grad():
        x.add_(3)

    def work(weight):
        with engine.WorkerPool(1, heavy=0):
            for _ in range(60):
                (x * weight + x * (2 * weight)).sum().backward()

    together(*[lambda n=n: work(n) for n in (1, 2, 4)])
    assert value(x.grad) == 60 * 3 * 7


def test_under_locked_additions_exclude_each_other():
    with overlap() as (enter, most):
        run_additions(enter)
    assert most() == 1


def test_an_addition_without_the_lock_is_noticed(monkeypatch):
    """The test above sees a policy that forgets the lock."""

    def without(leaf, cells, key):
        leaf.grad = leaf.grad + cells[key]

    monkeypatch.setattr(locked, "merge", without)
    with overlap() as (enter, most):
        run_additions(enter)
    assert most() == 2


def run_additions(enter):
    """Two threads add to a `.grad` whose addition calls `enter()`."""

    class Watched(np.ndarray):
        __hash__ = None

        def __add__(self, other):
            enter()
            return np.asarray(self) + other

    x = leaf()
    x._edge[0].grad = np.zeros(SIZE, "f4").view(Watched)
    together(*[lambda: contribute(x, 1)] * 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trial", range(20))
def test_the_first_gradient_is_made_once(mode, trial):
    """Two threads find no `.grad` at the same time: both contributions are there afterwards."""
    x, meeting = leaf(), Meeting(2)

    def hook(point, subject):
        if point == "grad.commit":
            meeting.come()

    with engine.sync.hooked(hook):
        together(*[lambda n=n: contribute(x, n, accumulation=mode) for n in (1, 2)])
    assert value(x.grad) == 3


def test_taken_and_left_are_what_was_produced():
    x, rounds, taken = leaf(), 400, []
    producing = [3]

    def produce(weight):
        for _ in range(rounds):
            contribute(x, weight)
        producing[0] -= 1

    def take():
        while producing[0] > 0:
            taken.append(value(x.take_grad()))

    together(take, *[lambda n=n: produce(n) for n in (1, 2, 4)])
    taken.append(value(x.take_grad()))
    assert sum(filter(None, taken)) == rounds * 7
    assert x.grad is None


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zeroing_meets_no_addition_half_way(set_to_none):
    """Whatever is left is a whole number of contributions, the same in all elements."""
    x = leaf()

    def zero():
        for _ in range(300):
            x.zero_grad(set_to_none)

    together(zero, *[lambda: [contribute(x, 1) for _ in range(300)]] * 2)
    left = value(x.grad)
    assert left is None or 0 <= left <= 600


def test_setting_meets_no_addition_half_way():
    x = leaf()

    def put():
        for _ in range(300):
            x.grad = engine.full((SIZE,), 1000.0)

    together(put, *[lambda: [contribute(x, 1) for _ in range(300)]] * 2)
    assert 1000 <= value(x.grad) <= 1600


def test_reading_while_others_add_gives_a_tensor_or_none():
    x = leaf()

    def read():
        return [x.grad is None or x.grad.shape == (SIZE,) for _ in range(500)]

    looked, *_ = together(read, *[lambda: [contribute(x, 1) for _ in range(200)]] * 2)
    assert all(looked)
    assert value(x.grad) == 400


def racy_outcome(order):
    """Two racy additions, of 1 by "a" and of 2 by "b", in this order of reads and stores."""
    x = leaf()
    x.grad = engine.zeros(SIZE)
    before = x.grad.detach().numpy()
    turns = Turns(["grad.read", "grad.store"], order)

    def add(name, amount):
        threading.current_thread().name = name
        contribute(x, amount, accumulation="racy")
        turns.leave()

    with engine.sync.hooked(turns.hook):
        together(lambda: add("a", 1), lambda: add("b", 2))
    assert x.grad.detach().numpy() is before  # never rebound
    assert (x.grad.shape, x.grad.dtype) == ((SIZE,), np.float32)
    return value(x.grad)


@pytest.mark.parametrize("order", sorted(set(permutations("aabb"))))
def test_racy_loses_what_is_overwritten_and_nothing_else(order):
    """In every order of two reads and two stores: the sum, or one whole contribution of the two."""
    seen: dict[str, int] = {}
    memory = expected = 0
    for name in order:  # the first turn of a thread reads, the second stores
        if name in seen:
            expected = memory = seen[name] + {"a": 1, "b": 2}[name]
        else:
            seen[name] = memory
    assert racy_outcome(order) == expected


def test_racy_adds_each_contribution_once():
    x = leaf()
    for amount in (1, 2, 4):
        contribute(x, amount, accumulation="racy")
    assert value(x.grad) == 7


def test_racy_never_rebinds():
    x = leaf()
    contribute(x, 1, accumulation="racy")
    memory = x.grad.numpy()
    contribute(x, 1, accumulation="racy")
    assert x.grad.numpy() is memory


def test_a_lost_update_is_exactly_one():
    assert racy_outcome("abab") == 2
    assert racy_outcome("abba") == 1
    assert racy_outcome("aabb") == 3


def test_racy_neither_raises_nor_breaks_whatever_the_others_do():
    x = leaf()
    failures = outcomes(
        lambda: [contribute(x, 1, accumulation="racy") for _ in range(300)],
        lambda: [contribute(x, 1, accumulation="racy") for _ in range(300)],
        lambda: [x.take_grad() for _ in range(300)],
        lambda: [x.zero_grad(set_to_none=bool(i % 2)) for i in range(300)],
    )
    assert [outcome.error for outcome in failures] == [None] * 4
    assert x.grad is None or (x.grad.shape, x.grad.dtype) == ((SIZE,), np.float32)


@pytest.mark.parametrize("mode", ALL)
def test_a_sum_that_overflows_is_a_value(mode):
    """The addition itself never raises, whatever NumPy is told to do about overflow."""
    a, b = leaf(10), leaf(10)
    b.grad = engine.full((10,), 3e38)
    with np.errstate(all="raise"):
        (a + b).backward(engine.full((10,), 3e38), accumulation=mode)
    assert np.isinf(b.grad.numpy()).all()
    assert value(a.grad) == float(np.float32(3e38))


def raising(x):
    """A loss whose backward reaches x, and then raises."""
    y = x * 2
    late = x.exp()
    y.register_hook(lambda g: 1 / 0)
    return (late * y).sum()


def test_a_backward_that_raises_leaves_every_grad_under_locked():
    late = raising(leaf(10))
    fresh, used = leaf(10), leaf(10)
    used.grad = engine.ones(10)
    early = used * 3 + fresh  # newer, so their gradients come first
    with engine.WorkerPool(0), pytest.raises(ZeroDivisionError):
        (early.sum() + late).backward()
    assert fresh.grad is None
    assert value(used.grad) == 1


def test_a_backward_that_raises_keeps_what_came_before_under_racy():
    """Documented: racy adds at once, and undoes nothing."""
    used = leaf(10)
    used.grad = engine.ones(10)
    late = leaf(10) * 2
    late.register_hook(lambda g: 1 / 0)
    early = used * 3  # newer, so its gradient comes first
    with engine.WorkerPool(0), pytest.raises(ZeroDivisionError):
        (late + early).sum().backward(accumulation="racy")
    assert value(used.grad) == 4


@pytest.mark.parametrize("mode", ALL)
def test_the_lock_may_be_held_around_a_backward_that_workers_help(mode):
    x = leaf()
    with engine.WorkerPool(2, heavy=0), x.grad_lock:
        for _ in range(10):
            (x.exp() + x.tanh() + x * 2).sum().backward(accumulation=mode)
    assert value(x.grad) == 40


def test_the_lock_keeps_others_from_adding():
    x = leaf()
    x.grad = engine.zeros(SIZE)
    held, committing = threading.Event(), threading.Event()

    def hook(point, subject):
        if point == "grad.commit":
            committing.set()

    def hold():
        with x.grad_lock:
            held.set()
            assert committing.wait(PATIENCE)
            return value(x.grad)

    def add():
        assert held.wait(PATIENCE)
        contribute(x, 1)

    with engine.sync.hooked(hook):
        before, _ = together(hold, add)
    assert before == 0
    assert value(x.grad) == 1


def test_the_choice_of_a_mode_is_the_calls_then_the_threads_then_the_process():
    def points(**options):
        x, seen = leaf(10), []
        x.grad = engine.zeros(10)
        with engine.sync.hooked(lambda point, subject: seen.append(point)):
            contribute(x, 1, **options)
        return "racy" if "grad.read" in seen else "locked"

    assert points() == "locked"
    with engine.accumulation("racy"):
        assert points() == "racy"
        assert points(accumulation="locked") == "locked"
        assert together(points) == ["locked"]
    engine.set_accumulation("racy")
    try:
        assert together(points) == ["racy"]
        with engine.accumulation("locked"):
            assert points() == "locked"
    finally:
        engine.set_accumulation("locked")


@pytest.mark.parametrize(
    "call",
    [
        lambda: contribute(leaf(1), 1, accumulation="carefully"),
        lambda: engine.set_accumulation("carefully"),
        lambda: engine.accumulation("carefully").__enter__(),
    ],
)
def test_an_unknown_mode_is_refused(call):
    with pytest.raises(ValueError, match=r"'carefully'.*'racy', 'locked'"):
        call()
