"""Writes to saved values: what notices them is proved by taking it away, under every schedule."""

import threading

import pytest

from engine import inplace, opnode
from engine.function.saved import Kept
from stress.mutants.hunt import Hunt, hunt
from stress.mutants.mutant import Mutant, schedules

_looked = threading.local()


def looks_once(checks, stale=opnode._stale):
    """As ``_stale`` before the rule; after it, everything is as it should be."""
    if getattr(_looked, "checks", None) is checks:
        _looked.checks = None
        return False
    _looked.checks = checks
    return stale(checks)


WRITTEN = (schedules("saved.written", "locked", size=4),)

MUTANTS = (
    Mutant("ops look once", "", [(opnode, "_stale", looks_once)], WRITTEN),
    Mutant("functions look once", "", [(Kept, "check_again", lambda self, node: None)], WRITTEN),
    Mutant("counted after", "", [(inplace, "begin", lambda cell, where: None)], WRITTEN),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_it_a_schedule_is_found_that_gives_a_wrong_gradient(mutant):
    found = hunt(Hunt(__name__, mutant.name, mutant.caught[0]))
    assert found.killed, found.result.reason
    assert "wrong" in found.seen
