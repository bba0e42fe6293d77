"""Lives of processes: what the scenarios of ``process`` run in an interpreter of its own.

``python -m stress.scenarios.lives NAME MODE SIZE``: prints a line that begins with ``leaving`` when
it is about to end, and before that what it has found to be wrong, a line each; but ``took SECONDS``
is how long something took that should be quick, and ``noted`` begins what is worth knowing.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic, sleep

import numpy as np

import engine
from stress.oracles.leaks import Nodes, Threads, resident, slope
from stress.scenarios.common import Array, Way

SIDE = 200  # of the square arrays
PATIENCE = 15.0  # seconds until somebody who should have come will not
CHAIN = 100_000  # nodes; SIZE where that is said
STACKS = 512 * 1024, 256 * 1024  # bytes, of a worker and a thread that walk and free a chain
LINKS = 300  # of a chain that is interrupted
DAWDLE = 0.03  # seconds at each of them: far more than Ctrl-C may take, where it does not stop them
GRAPHS = 1_000
GROWTH = 20_000  # bytes a graph: an array of one is twice as large


def wrong(what: str) -> None:
    """Say what is wrong."""
    print(what, flush=True)


def heavy(mode: str, hook: Callable[[object], object] | None = None) -> Array:
    """A backward of two heavy branches, whose hooks may be watched."""
    leaf = engine.ones(SIDE, SIDE, requires_grad=True)
    branches = [leaf.exp(), leaf.tanh()]
    for branch in branches if hook is not None else ():
        branch.register_hook(hook)
    root = branches[0] + branches[1]
    way = Way(mode)
    result = way.one(root, leaf, engine.ones_like(root))
    return way.read(leaf) if result is None else result


def started(action: Callable[[], object], name: str = "life") -> threading.Thread:
    """A thread that runs ``action``."""
    thread = threading.Thread(target=action, name=name)
    thread.start()
    return thread


# -- 28: the interpreter exits ---------------------------------------------------------------------


def nothing(mode: str) -> None:
    """What every life takes, on this machine, at this moment."""


def exit_idle(mode: str) -> None:
    """With pools that have started their threads and have nothing to do."""
    engine.set_num_workers(2)
    engine.submit(heavy, mode).result()


def exit_busy(mode: str) -> None:
    """While a thread is inside of a backward, helped by a worker that is inside of a node."""
    inside = threading.Barrier(3)

    def hook(g: object) -> None:
        inside.wait(PATIENCE)
        threading.main_thread().join(0.2)  # stay a while

    def work() -> None:
        with engine.WorkerPool(1, heavy=0):
            heavy(mode, hook)

    started(work)
    inside.wait(PATIENCE)


def exit_submitted(mode: str) -> None:
    """With more tasks submitted than the pool will come to."""
    engine.set_num_workers(1)
    for _ in range(200):
        engine.submit(heavy, mode)


# -- 29: the process forks -------------------------------------------------------------------------


def in_child(action: Callable[[], object]) -> None:
    """Run ``action`` in a fork of this process."""
    warnings.simplefilter("ignore")  # of forking with threads
    process = os.fork()
    if not process:
        signal.alarm(int(PATIENCE))
        try:
            action()
        except BaseException as error:
            wrong(f"the child raised {type(error).__name__}: {error}")
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    if status:
        wrong(f"the child ended with status {status}")


def same(mode: str, expected: Array) -> None:
    """A backward is right, with a pool of one's own and with that which the child inherits.

    Who waits with a limit does not help: a worker has to come.
    """
    with engine.WorkerPool(2, heavy=0):
        results = [heavy(mode), engine.submit(heavy, mode).result(PATIENCE / 2)]
    results.append(engine.submit(heavy, mode).result(PATIENCE / 2))
    if not all(np.array_equal(result, expected) for result in results):
        wrong("a gradient of the child is wrong")


def fork_idle(mode: str) -> None:
    """With a pool that has started its threads and has nothing to do."""
    engine.set_num_workers(2)
    expected = engine.submit(heavy, mode).result()
    in_child(lambda: same(mode, expected))
    same(mode, expected)  # the parent's goes on


def fork_busy(mode: str) -> None:
    """While another thread is inside of a backward, helped by a worker that is inside of a node.

    The pool of the process is inside of a task, and has another one to do.
    """
    expected = heavy(mode)
    inside, go_on = threading.Barrier(4), threading.Event()
    engine.set_num_workers(1)

    def hook(g: object) -> None:
        inside.wait(PATIENCE)
        go_on.wait(PATIENCE)

    def work() -> None:
        with engine.WorkerPool(1, heavy=0):
            if not np.array_equal(heavy(mode, hook), expected):
                wrong("a gradient of the parent is wrong")

    thread = started(work)
    task, _ = engine.submit(hook, None), engine.submit(heavy, mode)
    inside.wait(PATIENCE)
    in_child(lambda: same(mode, expected))
    go_on.set()
    thread.join()
    task.result()
    same(mode, expected)  # the parent's goes on


# -- 22: Ctrl-C ------------------------------------------------------------------------------------


def interrupt(mode: str) -> None:
    """In the middle of a backward that a worker helps: drained, raised, and nothing is written.

    Of one leaf the gradient has come by then: so there is something that could be written. The
    hooks take no lock that Python code releases, as that of an ``Event``: Ctrl-C may keep it from
    that, and who comes next waits for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    leaves = [engine.ones(SIDE, requires_grad=True) for _ in range(3)]
    came: list[object] = []
    midway: SimpleQueue[None] = SimpleQueue()
    struck: list[float] = []
    leaves[0].register_hook(came.append)

    def strike() -> None:
        with suppress(Empty):
            midway.get(timeout=PATIENCE)
        struck.append(monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def dawdle(g: object) -> None:
        has_come = bool(came)
        sleep(DAWDLE)
        if has_come:
            midway.put(None)

    killer = started(strike)
    try:
        with engine.WorkerPool(1, heavy=0):
            long_backward(mode, leaves, dawdle)
        wrong("Ctrl-C had no effect")
    except KeyboardInterrupt:
        print("took", monotonic() - struck[0])
    killer.join()
    if any(leaf.grad is not None for leaf in leaves):
        wrong("something of it was written")
    heavy(mode)


def long_backward(
    mode: str, leaves: Sequence[engine.Tensor], hook: Callable[[object], object]
) -> None:
    """Two chains with ``hook`` at each of ``LINKS`` nodes; the gradient of one leaf comes first."""
    chains = list(leaves)
    for _ in range(LINKS):
        chains[1:] = [chain.tanh() for chain in chains[1:]]
        for chain in chains[1:]:
            chain.register_hook(hook)
    chains[0] = leaves[0] * 1.0
    Way(mode)(chains, leaves, [engine.ones_like(chain) for chain in chains])


# -- 32, 33: deep graphs, many graphs --------------------------------------------------------------


def deep(mode: str) -> None:
    """A long chain is walked and freed in threads with small stacks: a worker, and one of mine."""

    def work() -> None:
        leaf = engine.ones(1, requires_grad=True)
        chain = leaf
        for _ in range(CHAIN):
            chain = chain + 1.0
        way = Way(mode)
        result = way.one(chain, leaf, engine.ones(1))
        if (way.read(leaf) if result is None else result)[0] != 1.0:
            wrong("the gradient of the chain is wrong")

    threading.stack_size(STACKS[0])
    with engine.WorkerPool(1, heavy=0):
        engine.submit(work).result(timeout=600.0)  # whoever waits with a limit does not help
    threading.stack_size(STACKS[1])
    started(work).join()


def memory(mode: str) -> None:
    """Many graphs without the cycle collector: none is left, and memory does not grow."""
    threads, nodes, sizes = Threads(), Nodes(), []
    gc.disable()
    with engine.WorkerPool(1, heavy=0):
        for number in range(GRAPHS):
            leaf = engine.ones(GROWTH // 8 * 2, requires_grad=True)
            root = leaf.exp() + leaf.tanh()
            nodes.watch(root)
            Way(mode).one(root, leaf, engine.ones_like(root))
            del leaf, root
            if number % 100 == 99:
                sizes.append(resident() or 0)
    if nodes.alive():
        wrong(f"{nodes.alive()} nodes are left")
    if threads.left():
        wrong(f"threads are left: {threads.left()}")
    if slope(sizes[3:]) / 100 > GROWTH:
        wrong(f"memory grows by {slope(sizes[3:]) / 100:,.0f} bytes a graph")


# -- 35: more workers than cores -------------------------------------------------------------------


CALLERS = 4
WORKERS = 16  # of each
EACH = 3  # backwards of a caller


def one_core(mode: str) -> None:
    """The same on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    crowded(mode)


def crowded(mode: str) -> None:
    """Many workers, several callers, and BLAS with threads of its own; and one caller alone."""
    with engine.WorkerPool(0):
        expected = product(mode)
        began = monotonic()
        for _ in range(EACH):
            product(mode)
        alone = EACH / (monotonic() - began)

    def work() -> None:
        with engine.WorkerPool(WORKERS, heavy=0):
            for _ in range(EACH):
                if not np.array_equal(product(mode), expected):
                    wrong("a gradient is wrong")

    began = monotonic()
    for thread in [started(work) for _ in range(CALLERS)]:
        thread.join()
    rate = CALLERS * EACH / (monotonic() - began)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"noted {rate:.1f} backwards a second by {CALLERS} callers of {WORKERS} workers, "
          f"{alone:.1f} by one caller alone, cores: {cores}")  # fmt: skip


def product(mode: str) -> Array:
    """The gradient of some matrix products: whole numbers, so that BLAS may add in any order."""
    leaf = engine.from_numpy(np.arange(SIDE * SIDE, dtype="f8").reshape(SIDE, SIDE) % 7)
    leaf.requires_grad_()
    root = leaf @ leaf + leaf @ leaf.T
    way = Way(mode)
    result = way.one(root, leaf, engine.ones_like(root))
    return way.read(leaf) if result is None else result


LIVES: dict[str, Callable[[str], None]] = {
    life.__name__: life
    for life in (
        nothing, exit_idle, exit_busy, exit_submitted, fork_idle, fork_busy, interrupt,
        deep, memory, crowded, one_core
    )
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 3:
        CHAIN = int(sys.argv[3])
    LIVES[sys.argv[1]](sys.argv[2])
    print("leaving", monotonic(), flush=True)
