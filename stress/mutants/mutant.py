"""What a mutant is: a part of the engine that is replaced, and what must notice it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from engine import sync
from stress.core.scenario import Params

__all__ = ["Catch", "Mutant", "gap", "schedules", "threads"]

# So many schedules at most: what is not found among them, a scenario does not find.
SCHEDULES = 400

Patch = tuple[Any, str, Any]  # (module or class, attribute, what takes its place)


@dataclass(frozen=True, slots=True)
class Catch:
    """A scenario that must notice a mutant, in one configuration. Immutable.

    ``schedules``: tried under a scheduler in control; None: real threads.
    """

    scenario: str
    params: Params
    schedules: int | None = None

    @property
    def words(self) -> str:
        """In a line."""
        params = self.params
        how = "schedules" if self.schedules else f"{params.threads} threads"
        return f"{self.scenario} {params.mode} {params.size:,}, {how}"


def threads(scenario: str, mode: str, size: int = 10_000, crew: int = 2) -> Catch:
    """Caught by real threads."""
    return Catch(scenario, Params(mode, crew, size))


def schedules(scenario: str, mode: str, size: int = 1, crew: int = 2) -> Catch:
    """Caught by a scheduler in control."""
    return Catch(scenario, Params(mode, crew, size, explored=True), SCHEDULES)


@dataclass(frozen=True, slots=True)
class Mutant:
    """The engine with one thing wrong. Immutable.

    ``breaks``: what is wrong, in words. ``caught``: each of these must notice.
    """

    name: str
    breaks: str
    patches: Sequence[Patch]
    caught: tuple[Catch, ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the engine of this process, for the ``with`` block. Process-wide."""
        with ExitStack() as stack:
            for target, name, replacement in self.patches:
                stack.enter_context(patch.object(target, name, replacement))
            yield


def gap(subject: object) -> None:
    """A place where a mutant may be interrupted: announced, so that a scheduler can steer there."""
    hook = sync.hook
    if hook is not None:
        hook("mutant", subject)
