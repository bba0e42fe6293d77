"""Processes whose engine is broken are told so by the lives that they lead."""

import subprocess
import sys

import pytest

from stress.scenarios import process

LEAD = """
from time import monotonic
from stress.scenarios import lives
lives.PATIENCE, lives.DAWDLE = {patience}, 0.003
lives.LIVES[{life!r}]({mode!r})
print("leaving", monotonic(), flush=True)
"""
SOUND = ""
WRITES_WHAT_IT_HAS = """
from engine.runtime import execute
raise_first = execute._raise_first
def commit_first(task):
    task.policy.commit()
    raise_first(task)
execute._raise_first = commit_first
"""
GOES_ON = """
from engine.runtime.task import GraphTask
def note(self, position, error, edge=0.0):
    with self.lock:
        self.errors.append((position, edge, error))
GraphTask.fail = note
"""
KEEPS_THE_POOLS_OF_THE_PARENT = """
import os
register = os.register_at_fork
def forget(**functions):
    if getattr(functions.get("after_in_child"), "__module__", "") != "engine.runtime.pool":
        register(**functions)
os.register_at_fork = forget
"""


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """On a busy machine an interpreter takes its time to start."""
    monkeypatch.setattr(process, "LIMIT", 120.0)


def led(life, broken=SOUND, mode="locked", patience=15.0):
    """How such a process ends."""
    with subprocess.Popen(
        [sys.executable, "-c", broken + LEAD.format(life=life, mode=mode, patience=patience)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        return process.watched(child)


@pytest.mark.parametrize("life", ["interrupt", "fork_idle", "fork_busy"])
def test_a_sound_engine_leads_them(life):
    fate, said, _ = led(life)
    assert (fate, said) == ("clean", "")


def test_an_interrupt_that_writes_a_part_is_told():
    fate, said, _ = led("interrupt", WRITES_WHAT_IT_HAS)
    assert fate == "wrong"
    assert "something of it was written" in said


def test_an_interrupt_that_comes_when_all_is_done_takes_as_long():
    fate, _, took = led("interrupt", GOES_ON, "functional")
    assert (fate, took > 0.5) == ("clean", True)  # two hundred and more nodes later


@pytest.mark.parametrize("life", ["fork_idle", "fork_busy"])
def test_a_child_that_has_the_pools_of_its_parent_is_told(life):
    fate, said, _ = led(life, KEEPS_THE_POOLS_OF_THE_PARENT, patience=4.0)
    assert fate == "wrong"
    assert "WaitTimeoutError" in said or "status" in said
