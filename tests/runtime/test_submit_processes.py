"""Submitted tasks and the life of a process: exit, fork, Ctrl-C."""

import os

import pytest

from tests.threads.scripts import script

QUICK = 8.0  # seconds that an exit may take on a busy machine; what is wrong takes longer

LONG = """
begun = threading.Event()

def long(seconds=20):
    '''A backward of many short nodes.'''
    x = engine.ones(10, requires_grad=True)
    y = x
    for _ in range(100):
        y = y * 1
        y.register_hook(lambda g: (begun.set(), time.sleep(seconds / 100))[:0] or None)
    return x, y.sum()

pool = engine.WorkerPool(1)
engine.modes.state.pools += (pool,)
"""


def test_exit_with_tasks_running_and_queued():
    """The running one stops at its next node, the queued ones never begin."""
    code, lines, seconds = script(
        LONG
        + """
x, loss = long()
running = engine.submit(loss.backward)
queued = [engine.submit(print, "never") for _ in range(100)]
begun.wait(10)
done()
"""
    )
    assert code == 0
    assert "never" not in lines
    assert seconds < QUICK


def test_exit_while_a_thread_waits_for_a_task():
    """It is told that the task was cancelled."""
    code, lines, seconds = script(
        LONG
        + """
def wait(handle):
    try:
        handle.result()
    except engine.errors.CancelledError:
        print("cancelled", x.grad)

x, loss = long()
handle = engine.submit(loss.backward)
begun.wait(10)
threading.Thread(target=wait, args=(handle,)).start()
done()
"""
    )
    assert code == 0
    assert "cancelled None" in lines
    assert seconds < QUICK


def test_ctrl_c_while_waiting_for_a_task():
    """The wait ends, the task goes on; the end of the block, left by an exception, cancels it."""
    code, lines, seconds = script(
        LONG
        + """
signal.signal(signal.SIGINT, signal.default_int_handler)
x, loss = long()

def interrupt():
    while not handle._tell:  # the main thread is about to wait
        time.sleep(0)
    time.sleep(0.2)  # a signal just before a wait in C does not end it, in any Python
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

try:
    with engine.WorkerPool(1):
        handle = engine.submit(loss.backward)
        begun.wait(10)
        threading.Thread(target=interrupt).start()
        handle.result()
except KeyboardInterrupt:
    print("interrupted", handle.cancelled(), x.grad)
done()
"""
    )
    assert code == 0
    assert "interrupted True None" in lines
    assert seconds < QUICK


def test_ctrl_c_while_this_thread_runs_the_task_itself():
    code, lines, _ = script(
        LONG
        + """
signal.signal(signal.SIGINT, signal.default_int_handler)
gate = threading.Event()
held = engine.submit(gate.wait)
x = engine.ones(3, requires_grad=True)
y = x * 2
y.register_hook(lambda g: os.kill(os.getpid(), signal.SIGINT))
handle = engine.submit((y * 3).sum().backward)
try:
    engine.wait([handle])
except KeyboardInterrupt:
    print("interrupted", handle.done(), x.grad, type(handle.exception()).__name__)
gate.set()
held.result()
print("usable", engine.submit(lambda: 7).result())
"""
    )
    assert code == 0
    assert "interrupted True None KeyboardInterrupt" in lines
    assert "usable 7" in lines


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_with_tasks_in_flight():
    """They belong to the parent: in the child they are cancelled, and its pool is fresh."""
    code, lines, _ = script(
        LONG
        + """
warnings.simplefilter("ignore")
x, loss = long(1)
running = engine.submit(loss.backward)
queued = engine.submit(lambda: 7)
begun.wait(10)
if not os.fork():
    for handle in (running, queued):
        try:
            handle.result(1)
        except engine.errors.CancelledError as error:
            print("child", "belongs to the parent" in error.__notes__[0], flush=True)
    print("fresh", engine.submit(lambda: 8).result(5), x.grad, flush=True)
    os._exit(0)
os.wait()
print("parent", running.result(), queued.result(), x.grad is not None)
"""
    )
    assert code == 0
    assert lines.count("child True") == 2
    assert "fresh 8 None" in lines
    assert "parent None 7 True" in lines


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_inside_of_a_task():
    """The child goes on with the forking thread alone, and is no part of the task."""
    code, lines, _ = script(
        LONG
        + """
warnings.simplefilter("ignore")

def task():
    if not os.fork():
        x = engine.ones(3, requires_grad=True)
        (x * 2).sum().backward()
        print("child", x.grad.tolist(), flush=True)
        os._exit(0)
    os.wait()
    return "done"

print("parent", engine.submit(task).result())
"""
    )
    assert code == 0
    assert "child [2.0, 2.0, 2.0]" in lines
    assert "parent done" in lines


INTERRUPTS = """
import faulthandler, random
faulthandler.dump_traceback_later(20, exit=True)  # a hang

sys.unraisablehook = lambda *_: None  # an interrupt while a generator is freed is told, and gone

class Interrupt(KeyboardInterrupt):
    pass

armed = False

def handler(number, frame):
    global armed
    if armed:
        armed = False
        raise Interrupt

signal.signal(signal.SIGALRM, handler)
random.seed(0)
state = engine.modes.state
trials = interrupted = hung = strange = 0
begun = time.monotonic()
pool = engine.WorkerPool(2, heavy=0)
engine.modes.state.pools += (pool,)
while time.monotonic() < begun + (2 if trials > 100 and interrupted > 10 else 12):
    xs = [engine.ones(100, requires_grad=True) for _ in range(2)]
    loss = (xs[0].exp() * xs[1].tanh() + xs[0].sin() * xs[1].cos()).sum()
    handles = [engine.submit(int) for _ in range(3)] + [engine.submit(loss.backward)]
    trials += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-6, 4e-4))
        armed = True
        engine.wait(handles)
        armed = False
    except Interrupt:
        interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    hung += bool(engine.wait(handles, timeout=5).not_done)
    strange += (state.depth, state.handle, state.task, state.pools) != (0, None, None, (pool,))
    engine.set_grad_enabled(True)
deadline = time.monotonic() + 5
while (pool.idle != 2 or pool._flying) and time.monotonic() < deadline:
    time.sleep(0)
print(trials > 100, interrupted > 10, hung, strange, pool.idle, len(pool._flying))
"""


def test_ctrl_c_at_any_moment_of_a_wait_loses_no_task_and_no_worker():
    """The thread that is interrupted may be waiting, or be running a task itself."""
    code, lines, _ = script(INTERRUPTS)
    assert code == 0
    assert lines[-2] == "True True 0 0 2 0"
