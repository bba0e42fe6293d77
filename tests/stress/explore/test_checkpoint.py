"""A search goes on where it stood, unless what it stood on has changed."""

import json
import re

import pytest

from stress.core.source import SHIPPED
from stress.explore import checkpoint, code, search
from stress.explore.checkpoint import Checkpoint, CheckpointError
from stress.explore.search import Search, Settings, work_through
from tests.stress.explore.toys import HERE, aim, searched, steps, toy

LONG = toy(steps(5))


def interrupted(path, settings, monkeypatch):
    """A search that was stopped after some schedules, and kept."""
    monkeypatch.setattr(search, "BATCH", 10)
    part = Search(aim(LONG), settings)
    kept = Checkpoint(path, settings)

    def stop(found):
        if found.tally.schedules > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_through(part, [HERE], 30.0, stop)
    kept.keep(part)
    kept.write()
    return part


@pytest.mark.parametrize("strategy", ["dfs", "random"])
def test_a_search_goes_on_where_it_stood(strategy, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "NOTICE", 0.001)
    settings = Settings(strategy, bound=2, schedules=None if strategy == "dfs" else 120)
    whole = searched(LONG, strategy=strategy, bound=2, schedules=settings.schedules)
    part = interrupted(tmp_path / "x", settings, monkeypatch)
    assert 50 < part.tally.schedules < whole.tally.schedules
    rest = Search(aim(LONG), settings)
    known = Checkpoint(tmp_path / "x", settings).known(rest)
    assert known is not None
    rest.restore(known)
    assert rest.tally.schedules == part.tally.schedules
    work_through(rest, [HERE], 30.0, lambda search: None)
    assert rest.tally.schedules == whole.tally.schedules
    assert rest.tally.outcomes == whole.tally.outcomes


def written(path, settings, source=SHIPPED):
    kept = Checkpoint(path, settings, source)
    kept.keep(Search(aim(LONG), settings))
    kept.write()


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    path = tmp_path / "x"
    written(path, Settings(bound=1))
    with pytest.raises(CheckpointError, match="made with bound=1; use the same"):
        Checkpoint(path, Settings(bound=2))
    with pytest.raises(CheckpointError, match=r"of --scenarios stress\.scenarios; use"):
        Checkpoint(path, Settings(bound=1), "stress.mutants")


@pytest.mark.parametrize("name", ["engine/sync.py", "stress/explore/trial.py", "Python", "mine"])
def test_a_checkpoint_of_other_code_is_refused(name, tmp_path, monkeypatch):
    path, mine = tmp_path / "x", tmp_path / "mine.py"
    mine.write_text("SCENARIOS = ()")
    written(path, Settings(), str(mine))
    Checkpoint(path, Settings(), str(mine))
    monkeypatch.chdir(tmp_path)
    Checkpoint(path, Settings(), "mine.py")
    if name == "mine":
        name = str(mine)
        mine.write_text("SCENARIOS = []")
    else:
        monkeypatch.setattr(checkpoint, "code_of", lambda at: code.code_of(at) | {name: "pass"})
    words = f"changed since: {re.escape(name)}; explore again: delete it"
    with pytest.raises(CheckpointError, match=words):
        Checkpoint(path, Settings(), str(mine))


def test_the_code_of_a_module_is_all_of_it():
    assert set(code.code_of("stress.environment")) - set(code.code_of(SHIPPED)) == {
        "stress.environment"
    }
    assert "tests.stress/explore/toys.py" in code.code_of("tests.stress")


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text('{"version": 3}')
    with pytest.raises(CheckpointError, match="has version 3, not 4; explore again"):
        Checkpoint(path, Settings())


@pytest.mark.parametrize(
    ("was", "now"),
    [('"schedules": 0', '"schedules": 9'), ('[""]', "[]"), ('"fresh"', '"flesh"'), ("{}", "[]")],
)
def test_a_damaged_checkpoint_is_refused(was, now, tmp_path):
    """Or what it has lost would count as proved."""
    path = tmp_path / "x"
    written(path, Settings())
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    with pytest.raises(CheckpointError, match="is damaged: not as it was written; explore again"):
        Checkpoint(path, Settings())


@pytest.mark.parametrize(
    "content", ["nonsense", "[]", json.dumps({"version": 4, "source": SHIPPED, "code": []})]
)
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Checkpoint(path, Settings())
