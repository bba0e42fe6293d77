"""A scenario that goes wrong is reported as what it is, and the rest of the run is unharmed."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stress.report.stream import read

TOP = Path(__file__).parents[2]

SOURCE = """
    import signal, threading
    from dataclasses import replace
    from stress.core.outcome import acceptable, forbidden
    from stress.core.scenario import Observation, Scenario, Skip

    def work(state, index):
        threading.Event().wait(0.001)  # long enough to meet

    def hang(state, index):
        if index:
            threading.Event().wait()

    def segfault(state, index):
        if index:
            signal.raise_signal(signal.SIGSEGV)

    def leak(state, index):
        if index and not any(t.name == "forgotten" for t in threading.enumerate()):
            threading.Thread(target=threading.Event().wait, name="forgotten").start()

    def skip(params):
        raise Skip("only on Tuesdays")

    def alone(state):
        return Observation({"kept": 1}, overlapped=False)

    def broken(state):
        raise ZeroDivisionError("oops")

    KEPT = [acceptable("kept", ""), forbidden("lost", "must not be")]
    FINE = Scenario(
        1, "fine", "", "trials", lambda params: None, work, lambda state: Observation({"kept": 1}),
        {"racy": lambda params: KEPT}, minimum=lambda params: 3,
    )
    SCENARIOS = (
        FINE,
        replace(FINE, name="hangs", actor=hang),
        replace(FINE, name="segfaults", actor=segfault),
        replace(FINE, name="leaks", actor=leak),
        replace(FINE, name="alone", arbiter=alone),
        replace(FINE, name="skipped", prepare=skip),
        replace(FINE, name="broken", arbiter=broken),
        replace(FINE, name="loses", arbiter=lambda state: Observation({"lost": 1})),
        replace(FINE, name="fine too"),
    )
