"""Which code is explored: what was proved of other code is not proved of this."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from stress.explore.hookset import sources

__all__ = ["changes", "code_of", "place"]

SOME = 3  # files that are named in a message


def place(source: str) -> str:
    """What tells the scenarios of ``source`` from others, from whatever directory."""
    return str(Path(source).resolve()) if source.endswith(".py") else source


def code_of(source: str) -> dict[str, str]:
    """The SHA-256 of every file of the engine, of the harness, and of ``source``, by name.

    The Python that runs them is among them, and NumPy. What scenarios of a user import besides is
    not.
    """
    texts = own(source) | {"Python": sys.version, "NumPy": np.__version__}
    for package in ("engine", "stress"):
        texts |= sources(files(package), f"{package}/")
    return {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}


def own(source: str) -> dict[str, str]:
    """The text of a user's file, or of all files of a module."""
    if source.endswith(".py"):
        return {place(source): Path(source).read_text(encoding="utf-8")}
    spec = find_spec(source)
    if spec is not None and spec.submodule_search_locations:
        return sources(files(source), f"{source}/")
    origin = None if spec is None else spec.origin
    return {source: Path(origin).read_text(encoding="utf-8")} if origin else {}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The files that differ, in words; "" if none does."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    rest = len(names) - SOME
    return ", ".join(names[:SOME]) + (f" and {rest} more" if rest > 0 else "")
