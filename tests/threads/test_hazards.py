"""Each hazard that threads in Python bring has a test that forces it: see docs/threading.md.

And the tests that belong to no part of the engine: which locks are held when, by all of it.
"""

import ast
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

import engine
from engine import sync
from engine.function import Function
from tests.threads.together import PATIENCE, together

TOP = Path(__file__).parent.parent.parent
MODES = ["racy", "locked", "ordered", "reproducible"]
HAZARDS = {
    "exit while workers wait",
    "daemon workers",
    "threads at shutdown",
    "fork",
    "Ctrl-C",
    "reentrancy",
    "user code under locks",
    "two leaf locks",
    "modes and context",
    "reference circles",
    "deep graphs",
    "several errors",
}


def table(text: str) -> dict[str, list[tuple[str, str]]]:
    """The tests named in each row of the table of hazards."""
    _, _, after = text.partition("\n## Hazards")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", after, re.MULTILINE)
    tests = {name: re.findall(r"`([\w/]+\.py)::(\w+)`", named) for name, named in rows}
    return {name: found for name, found in tests.items() if name != "hazard"}


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_hazard_has_tests():
    found = table((TOP / "docs/threading.md").read_text(encoding="utf-8"))
    assert set(found) == HAZARDS
    for name, tests in found.items():
        assert tests, name
        for file, test in tests:
            assert test in functions(TOP / "tests" / file), (name, file, test)


class Watched:
    """A lock that knows which of its kind each thread holds, and notes two at once."""

    held = threading.local()
    breaches: ClassVar[list[list["Watched"]]] = []  # append is atomic

    def __init__(self, lock: Any, name: str) -> None:
        self.lock, self.name = lock, name

    def acquire(self, *args: Any) -> bool:
        mine = self.of_this_thread()
        taken: bool = self.lock.acquire(*args)
        if taken:
            if any(other is not self for other in mine):
                self.breaches.append([*mine, self])
            mine.append(self)
        return taken

    def release(self) -> None:
        self.of_this_thread().remove(self)
        self.lock.release()

    def __enter__(self) -> "Watched":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @classmethod
    def of_this_thread(cls) -> list["Watched"]:
        if not hasattr(cls.held, "locks"):
            cls.held.locks = []
        locks: list[Watched] = cls.held.locks
        return locks

    def __repr__(self) -> str:
        return self.name


class WatchedLocks(sync.Threads):
    """Every lock that is made watches itself."""

    def lock(self):
        return Watched(threading.Lock(), "lock")

    def rlock(self):
        return Watched(threading.RLock(), "leaf")


@pytest.fixture
def watched(monkeypatch):
    """All locks of the engine: those made from now on, and those of its modules."""
    monkeypatch.setattr(Watched, "breaches", [])
    wrapped = {id(lock): Watched(lock, "module") for lock in sync._process_locks}
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and module.__name__.partition(".")[0] == "engine":
            for name, value in list(vars(module).items()):
                if id(value) in wrapped:
                    monkeypatch.setattr(module, name, wrapped[id(value)])
    with sync.controlled(WatchedLocks()):
        yield Watched


def everything(mode: str, user: Any) -> None:
    """Much of what the engine can do, with `user` called wherever user code is."""

    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            user()
            return x * 2

        @staticmethod
        def backward(ctx, g):
            user()
            return g * 2

    def hook(*_: Any) -> None:
        user()
        with engine.enable_grad():
            (w * 2).sum().backward()

    v, w = (engine.ones(40, 40, requires_grad=True) for _ in range(2))
    v.register_hook(lambda g: user())
    v.register_post_accumulate_grad_hook(lambda p: user())
    optimizer = engine.optim.SGD(engine.hogwild.share([v, w]), lr=1e-3)

    def step() -> None:
        a, b = v.exp(), Twice.apply(w)
        a.register_hook(hook)
        a.grad_fn.register_hook(lambda *_: user())
        engine.autograd.graph.register_multi_grad_hook([a, b], lambda grads: user())
        loss = (a * b).sum() + (w.tanh() * v).sum()
        loss.backward()
        optimizer.step()
        v.take_grad()
        optimizer.zero_grad()

    with engine.accumulation(mode), engine.WorkerPool(2, heavy=0):
        handles = [engine.submit(step) for _ in range(4)]
        step()
        engine.wait(handles)
        for handle in handles:
            handle.result()


