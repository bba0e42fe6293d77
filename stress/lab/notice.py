"""How far an experiment has come: told so often that a long one is not taken for one that hangs."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Notice", "part", "unheard"]

Notice = Callable[[float, str], None]  # the fraction that is done, and what is under way


def unheard(fraction: float, note: str) -> None:
    """Nobody wants to know."""


def part(notice: Notice, index: int, total: int) -> Notice:
    """What tells of one of so many equal parts of the work.

    >>> part(lambda fraction, note: print(fraction, note), 1, 4)(0.5, "half of the second")
    0.375 half of the second
    """
    return lambda fraction, note: notice((index + fraction) / total, note)
