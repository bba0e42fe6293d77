"""Rendezvous: release actors together, so that they meet in the window they are to race in.

Without one, threads seldom meet in a narrow window at all. Spinning releases them within a
microsecond, but only where threads truly run at once; under the GIL every spin burns a switch
interval, so there a barrier is quicker.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

from stress.gilprobe import gil_enabled

__all__ = ["Barrier", "Broken", "Free", "Rendezvous", "Spin", "rendezvous", "start_line"]


# Spins, some 100 us of them, after which a party lets others have its core: on a busy machine the
# one it waits for may be waiting for a core itself.
PATIENCE = 1_000

give_way = getattr(os, "sched_yield", lambda: time.sleep(0))


class Broken(Exception):
    """The rendezvous was broken off: an actor will not come."""


class Rendezvous(Protocol):
    """Where threads wait for each other, any number of times. Internally synchronised."""

    def wait(self, index: int) -> None:
        """Return when all parties wait; ``index`` tells them apart. Raises ``Broken``."""

    def abort(self) -> None:
        """Make all waiting and future parties raise ``Broken``."""


class Spin:
    """A rendezvous that spins: for fewer threads than cores, without a GIL."""

    def __init__(self, parties: int) -> None:
        # Each party writes its own cell and reads the others'. Storing and loading a list item is
        # atomic on every build, cells only grow, and a party that is a round behind still sees
        # values at least as large as the one it waits for, so nobody can pass too early or miss it.
        self._rounds = [0] * parties
        self._broken = False

    def wait(self, index: int) -> None:
        """Return when all parties wait."""
        rounds = self._rounds
        mine = rounds[index] = rounds[index] + 1
        spins = 0
        while min(rounds) < mine:
            if self._broken:
                raise Broken
            spins += 1
            if spins > PATIENCE:
                give_way()

    def abort(self) -> None:
        """Break it off."""
        self._broken = True


class Barrier:
    """A rendezvous that sleeps: under the GIL, or with more threads than cores."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    def wait(self, index: int) -> None:
        """Return when all parties wait."""
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            raise Broken from None

    def abort(self) -> None:
        """Break it off."""
        self._barrier.abort()


class Free:
    """No rendezvous: party 0 opens each round and goes on; others go on when they hear of it."""

    def __init__(self, parties: int) -> None:
        self._heard = threading.Condition()
        self._open = 0  # rounds opened so far; guarded by _heard
        self._rounds = [0] * parties  # party i writes item i alone
        self._broken = False  # guarded by _heard

    def wait(self, index: int) -> None:
        """Open the next round, or return once it is open."""
        self._rounds[index] += 1
        with self._heard:
            if index == 0:
                self._open += 1
                self._heard.notify_all()
            self._heard.wait_for(lambda: self._broken or self._open >= self._rounds[index])
            if self._broken:
                raise Broken

    def abort(self) -> None:
        """Break it off."""
        with self._heard:
            self._broken = True
            self._heard.notify_all()


def rendezvous(parties: int, sync: str = "auto") -> Rendezvous:
    """A rendezvous of ``parties`` threads: ``spin``, ``barrier``, or by default the quickest."""
    cores_suffice = not gil_enabled() and parties <= (os.cpu_count() or 1)
    return (
        Spin(parties) if sync == "spin" or (sync == "auto" and cores_suffice) else Barrier(parties)
    )


def start_line(parties: int, sync: str) -> Rendezvous:
    """Where a trial starts: a rendezvous, or with ``free`` none."""
    return Free(parties) if sync == "free" else rendezvous(parties, sync)
