"""Threads that play one controlled thread after another: to start one costs more than a schedule.

Each keeps its stack, its free memory and its pipe; nothing of what it has played. It is sent away
where that cannot be known: when it was broken off, or never came back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from stress.explore.baton import Baton

__all__ = ["Player", "Troupe"]


class Player:
    """One thread. It plays when it is given its baton, and whoever has given that waits for it."""

    def __init__(self) -> None:
        self.baton = Baton()
        self.part: Callable[[], bool] | None = None  # guarded by the baton
        self._thread = threading.Thread(target=self._play, name="player", daemon=True)
        self._thread.start()  # raises where there can be no more threads
        self.number = self._thread.ident or 0

    def _play(self) -> None:
        """One part after the other, until there is none, or one says that it was the last."""
        while True:
            self.baton.take()
            part, self.part = self.part, None
            if part is None or not part():
                return

    def learn(self, part: Callable[[], bool], name: str) -> None:
        """What to play next, and under which name. While it plays nothing."""
        self.part, self._thread.name = part, name

    def leave(self, patience: float) -> bool:
        """Wait for its end: it plays its last part, or nothing. False if it does not end."""
        self._thread.join(patience)
        if self._thread.is_alive():
            return False
        self.baton.close()
        return True


class Troupe:
    """Players that wait for their next part. Externally synchronised.

    ``over``: the baton of the one who waits for the end of a schedule. ``fresh``: each plays one
    part only, for parts that leave something in their thread.
    """

    def __init__(self, fresh: bool = False) -> None:
        self.over = Baton()
        self._fresh = fresh
        self._free: list[Player] = []

    def enter(self) -> Player:
        """One who plays nothing."""
        return self._free.pop() if self._free else Player()

    def back(self, players: Iterable[Player]) -> None:
        """They have played their parts, and can play others."""
        self._free += players
        if self._fresh:
            self.send_away()

    def disturbed(self) -> None:
        """A player that is out of control may still give what it was lent."""
        self.over = Baton()

    def close(self) -> None:
        """Send all away, and wait for their ends."""
        self.send_away()
        self.over.close()

    def send_away(self) -> None:
        """Let all who are free end; others will be found."""
        for player in self._free:
            player.baton.give()
        for player in self._free:
            player.leave(float(threading.TIMEOUT_MAX))
        self._free.clear()
