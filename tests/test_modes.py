"""Whether operations are recorded is a matter of the thread: blocks, decorators, nesting."""

import threading

import pytest

import engine
from engine import modes


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(lib, value):
    return lib.tensor(value, requires_grad=True)


def test_case_38_modes_nest_and_end(lib):
    x = leaf(lib, 1.0)
    with lib.no_grad():
        assert not (x * 2).requires_grad
        with lib.enable_grad():
            assert (x * 2).requires_grad
        with lib.set_grad_enabled(False):
            assert not lib.is_grad_enabled()
        assert not lib.is_grad_enabled()
        assert lib.ones(1, requires_grad=True).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(KeyError), lib.no_grad():
        raise KeyError
    assert lib.is_grad_enabled()


def test_case_38_modes_decorate(lib):
    @lib.no_grad()
    def quiet(x):
        return x * 2

    @lib.enable_grad()
    def loud(x):
        return x * 2

    x = leaf(lib, 1.0)
    assert not quiet(x).requires_grad
    with lib.no_grad():
        assert loud(x).requires_grad
    lib.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    lib.set_grad_enabled(True)


def test_case_62_modes_belong_to_their_thread(lib):
    inside, go_on = threading.Event(), threading.Event()
    seen = []

    def work():
        seen.append(lib.is_grad_enabled())
        with lib.no_grad():
            inside.set()
            go_on.wait()

    with lib.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait()
    seen.append(lib.is_grad_enabled())
    go_on.set()
    thread.join()
    assert seen == [True, True]


def test_one_decorated_function_runs_in_many_threads_at_once():
    meet = threading.Barrier(4)
    seen = []

    @engine.no_grad()
    def quiet():
        meet.wait()
        seen.append(engine.is_grad_enabled())
        meet.wait()

    def work():
        quiet()
        seen.append(engine.is_grad_enabled())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [False] * 4 + [True] * 4


def test_a_finalizer_may_record_while_the_state_of_its_thread_is_made(monkeypatch):
    """The collector may run it in a new thread, where nothing has asked for the modes before."""
    x = engine.tensor([2.0], requires_grad=True)
    made = []

    def finalizer(self):
        with engine.enable_grad(), engine.WorkerPool(0):
            made.append(engine.grad((x * x).sum(), x)[0].item())
        made.append(dict(vars(self)))

    monkeypatch.setattr(modes.ThreadState, "__init__", finalizer)
    thread = threading.Thread(target=lambda: modes.state.grad)
    thread.start()
    thread.join()
    assert made[0] == 4.0
    assert made[1]["before"] == made[1]["pools"] == ()
