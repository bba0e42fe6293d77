"""docs/stress.md alone is enough: its example gives a verdict, a report, a replay, and a test."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from stress.core.result import Result, Verdict
from stress.core.scenario import MODES, Params
from stress.core.tactics import Tactics
from stress.exits import Exit
from stress.profiles import PROFILES
from tests.stress.plugged import PLUGIN

TOP = Path(__file__).parents[2]
DOC = (TOP / "docs" / "stress.md").read_text("utf-8")
EXAMPLE, IN_A_SUITE = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


def here(folder, *words):
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=55,
        check=False, env={"PYTHONPATH": str(TOP), "PATH": ""},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my_scenarios.py").write_text(EXAMPLE)
    wrong = EXAMPLE.replace('interesting("lost"', 'forbidden("lost"')
    assert wrong != EXAMPLE
    (folder / "wrong.py").write_text(wrong)
    return folder


def test_the_example_is_short():
    lines = [line for line in EXAMPLE.splitlines() if line and "import" not in line]
    assert len(lines) <= 24


def test_a_verdict_and_a_report(folder):
    ended = here(folder, "-m", "stress", "run", "--scenarios", "my_scenarios.py", "--seconds",
                 "0.2", "-o", "results")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    for mode in ("racy", "locked"):
        assert re.search(rf"my\.step +{mode} .* PASS", ended.stdout)
    again = here(folder, "-m", "stress", "report", "results/results.jsonl")
    assert again.returncode == 0, again.stderr
    assert re.search(r"my\.step +locked .* PASS", again.stdout)


def test_a_replay(folder):
    found = here(folder, "-m", "stress", "explore", "my.step", "--scenarios", "wrong.py", "--mode",
                 "racy")  # fmt: skip
    assert found.returncode == 1, found.stdout + found.stderr
    command = re.search(r"python -m stress (replay .*)", found.stdout)
    assert command is not None
    replayed = here(folder, "-m", "stress", *command[1].split(), "--times", "3")
    assert replayed.returncode == 1
    assert "3/3 lost" in replayed.stdout


def test_the_example_in_a_suite_of_the_users(folder):
    (folder / "test_mine.py").write_text(IN_A_SUITE)
    ended = here(folder, "-m", "pytest", *PLUGIN, "-q", "-rs", "test_mine.py")
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def test_everything_has_its_place_in_the_document():
    words = set(re.findall(r"\w+", DOC))
    for kind in (Result, Params, Tactics):
        assert {item.name for item in fields(kind)} <= words
    assert {verdict.value for verdict in Verdict} <= words
    assert set(MODES) | set(PROFILES) | {str(int(code)) for code in Exit} <= words
