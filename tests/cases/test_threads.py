"""Threads that share leaves or graphs: cases 57 to 64, 72, 73.

Numbers are those of the list of cases that `test_complete` counts. Each body that takes `lib` runs
against PyTorch too, where it is installed. More about these in tests/threads and tests/runtime.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import engine
from tests.cases.lib import PATIENCE, SIZE, leaf, long, only, outcomes, together

TOP = Path(__file__).parent.parent.parent
THREADS = 10


def test_case_57_independent_graphs_do_not_meet(lib):
    leaves = [long(lib, i) for i in range(THREADS)]

    def work(x):
        for _ in range(5):
            (x * x + x * 3).sum().backward()

    together(*(lambda x=x: work(x) for x in leaves))
    assert [only(x.grad) for x in leaves] == [5 * (2 * i + 3) for i in range(THREADS)]


def test_case_58_no_contribution_to_a_shared_leaf_is_lost(lib):
    x, rounds = long(lib, size=20 * SIZE), 20

    def work():
        for _ in range(rounds):
            (x * 3).sum().backward()

    together(*[work] * 4)
    assert only(x.grad) == 3 * rounds * 4


def test_case_58_nor_is_a_first_one():
    """All have seen the leaf without a gradient when the first of them makes one."""
    x, meet = long(engine), threading.Barrier(THREADS)

    def hook(point, subject):
        if point == "grad.commit":
            assert x.grad is None
            meet.wait(PATIENCE)

    with engine.sync.hooked(hook):
        together(*[lambda: (x * 3).sum().backward()] * THREADS)
    assert only(x.grad) == 3 * THREADS


def test_case_59_functional_gradients_of_a_shared_leaf_are_exact(lib):
    x, c = long(lib, 2.0), range(THREADS)

    def work(factor):
        return [only(lib.autograd.grad((x * x * factor).sum(), x)[0]) for _ in range(5)]

    assert together(*(lambda i=i: work(i) for i in c)) == [[4 * i] * 5 for i in c]
    assert x.grad is None


def test_case_60_a_shared_part_is_released_once(lib):
    x = long(lib, 0.0)
    y = x.exp()
    ended = outcomes(*[lambda: (y * 2).sum().backward()] * THREADS)
    errors = [outcome.error for outcome in ended if outcome.error is not None]
    assert all(isinstance(e, RuntimeError) and "retain_graph" in str(e) for e in errors), errors
    assert len(errors) < THREADS
    assert only(x.grad) == 2 * (THREADS - len(errors))
    if lib is engine:
        assert len(errors) == THREADS - 1


def test_case_60_or_retained(lib):
    x = long(lib, 0.0)
    y = x.exp()
    together(*[lambda: (y * 2).sum().backward(retain_graph=True)] * THREADS)
    assert only(x.grad) == 2 * THREADS


def test_case_60_one_succeeds_whatever_the_order_in_which_they_come_to_the_shared_parts():
    """Parts made in two threads are of one age: each backward begins with another one."""
    x = long(engine, 0.0)
    p, q = together(x.exp, x.tanh)
    tops = together(lambda: (p + q).sum(), lambda: (q + p).sum())
    met, begun = threading.Barrier(2), threading.local()

    def hook(point, subject):
        if point == "node.end" and subject in (p.grad_fn, q.grad_fn) and not vars(begun):
            begun.here = True
            with suppress(threading.BrokenBarrierError):
                met.wait(PATIENCE)

    def run(top):
        try:
            top.backward()
        except RuntimeError:
            met.abort()  # refused: nobody is to wait for it
            raise

    with engine.sync.hooked(hook):
        ended = outcomes(*(partial(run, top) for top in tops))
    assert sum(outcome.error is None for outcome in ended) == 1


def test_case_61_forward_in_one_thread_and_backward_in_another(lib):
    x = long(lib, 3.0)
    (y,) = together(lambda: (x * x).sum())
    together(y.backward)
    assert only(x.grad) == 6


def test_case_61_graphs_of_many_threads_flow_together(lib):
    x = long(lib)
    parts = together(*(lambda i=i: x * i for i in range(4)))
    sum(parts[1:], parts[0]).sum().backward()
    assert only(x.grad) == 0 + 1 + 2 + 3


def test_case_63_an_exception_stays_in_its_thread(lib):
    x, meet = long(lib), threading.Barrier(2)

    def fail(g):
        meet.wait(PATIENCE)
        raise KeyError("on purpose")

    def look(g):
        meet.wait(PATIENCE)

    def good():
        y = x * 3
        y.register_hook(look)
        y.sum().backward()

    def bad():
        y = x * 5
        y.register_hook(fail)
        y.sum().backward()

    first, second = outcomes(good, bad)
    assert first.error is None
    assert isinstance(second.error, KeyError)
    assert only(x.grad) == 3
    (x * 2).sum().backward()
    assert only(x.grad) == 5


def parts(lib, x, count):
    """Sums of which the order can be told: of small and large numbers."""
    rng = np.random.default_rng(0)
    scales = [lib.tensor((rng.random(SIZE) * 10.0**i).astype("float32")) for i in range(count)]
    return [lambda c=c: (x * c).sum() for c in scales]


def test_case_64_sums_of_many_threads_agree_but_for_rounding():
    x = long(engine)
    losses = parts(engine, x, 6)
    expected = np.sum([engine.grad(loss(), x)[0].numpy() for loss in losses], axis=0)
    together(*(lambda loss=loss: loss().backward() for loss in losses))
    assert np.allclose(x.grad.numpy(), expected, rtol=1e-5)


def test_case_64_racy_sums_lose_contributions_and_count_none_twice():
    """Both read before both store: of each element, one of the two is lost, and nothing else."""
    x, meet = long(engine), threading.Barrier(2)
    x.sum().backward()

    def hook(point, subject):
        if point == "grad.store":
            meet.wait(PATIENCE)

    def work(factor):
        (x * factor).sum().backward(accumulation="racy")

    with engine.sync.hooked(hook):
        together(lambda: work(2), lambda: work(4))
    assert set(x.grad.tolist()) <= {1 + 2, 1 + 4}


def test_case_64_functional_gradients_and_workers_give_the_same_bits_every_time():
    x = long(engine)
    losses = parts(engine, x, 6)

    def ordered():
        return sum(
            g.numpy() for g in together(*(lambda f=f: engine.grad(f(), x)[0] for f in losses))
        )

    def helped():
        with engine.WorkerPool(2, heavy=0):
            return engine.grad(sum(loss() for loss in losses), x)[0].numpy()

    for run in (ordered, helped):
        first = run()
        assert all(np.array_equal(first, run()) for _ in range(5))


def test_case_72_nested_backwards_in_every_worker_are_no_deadlock():
    """Both workers and the caller are inside of rules when each starts a backward of its own."""
    x, deep = long(engine), 5
    meet = threading.Barrier(3)

    def nest(depth):
        inner = long(engine)
        branches = [inner * 2, inner * 3, inner * 5]
        for branch in branches:
            branch.register_hook(lambda g: nested(depth))
        with engine.enable_grad():
            (branches[0] + branches[1] + branches[2]).sum().backward()
        assert only(inner.grad) == 10

    def nested(depth):
        if depth:
            with engine.enable_grad():
                nest(depth - 1)

    def hook(g):
        meet.wait(PATIENCE)
        nested(deep)

    branches = [x.exp(), x.tanh(), x.sigmoid()]
    for branch in branches:
        branch.register_hook(hook)
    with engine.WorkerPool(2, heavy=0):
        (branches[0] + branches[1] + branches[2]).sum().backward()
    assert x.grad is not None


FORKING = """
import os, signal, warnings
import engine

