"""How runs end: their exit codes, by themselves and by Ctrl-C, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from stress import cli, record, run
from stress.core.result import Result
from stress.core.scenario import Params
from stress.report.verdicts import hint

TOP = Path(__file__).parents[2]


def gone(group, patience=10.0):
    """Whether no process of the group is left."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
    return False


def interrupted(path, mark, *words, send="killpg", number=signal.SIGINT):
    """A run that gets a signal as soon as ``mark`` stands in the file at ``path``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stress", *map(str, words)], cwd=TOP, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(path.parent)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 25
        while time.monotonic() < deadline and not (path.exists() and mark in path.read_text()):
            time.sleep(0.05)
        getattr(os, send)(process.pid, number)
        said, errors = process.communicate(timeout=25)
    except BaseException:  # nothing that does not end outlives the test
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 2, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert gone(process.pid)
    assert not [name for name in os.listdir(path.parent) if name.startswith(("pymp-", "stress-"))]
    return said


@pytest.mark.skipif(os.name != "posix", reason="process groups")
@pytest.mark.parametrize(
    ("send", "number"),
    [
        ("killpg", signal.SIGINT),  # as a terminal does it: to all of the group
        ("killpg", signal.SIGTERM),  # as `timeout` does it
        ("kill", signal.SIGTERM),
    ],
)
def test_an_interrupt_is_exit_code_2_and_keeps_what_there_is(tmp_path, send, number):
    words = ["run", "-t", "ones", "--mode", "locked", "--seconds", "1", "--forever"]
    said = interrupted(tmp_path / "results.jsonl", '"result"', *words, "-o", tmp_path,
                       send=send, number=number)  # fmt: skip
    assert "exit code 2" in said
    assert re.search(r"[1-9] of \d planned were run", said)
    kept = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert kept["exit_code"] == 2
    assert kept["results"][0]["verdict"] in ("PASS", "INCONCLUSIVE")  # on a busy machine
    assert (tmp_path / "junit.xml").exists()


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_ctrl_c_tells_what_was_explored_until_then(tmp_path):
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out.json"
    words = ["explore", "accumulate.ones", "--mode", "racy", "--preemptions", "9", "--jobs", "1"]
    said = interrupted(checkpoint, '"lost"', *words, "--budget", "60s", "--checkpoint", checkpoint,
                       "--json", out)  # fmt: skip
    assert "exit code 2" in said
    assert "replay accumulate.ones:" in said
    assert "interrupted after" in said
    assert "budget" not in said
    kept = json.loads(out.read_text("utf-8"))
    assert {result["name"] for result in kept["results"]} == {"accumulate.ones"}


# How runs end, without running them


@pytest.fixture
def ending(monkeypatch):
    """The exit code of a run whose results are made up."""

    def end(*verdicts, options=()):
        made_up = [
            Result(1, "made.up", Params("racy", size=size), verdict)
            for size, verdict in enumerate(verdicts)
        ]

        def run_all(*arguments, ends, **keywords):
            for result in made_up:
                ends(result)
            return made_up

        monkeypatch.setattr(run, "run_all", run_all)
        return cli.main(["run", *options])

    return end


def test_a_forbidden_outcome_is_exit_code_1(ending):
    assert ending("PASS", "FAIL") == 1


def test_what_another_run_has_written_does_not_outlive_it(ending, tmp_path, monkeypatch):
    for name in ("summary.json", "junit.xml", "report.html"):
        (tmp_path / name).write_text("of another run")

    def die(*arguments, **keywords):
        raise SystemExit(9)

    monkeypatch.setattr(record, "verdicts", die)  # as if it was killed here
    with pytest.raises(SystemExit):
        ending("PASS", options=["-o", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_hang_is_exit_code_7_and_a_crash_8(ending):
    assert ending("TIMEOUT", "FAIL") == 7
    assert ending("TIMEOUT", "CRASH") == 8


def test_too_little_evidence_fails_only_if_wanted(ending):
    assert ending("INCONCLUSIVE") == 0
    assert ending("INCONCLUSIVE", options=["--fail-on", "inconclusive"]) == 6


def test_an_error_of_the_harness_is_exit_code_3(ending, monkeypatch, capsys):
    assert ending("ERROR") == 3
    monkeypatch.setattr(run, "introduce", lambda gil: 1 / 0)
    assert cli.main(["run"]) == 3
    assert "division by zero" in capsys.readouterr().err


def test_an_interrupt_before_the_run_is_exit_code_2(monkeypatch):
    def interrupt(gil):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "introduce", interrupt)
    assert cli.main(["run"]) == 2


@pytest.mark.parametrize(("options", "explored"), [([], 3), (["-x"], 1)])
def test_x_stops_what_is_explored_as_well(ending, monkeypatch, options, explored):
    begun = []

    def explore_all(*arguments):
        for size in range(3):
            begun.append(size)
            params = Params("racy", size=size, explored=True)
            yield SimpleNamespace(result=Result(1, "made.up", params, "FAIL"))

    monkeypatch.setattr(run, "explore_all", explore_all)
    assert ending("PASS", options=["--profile", "nightly", "-t", "ones", *options]) == 1
    assert len(begun) == explored


@pytest.mark.parametrize(("explored", "told"), [(True, False), (False, True)])
def test_others_on_the_machine_explain_only_what_was_sampled(monkeypatch, capsys, explored, told):
    monkeypatch.setattr(os, "getloadavg", lambda: (9.0, 9.0, 9.0), raising=False)
    hint([Result(1, "made.up", Params("racy", explored=explored), "INCONCLUSIVE")], cores=2)
    assert ("the machine is busy" in capsys.readouterr().out) is told
