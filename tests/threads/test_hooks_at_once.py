"""Hooks come, go and run while others do: under no lock, each called or not, never half."""

import threading

import pytest

import engine
from engine.autograd import edge_of
from engine.function import Function
from tests.threads.scripts import script
from tests.threads.together import PATIENCE, repeat, together

SIZE = 10_000


def test_hooks_may_come_and_go_while_backwards_run():
    x = engine.ones(SIZE, requires_grad=True)
    calls = []
    always = x.register_hook(lambda g: calls.append(1))

    def change():
        for _ in range(300):
            handle = x.register_hook(lambda g: g * 1)
            handle.remove()
            handle.remove()

    def run():
        repeat(100, lambda: (x * 2).sum().backward())

    together(change, change, run, run)
    assert len(calls) == 200
    assert set(x.grad.numpy().tolist()) == {400.0}
    always.remove()
    hooks = edge_of(x)[0].hooks
    assert hooks is not None
    assert hooks.tensor.entries == ()


@pytest.mark.parametrize("trial", range(20))
def test_first_hooks_of_one_tensor_registered_at_once_are_all_kept(trial):
    x = engine.ones(3, requires_grad=True)
    calls: list[int] = []
    together(*[lambda n=n: x.register_hook(lambda g: calls.append(n)) for n in range(4)])
    x.sum().backward()
    assert sorted(calls) == [0, 1, 2, 3]


def test_a_hook_may_take_a_lock_that_another_thread_holds_around_a_backward():
    """A user's lock, the leaf's own, and hooks in workers: nobody waits in a circle."""
    x, mine = engine.ones(SIZE, requires_grad=True), threading.RLock()

    def hook(g):
        with mine:
            pass

    x.register_hook(hook)

    def run():
        for _ in range(30):
            with mine:
                (x.exp() + x.tanh()).sum().backward()

    together(run, run, lambda: repeat(60, lambda: (x * 2).sum().backward()))


def test_a_hook_sees_no_leaf_lock_held():
    """Another thread can look at the leaf while its hook runs, in a worker or in the caller."""
    x, looked = engine.ones(SIZE, requires_grad=True), []

    def look():
        with x.grad_lock:
            looked.append(x.grad is None)

    x.register_hook(lambda g: together(look) and None)
    inner = x.exp()
    inner.register_hook(lambda g: together(look) and None)
    with engine.WorkerPool(1, heavy=0):
        (inner + x.tanh()).sum().backward()
    assert looked == [True, True]


class Two(Function):
    """Two outputs of one node."""

    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, one, two):
        return one * 2 + two * 3


def test_a_gradient_may_be_retained_while_another_is_committed():
    x = engine.ones(3, requires_grad=True)
    one, two = Two.apply(x)
    one.retain_grad()
    committing = []

    def hook(point, subject):
        if point == "grad.commit" and subject is not edge_of(x)[0]:
            committing.append(subject)
            two.retain_grad()

    with engine.sync.hooked(hook):
        (one + two).sum().backward()
    assert committing
    assert one.grad.tolist() == [1.0] * 3
    assert x.grad.tolist() == [5.0] * 3


def test_a_finalizer_may_remove_a_hook_while_one_is_registered():
    """The collector may run the finalizer inside of the registration."""
    code, lines, _ = script(
        """
        import faulthandler, gc

        faulthandler.dump_traceback_later(4, exit=True)

        class Owner:
            def __init__(self, tensor):
                self.handle = tensor.register_hook(lambda g: None)
                self.itself = self

            def __del__(self):
                self.handle.remove()

        x = engine.ones(3, requires_grad=True)
        gc.set_threshold(1)
        for _ in range(500):
            Owner(x)
        gc.set_threshold(700)
        gc.collect()
        print("hooks left:", len(x._edge[0].hooks.tensor.entries))
        """
    )
    assert (code, lines[0]) == (0, "hooks left: 0")


def test_a_hook_on_several_tensors_fails_where_a_sequential_run_calls_it():
    """The worker brings the newer of two gradients last; what comes before the older one counts."""
    seen, called = threading.Event(), threading.Event()
    x = engine.ones(SIZE, requires_grad=True)

    class Broken(Exception):
        pass

    class Step(Function):
        @staticmethod
        def forward(ctx, t, before):
            ctx.before = before
            return t * 1

        @staticmethod
        def backward(ctx, g):
            ctx.before()
            return g * 1, None

    def between():
        assert called.wait(PATIENCE)
        raise Broken("between")

    def multi(grads):
        called.set()
        raise Broken("multi")

    older = Step.apply(x, lambda: None)
    middle = Step.apply(x, between)
    newer = Step.apply(x, lambda: None)
    above = Step.apply(newer, lambda: seen.wait(PATIENCE))
    engine.autograd.graph.register_multi_grad_hook([older, newer], multi)
    older.register_hook(lambda g: seen.set())
    with engine.WorkerPool(2, heavy=0), pytest.raises(Broken) as caught:
        (above + middle + Step.apply(older, lambda: None)).sum().backward()
    assert caught.value.args == ("between",)
    assert called.is_set()
