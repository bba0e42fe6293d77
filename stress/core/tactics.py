"""How threads are brought to meet: what a run may vary besides what the scenario is run on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["CHAOS", "GIL", "PLAIN", "SYNC", "Tactics", "switching"]

SYNC = ("auto", "spin", "barrier", "free")
CHAOS = ("off", "yield", "starve")
GIL = ("auto", "0", "1")


@dataclass(frozen=True, slots=True)
class Tactics:
    """How a run brings its threads together. Immutable.

    ``sync``: how actors set off: spinning until all are there, from a barrier, or free, each as
    soon as it hears of the trial; ``auto`` spins where threads run at once and cores suffice.
    ``chaos``: what happens at the engine's observation points: nothing, now and then a yield, or
    threads that are held back for milliseconds. ``switch_interval``: how long, in seconds, a
    thread may keep the GIL. At Python's 5 ms an actor that is shorter than that runs to its end
    before another gets a turn, and nothing ever overlaps. ``gil``: whether the process is to have
    the GIL (``1``) or not (``0``); ``auto`` leaves that to the interpreter.
    """

    sync: str = "auto"
    chaos: str = "off"
    switch_interval: float = 1e-4
    gil: str = "auto"

    def granted(self, enabled: bool) -> bool:
        """Whether a process whose GIL is ``enabled``, or not, is one that was asked for."""
        return self.gil == "auto" or enabled is (self.gil == "1")


PLAIN = Tactics()


@contextmanager
def switching(interval: float) -> Iterator[None]:
    """Give other threads the GIL this often, for the block. Process-wide."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
