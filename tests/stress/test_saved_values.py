"""Writes to saved values: what notices them is proved by taking it away, under every schedule."""

import pytest

from engine import sync
from engine.function.saved import Kept
from engine.inplace import Writable
from engine.opnode import OpNode
from stress.mutants.hunt import Hunt, hunt
from stress.mutants.mutant import Mutant, schedules


def looks_once(self, g, wanted, retain):
    """As ``pull``, but for the look at the versions after the rule."""
    if not self.recipe.saved:
        return self._pulled(g, (), wanted)
    saved = self.take(retain)
    values, checks = saved
    if any(cell[0] is not token for cell, token in zip(checks[1::3], checks[2::3], strict=True)):
        self.give_back(saved, retain)
        self._raise_changed(checks)
    if checks and sync.hook is not None:
        sync.hook("saved.read", self)
    return self._pulled(g, values, wanted)


WRITTEN = (schedules("saved.written", "locked", size=4),)

MUTANTS = (
    Mutant("ops look once", "", [(OpNode, "pull", looks_once)], WRITTEN),
    Mutant("functions look once", "", [(Kept, "check_again", lambda self, node: None)], WRITTEN),
    Mutant("counted after", "", [(Writable, "_writes", lambda self, where: None)], WRITTEN),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_it_a_schedule_is_found_that_gives_a_wrong_gradient(mutant):
    found = hunt(Hunt(__name__, mutant.name, mutant.caught[0]))
    assert found.killed, found.result.reason
    assert "wrong" in found.seen
