"""The tables of ``lab sources``: results by source and mode, what they show, and what it costs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from stress.lab.sources import Cell, Sample, Source
from stress.report.terminal import Table

__all__ = ["costs_table", "doubts", "table"]


def by_source(found: Sequence[Cell]) -> Mapping[str, list[Cell]]:
    """The cells of each source."""
    cells: dict[str, list[Cell]] = {}
    for cell in found:
        cells.setdefault(cell.source, []).append(cell)
    return cells


def doubts(found: Sequence[Cell], sources: Sequence[Source]) -> dict[str, str]:
    """Sources with a promise that was kept, which do not show that they were on; and why not."""
    doubt = {source.name: source.doubt for source in sources}
    said = {name: doubt[name](cells) for name, cells in by_source(found).items() if kept(cells)}
    return {name: why for name, why in said.items() if why}


def kept(cells: Sequence[Cell]) -> bool:
    """Whether there is a promise, and none is broken."""
    return any(cell.promised for cell in cells) and not any(cell.broken for cell in cells)


def verdict(cells: Sequence[Cell], doubtful: bool) -> str:
    """Whether what a source's modes promise was kept; ``none``: they promise nothing."""
    if not any(cell.promised for cell in cells):
        return "none"
    if not kept(cells):
        return "FAIL"
    return "INCONCLUSIVE" if doubtful else "PASS"


def table(found: Sequence[Cell], doubts: Collection[str]) -> Table:
    """A row for each source, a column for each mode."""
    modes = list(dict.fromkeys(cell.mode for cell in found))
    rows = [
        (name, str(cells[0].settings), *map(describe, cells), verdict(cells, name in doubts))
        for name, cells in by_source(found).items()
    ]
    title = "Distinct results of one training while one source of variation is on"
    columns = ("source", "settings", *modes, "verdict")
    return Table(title, columns, rows, frozenset({"source", "verdict"}))


def describe(cell: Cell) -> str:
    """One result or several; a star where one was promised.

    >>> describe(Cell("arrival", "locked", False, (Sample("0", "a"), Sample("1", "b"))))
    '2 of 2'
    >>> describe(Cell("arrival", "ordered", True, (Sample("0", "a"), Sample("1", "a"))))
    'same*'
    """
    if cell.broken:
        return f"BROKEN: {cell.patterns} of {len(cell.samples)}"
    star = "*" if cell.promised else ""
    return f"same{star}" if cell.patterns == 1 else f"{cell.patterns} of {len(cell.samples)}"


def costs_table(found: Sequence[Cell]) -> Table | None:
    """What a training takes in each mode, for each number of threads; None if none was timed."""
    timed = by_workers(found)
    if not timed:
        return None
    rows = []
    for (mode, setting), samples in timed.items():
        against = timed.get(("locked", setting), samples)
        ratios = [one.cpu / (other.cpu or 1) for one, other in zip(samples, against, strict=True)]
        patterns = len({sample.hash for sample in samples})
        cpu = 1e3 * median(sample.cpu for sample in samples)
        row = (
            mode,
            setting,
            f"{patterns} of {len(samples)}",
            f"{cpu:.1f}",
            f"{median(ratios):.2f}",
        )
        rows.append(row)
    columns = ("mode", "threads", "results", "CPU ms", "times locked")
    return Table("What a training takes (median)", columns, rows, frozenset({"mode", "threads"}))


def by_workers(found: Sequence[Cell]) -> Mapping[tuple[str, str], list[Sample]]:
    """The samples of ``workers``, by mode and number of threads."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    for cell in found:
        for sample in cell.samples if cell.source == "workers" else ():
            samples.setdefault((cell.mode, sample.setting), []).append(sample)
    return samples
