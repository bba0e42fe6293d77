"""Engines that are broken on purpose, and whether a scenario notices."""

from contextlib import nullcontext
from fnmatch import fnmatchcase
from time import monotonic

import numpy as np
import pytest

from engine import sync
from engine.runtime import accumulate as policies
from stress.core.runner import Budget, run
from stress.core.scenario import Params
from stress.scenarios import SCENARIOS

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
SHORT = Budget(seconds=0.05, patience=40.0)
LARGE = 1_000_000  # additions of this size meet each other on every build


def verdict_on(name, mode, size=10_000, threads=2, budget=SHORT):
    """The result of a short run."""
    return run(BY_NAME[name], Params(mode, threads, size), budget)


def caught(name, mode, *keys, size=10_000, within=30.0):
    """Whether the scenario fails with one of the outcomes ``keys``, in any of a few short runs."""
    deadline = monotonic() + within
    while monotonic() < deadline:
        result = verdict_on(name, mode, size)
        if result.verdict == "FAIL":
            seen = [row.key for row in result.rows if row.count]
            return any(fnmatchcase(key, pattern) for key in seen for pattern in keys)
    return False


class NoLocks(sync.Threads):
    """Locks that lock nothing."""

    @staticmethod
    def rlock():
        """None at all."""
        return nullcontext()


@pytest.fixture
def without_leaf_locks():
    """Leaves made meanwhile have no lock."""
    with sync.controlled(NoLocks()):
        yield


def break_commit(monkeypatch, merge):
    """Let ``merge(leaf, g)``, called under the leaf's lock, do what a commit does with a leaf."""

    def commit(self):
        for position, g in self.staged.items():
            leaf = self.nodes[position]
            with leaf.lock:
                merge(leaf, g)

    monkeypatch.setattr(policies.Locked, "commit", commit)


def add(leaf, g):
    """What a sound commit does."""
    if leaf.grad is None:
        leaf.grad = g.copy()
    else:
        np.add(leaf.grad, g, out=leaf.grad)
