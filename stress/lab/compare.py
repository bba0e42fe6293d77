"""Two results of the lab side by side: what has drifted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stress.compare import Drift
from stress.lab.bits import apart, unpacked
from stress.lab.files import LabError, same_machine
from stress.lab.recording import first_difference
from stress.report.terminal import Table

__all__ = ["drifts", "machine_table"]

Found = Mapping[str, Any]
TRAININGS = {"record", "replay"}


def drifts(one: Found, other: Found) -> list[Drift]:
    """What has drifted from one to the other; raises ``LabError`` where they cannot be compared."""
    commands = {one["command"], other["command"]}
    if commands <= TRAININGS:
        return list(of_trainings(one, other))
    if len(commands) > 1:
        raise LabError(f"a result of `lab {one['command']}` and one of `lab {other['command']}` "
                       "have nothing in common")  # fmt: skip
    if commands == {"orders"}:
        return list(of_rows(one, other, ("policy", "dtype", "count"), ("patterns", "ulp")))
    if commands == {"sources"}:
        return [*of_rows(one, other, ("source", "mode"), ("same",)), *of_bits(one, other)]
    raise LabError(f"results of `lab {one['command']}` are spreads: look at `lab report`")


def of_trainings(one: Found, other: Found) -> Iterator[Drift]:
    """Where two trainings part, and how far apart they end."""
    if training_of(one) != training_of(other):
        raise LabError("the two trained with other settings, so their bits need not agree")
    if one["hash"] == other["hash"] and one["digests"] == other["digests"]:
        return
    yield Drift("parameters", "hash", one["hash"], other["hash"])
    if found := first_difference(one["digests"], other["digests"]):
        where = f"step {found.step}, {found.leaf}.grad"
        yield Drift(where, "first difference", found.one, found.other)
    for name, left, right in zip(
        one["leaves"], one["parameters"], other["parameters"], strict=True
    ):
        differ, ulp, gap = apart(unpacked(left), unpacked(right))
        if differ:
            size = unpacked(left).size
            yield Drift(name, "elements that differ", "0", f"{differ:,} of {size:,}")
            yield Drift(name, "apart by at most", "0", f"{ulp:,.0f} ULP, {gap:.2g}")


def training_of(found: Found) -> dict[str, Any]:
    """Its settings, but for what may not matter: by whom, and in which order."""
    return {**found["settings"], "workers": 0, "shuffle": None}


def of_rows(
    one: Found, other: Found, key: Sequence[str], figures: Sequence[str]
) -> Iterator[Drift]:
    """Figures of rows that both have."""
    before = {tuple(row[name] for name in key): row for row in map(judged, one["rows"])}
    for row in map(judged, other["rows"]):
        old = before.get(tuple(row[name] for name in key))
        for figure in figures if old else ():
            assert old is not None
            if old[figure] != row[figure]:
                name = " ".join(str(row[part]) for part in key)
                yield Drift(name, figure, str(old[figure]), str(row[figure]))


def judged(row: Found) -> dict[str, Any]:
    """How many results there were is chance, but not whether there was one."""
    same = {"same": "same" if row["results"] == 1 else "several"} if "results" in row else {}
    return {**row, **same}


def of_bits(one: Found, other: Found) -> Iterator[Drift]:
    """Cells with one result each, which is not the same one."""
    before = dict(map(only, one["samples"]))
    for key, hash in map(only, other["samples"]):
        old = before.get(key)
        if old and hash and old != hash:
            yield Drift(key, "bits", old, hash)


def only(cell: Found) -> tuple[str, str | None]:
    """The name of a cell, and its result if it has one only."""
    hashes = {sample["hash"] for sample in cell["samples"]}
    return f"{cell['source']} {cell['mode']}", hashes.pop() if len(hashes) == 1 else None


def machine_table(one: Found, other: Found) -> Table:
    """What differs between the machines: what may have caused a drift."""
    rows = same_machine(one["environment"], other["environment"])
    columns = ("fact", "first", "second")
    title = f"Environments: {len(rows)} facts differ"
    return Table(title, columns, rows, frozenset(columns))
