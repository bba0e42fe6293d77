"""Tables and progress: rich on a terminal, plain lines elsewhere or where rich is not installed.

What was found goes to standard output, progress to standard error. ``NO_COLOR`` is honoured, and no
meaning is carried by colour alone. A reader that has gone (``| head``) ends no run.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from time import monotonic
from typing import Any, Protocol, TextIO

from stress.report.text import printable

__all__ = ["Progress", "Table", "complain", "progress", "say", "show"]

STYLES = {
    "PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "TIMEOUT": "bold red",
    "CRASH": "bold red", "ERROR": "bold red", "SKIPPED": "dim", "ok": "green", "warning": "yellow",
    "problem": "bold red",
}  # fmt: skip

WORD = 18  # characters; a longer word may be broken where the terminal is narrow
EVERY = 15.0  # seconds between two lines of progress where there is no terminal


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells in columns; those named in ``left`` are words, the others figures. Immutable."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    left: frozenset[str] = field(default=frozenset())


def decorated(stream: TextIO | None) -> bool:
    """Whether rich should write to ``stream``."""
    return stream is not None and stream.isatty() and find_spec("rich") is not None


def say(text: str = "") -> None:
    """Print lines to standard output as they are."""
    put(sys.stdout, text)


def complain(message: str) -> None:
    """Print an error to standard error."""
    put(sys.stderr, f"stress: error: {message}")


def put(stream: TextIO | None, text: str) -> None:
    """Print to ``stream``; where nobody reads it any more, this and the rest of it go nowhere.

    What the stream's encoding has no characters for is written out. A stream that was closed before
    the process began (``>&-``) is None.
    """
    if stream is None:
        return
    coding = stream.encoding or "utf-8"
    text = printable(text).encode(coding, "backslashreplace").decode(coding)
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def show(table: Table) -> None:
    """Print a table to standard output."""
    if decorated(sys.stdout):
        show_rich(table)
    else:
        show_plain(table)


def show_plain(table: Table) -> None:
    """Print a table as aligned columns."""
    lines = [[in_a_line(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    say(f"\n{table.title}" if table.title else "")
    for row in lines:
        cells = [
            cell.ljust(width) if name in table.left else cell.rjust(width)
            for name, cell, width in zip(table.columns, row, widths, strict=True)
        ]
        say("  ".join(cells).rstrip())


def in_a_line(cell: str) -> str:
    """``cell`` as it stands in a line of its own."""
    return printable(cell).replace("\n", "\\n")


def show_rich(table: Table) -> None:
    """Print a table with rich; words that are a verdict have a colour besides."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(printable(table.title), style="table.title"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for index, column in enumerate(table.columns):
        drawn.add_column(
            Text(printable(column)),
            justify="left" if column in table.left else "right",
            overflow="fold",
            min_width=longest_word(row[index] for row in (table.columns, *table.rows)),
        )
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell), style=STYLES.get(cell, "")) for cell in row))
    Console().print(drawn, crop=False)  # the last column has the verdict: a terminal breaks lines


def longest_word(cells: Iterable[str]) -> int:
    """The width below which a column of ``cells`` would break words; long ones may break."""
    words = (word for cell in cells for word in cell.split())
    return min(max(map(len, words), default=0), WORD)


class Progress(Protocol):
    """Shows what is under way. Externally synchronised."""

    def begin(self, what: str) -> None:
        """The next of the announced pieces of work begins."""

    def resume(self, what: str) -> None:
        """A piece that has begun before goes on, and is the present one."""

    def update(self, fraction: float, note: str) -> None:
        """So much of the present piece is done."""

    def end(self, kind: str) -> None:
        """The present piece has come to something of this kind: ok, failed, say."""


class Lines:
    """Progress as lines, few enough for a log."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.what = total, 0, ""
        self.kinds: Counter[str] = Counter()
        self.began = self.shown = monotonic()

    def begin(self, what: str) -> None:
        """The next piece begins."""
        self.done += 1
        self.resume(what)

    def resume(self, what: str) -> None:
        """One that has begun goes on."""
        self.what = what
        self.line()

    def update(self, fraction: float, note: str) -> None:
        """So much of the present piece is done."""
        self.line(note)

    def end(self, kind: str) -> None:
        """The present piece has come to something."""
        self.kinds[kind] += 1

    def line(self, note: str = "") -> None:
        """A line, if the last one was long enough ago."""
        now = monotonic()
        if now - self.shown < EVERY:
            return
        self.shown = now
        words = (self.what, note, counted(self.kinds), self.left(now - self.began))
        put(sys.stderr, f"[{self.done}/{self.total}] {'; '.join(filter(None, words))}")

    def left(self, elapsed: float) -> str:
        """How long the rest will take, if it goes on like this; "" before anything is known."""
        behind = self.done - 1
        if behind < 1:
            return ""
        return f"{elapsed / behind * (self.total - behind):,.0f} s left"


def counted(kinds: Counter[str]) -> str:
    """How many pieces came to what.

    >>> counted(Counter(["ok", "failed", "ok"]))
    '2 ok, 1 failed'
    """
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


class Bar:
    """Progress as a bar that rich draws."""

    def __init__(self, bar: Any, total: int) -> None:
        self.bar, self.done = bar, -1
        self.kinds: Counter[str] = Counter()
        self.task = bar.add_task("", total=total, note="", kinds="")

    def begin(self, what: str) -> None:
        """The next piece begins."""
        self.done += 1
        self.resume(what)

    def resume(self, what: str) -> None:
        """One that has begun goes on."""
        self.bar.update(self.task, completed=self.done, description=printable(what), note="")

    def update(self, fraction: float, note: str) -> None:
        """So much of the present piece is done."""
        self.bar.update(self.task, completed=self.done + min(fraction, 1.0), note=note)

    def end(self, kind: str) -> None:
        """The present piece has come to something."""
        self.kinds[kind] += 1
        self.bar.update(self.task, kinds=counted(self.kinds))


@contextmanager
def progress(total: int) -> Iterator[Progress]:
    """Show how far ``total`` pieces of work have come, on standard error, for the block."""
    if not decorated(sys.stderr):
        yield Lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    said = partial(TextColumn, markup=False)  # names may have brackets
    columns = (
        said("{task.description}"), BarColumn(), said("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), said("left"), TimeRemainingColumn(),
        said("{task.fields[kinds]}"), said("{task.fields[note]}"),
    )  # fmt: skip
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar, total)
