r"""What results say, made fit to be shown: no longer than can be read, and nothing that acts.

Messages are whatever users and libraries raise: megabytes of numbers, escape sequences that clear
a terminal, names of files that are no Unicode. ``summary.json`` and ``results.jsonl`` keep them as
they are.
"""

from __future__ import annotations

import re
from dataclasses import replace

from stress.core.result import Result, Row, Timeline

__all__ = ["printable", "shown", "trimmed"]

LONGEST = 2_000  # characters of a message that are shown
DEEPEST = 100_000  # characters of stacks that are shown

# Control characters but for tabs and new lines, halves of pairs and what is no character: neither
# a terminal nor XML nor UTF-8 takes them as text.
ACTIVE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    r"""``text`` with all that is no text written out.

    >>> print(printable("\x1b[2J\x00 \udcff\tπ"))
    \x1b[2J\x00 \udcff	π
    """
    return ACTIVE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def trimmed(text: str, most: int = LONGEST) -> str:
    """``text``; of one that is longer than ``most``, both ends and how much lies between them.

    >>> trimmed("a" * 500 + "z" * 500, 20)
    'aaaaaaaaaa [... 980 characters left out ...] zzzzzzzzzz'
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters left out ...] {text[-half:]}"


def shown(result: Result) -> Result:
    """``result`` with texts that can be shown; what it counted and was asked for stays."""
    return replace(
        result,
        name=printable(result.name), reason=fit(result.reason), unit=fit(result.unit),
        notes=tuple(map(fit, result.notes)), stacks=printable(trimmed(result.stacks, DEEPEST)),
        rows=tuple(map(row, result.rows)), tokens=tuple(map(printable, result.tokens)),
        timelines=tuple(map(timeline, result.timelines)),
    )  # fmt: skip


def fit(text: str) -> str:
    """A message that can be shown."""
    return printable(trimmed(text))


def row(one: Row) -> Row:
    """An outcome that can be shown."""
    return replace(one, key=fit(one.key), why=fit(one.why))


def timeline(steps: Timeline) -> Timeline:
    """A schedule that can be shown."""
    return tuple((fit(thread), fit(point), fit(subject)) for thread, point, subject in steps)
