"""Where a search stands, in a file, so that it can go on later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from stress.core.source import SHIPPED
from stress.explore.code import changes, code_of, place
from stress.explore.search import Search, Settings

__all__ = ["Checkpoint", "CheckpointError", "title"]

VERSION = 4
AGAIN = "explore again: delete it, or give --checkpoint another file"
EVERY = 5.0  # seconds between two writes, at least
PART = 0.05  # of the time is for writing, at most


class CheckpointError(ValueError):
    """A file that this search cannot go on from."""


def title(search: Search) -> str:
    """What a configuration is called."""
    target = search.target
    params = target.params
    return (
        f"{target.scenario} {params.mode} threads={params.threads} size={params.size} "
        f"dtype={params.dtype} seed={params.seed}"
    )


def digest(states: Mapping[str, str]) -> str:
    """What tells the states of searches, each as JSON, from damaged ones."""
    return sha256(json.dumps(sorted(states.items())).encode()).hexdigest()


class Checkpoint:
    """The states of all searches. ``path``: None writes nothing. Externally synchronised.

    They are of the code as it is now: that of engine, harness and ``source``.
    """

    def __init__(self, path: Path | None, settings: Settings, source: str = SHIPPED) -> None:
        self._path, self._settings, self._source = path, settings, place(source)
        self._code = {} if path is None else code_of(source)
        self._states: dict[str, str] = {}  # each as JSON: most do not change between two writes
        self._due = monotonic() + EVERY
        if path is not None and path.exists() and path.stat().st_size:
            states = self._read(path)
            self._states = {name: json.dumps(state) for name, state in states.items()}

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["version"] == VERSION:
                self._fit(path, document["source"], document["code"], document["settings"])
                states: dict[str, Any] = document["states"]
                if digest({name: json.dumps(states[name]) for name in states}) != document["check"]:
                    raise CheckpointError(f"{path} is damaged: not as it was written; {AGAIN}")
                return states
        except CheckpointError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is no checkpoint: {error}") from None
        raise CheckpointError(f"{path} has version {document['version']}, not {VERSION}; {AGAIN}")

    def _fit(self, path: Path, source: str, code: dict[str, str], settings: dict[str, Any]) -> None:
        """Raise ``CheckpointError`` unless a search that was made with these could go on."""
        if source != self._source:
            raise CheckpointError(f"{path} is of --scenarios {source}; use the same")
        if changed := changes(code, self._code):
            raise CheckpointError(f"{path} is of other code: changed since: {changed}; {AGAIN}")
        mine = asdict(self._settings)
        if different := [f"{k}={settings.get(k)}" for k in mine if settings.get(k) != mine[k]]:
            raise CheckpointError(f"{path} was made with {', '.join(different)}; use the same")

    def known(self, search: Search) -> dict[str, Any] | None:
        """Where ``search`` stood."""
        text = self._states.get(title(search))
        known: dict[str, Any] | None = None if text is None else json.loads(text)
        return known

    def look(self, search: Search) -> None:
        """Write where ``search`` stands, if that was long enough ago."""
        if self._path is not None and monotonic() >= self._due:
            self.keep(search)
            self.write()

    def keep(self, search: Search) -> None:
        """Remember where ``search`` stands, for the next ``write``."""
        if self._path is not None:
            self._states[title(search)] = json.dumps(search.state())

    def write(self) -> None:
        """Write all that is remembered."""
        if self._path is None:
            return
        began = monotonic()
        head = {"version": VERSION, "source": self._source, "code": self._code,
                "settings": asdict(self._settings), "check": digest(self._states)}  # fmt: skip
        states = ",".join(f"{json.dumps(name)}:{state}" for name, state in self._states.items())
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.write_text(f'{json.dumps(head)[:-1]},"states":{{{states}}}}}', encoding="utf-8")
        os.replace(beside, self._path)
        ended = monotonic()
        self._due = ended + max(EVERY, (ended - began) / PART)