"""

ENDS = {
    "fine": ("PASS", ""),
    "hangs": ("TIMEOUT", "no progress for 2 s"),
    "segfaults": ("CRASH", "SIGSEGV"),
    "leaks": ("FAIL", "left a thread running: forgotten"),
    "alone": ("INCONCLUSIVE", "never overlapped"),
    "skipped": ("SKIPPED", "only on Tuesdays"),
    "broken": ("ERROR", "ZeroDivisionError: oops"),
    "loses": ("FAIL", "must not be"),
    "fine too": ("PASS", ""),
}


def stress(*words):
    return subprocess.run(
        [sys.executable, "-m", "stress", *map(str, words)], cwd=TOP, capture_output=True, text=True,
        timeout=50, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad") / "bad_scenarios.py"
    path.write_text(textwrap.dedent(SOURCE))
    return path


@pytest.fixture(scope="module")
def said(source):
    ended = stress("run", "--scenarios", source, "--seconds", "0.05", "--budget", "25s", "--limit",
                   "2s", "-o", source.parent / "results")  # fmt: skip
    assert ended.returncode == 8, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def folder(source, said):
    return source.parent / "results"


@pytest.fixture(scope="module")
def results(folder):
    return {result.name: result for result in read(folder / "summary.json").results}


@pytest.mark.parametrize("name", ENDS)
def test_each_is_reported_as_what_it_is(results, name):
    verdict, reason = ENDS[name]
    assert results[name].verdict == verdict
    assert reason in results[name].reason
    assert bool(results[name].reason) is bool(reason)


@pytest.mark.parametrize(
    ("name", "place"),
    [("hangs", "in hang"), ("segfaults", "in segfault"), ("leaks", "forgotten"),
     ("broken", "in broken")],
)  # fmt: skip
def test_the_stacks_say_where(results, name, place):
    assert place in results[name].stacks


def test_the_stream_tells_the_same(folder, results):
    seen = read(folder / "results.jsonl")
    assert {result.name: result for result in seen.results} == results
    assert (seen.command, seen.exit_code) == ("run", 8)


def test_the_stream_announces_what_it_is_at(folder):
    lines = (folder / "results.jsonl").read_text("utf-8").splitlines()
    seen = [json.loads(line) for line in lines]
    assert [event["event"] for event in seen] == ["begin", *["start", "result"] * 9, "end"]
    for start, result in zip(seen[1:-1:2], seen[2:-1:2], strict=True):
        assert start["name"] == result["name"]
        assert start["params"] == result["params"]


def test_junit_tells_failures_from_errors_and_from_what_was_skipped(folder):
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "9", "failures": "2", "errors": "3", "skipped": "2"}
    kinds = {
        case.get("name", "").partition("[")[0]: [
            part.tag for part in case if part.tag != "properties"
        ]
        for case in suite
    }
    assert kinds["fine"] == []
    assert kinds["hangs"] == kinds["segfaults"] == kinds["broken"] == ["error"]
    assert kinds["leaks"] == kinds["loses"] == ["failure"]
    assert kinds["alone"] == kinds["skipped"] == ["skipped"]


def test_a_report_shows_it_all_again(folder, tmp_path):
    junit = tmp_path / "again.xml"
    ended = stress("report", folder / "results.jsonl", "--junit", junit)
    assert ended.returncode == 8
    for verdict, reason in ENDS.values():
        assert verdict in ended.stdout
        assert reason in ended.stdout
    assert junit.read_bytes() == (folder / "junit.xml").read_bytes()


def test_a_report_names_the_file_in_its_commands(folder, source):
    assert read(folder / "results.jsonl").scenarios == str(source)
    assert read(folder / "summary.json").scenarios == str(source)
    pytest.importorskip("jinja2")
    page = folder / "again.html"
    stress("report", folder / "results.jsonl", "--html", page)
    assert page.read_text("utf-8") == (folder / "report.html").read_text("utf-8")
    assert f"--scenarios {source}" in page.read_text("utf-8")


def test_the_page_tells_each_as_what_it_is(folder):
    pytest.importorskip("jinja2")
    text = (folder / "report.html").read_text("utf-8")
    for name, (verdict, reason) in ENDS.items():
        assert f'data-scenario="{name}" data-mode="racy" data-verdict="{verdict}"' in text
        assert reason.partition("'")[0] in text
    for place in ("in hang", "in segfault", "forgotten", "in broken"):
        assert place in text


def test_the_terminal_tells_each_as_what_it_is(said):
    for name, (verdict, reason) in ENDS.items():
        assert re.search(rf"^{name} +racy .* {verdict}$", said, re.MULTILINE)
        assert not reason or re.search(rf"^{name} racy 10,000: {verdict}: .*{reason}", said, re.M)
    for place in ("in hang", "in segfault", "forgotten", "in broken"):
        assert place in said


def test_exitfirst_stops_at_the_first_that_fails(source):
    ended = stress("run", "--scenarios", source, "-t", "loses|fine|broken", "--seconds", "0.05",
                   "-x")  # fmt: skip
    assert ended.returncode in (1, 3)
    assert "-x: stopped at the first failure" in ended.stdout
    assert (
        len([line for line in ended.stdout.splitlines() if " FAIL:" in line or " ERROR:" in line])
        == 1
    )


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_run_that_is_killed_leaves_what_it_found(source, tmp_path):
    out = tmp_path / "results.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "stress", "run", "--scenarios", str(source), "-t", "fine",
         "--seconds", "0.05", "--forever", "-o", str(tmp_path)],
        cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and (
        not out.exists() or out.read_text().count('"event": "result"') < 4
    ):
        threading.Event().wait(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    seen = read(out)
    assert len(seen.results) == 2  # one for each configuration, whatever the rounds
    assert max(result.params.seed for result in seen.results) >= 1  # the last round's
    assert seen.exit_code is None
    ended = stress("report", out)
    assert ended.returncode == 2
    assert "2 of 2 planned were run" in ended.stdout
