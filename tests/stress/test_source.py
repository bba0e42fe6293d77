"""Scenarios of users: what is loaded, and what is refused with its fix."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stress.core.source import SourceError, load

TOP = Path(__file__).parents[2]

GOOD = """
    from helper_of_mine import KEY
    from stress.core.outcome import acceptable
    from stress.core.scenario import Observation, Scenario

    def one(name, modes=("racy",)):
        declare = lambda params: [acceptable(KEY, "")]
        return Scenario(1, name, "", "trials", lambda params: None, lambda state, index: None,
                        lambda state: Observation({KEY: 1}), dict.fromkeys(modes, declare))

    SCENARIOS = [one("a"), one("b")]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file of scenarios, after GOOD."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "helper_of_mine.py").write_text("KEY = 'kept'")

    def made(rest="", start=GOOD):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(start) + textwrap.dedent(rest))
        monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
        return str(path)

    return made


def test_a_file_may_import_its_neighbours_and_is_executed_once(write):
    path = write()
    assert [scenario.name for scenario in load(path)] == ["a", "b"]
    assert load(path)[0] is load(path)[0]


@pytest.mark.parametrize(
    ("rest", "fix"),
    [
        ("SCENARIOS = None", "must be a list or tuple of Scenario"),
        ("SCENARIOS = ['a']", "must be a list or tuple of Scenario"),
        ("del SCENARIOS", "must be a list or tuple of Scenario"),
        ("SCENARIOS = [one('a'), one('a')]", "two scenarios are called 'a'"),
        ("SCENARIOS = [one('a', ('fast',))]", "none of the modes racy, locked"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_what_cannot_be_run_is_refused(write, rest, fix):
    with pytest.raises(SourceError, match=fix) as caught:
        load(write(rest))
    assert "mine.py" in str(caught.value)


def test_a_file_that_was_mended_loads(write):
    with pytest.raises(SourceError):
        load(write("1 / 0"))
    assert len(load(write())) == 2


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("{}/mine", r"no such module; did you mean {}/mine\.py\?"),
        ("{}/yours", r"no such module; a file is named as in {}/yours\.py"),
        ("nowhere.at_all", "no such module"),
        ("stress.nowhere", "no such module"),
        ("importing_of_mine", "importing_of_mine: ModuleNotFoundError: No module named 'nowhere'"),
        ("failing_of_mine", "failing_of_mine: ZeroDivisionError"),
        ("", "ValueError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused(write, tmp_path, monkeypatch, source, fix):
    write()
    (tmp_path / "importing_of_mine.py").write_text("import nowhere")
    (tmp_path / "failing_of_mine.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match=fix.format(tmp_path)):
        load(source.format(tmp_path))


@pytest.mark.parametrize("command", ["run", "list", "explore"])
def test_the_command_line_refuses_with_exit_code_4(command):
    ended = subprocess.run(
        [sys.executable, "-m", "stress", command, "--scenarios", "nowhere.py"], cwd=TOP,
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert ended.returncode == 4
    assert "nowhere.py: there is no such file" in ended.stderr
    assert "Traceback" not in ended.stderr
