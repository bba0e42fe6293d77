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


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

CHILD = """
warnings.simplefilter("ignore")  # of forking with threads

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


def test_a_long_chain_is_freed_without_recursion():
    code, lines, _ = script(
        """
        def work():
            x = y = engine.ones(1, requires_grad=True)
            for _ in range(200_000):
                y = y + 1
            del y
            print("freed")

        threading.stack_size(1 << 20)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    )
    assert code == 0
    assert "freed" in lines