warnings.simplefilter("ignore")  # of forking with threads

def work():
    x = engine.ones(10_000, requires_grad=True)
    (x.exp() + x.tanh()).sum().backward()
    return x.grad.tolist()

with engine.WorkerPool(2, heavy=0) as pool:
    expected = work()
    assert pool._threads
    child = os.fork()
    if not child:
        signal.alarm(10)
        assert not pool._threads
        assert work() == expected
        assert pool._threads
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert work() == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_case_73_a_forked_child_starts_workers_of_its_own():
    process = subprocess.run(
        [sys.executable, "-c", FORKING],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")


def in_another_thread(function):
    (value,) = together(function)
    return value


def test_case_74_looking_for_anomalies_is_a_matter_of_the_thread():
    def product():
        x = leaf(engine, 0.0)
        with np.errstate(invalid="ignore"):
            (x.sqrt() * 0).backward()
        return x.grad.item()

    with engine.autograd.detect_anomaly():
        assert np.isnan(in_another_thread(product))
        with pytest.raises(engine.errors.AnomalyError):
            product()


def test_case_74_so_are_hooks_on_what_is_saved():
    packed = []
    x = long(engine, 3.0)

    def pack(t):
        packed.append(threading.get_ident())
        return t

    with engine.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        in_another_thread(lambda: (x * x).sum().backward())
        assert packed == []
        (x * x).sum().backward()
    assert set(packed) == {threading.get_ident()}
    with engine.autograd.graph.disable_saved_tensors_hooks("not here"):
        in_another_thread(
            lambda: engine.autograd.graph.saved_tensors_hooks(pack, lambda t: t).__enter__()
        )
    assert only(x.grad) == 12


def test_case_74_and_the_level_of_a_transform():
    """What PyTorch's dual level leaks to others: here a tangent is seen by its own thread alone."""
    w, inside, done = long(engine, 2.0), threading.Event(), threading.Event()

    def waiting(x):
        inside.set()
        assert done.wait(PATIENCE)
        return x * w

    def other():
        assert inside.wait(PATIENCE)
        (slope,) = engine.grad((w * w).sum(), w)
        done.set()
        return slope.requires_grad, only(slope)

    x = engine.ones(SIZE)
    (_, tangent), plain = together(lambda: engine.func.jvp(waiting, (x,), (x,)), other)
    assert only(tangent) == 2
    assert plain == (False, 4)
