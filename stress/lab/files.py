"""Result files of the lab: JSON, with the environment, the settings and every raw sample.

::

    schema        int: 1; raised when a field changes its meaning or goes
    command       str: orders, sources, record, replay, spread or loss
    environment   object: what it ran on, as ``doctor`` sees it
    settings      object: the options
    rows          list of objects: what the table shows
    samples       list of objects: what was measured, one by one; plots are drawn from these
    exit_code     int

A file is checked when it is read: ``stress.lab.shape`` has the fields that are used again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stress.environment import Environment
from stress.lab.shape import flaw
from stress.report.document import write

__all__ = ["SCHEMA", "LabError", "read", "same_machine", "save"]

SCHEMA = 1
FIELDS = {"schema", "command", "environment", "settings", "exit_code"}


class LabError(Exception):
    """A file that cannot be used; the message names it, what is wrong, and the way out."""


def save(
    path: Path | None,
    command: str,
    environment: Environment,
    settings: Mapping[str, Any],
    code: int,
    **parts: Sequence[Any] | Mapping[str, Any] | str,
) -> None:
    """Write a result, if a file is named."""
    if path is not None:
        write(path, {
            "schema": SCHEMA, "command": command, "environment": environment.as_dict(),
            "settings": dict(settings), **parts, "exit_code": int(code),
        })  # fmt: skip


def read(path: Path, *commands: str) -> dict[str, Any]:
    """A result of one of ``commands``, or of any; raises ``LabError`` for everything else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise LabError(f"{path}: is not JSON ({error})") from None
    if not isinstance(found, dict) or not found.keys() >= FIELDS:
        raise LabError(
            f"{path}: is no result of the lab; `python -m stress lab ... --json` makes one"
        )
    if found["schema"] != SCHEMA:
        raise LabError(
            f"{path}: has schema {found['schema']}, this lab reads {SCHEMA}; run it again"
        )
    if commands and found["command"] not in commands:
        raise LabError(f"{path}: is a result of `lab {found['command']}`; "
                       f"needed: {' or '.join(commands)}")  # fmt: skip
    if wrong := flaw(found):
        raise LabError(f"{path}: is damaged: {wrong}; run it again")
    return found


# Facts that may change the bits of a matrix product or of a sum.
WEIGHTY = ("python", "numpy", "blas", "platform")


def same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs between two environments: (fact, one, other)."""
    return [
        (fact, str(one.get(fact)), str(other.get(fact)))
        for fact in (*WEIGHTY, "gil_enabled", "cores")
        if one.get(fact) != other.get(fact)
    ]