@pytest.mark.parametrize("mode", MODES)
def test_one_lock_is_held_at_a_time_and_none_around_user_code(watched, mode):
    """By whoever it is: callers, workers, submitted tasks."""
    held: list[list[Watched]] = []

    def user() -> None:
        if watched.of_this_thread():
            held.append(list(watched.of_this_thread()))

    together(*[lambda: everything(mode, user)] * 2)
    assert not held
    assert not watched.breaches


@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_training_holds_its_own_lock_and_one_more_inside_of_it(watched, mode):
    """A thread writes a step under a lock of its own, and each parameter under that one's."""
    w = engine.zeros(10, requires_grad=True)
    held: list[object] = []

    def loss(rows):
        held.extend(watched.of_this_thread())
        return ((rows * w).sum(axis=1) - 1).pow(2).mean()

    data = (np.ones((200, 10), "f4"),)
    engine.hogwild.train(loss, data, engine.optim.SGD([w], lr=1e-3), mode=mode, epochs=2)
    assert not held
    orders = {tuple(lock.name for lock in breach) for breach in watched.breaches}
    assert orders == ({("lock", "leaf")} if mode == "locked" else set())


def test_two_locks_at_once_are_noticed(watched):
    """The check of the check."""
    x, y = (engine.ones(3, requires_grad=True) for _ in range(2))
    with x.grad_lock, x.grad_lock:
        assert watched.of_this_thread()
        assert not watched.breaches
        with y.grad_lock:
            assert len(watched.breaches) == 1
    assert not watched.of_this_thread()


@pytest.mark.parametrize("mode", ["locked", "ordered", "reproducible"])
def test_two_leaves_in_opposite_orders(mode):
    """Both threads are between their two leaves at once, each about to take what the other had."""
    a, b = (engine.ones(10_000, requires_grad=True) for _ in range(2))
    meet = threading.Barrier(2)
    orders: dict[str, list[object]] = {}

    def hook(point: str, subject: Any) -> None:
        name = threading.current_thread().name
        if point == "grad.commit" and name.startswith("together"):
            orders.setdefault(name, []).append(subject)
            if mode != "ordered":  # there one thread adds for both
                meet.wait(PATIENCE)

    def run(first: Any, second: Any) -> None:
        with engine.accumulation(mode):
            loss = (second * 1).sum() + (first * 1).sum()
            for _ in range(20):
                loss.backward(retain_graph=True)

    with sync.hooked(hook):
        together(lambda: run(a, b), lambda: run(b, a))
    assert a.grad.tolist() == b.grad.tolist() == [40.0] * 10_000
    if mode != "ordered":
        one, other = orders.values()
        assert one[:2] == other[1::-1]


EXIT = """
import threading
del threading._register_atexit  # as in a Python that has it no more
import time
import engine

assert not engine.sync.EXITS
inside = threading.Barrier(2)

def hook(g):
    inside.wait(10)
    if threading.current_thread() is not threading.main_thread():
        print(threading.current_thread().daemon, flush=True)
        time.sleep({seconds})
    elif {seconds}:
        raise SystemExit  # it waits for the worker's node

x = engine.ones(200, 200, requires_grad=True)
p, q = x.exp(), x.tanh()
p.register_hook(hook)
q.register_hook(hook)
pool = engine.WorkerPool(1, heavy=0)
engine.modes.state.pools += (pool,)
(p + q).sum().backward()
"""


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_where_threading_has_no_hook_for_the_exit_workers_are_daemons(seconds):
    """And do not keep the interpreter, whatever they have been doing."""
    process = subprocess.run(
        [sys.executable, "-c", EXIT.format(seconds=seconds)],
        cwd=TOP, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (process.returncode, process.stdout, process.stderr) == (0, "True\n", "")
