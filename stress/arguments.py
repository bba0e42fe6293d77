"""Values on the command line: each is checked before anything runs, and refused with its fix."""

from __future__ import annotations

import argparse
import platform
import re
import sysconfig
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import TypeVar

from stress.core.scenario import MODES
from stress.core.tactics import GIL
from stress.oracles.coding import CAPACITY
from stress.profiles import LEAST
from stress.report.html import MISSING, drawable

__all__ = [
    "crews",
    "duration",
    "folder",
    "gil",
    "hidden",
    "intervals",
    "limit",
    "modes",
    "natural",
    "page",
    "pattern",
    "positive",
    "racers",
    "sizes",
    "target",
    "whole",
]

LARGEST = 10**9  # elements: 8 GB as float64

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

Value = TypeVar("Value")

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


def crews(text: str) -> tuple[int, ...]:
    """Numbers of threads that can race, such as 2,4."""
    return once(racers(part) for part in text.split(","))


def sizes(text: str) -> tuple[int, ...]:
    """Sizes of arrays, such as 1,500,501,1e4."""
    values = [positive(part) for part in text.split(",")]
    if any(value != int(value) for value in values):
        raise Error(f"must be whole numbers of elements, such as 1,500,1e4, got {text!r}")
    if max(values) > LARGEST:
        raise Error(f"must be at most {LARGEST:,} elements, got {text!r}")
    return once(int(value) for value in values)


def once(values: Iterable[Value]) -> tuple[Value, ...]:
    """Each of the values once: two runs of one configuration would be one result."""
    return tuple(dict.fromkeys(values))


def intervals(text: str) -> tuple[float, ...]:
    """Switch intervals in seconds, such as 5e-3,1e-6."""
    return once(positive(part) for part in text.split(","))


def gil(text: str) -> str:
    """With the GIL, without it, or as the interpreter does: no promise that it cannot keep."""
    if text not in GIL:
        raise Error(f"must be one of {', '.join(GIL)}, got {text!r}")
    if text == "0" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        version = platform.python_version()
        raise Error(
            f"this interpreter ({version}) always has the GIL; run the command with a "
            "free-threaded one, python3.13t or python3.14t, in an environment of its own"
        )
    return text


def duration(text: str) -> float:
    """Seconds, from 90, 90s, 2m or 1h."""
    found = re.fullmatch(r"([0-9.]+)([smh]?)", text)
    if not found:
        raise Error(f"must be a time such as 90, 90s, 2m or 1h, got {text!r}")
    return positive(found[1]) * UNITS[found[2]]


def limit(text: str) -> float:
    """Seconds after which a run that tells of no progress hangs."""
    value = duration(text)
    if value < LEAST:
        raise Error(f"must be {LEAST:g}s or more, or every run would count as hung, got {text!r}")
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
    chosen = once(part.strip() for part in text.split(","))
    unknown = [mode for mode in chosen if mode not in MODES]
    if unknown:
        raise Error(f"unknown mode {', '.join(unknown) or text!r}: choose from {', '.join(MODES)}")
    return chosen


def page(text: str) -> Path:
    """A file for the HTML page: refused where the page could not be drawn."""
    if not drawable():
        raise Error(MISSING)
    return target(text)


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise Error(f"not a regular expression: {error}") from None


def target(text: str) -> Path:
    """A file that can be written: said before anything runs, not after.

    One that is not there yet is not left behind: an empty file looks like a result.
    """
    path = Path(text)
    new = not path.exists()
    try:
        with path.open("a"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise Error(f"cannot write {text}: {error.strerror or error}; name another file") from None
    return path


def folder(text: str) -> Path:
    """A folder that can be made, and written to; made again when there is something to write."""
    path = Path(text)
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        target(str(path / "results.jsonl"))
        for folder in new:
            folder.rmdir()
    except OSError as error:
        raise Error(f"cannot make {text}: {error.strerror or error}; name another folder") from None
    return path
