"""What is counted: surely, by threads that live and threads that have ended."""

import threading
from importlib import import_module
from typing import Any

import pytest

import engine
from tests.threads.together import Gate, together, until

stats_module: Any = import_module("engine.runtime.stats")


def backward(times: int = 1) -> None:
    x = engine.ones(3, requires_grad=True)
    for _ in range(times):
        (x * 2).sum().backward()


def difference(before: engine.Stats, after: engine.Stats) -> tuple[int, int]:
    return after.tasks - before.tasks, after.nodes - before.nodes


def test_every_backward_of_every_thread_is_counted_once():
    before = engine.stats()
    together(*[lambda: backward(300)] * 4)
    assert difference(before, engine.stats()) == (1200, 3600)
    assert difference(before, engine.stats()) == (1200, 3600)  # now that the threads are gone


def test_threads_that_have_ended_are_kept_as_a_sum():
    together(*[backward] * 8)
    engine.stats()
    alive = threading.active_count() + 4  # threads that are ending
    assert len(stats_module._threads) <= alive


def test_it_may_be_asked_while_others_count():
    ended = threading.Event()

    def ask() -> None:
        last = engine.stats().tasks
        while not ended.is_set():
            now = engine.stats().tasks
            assert now >= last
            last = now

    def work() -> None:
        try:
            for _ in range(50):
                together(backward)
        finally:
            ended.set()

    together(ask, work)


def test_grad_counts_too_and_a_failing_backward():
    x = engine.ones(3, requires_grad=True)
    before = engine.stats()
    engine.grad(x.sum(), x)
    x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x.sum().backward()
    assert difference(before, engine.stats()) == (2, 4)


def test_hand_offs_are_nodes_that_a_worker_took():
    x = engine.ones(50, 50, requires_grad=True)
    gate = Gate()
    parts = [x.exp(), x.tanh()]

    def helped(g: Any) -> None:
        if threading.current_thread().name.startswith("engine-worker"):
            gate.open()
        else:
            gate.hold()

    for part in parts:
        part.register_hook(helped)
    before = engine.stats().hand_offs
    with engine.WorkerPool(0):
        backward()
    assert engine.stats().hand_offs == before
    with engine.WorkerPool(1, heavy=0):
        (parts[0] + parts[1]).sum().backward()
    assert engine.stats().hand_offs > before


def test_the_depth_of_the_queue_is_that_of_this_pool():
    gate = Gate()
    with engine.WorkerPool(1):
        held = engine.submit(gate.hold)
        gate.reached()
        handles = [engine.submit(backward) for _ in range(3)]
        assert engine.stats().queue_depth == 3
        with engine.WorkerPool(0):
            assert engine.stats().queue_depth == 0
        gate.open()
        engine.wait([held, *handles])
        assert engine.stats().queue_depth == 0


def test_a_lock_that_is_held_is_a_wait():
    x = engine.ones(3, requires_grad=True)
    with engine.measuring():
        before = engine.stats().lock_waits
        assert before is not None
        x.sum().backward()
        assert engine.stats().lock_waits == before
        helper = threading.Thread(target=x.sum().backward)
        with x.grad_lock:
            x.sum().backward()  # its own lock: it does not wait
            helper.start()
            until(lambda: engine.stats().lock_waits == before + 1)
        helper.join()
    assert engine.stats().lock_waits == before + 1


def test_a_lost_update_is_counted():
    """Two threads read the twin before either writes it: forced, element by element."""
    x = engine.zeros(10_000, requires_grad=True)
    x.grad = engine.zeros(10_000)
    leaf = engine.autograd.edge_of(x)[0]
    meter = stats_module.Meter()
    meter.add(leaf)
    assert meter.lost() == 0
    twin = meter._twins[leaf]
    stale = twin.array.copy()
    meter.add(leaf)
    twin.array[:5_000] = stale[:5_000]  # as another thread's late write would
    assert meter.lost() == 5_000


def test_locked_accumulation_loses_nothing_and_racy_is_estimated():
    x = engine.zeros(20_000, requires_grad=True)
    x.grad = engine.zeros(20_000)
    with engine.measuring():
        before = engine.stats().lost_updates
        together(*[lambda: [x.sum().backward(accumulation="locked") for _ in range(50)]] * 2)
        assert engine.stats().lost_updates == before
        x.grad = engine.zeros(20_000)
        together(*[lambda: [x.sum().backward(accumulation="racy") for _ in range(200)]] * 2)
        lost = engine.stats().lost_updates
    assert lost is not None
    assert before is not None
    assert 0 <= lost - before < 400 * 20_000
    assert engine.stats().lost_updates == lost  # kept after the block


def test_nothing_measured_is_none(monkeypatch):
    monkeypatch.setattr(stats_module, "_lock_waits", None)
    monkeypatch.setattr(stats_module, "_lost", None)
    assert engine.stats().lock_waits is None
    assert engine.stats().lost_updates is None


def test_counts_that_threads_share_are_noticed():
    """One list for two threads, and one of them between its reading and its writing."""
    gate = Gate()

    class Held(list):  # type: ignore[type-arg]
        def __getitem__(self, place):
            count = super().__getitem__(place)
            if threading.current_thread().name == "late":
                gate.hold()
            return count

    shared = Held([0, 0, 0])

    def late() -> None:
        engine.modes.state.counts = shared
        backward()

    thread = threading.Thread(target=late, name="late")
    thread.start()
    gate.reached()
    state = engine.modes.state
    mine, state.counts = state.counts, shared
    backward(10)
    state.counts = mine
    gate.open()
    thread.join()
    assert shared[0] == 1  # eleven were run


def test_stats_are_immutable():
    with pytest.raises(AttributeError):
        engine.stats().tasks = 0  # type: ignore[misc]
