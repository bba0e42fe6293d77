"""Forks: a child has a pool, tickets and locks of its own, and never waits for the parent's."""

import os

import pytest

from tests.threads.scripts import script

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

CHILD = """
warnings.simplefilter("ignore")  # of forking with threads

def say(*words):  # at once: two processes print
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

def child(action):
    process = os.fork()
    if not process:
        signal.alarm(5)
        action()
        os._exit(0)
    code = os.waitpid(process, 0)[1]
    assert code == 0, code
"""


@fork
def test_a_child_of_a_process_with_an_idle_pool():
    code, _, _ = script(
        CHILD
        + """
engine.set_num_workers(2)
expected = heavy()
with engine.WorkerPool(2, heavy=0) as pool:
    heavy()
    def action():
        assert not pool._threads and pool.idle == 2
        for _ in range(3):
            assert (heavy() == expected).all()
        with engine.WorkerPool(1, heavy=0):
            heavy()
    child(action)
    heavy()  # the parent's goes on
"""
    )
    assert code == 0


@fork
def test_a_child_of_a_process_with_a_busy_pool():
    code, _, _ = script(
        CHILD
        + """
inside, go = threading.Barrier(3), threading.Event()
pool = engine.WorkerPool(1, heavy=0)

def work():
    def hook(g):
        inside.wait(10)
        go.wait(10)
    x = engine.ones(200, 200, requires_grad=True)
    p, q = x.exp(), x.tanh()
    p.register_hook(hook)
    q.register_hook(hook)
    engine.modes.state.pools += (pool,)
    (p + q).sum().backward()

thread = threading.Thread(target=work)
thread.start()
inside.wait(10)

def action():
    heavy()
    engine.modes.state.pools += (pool,)
    heavy()
    pool.shutdown()

child(action)
go.set()
thread.join()
pool.shutdown()
"""
    )
    assert code == 0


FORKING = """
both = threading.Barrier(2)
inside = threading.Barrier(3)
go = threading.Event()

def hook(g):
    # One of the two is the worker. It forks, or waits inside of its node while the caller forks.
    if (threading.current_thread() is threading.main_thread()) == (who == "caller"):
        both.wait(10)
        if not os.fork():
            signal.alarm(5)
            children.append(True)
        else:
            go.set()
    else:
        both.wait(10)
        go.wait(10)

children = []
x = engine.ones(200, 200, requires_grad=True)
p, q = x.exp(), x.tanh()
p.register_hook(hook)
q.register_hook(hook)
"""


@fork
def test_a_child_that_goes_on_in_the_middle_of_a_backward_that_a_worker_helped():
    """It hears that the worker is not there, and can make backwards of its own."""
    code, lines, _ = script(
        CHILD
        + "who = 'caller'"
        + FORKING
        + """
with engine.WorkerPool(1, heavy=0):
    try:
        (p + q).sum().backward()
        say("parent", x.grad is not None)
    except engine.errors.CancelledError as error:
        say("child", "the process forked inside of this backward" in str(error), x.grad)
        say(heavy().shape)
if children:
    os._exit(0)
assert os.wait()[1] == 0
"""
    )
    assert code == 0
    assert "child True None" in lines
    assert "(200, 200)" in lines
    assert "parent True" in lines


@fork
def test_a_child_of_a_worker_comes_to_an_end():
    code, lines, _ = script(
        CHILD
        + "who = 'worker'"
        + FORKING
        + """
with engine.WorkerPool(1, heavy=0):
    (p + q).sum().backward()
say("parent", x.grad is not None)
code = os.wait()[1]
say("child", code)
"""
    )
    assert code == 0
    assert lines[:2] == ["parent True", "child 0"]


@fork
def test_a_child_that_nobody_helped_goes_on():
    """Forked by a hook with no worker at work: the child ends the backward as the parent does."""
    code, lines, _ = script(
        CHILD
        + """
x = engine.ones(3, requires_grad=True)
y = x * 2
forked = []
y.register_hook(lambda g: forked.append(os.fork()))
(y * 3).sum().backward()
say(x.grad.tolist())
if not forked[0]:
    os._exit(0)
assert os.wait()[1] == 0
"""
    )
    assert code == 0
    assert lines.count("[6.0, 6.0, 6.0]") == 2


@fork
def test_tickets_of_a_child_begin_anew():
    """A backward of the parent that has a ticket never ends in the child."""
    code, lines, _ = script(
        CHILD
        + """
engine.set_accumulation("ordered")
inside, go = threading.Event(), threading.Event()

def hook(g):
    inside.set()
    go.wait(10)

def work():
    x = engine.ones(3, requires_grad=True)
    y = x * 2
    y.register_hook(hook)
    y.sum().backward()

thread = threading.Thread(target=work)
thread.start()
inside.wait(10)

def action():
    assert (heavy() > 0).all()

child(action)
go.set()
thread.join()
print("ended")
"""
    )
    assert code == 0
    assert "ended" in lines


@fork
def test_children_of_multiprocessing():
    code, lines, _ = script(
        """
        import multiprocessing
        warnings.simplefilter("ignore")

        def slope(x):
            x = engine.tensor(x, requires_grad=True)
            (x * x).sum().backward()
            return x.grad

        heavy()
        with engine.WorkerPool(2, heavy=0):
            heavy()
            with multiprocessing.get_context("fork").Pool(2) as processes:
                print([g.tolist() for g in processes.map(slope, [[1.0], [2.0], [3.0]])])
        """
    )
    assert code == 0
    assert lines[0] == "[[2.0], [4.0], [6.0]]"


@fork
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("engine.hooks", "engine.ones(1, requires_grad=True).register_hook(print)"),
        ("engine.recording", "heavy()"),
        ("engine.creation", "engine.rand(3), engine.manual_seed(1)"),
        ("engine.runtime.pool", "engine.set_num_workers(1)"),
        (
            "engine.hogwild.share",
            "sys.modules['engine.hogwild.share'].shared([]).__enter__()",
        ),
    ],
)
def test_a_child_does_not_wait_for_a_lock_of_a_thread_it_has_not(where, what):
    """Fork while another thread holds every lock that belongs to the module."""
    code, _, _ = script(
        CHILD
        + f"""
module = sys.modules[{where!r}]
kinds = (type(threading.Lock()), type(threading.RLock()))
held, go = threading.Event(), threading.Event()

def hold():
    locks = [value for value in vars(module).values() if isinstance(value, kinds)]
    for lock in locks:
        lock.acquire()
    held.set()
    go.wait(10)
    for lock in locks:
        lock.release()

thread = threading.Thread(target=hold)
thread.start()
held.wait(10)
child(lambda: ({what}))
go.set()
thread.join()
"""
    )
    assert code == 0
