"""Pools and the life of a process: exit never hangs, a forked child has a pool of its own."""

import os

import pytest

from tests.threads.scripts import script

QUICK = 2.0  # seconds that an exit may take


def test_exit_with_an_idle_pool():
    code, _, seconds = script(
        """
        pool = engine.WorkerPool(2, heavy=0)
        engine.modes.state.pools.append(pool)
        heavy()
        assert len(pool._threads) == 2
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_with_a_busy_pool():
    """Worker and thread are inside of a node when the main thread runs off its end."""
    code, lines, seconds = script(
        """
        begun = threading.Barrier(3)

        def work():
            def hook(g):
                begun.wait(10)
                while not engine.runtime.pool._exiting:
                    time.sleep(0)
            x = engine.ones(200, 200, requires_grad=True)
            p, q = x.exp(), x.tanh()
            p.register_hook(hook)
            q.register_hook(hook)
            with engine.WorkerPool(1, heavy=0):
                (p + q).sum().backward()
            print("finished", x.grad.shape)

        threading.Thread(target=work).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert "finished (200, 200)" in lines
    assert seconds < QUICK


def test_exit_while_a_thread_makes_its_first_backward():
    """The default pool would be made after the interpreter has told all pools to stop."""
    code, lines, seconds = script(
        """
        def work():
            threading.main_thread().join()
            heavy()
            with engine.WorkerPool(2, heavy=0):
                heavy()
            print("finished")

        threading.Thread(target=work).start()
        done()
        """
    )
    assert code == 0
    assert "finished" in lines
    assert seconds < QUICK


def test_exit_by_an_exception_in_a_backward():
    code, _, _ = script(
        """
        x = engine.ones(200, 200, requires_grad=True)
        y = x.exp()
        y.register_hook(lambda g: sys.exit(7))
        with engine.WorkerPool(2, heavy=0):
            (y + x.tanh()).sum().backward()
        """
    )
    assert code == 7


def test_exit_by_a_worker():
    """The caller raises what the hook in the worker has raised."""
    code, _, seconds = script(
        """
        def leave(g):
            both.wait(10)
            sys.exit(7)

        both = threading.Barrier(2)
        x = engine.ones(200, 200, requires_grad=True)
        p, q = x.exp(), x.tanh()
        p.register_hook(leave)
        q.register_hook(leave)
        done()
        with engine.WorkerPool(1, heavy=0):
            (p + q).sum().backward()
        """
    )
    assert code == 7
    assert seconds < QUICK


def test_exit_while_daemons_run_backwards():
    """Python does not wait for them; neither does it for the workers that help them."""
    code, _, seconds = script(
        """
        begun = threading.Barrier(3)

        def work():
            with engine.WorkerPool(2, heavy=0):
                heavy()
                begun.wait(10)
                while True:
                    heavy()

        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_while_a_daemon_trains():
    """The threads that train for it are daemons as it is."""
    code, _, seconds = script(
        """
        w = engine.zeros(64, requires_grad=True)
        x = np.ones((1000, 64), "f4")
        begun = threading.Event()

        def loss(rows):
            begun.set()
            return ((rows * w).sum(axis=1) - 1).pow(2).mean()

        def work():
            engine.hogwild.train(loss, (x,), engine.optim.SGD([w], lr=1e-3), epochs=10**9)

        threading.Thread(target=work, daemon=True).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_from_a_training():
    """By its loss, in a thread, and by its callback, in the main thread."""
    for where in ("loss", "evaluate"):
        code, _, seconds = script(
            f"""
            w = engine.zeros(64, requires_grad=True)
            x = np.ones((1000, 64), "f4")

            def leave():
                done()
                sys.exit(7)

            def loss(rows):
                if {where!r} == "loss":
                    leave()
                return (rows * w).mean()

            engine.hogwild.train(
                loss, (x,), engine.optim.SGD([w], lr=1e-3), epochs=10**9, evaluate=leave
            )
            """
        )
        assert code == 7
        assert seconds < QUICK


def test_backwards_in_handlers_of_the_exit():
    """No thread may be started any more: all of it runs in the one that there is."""
    code, lines, seconds = script(
        """
        import atexit

        def nested(depth):
            with engine.enable_grad():
                x = engine.ones(200, 200, requires_grad=True)
                y = x.exp()
                y.register_hook(lambda g: nested(depth - 1) if depth else None)
                (y + x.tanh()).sum().backward()

        def last():
            heavy()
            with engine.WorkerPool(2, heavy=0):
                heavy()
                print("nested", nested(45))
                print("submitted", engine.submit(lambda: 7).result())
            print("finished")

        atexit.register(last)
        with engine.WorkerPool(2, heavy=0):
            heavy()
        done()
        """
    )
    assert code == 0
    assert lines[1:4] == ["nested None", "submitted 7", "finished"]
    assert seconds < QUICK


def test_interrupt_of_a_script_ends_it():
    code, lines, seconds = script(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def hook(g):
            os.kill(os.getpid(), signal.SIGINT)
        x = engine.ones(200, 200, requires_grad=True)
        y = x.exp()
        y.register_hook(hook)
        try:
            with engine.WorkerPool(2, heavy=0):
                (y + x.tanh()).sum().backward()
        except KeyboardInterrupt:
            print("interrupted", x.grad)
        done()
        """
    )
    assert code == 0
    assert "interrupted None" in lines
    assert seconds < QUICK


def test_interrupt_while_deeply_nested_backwards_run_elsewhere():
    """The wait for their thread ends with that thread, not before."""
    code, lines, seconds = script(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raised = threading.Event()

        def hook(g):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            print("late" if raised.wait(0.3) else "in time", flush=True)

        def nested(depth):
            with engine.enable_grad():
                x = engine.ones(4, requires_grad=True)
                y = x * 2
                y.register_hook(lambda g: nested(depth - 1) if depth else hook(g))
                (y * 3).sum().backward()

        try:
            nested(41)
        except KeyboardInterrupt:
            raised.set()
        print("raised", raised.is_set())
        done()
        """
    )
    assert code == 0
    assert lines[:2] == ["in time", "raised True"]
    assert seconds < QUICK


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
    engine.modes.state.pools.append(pool)
    (p + q).sum().backward()

thread = threading.Thread(target=work)
thread.start()
inside.wait(10)

def action():
    heavy()
    engine.modes.state.pools.append(pool)
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
