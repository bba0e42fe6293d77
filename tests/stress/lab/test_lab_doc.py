"""docs/lab.md: its commands are commands, everything has its place there, its example runs."""

import argparse
import re
import shlex
from pathlib import Path

from stress import cli
from stress.lab.options import add_lab
from stress.lab.policies import POLICIES
from stress.lab.sources import SOURCES

TOP = Path(__file__).parents[3]
DOC = (TOP / "docs" / "lab.md").read_text("utf-8")
COMMANDS = re.findall(r"^python -m stress (lab [^#\n]*?) *(?:#.*)?$", DOC, re.MULTILINE)


def test_its_commands_are_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # files that are named are opened
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        cli.parser().parse_args(shlex.split(command))


def experiments():
    to = argparse.ArgumentParser().add_subparsers()
    add_lab(to)
    (commands,) = (action for action in to.choices["lab"]._actions
                   if isinstance(action, argparse._SubParsersAction))  # fmt: skip
    return set(commands.choices)


def test_everything_has_its_place():
    assert {command.split()[1] for command in COMMANDS} == experiments()
    quoted = set(re.findall(r"`([\w-]+)`", DOC))
    assert {source.name for source in SOURCES} <= quoted
    assert {policy.name for policy in POLICIES} <= quoted


def test_what_it_records_is_replayed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```\n(python -m stress lab record run\.json.*?)```", DOC, re.DOTALL)
    for line in block.splitlines():
        words = line.partition("#")[0].split()
        assert cli.main(words[words.index("lab") :]) == 0
    assert "drifted: 0" in capsys.readouterr().out
