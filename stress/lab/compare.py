"""Two results of the lab side by side: what has drifted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stress.compare import Drift
from stress.lab.bits import apart
from stress.lab.files import LabError, same_machine
from stress.lab.record_file import log_of, parameters_of
from stress.lab.recording import first_difference
from stress.report.terminal import Table

__all__ = ["drifts", "machine_table", "pairs"]

Found = Mapping[str, Any]
TRAININGS = {"record", "replay"}
Pair = tuple[str, Found, Found]

# What makes a row what it is, and the figures of it that must not drift.
KEYS = {"orders": ("policy", "dtype", "count"), "sources": ("source", "mode")}
FIGURES = {"orders": ("patterns", "ulp"), "sources": ("same",)}

# Settings that change no bits: by whom and in which order it is trained, and what else is measured.
FREE = {
    "record": {"workers", "shuffle"}, "replay": {"workers", "shuffle"},
    "orders": {"counts", "dtypes"}, "sources": {"modes"},
}  # fmt: skip


def pairs(one: Found, other: Found) -> list[Pair]:
    """What both have: (name, row of one, row of the other); two trainings are one pair.

    Raises ``LabError`` where they cannot be compared.
    """
    commands = {one["command"], other["command"]}
    if len(commands) > 1 and not commands <= TRAININGS:
        raise LabError(f"a result of `lab {one['command']}` and one of `lab {other['command']}` "
                       "have nothing in common")  # fmt: skip
    if one["command"] not in FREE:
        raise LabError(f"results of `lab {one['command']}` are spreads: look at `lab report`")
    if differing := other_settings(one, other):
        raise LabError("the two have other settings, so their bits need not agree: "
                       + "; ".join(differing))  # fmt: skip
    return [("parameters", one, other)] if commands <= TRAININGS else rows(one, other, "rows")


def other_settings(one: Found, other: Found) -> list[str]:
    """The settings that matter and are not the same, in words."""
    left, right = one["settings"], other["settings"]
    names = sorted({*left, *right} - FREE[one["command"]])
    return [
        f"{name} {left.get(name)} and {right.get(name)}"
        for name in names
        if left.get(name) != right.get(name)
    ]


def rows(one: Found, other: Found, part: str) -> list[Pair]:
    """The rows of a part that both have."""
    key = KEYS[one["command"]]
    before = {tuple(row[name] for name in key): row for row in one[part]}
    after = {tuple(row[name] for name in key): row for row in other[part]}
    return [
        (" ".join(map(str, name)), before[name], row)
        for name, row in after.items()
        if name in before
    ]


def drifts(one: Found, other: Found, found: Sequence[Pair]) -> list[Drift]:
    """What of their ``pairs`` has drifted from one to the other."""
    command = one["command"]
    if command in TRAININGS:
        return list(of_trainings(one, other))
    drifted = of_rows(found, FIGURES[command])
    return [*drifted, *of_bits(rows(one, other, "samples"))] if command == "sources" else [*drifted]


def of_trainings(one: Found, other: Found) -> Iterator[Drift]:
    """Where two trainings part, and how far apart they end; raises ``LabError``."""
    for training in (one, other):
        log_of(training)
    before, after = parameters_of(one), parameters_of(other)
    if one["hash"] == other["hash"] and one["digests"] == other["digests"]:
        return
    yield Drift("parameters", "hash", one["hash"], other["hash"])
    if found := first_difference(one["digests"], other["digests"]):
        where = f"step {found.step}, {found.leaf}.grad"
        yield Drift(where, "first difference", found.one, found.other)
    for name, left in before.items():
        differ, ulp, gap = apart(left, after[name])
        if differ:
            yield Drift(name, "elements that differ", "0", f"{differ:,} of {left.size:,}")
            yield Drift(name, "apart by at most", "0", f"{ulp:,.0f} ULP, {gap:.2g}")


def of_rows(found: Sequence[Pair], figures: Sequence[str]) -> Iterator[Drift]:
    """Figures of rows that are not what they were."""
    for name, *two in found:
        old, new = map(judged, two)
        for figure in figures:
            if old[figure] != new[figure]:
                yield Drift(name, figure, str(old[figure]), str(new[figure]))


def judged(row: Found) -> dict[str, Any]:
    """How many results there were is chance, but not whether there was one."""
    same = {"same": "same" if row["results"] == 1 else "several"} if "results" in row else {}
    return {**row, **same}


def of_bits(found: Sequence[Pair]) -> Iterator[Drift]:
    """Cells with one result each, which is not the same one."""
    for name, *two in found:
        old, new = map(only, two)
        if old and new and old != new:
            yield Drift(name, "bits", old, new)


def only(cell: Found) -> str | None:
    """The result of a cell, if it has one only."""
    hashes = {sample["hash"] for sample in cell["samples"]}
    return hashes.pop() if len(hashes) == 1 else None


def machine_table(one: Found, other: Found) -> Table:
    """What differs between the machines: what may have caused a drift."""
    rows = same_machine(one["environment"], other["environment"])
    columns = ("fact", "first", "second")
    title = f"Environments: {len(rows)} facts differ"
    return Table(title, columns, rows, frozenset(columns))
