"""Who ran what when, as a file that trace viewers show."""

from __future__ import annotations

import json
import os
from operator import attrgetter
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

from .. import sync
from ..graph import Node
from .observe import Observer

Event = dict[str, Any]


class Note(NamedTuple):
    """One event as it was told. Immutable; holds no node, and so no graph."""

    moment: int  # nanoseconds
    kind: str
    thread: int
    key: int  # tells tasks and nodes apart as long as they live
    name: str
    thread_name: str
    details: Event


class Span(NamedTuple):
    """Something that has begun and not yet ended. Immutable."""

    note: Note
    place: int  # of its event


class Trace(Observer):
    """An observer that remembers who ran what when, for Perfetto and ``chrome://tracing``.

    ``trace.save("x.json")`` writes the file: a row a thread, backwards with the nodes in them,
    hand-offs as arrows, additions to ``.grad`` and updates of parameters as marks. A node costs
    some microseconds and about a kilobyte. Internally synchronised: one trace may watch any number
    of threads, and be read while it does.

    >>> import engine, json, tempfile
    >>> x = engine.ones(100, 100, requires_grad=True)
    >>> with engine.observe(engine.Trace()) as trace, engine.WorkerPool(2, heavy=0):
    ...     (x.exp() + x.tanh()).sum().backward()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trace.save(f"{folder}/trace.json")
    ...     with open(f"{folder}/trace.json") as file:
    ...         events = json.load(file)["traceEvents"]
    >>> any(event["name"] == "TanhBackward0" for event in events)
    True
    """

    def __init__(self) -> None:
        self._notes: list[Note] = []  # append is atomic

    def _note(self, kind: str, subject: object, name: str, **details: Any) -> None:
        thread, thread_name = sync.this_thread()
        self._notes.append(
            Note(perf_counter_ns(), kind, thread, id(subject), name, thread_name, details)
        )

    def _node(self, kind: str, node: Node) -> None:
        self._note(kind, node, node.name(), shape=list(node.shape), dtype=str(node.dtype))

    def task_begin(self, task: Any) -> None:
        """See ``Observer``, this and the others."""
        self._note("task", task, "backward", nodes=len(task.plan.nodes))

    def task_end(self, task: Any) -> None:
        """A backward has ended."""
        self._note("end", task, "backward")

    def node_begin(self, node: Node) -> None:
        """A node is about to run."""
        self._node("node", node)

    def node_end(self, node: Node) -> None:
        """A node has run."""
        self._note("end", node, "")

    def hand_off(self, node: Node) -> None:
        """A node is offered to others."""
        self._node("hand-off", node)

    def accumulate(self, leaf: Node) -> None:
        """A gradient is about to be added to ``.grad``."""
        self._note("accumulate", leaf, "accumulate", shape=list(leaf.shape))

    def update(self, parameter: Any) -> None:
        """A parameter is about to be written."""
        self._note("update", parameter, "update", shape=list(parameter.shape))

    def events(self) -> list[Event]:
        """What was seen, as events of the trace-event format (its JSON object form)."""
        return _Writer().write(sorted(self._notes, key=attrgetter("moment")))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the events to a file in JSON, to be opened in https://ui.perfetto.dev."""
        document = {"traceEvents": self.events(), "displayTimeUnit": "ms"}
        Path(path).write_text(json.dumps(document) + "\n", encoding="utf-8")


class _Writer:
    """Makes events of notes: pairs begins with ends. Externally synchronised.

    The format is the one of Chrome's trace viewer: ``X`` spans, ``i`` marks, ``s`` and ``f`` the
    two ends of an arrow, ``M`` the names of threads; times in microseconds.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._open: dict[int, list[Span]] = {}  # by thread, the innermost last
        self._rows: dict[int, int] = {}  # small numbers for threads
        self._offered: dict[int, Note] = {}  # by node, who offered it
        self._arrows = 0

    def write(self, notes: list[Note]) -> list[Event]:
        for note in notes:
            self._row(note)
            if note.kind == "end":
                self._end(note)
            elif note.kind in ("task", "node"):
                self._begin(note)
            else:
                self._mark(note)
        for spans in self._open.values():
            for span in spans:
                self._close(span, notes[-1].moment, whole=False)
        return self._events

    def _add(self, phase: str, note: Note, **more: Any) -> Event:
        event = {
            "ph": phase,
            "name": note.name,
            "cat": note.kind,
            "ts": note.moment / 1e3,
            "pid": os.getpid(),
            "tid": self._rows[note.thread],
            **more,
        }
        self._events.append(event)
        return event

    def _row(self, note: Note) -> None:
        if note.thread not in self._rows:
            self._rows[note.thread] = len(self._rows) + 1
            self._add("M", note, name="thread_name", args={"name": note.thread_name})

    def _begin(self, note: Note) -> None:
        spans = self._open.setdefault(note.thread, [])
        if note.kind == "node" and spans and spans[-1].note.kind == "node":
            self._close(spans.pop(), note.moment, whole=False)  # it raised: nobody said its end
        offered = self._offered.pop(note.key, None)
        self._add("X", note, dur=0.0, args=note.details)
        spans.append(Span(note, len(self._events) - 1))
        if offered is not None and offered.thread != note.thread:
            self._arrow(offered, note)

    def _arrow(self, start: Note, end: Note) -> None:
        self._arrows += 1
        named = {"name": "hand-off", "cat": "hand-off", "id": self._arrows}
        self._add("s", start, **named)
        self._add("f", end, bp="e", **named)

    def _end(self, note: Note) -> None:
        spans = self._open.get(note.thread, [])
        if any(span.note.key == note.key for span in spans):
            while (span := spans.pop()).note.key != note.key:
                self._close(span, note.moment, whole=False)
            self._close(span, note.moment, whole=True)

    def _close(self, span: Span, moment: int, *, whole: bool) -> None:
        event = self._events[span.place]
        event["dur"] = (moment - span.note.moment) / 1e3
        if not whole:
            event["args"] = {**event["args"], "unfinished": True}

    def _mark(self, note: Note) -> None:
        if note.kind == "hand-off":
            self._offered[note.key] = note
            self._add("X", note, dur=0.0, args=note.details)  # what the arrow begins at
        else:
            self._add("i", note, s="t", args=note.details)
