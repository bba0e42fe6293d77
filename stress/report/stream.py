"""``results.jsonl``: what a run does, one event a line, written as it happens.

So a run that is killed leaves all it has found, and names what it was at. Events, by ``event``::

    begin     schema, command, scenarios (where they are), seed, environment, planned (runs)
    start     name, params, tactics, fork: the run that begins
    explore   preemptions, planned (configurations): from here on schedule by schedule (nightly)
    result    the same fields as in ``results`` of ``summary.json``
    training  the same fields as in ``training`` of ``summary.json``
    end       exit_code, seconds
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

from stress.core.result import Loss, Result, Row, Timeline
from stress.core.scenario import Params
from stress.core.source import SHIPPED
from stress.core.tactics import Tactics
from stress.environment import Blas, Environment
from stress.exits import Exit
from stress.report.document import SCHEMA, finite
from stress.report.naming import kept

__all__ = ["RecordError", "Recorded", "Stream", "read"]

Made = TypeVar("Made")


class RecordError(ValueError):
    """A file that holds no results; the message names it and says what it should be."""


class Stream:
    """Writes events to a file, or nowhere. Externally synchronised.

    ``error``: why the file is not whole, such as a full disk. A run goes on without it.
    """

    def __init__(self, file: TextIO | None) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, event: str, **values: Any) -> None:
        """Write one event, and see that it reaches the file."""
        if self.file is None:
            return
        line = json.dumps(finite({"event": event, **values}), allow_nan=False)
        try:
            self.file.write(line + "\n")
            self.file.flush()
        except OSError as error:
            self.error = error
            with suppress(OSError):  # what could not be written cannot be now
                self.file.close()
            self.file = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file says of a run. Immutable.

    ``exit_code`` is None where the run never came to its end. ``training``: as dictionaries.
    ``scenarios``: where they are. ``planned``: how many configurations; None where it is not said.
    Of rounds (``--forever``) each configuration has one result.
    """

    command: str
    seed: int
    environment: Environment
    results: tuple[Result, ...]
    training: tuple[Mapping[str, Any], ...]
    exit_code: Exit | None
    scenarios: str = SHIPPED
    planned: int | None = None


def read(path: Path) -> Recorded:
    """The run that ``results.jsonl`` or ``summary.json`` tells of.

    A last line that was cut off is left out. Raises ``RecordError``.
    """
    try:
        text = path.read_text("utf-8")
        return rebuilt(summary_of(list(events(text))) if is_stream(text) else json.loads(text))
    except OSError as error:
        what = error.strerror or error
        raise RecordError(f"{path}: {what}; name a results.jsonl or summary.json") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise RecordError(
            f"{path}: not a results.jsonl or summary.json of schema {SCHEMA} ({what})"
        ) from None


def is_stream(text: str) -> bool:
    """Whether the text is lines of events."""
    return text.startswith('{"event"')


def events(text: str) -> Iterator[dict[str, Any]]:
    """The events of a stream."""
    *lines, last = text.split("\n")  # "" if the last line is whole
    for line in lines:
        yield json.loads(line)
    with suppress(ValueError):  # where it was cut off, also after a brace within it
        yield json.loads(last)


def summary_of(seen: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of a summary that a stream tells of."""
    begin = next((event for event in seen if event["event"] == "begin"), None)
    if begin is None:
        raise ValueError("no line says how it began")
    end = next((event for event in seen if event["event"] == "end"), {})
    planned = [event["planned"] for event in seen if "planned" in event]
    return begin | {
        "planned": sum(planned) if planned else None,
        "results": [event for event in seen if event["event"] == "result"],
        "training": [event for event in seen if event["event"] == "training"],
        "exit_code": end.get("exit_code"),
    }


def rebuilt(summary: dict[str, Any]) -> Recorded:
    """The objects that a summary was written from."""
    if summary["schema"] != SCHEMA:
        raise ValueError(f"it has schema {summary['schema']}")
    environment = dict(summary["environment"])
    code = summary["exit_code"]
    environment["blas"] = tuple(made(Blas, blas) for blas in environment["blas"])
    return Recorded(
        summary["command"], summary["seed"], made(Environment, environment),
        tuple(kept(map(result, summary["results"]))), tuple(summary["training"]),
        None if code is None else Exit(code), summary.get("scenarios", SHIPPED),
        summary.get("planned"),
    )  # fmt: skip


def result(values: Mapping[str, Any]) -> Result:
    """A result, from a dictionary."""
    parts = {
        "params": made(Params, values["params"]),
        "tactics": made(Tactics, values["tactics"]),
        "loss": None if values["loss"] is None else made(Loss, values["loss"]),
        "rows": tuple(made(Row, row) for row in values["rows"]),
        "timelines": tuple(map(timeline, values.get("timelines", [values["timeline"]]))),
    }
    lists = {name: tuple(values[name]) for name in ("notes", "tokens")}
    return made(Result, {**values, **parts, **lists})


def timeline(rows: Sequence[Sequence[str]]) -> Timeline:
    """A schedule, from lists; they stood alone before there were several."""
    return tuple((thread, point, what) for thread, point, what in rows)


def made(kind: type[Made], values: Mapping[str, Any]) -> Made:
    """A dataclass from the values that it has fields for."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
