"""The soak: a short one passes, and each thing that it looks for is found where it is wrong."""

import gc
import json
import os
import threading
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import engine
from engine.runtime import accumulate, handle, task
from stress import cli
from stress.core.result import Verdict
from stress.soak import rounds
from stress.soak.ledger import Entry, audit
from stress.soak.memory import one_arena, resident, slope
from stress.soak.rounds import NEEDED, Settings, Soaked, judge, leftovers, soak
from stress.soak.work import ACTIONS, SIZES, Graph, Shared, Worker
from tests.threads.together import Gate

FAIL = Verdict.FAIL.value


@pytest.fixture(autouse=True)
def _pool_as_it_was():
    yield
    engine.set_num_workers(1)


def short(seconds: float = 0.8, threads: int = 4, seed: int = 0) -> Soaked:
    return soak(Settings(seconds, threads, seed), lambda said: None)


def failing() -> Soaked:
    """The first of some soaks that finds something: one may be too short on a busy machine."""
    outcomes = (short(seed=seed) for seed in range(12))
    return next((outcome for outcome in outcomes if outcome.verdict == FAIL), Soaked())


def test_a_short_soak_finds_nothing_wrong():
    for seed in range(8):  # in one of them all is seen, also where others keep the machine busy
        outcome = short(2.5, 8, seed)
        assert outcome.wrong == []
        if outcome.verdict == Verdict.PASS.value:
            break
    assert outcome.verdict == Verdict.PASS.value, outcome.reason
    assert outcome.contributions > outcome.backwards > 20
    assert outcome.nodes > 5
    assert all(outcome.actions[name] for name in NEEDED)


# What is wrong is found


def lossy(leaf, cells, key, **options):
    if lossy.calls % 50:  # type: ignore[attr-defined]
        merge(leaf, cells, key, **options)
    lossy.calls += 1  # type: ignore[attr-defined]


merge: Any = import_module("engine.runtime.accumulate.merge").merge


@pytest.mark.parametrize("mode", ["locked", "ordered", "reproducible"])
def test_a_lost_contribution_is_found(monkeypatch, mode):
    lossy.calls = 1  # type: ignore[attr-defined]
    monkeypatch.setattr(import_module(f"engine.runtime.accumulate.{mode}"), "merge", lossy)
    outcome = failing()
    assert outcome.verdict == FAIL
    assert "add up to" in outcome.reason


def test_an_early_commit_is_found(monkeypatch):
    """What a backward that fails, or is cancelled, has left behind."""
    monkeypatch.setitem(accumulate.POLICIES, "locked", accumulate.Racy)
    outcome = failing()
    assert outcome.verdict == FAIL
    assert "add up to" in outcome.reason


def test_a_cancellation_that_comes_too_late_is_found(monkeypatch):
    """`cancel()` says True, and the task commits all the same."""
    monkeypatch.setattr(handle.Handle, "claim", lambda self, task: None)
    monkeypatch.setattr(task.GraphTask, "fail", lambda self, position, error: None)
    gate, shared = Gate(), Shared()
    worker = Worker(shared, "late")

    def hooked(self: Worker, what: str) -> Graph:
        graph = Worker.graph(self, what)
        graph.loss.register_hook(lambda g: gate.hold())
        return graph

    monkeypatch.setattr(Worker, "any_graph", hooked)
    with engine.WorkerPool(1):
        engine_cancel = handle.Handle.cancel

        def cancel(self):
            gate.reached()
            won = engine_cancel(self)
            gate.open()
            return won

        monkeypatch.setattr(handle.Handle, "cancel", cancel)
        worker.cancelled()
    assert rounds.accounts(shared, [worker], worker.entries)


def test_a_graph_that_is_kept_is_found():
    worker, kept = Worker(Shared(), "kept"), []
    while not worker.nodes:
        kept = [worker.graph("kept")]
    (wrong,) = leftovers([worker], set(threading.enumerate()), Soaked())
    assert wrong == "1 of 1 graphs are left over"
    kept.clear()
    gc.collect()
    assert not leftovers([worker], set(threading.enumerate()), Soaked())


