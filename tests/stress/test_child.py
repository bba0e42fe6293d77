"""What happens to a child process is a result: it hung, crashed, raised, or gave a value."""

import importlib
import os
import signal
import textwrap
from dataclasses import replace

import pytest

from stress.core.child import Child, Crash, Failure, Hang, _context
from stress.core.job import Job, isolated
from stress.core.runner import Budget
from stress.core.scenario import Params

SOURCE = """
    import os, signal, threading
    from dataclasses import replace
    from stress.core.outcome import acceptable
    from stress.core.scenario import Observation, Scenario

    def idle(state, index):
        pass

    def hang_for_ever(state, index):
        if index:
            threading.Event().wait()

    def die(state, index):
        if index:  # one thread alone: a second crash would cut off the stacks of the first
            signal.raise_signal(signal.SIGSEGV)

    def broken(params):
        raise ZeroDivisionError("oops")

    FINE = Scenario(
        99, "fine", "", "trials", lambda params: None, idle,
        lambda state: Observation({"kept": 1}, overlapped=True),
        {"racy": lambda params: [acceptable("kept", "")]},
    )
    SCENARIOS = (
        FINE,
        replace(FINE, name="hangs", actor=hang_for_ever),
        replace(FINE, name="crashes", actor=die),
        replace(FINE, name="raises", prepare=broken),
    )

    def count_to(limit, report):
        for number in range(limit):
            report(number)
        return limit

    def stand_still(_, report):
        while True:
            report("the same again")
            threading.Event().wait(0.1)  # no GIL: only the stacks of idle threads are sure to come

    def exit_suddenly(code, report):
        os._exit(code)

    def pid(_, report):
        return os.getpid()

    def interrupt_myself(_, report):
        os.kill(os.getpid(), signal.SIGINT)
        return "still here"
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    (folder / "broken_scenarios.py").write_text(textwrap.dedent(SOURCE))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)  # a spawned child gets this path as well
        yield importlib.import_module("broken_scenarios")


@pytest.fixture(scope="module")
def child(source):
    with Child() as child:
        yield child


def job(name):
    return Job("broken_scenarios", name, Params("racy"), Budget(0.05, patience=5.0, limit=1.0))


def test_a_value_comes_back_and_so_does_progress(child, source):
    seen: list[int] = []
    assert child.call(source.count_to, 5, 10.0, seen.append) == 5
    assert seen == [0, 1, 2, 3, 4]


def test_one_child_serves_many_calls(child, source):
    assert child.call(source.pid, None, 10.0) == child.call(source.pid, None, 10.0) != os.getpid()


def test_progress_that_does_not_move_is_a_hang(child, source):
    with pytest.raises(Hang, match=r"no progress for 0\.5 s") as caught:
        child.call(source.stand_still, None, 0.5)
    assert "stand_still" in caught.value.stacks


def test_an_exit_is_a_crash(child, source):
    with pytest.raises(Crash, match="exit code 3"):
        child.call(source.exit_suddenly, 3, 10.0)


def test_an_exception_is_a_failure_with_its_traceback(child, source):
    with pytest.raises(Failure, match="TypeError") as caught:
        child.call(source.count_to, "many", 10.0)
    assert "in count_to" in caught.value.stacks


def test_ctrl_c_is_the_parents_business(child, source):
    assert child.call(source.interrupt_myself, None, 10.0) == "still here"


def test_leaving_the_block_leaves_nothing_running(source):
    with Child() as child:
        pid = child.call(source.pid, None, 10.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_interrupt_while_waiting_ends_the_child(source):
    def interrupt(_):
        raise KeyboardInterrupt

    with Child() as child:
        pid = child.call(source.pid, None, 10.0)
        with pytest.raises(KeyboardInterrupt):
            child.call(source.stand_still, None, 10.0, interrupt)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert child.call(source.pid, None, 10.0) != pid


@pytest.mark.parametrize(
    ("name", "verdict", "reason", "stack"),
    [
        ("hangs", "TIMEOUT", "no progress for 1 s", "hang_for_ever"),
        ("crashes", "CRASH", signal.Signals.SIGSEGV.name, "in die"),
        ("raises", "ERROR", "ZeroDivisionError: oops", "in broken"),
    ],
)
def test_what_becomes_of_a_bad_scenario_is_told_and_the_rest_is_unharmed(
    child, name, verdict, reason, stack
):
    bad, good = isolated(child, job(name)), isolated(child, job("fine"))
    assert (bad.verdict, good.verdict) == (verdict, "PASS")
    assert reason in bad.reason
    assert stack in bad.stacks


def test_a_job_reports_its_samples(child):
    seen: list[int] = []
    long = replace(job("fine"), budget=Budget(0.5))
    result = isolated(child, long, seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= result.samples


@pytest.mark.skipif(os.name != "posix", reason="the server of forks")
def test_an_interrupt_waits_until_a_child_has_started(monkeypatch):
    kind = _context.Process
    begin = kind.start

    def start(process):
        signal.raise_signal(signal.SIGINT)  # the server has heard nothing yet
        begin(process)

    monkeypatch.setattr(kind, "start", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with Child() as child:
            with pytest.raises(KeyboardInterrupt):
                child.call(print, None, 9.0)
            assert child._process.is_alive()
    finally:
        signal.signal(signal.SIGINT, before)
