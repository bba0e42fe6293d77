"""Chaos: a hook that now and then makes a thread yield, or wait, where threads meet.

A yield lets another thread in at a point where the switch interval would seldom end. Starving goes
further, as rr's chaos mode does: some threads get a low priority for a while and are held back for
milliseconds, so that others run far ahead of them. Neither makes anything happen that could not
happen anyway; both make rare things less rare. What is drawn depends on the seed and the thread's
name alone; what comes of it depends on the machine as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random

import engine

__all__ = ["Starve", "Yield", "chaos"]

YIELDS = 1 / 8  # of the points that a thread passes
HELD = 1 / 4  # of the points that a thread of low priority passes
LOW = 0.3  # of the time a thread has a low priority: with few threads less would often be none
DRAW = 0.05  # seconds after which a thread draws its priority anew
PAUSES = tuple(0.001 * 2**power for power in range(7))  # seconds: 1 to 64 ms
SHARE = 0.2  # of a thread's time that it may be held at most: the rest is for work


class Yield:
    """A hook: each point that is passed is, with a probability of 1/8, a yield.

    Internally synchronised: what a thread draws from is its own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.own = threading.local()

    def __call__(self, point: str, subject: object) -> None:
        """Perhaps yield."""
        if self.random().random() < YIELDS:
            time.sleep(0)

    def random(self) -> Random:
        """This thread's generator."""
        if not hasattr(self.own, "random"):
            self.own.random = Random(f"{self.seed} {threading.current_thread().name}")
        return self.own.random  # type: ignore[no-any-return]


class Starve(Yield):
    """A hook: threads of low priority are held back, for 1 to 64 ms, a fifth of the time at most.

    Internally synchronised: priority and time are each thread's own.
    """

    def __call__(self, point: str, subject: object) -> None:
        """Perhaps wait."""
        own, random, now = self.own, self.random(), time.monotonic()
        if not hasattr(own, "began"):
            own.began, own.held, own.drawn = now, 0.0, -DRAW
        if now - own.drawn >= DRAW:
            own.low, own.drawn = random.random() < LOW, now
        pause = random.choice(PAUSES)
        if own.low and random.random() < HELD and own.held + pause <= SHARE * (now - own.began):
            own.held += pause
            time.sleep(pause)


HOOKS: dict[str, Callable[[int], Yield]] = {"yield": Yield, "starve": Starve}


def chaos(kind: str, seed: int) -> AbstractContextManager[None]:
    """For a ``with`` block, chaos of ``kind`` at every observation point. Process-wide.

    >>> with chaos("yield", seed=0):
    ...     engine.ones(3, requires_grad=True).sum().backward()
    """
    return engine.sync.hooked(HOOKS[kind](seed)) if kind in HOOKS else nullcontext()
