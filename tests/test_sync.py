"""The door to threading: hooks that see every meeting point, primitives that can be replaced."""

import threading
import time
from itertools import chain

import pytest

import engine
from engine import modes, sync
from engine.autograd import edge_of
from engine.sync import Counter, Threads
from tests.threads.together import together


def points(action):
    seen = []
    with sync.hooked(lambda point, subject: seen.append(point)):
        action()
    return seen


def backward(**options):
    x = engine.ones(3, requires_grad=True)
    if options.pop("fresh", False) is False:
        x.grad = engine.zeros(3)
    (x * 2).sum().backward(**options)


NODES = ["node.begin", "node.end"]


def test_the_points_of_a_locked_backward():
    assert points(backward) == ["task.begin", *NODES * 3, "grad.commit", "task.end"]


def test_the_points_of_a_racy_backward():
    seen = points(lambda: backward(accumulation="racy"))
    assert seen == [
        "task.begin", *NODES * 2, "node.begin", "grad.read", "grad.store", "node.end", "task.end",
    ]  # fmt: skip


class InChunks(list[str]):
    """A hook that asks for additions in two parts."""

    chunks = 2

    def __call__(self, point, subject):
        self.append(point)


@pytest.mark.parametrize(("shape", "parts"), [((3,), 2), ((5, 2), 2), ((1,), 1), ((), 1)])
@pytest.mark.parametrize(("mode", "before"), [("racy", []), ("locked", ["commit", "read"])])
def test_a_hook_may_have_an_addition_split(shape, parts, mode, before):
    x = engine.zeros(shape, requires_grad=True)
    x.grad = engine.ones(shape)
    seen = InChunks()
    with sync.hooked(seen):
        (x * 2).sum().backward(accumulation=mode)
    grads = [point.removeprefix("grad.") for point in seen if point.startswith("grad.")]
    assert grads == before + ["read", "store"] * parts
    assert (x.grad.numpy() == 3).all()


def test_the_first_gradient_is_committed_in_racy_mode_too():
    assert "grad.commit" in points(lambda: backward(accumulation="racy", fresh=True))


def test_the_points_of_a_functional_grad():
    x = engine.ones(3, requires_grad=True)
    assert points(lambda: engine.grad((x * 2).sum(), x)) == ["task.begin", *NODES * 3, "task.end"]


def test_the_points_of_a_backward_that_raises():
    x = engine.ones(3, requires_grad=True)
    x.register_hook(lambda g: 1 / 0)

    def fail():
        with pytest.raises(ZeroDivisionError):
            x.sum().backward()

    seen = points(fail)
    assert seen[-1] == "task.end"
    assert "grad.commit" not in seen


def test_the_subject_of_a_point_is_what_it_is_about():
    x = engine.ones(3, requires_grad=True)
    y = x.exp()
    seen = []
    with sync.hooked(lambda point, subject: seen.append((point, subject))):
        y.sum().backward()
    assert ("node.begin", y.grad_fn) in seen
    assert ("grad.commit", edge_of(x)[0]) in seen


def test_a_step_has_a_point_for_each_parameter():
    w = engine.ones(3, requires_grad=True)
    optimizer = engine.optim.SGD([w, engine.ones(2, requires_grad=True)], lr=0.1)
    w.grad = engine.ones(3)
    assert points(optimizer.step) == ["param.write"] * 2


def test_hooks_nest_and_end():
    inner, outer = [], []

    def fail():
        with sync.hooked(lambda point, subject: inner.append(point)):
            backward()
            raise KeyError

    with sync.hooked(lambda point, subject: outer.append(point)):
        with pytest.raises(KeyError):
            fail()
        assert inner
        assert not outer
        backward()
        assert outer == inner
    assert sync.hook is None
    backward()
    assert outer == inner


def test_a_hook_runs_under_no_leaf_lock():
    """So it may block: another thread can take the lock of the very leaf meanwhile."""
    x = engine.ones(3, requires_grad=True)
    x.grad = engine.zeros(3)

    def look():
        with x.grad_lock:
            return x.grad is not None

    def hook(point, subject):
        assert together(look) == [True]

    with sync.hooked(hook):
        x.sum().backward()
        x.sum().backward(accumulation="racy")


def test_a_counter_hands_out_each_number_once():
    counter = Counter()
    numbers = together(*[lambda: [counter.next() for _ in range(2_000)]] * 4)
    assert sorted(chain(*numbers)) == list(range(8_000))
    assert all(mine == sorted(mine) for mine in numbers)
    assert counter.value == 8_000


class Watched(Threads):
    """Primitives that say what they made."""

    def __init__(self):
        self.made = []

    def lock(self):
        self.made.append("lock")
        return threading.Lock()

    def rlock(self):
        self.made.append("rlock")
        return threading.RLock()

    def queue(self):  # type: ignore[override]
        self.made.append("queue")
        return Threads.queue()

    def start_thread(self, target, name, daemon):  # type: ignore[override]
        self.made.append(name)
        return Threads.start_thread(target, name, daemon)


def test_what_is_made_meanwhile_is_made_with_the_other_primitives():
    watched = Watched()
    with sync.controlled(watched):
        x = engine.ones(200, 200, requires_grad=True)
        with engine.WorkerPool(1, heavy=0):
            (x.exp() + x.tanh()).sum().backward()
    for kind in ("lock", "rlock", "queue", "engine-worker-0"):
        assert kind in watched.made
    before = len(watched.made)
    backward()
    assert len(watched.made) == before


def test_primitives_come_back_after_an_error():
    before = sync.primitives
    with pytest.raises(KeyError), sync.controlled(Watched()):
        raise KeyError
    assert sync.primitives is before


def test_a_thread_that_is_renewed_has_the_modes_of_a_new_one():
    def fields():
        return {**modes.state.fields(), "pools": tuple(modes.state.pools)}

    def used():
        engine.set_grad_enabled(False)
        engine.WorkerPool(0).__enter__()
        new_graph = engine.ones(3, requires_grad=True)
        with engine.enable_grad():
            (new_graph * 2).sum().backward()
        assert fields() != fresh
        sync.renew()
        return fields()

    (fresh,) = together(fields)
    assert together(used) == [fresh]


def test_the_clock_can_be_replaced():
    class Still(Threads):
        def monotonic(self):
            return 7.0

    with sync.controlled(Still()):
        assert sync.monotonic() == 7.0
    assert sync.monotonic() == pytest.approx(time.monotonic(), abs=10.0)
