"""Values on the command line: each is checked before anything runs, and refused with its fix."""

from __future__ import annotations

import argparse
import re
from math import isfinite
from pathlib import Path

from stress.core.scenario import MODES
from stress.oracles.coding import CAPACITY

__all__ = ["hidden", "modes", "natural", "pattern", "positive", "racers", "target", "whole"]

Error = argparse.ArgumentTypeError


def natural(text: str) -> int:
    """An integer from 1 on."""
    value = whole(text)
    if value < 1:
        raise Error(f"must be 1 or more, got {text}")
    return value


def racers(text: str) -> int:
    """A number of threads that can race, and whose contributions one array can tell apart."""
    value = whole(text)
    if not 2 <= value <= CAPACITY["float64"]:
        raise Error(f"must be from 2 (or nothing can race) to {CAPACITY['float64']}, got {text}")
    return value


def whole(text: str) -> int:
    """An integer from 0 on."""
    try:
        value = int(text)
    except ValueError:
        raise Error(f"must be a whole number, got {text!r}") from None
    if value < 0:
        raise Error(f"must be 0 or more, got {text}")
    return value


def positive(text: str) -> float:
    """A positive, finite number."""
    try:
        value = float(text)
    except ValueError:
        raise Error(f"must be a number, got {text!r}") from None
    if not (isfinite(value) and value > 0):
        raise Error(f"must be more than 0 and finite, got {text}")
    return value


def hidden(text: str) -> tuple[int, ...]:
    """Widths of hidden layers, such as 128 or 128,64."""
    return tuple(natural(part) for part in text.split(","))


def modes(text: str) -> tuple[str, ...]:
    """One mode or several, such as racy,locked."""
    chosen = tuple(part.strip() for part in text.split(","))
    unknown = [mode for mode in chosen if mode not in MODES]
    if unknown:
        raise Error(f"unknown mode {', '.join(unknown) or text!r}: choose from {', '.join(MODES)}")
    return chosen


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise Error(f"not a regular expression: {error}") from None


def target(text: str) -> Path:
    """A file that can be written: said before anything runs, not after."""
    path = Path(text)
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise Error(f"cannot write {text}: {error.strerror or error}; name another file") from None
    return path
