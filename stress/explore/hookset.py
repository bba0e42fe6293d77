"""The points at which the engine can be interrupted: a schedule is of no use for another set."""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2s
from importlib.resources import files
from importlib.resources.abc import Traversable

from stress.explore.trial import CHUNKS

__all__ = ["difference", "hook_set", "hook_set_hash"]

POINT = re.compile(r'\b(?:hook|inside)\("([a-z.]+)"|\bsync\.(lock|rlock|queue|start_thread)\(')


def sources(folder: Traversable, where: str = "") -> dict[str, str]:
    """The text of every module below ``folder``."""
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        name = f"{where}{entry.name}"
        if entry.is_dir():
            found |= sources(entry, f"{name}/")
        elif name.endswith(".py"):
            found[name] = entry.read_text(encoding="utf-8")
    return found


@cache
def hook_set() -> tuple[str, ...]:
    """Every place of the engine's source that announces a point or makes a primitive, sorted.

    From the source and not from a run, so that what a run did not come to counts as well.
    """
    places = [f"chunks {CHUNKS}"]
    for name, text in sources(files("engine")).items():
        places += [f"{name} {point or made}" for point, made in POINT.findall(text)]
    return tuple(sorted(places))


def hook_set_hash() -> int:
    """The set in two bytes."""
    text = "\n".join(hook_set()).encode()
    return int.from_bytes(blake2s(text, digest_size=2).digest(), "big")


def difference(before: tuple[str, ...]) -> str:
    """What has come to the set since it was ``before``, and what is gone."""
    now = hook_set()
    parts = [f"new: {place}" for place in sorted(set(now) - set(before))]
    parts += [f"gone: {place}" for place in sorted(set(before) - set(now))]
    return "; ".join(parts) or "the same places, more or fewer of them"