def test_a_thread_that_stays_is_found(monkeypatch):
    monkeypatch.setattr(rounds, "PATIENCE", 0.1)
    gate, before = Gate(), set(threading.enumerate())
    stays = threading.Thread(target=gate.hold, name="stays")
    stays.start()
    assert leftovers([], before, Soaked()) == ["a thread is left over: stays"]
    gate.open()
    stays.join()


def test_a_ticket_that_nobody_uses_is_found():
    shared = Shared()
    shared.tickets.begin(1)
    (wrong,) = rounds.look(shared, [], set(threading.enumerate()), Soaked())
    assert "tickets are left over" in wrong


def test_a_worker_that_dies_is_found(monkeypatch):
    worker = Worker(Shared(), "dies")
    monkeypatch.setattr(worker, "random", None)
    worker.run(float("inf"))
    assert "AttributeError" in worker.wrong[0]


def test_an_action_that_is_never_seen_is_no_pass():
    outcome = Soaked(actions={act.__name__: 1 for act in ACTIONS})
    judge(outcome)
    assert outcome.verdict == Verdict.INCONCLUSIVE.value
    assert "stopped by CancelledError" in outcome.reason


@pytest.mark.parametrize(("growth", "verdict"), [(0.0, "PASS"), (0.02, "PASS"), (2.0, "FAIL")])
def test_memory_that_grows_is_found(growth, verdict):
    noise = np.random.default_rng(0).normal(size=60) / 10
    looks = [(2.0 * i, 100 + growth * i / 30 + noise[i]) for i in range(60)]
    outcome = Soaked(actions=dict.fromkeys(NEEDED, 1), memory=looks)
    judge(outcome)
    assert outcome.verdict == verdict
    assert outcome.slope is not None
    assert outcome.slope.low < growth < outcome.slope.high


def test_memory_that_settles_is_no_leak():
    looks = [(2.0 * i, 100 + 20 * (1 - 0.5**i)) for i in range(60)]
    found = slope(looks)
    assert found is not None
    assert abs(found.value) < 0.1


def test_too_few_looks_say_nothing():
    assert slope([(2.0 * i, 100.0) for i in range(8)]) is None
    assert slope([(2.0 * i, 0.0) for i in range(80)]) is None


def test_memory_is_measured_here():
    assert resident() > 10


def test_processes_started_meanwhile_have_one_pool_of_free_memory(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    with one_arena():
        assert os.environ["MALLOC_ARENA_MAX"] == "1"
    assert "MALLOC_ARENA_MAX" not in os.environ
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    with one_arena():
        assert os.environ["MALLOC_ARENA_MAX"] == "2"
    assert os.environ["MALLOC_ARENA_MAX"] == "2"


def test_a_doubled_contribution_is_named():
    entries = [Entry(1, 5, "plain"), Entry(1, 70, "nested"), Entry(0, 1, "other")]
    said = audit(1, entries, [np.full(SIZES[1], 145.0)])
    assert said == "leaf 1: 2 contributions add up to 75, found 145; doubled: nested of 70"


# The command


def test_the_command_prints_and_writes_what_came_of_it(tmp_path, capsys):
    path = tmp_path / "soak.json"
    words = ["soak", "--minutes", "0.02", "--threads", "4", "--seed", "3", "--json", str(path)]
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert "backwards that succeeded" in printed.out
    assert "seed 3" in printed.out
    report = json.loads(path.read_text("utf-8"))
    assert report["schema"] == 1
    assert report["soak"]["wrong"] == []
    assert report["settings"]["threads"] == 4
    assert report["soak"]["backwards"] > 0


def test_what_is_wrong_is_exit_code_1(monkeypatch, capsys):
    command: Any = import_module("stress.soak.command")

    class Here:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def call(self, function, settings, limit, progress):
            return Soaked(FAIL, "leaf 0: lost", wrong=["leaf 0: lost"])

    monkeypatch.setattr(command, "Child", Here)
    assert cli.main(["soak", "--minutes", "1"]) == 1
    assert "wrong: leaf 0: lost" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--minutes", "0"], ["--threads", "0"], ["--seed", "x"]])
def test_bad_options_are_exit_code_4(words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["soak", *words])
    assert ended.value.code == 4
