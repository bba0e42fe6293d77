"""Plots of results, drawn from their raw samples alone. Needs matplotlib (extra: lab)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from stress.lab.files import LabError, read

__all__ = ["draw"]

Found = Mapping[str, Any]
MISSING = "plots need matplotlib: pip install 'hogwild-engine[lab]'"


def draw(folder: Path) -> tuple[list[Path], list[str]]:
    """Draw every result in ``folder``, each into an .svg beside it; raises ``LabError``.

    Returns what was drawn, and what is wrong with the JSON files that were skipped.
    """
    if not folder.is_dir():
        raise LabError(f"{folder}: is no folder")
    if find_spec("matplotlib") is None:
        raise LabError(MISSING)
    drawn, skipped = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            found = read(path)
        except LabError as error:  # others may write to the folder too
            skipped.append(str(error))
            continue
        drawn.append(path.with_suffix(".svg"))
        plotted(found, drawn[-1])
    return drawn, skipped


def plotted(found: Found, target: Path) -> None:
    """Draw one result."""
    # Not pyplot: it keeps figures, and looks for a screen.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    PLOTS[found["command"]](found, axes)
    environment = found["environment"]
    gil = "GIL on" if environment["gil_enabled"] else "GIL off"
    figure.text(0.01, 0.005, f"lab {found['command']}; {environment['python'].split()[0]}, {gil}, "
                f"{environment['cores']} cores", fontsize=7, color="0.4")  # fmt: skip
    figure.savefig(target, format="svg", metadata={"Date": None})


def orders(found: Found, axes: Any) -> None:
    """Distinct sums against the number of contributions."""
    marks = iter("osv^Dx*")
    dtype = found["samples"][0]["dtype"]
    policies = dict.fromkeys(sample["policy"] for sample in found["samples"])
    for policy in policies:
        points = [
            (sample["count"], len(set(sample["which"])))
            for sample in found["samples"]
            if sample["policy"] == policy and sample["dtype"] == dtype
        ]
        axes.plot(*zip(*points, strict=True), marker=next(marks, "+"), label=policy)
    axes.set(yscale="log", xlabel="contributions", ylabel="distinct sums", title=f"Orders, {dtype}")
    axes.legend()


def sources(found: Found, axes: Any) -> None:
    """Distinct results, as a share of the runs: source by mode."""
    names = list(dict.fromkeys(cell["source"] for cell in found["samples"]))
    modes = list(dict.fromkeys(cell["mode"] for cell in found["samples"]))
    grid = [[0.0] * len(modes) for _ in names]
    for cell in found["samples"]:
        row, column = names.index(cell["source"]), modes.index(cell["mode"])
        results = len({sample["hash"] for sample in cell["samples"]})
        grid[row][column] = (results - 1) / max(1, len(cell["samples"]) - 1)
        axes.text(column, row, "same" if results == 1 else str(results), ha="center", va="center")
    axes.imshow(grid, cmap="Oranges", vmin=0, vmax=1.5, aspect="auto")
    axes.set_xticks(range(len(modes)), modes)
    axes.set_yticks(range(len(names)), names)
    axes.set_title("Distinct results while one source is on")


def loss(found: Found, axes: Any) -> None:
    """Loss rates with their intervals, of every contention."""
    samples = found["samples"]
    rates = [100 * sample["rate"] for sample in samples]
    low = [100 * (sample["rate"] - sample["low"]) for sample in samples]
    high = [100 * (sample["high"] - sample["rate"]) for sample in samples]
    bars = [[max(0.0, end) for end in ends] for ends in (low, high)]
    axes.errorbar(rates, range(len(samples)), xerr=bars, fmt="o", capsize=3)
    axes.set_yticks(range(len(samples)), [contention(sample["contention"]) for sample in samples])
    axes.invert_yaxis()
    axes.set(xlabel="lost element-updates, % (95 %)", title="What is lost")
    axes.set_xscale("symlog", linthresh=1e-4)
    axes.set_xlim(left=0)


def contention(what: Mapping[str, Any]) -> str:
    """In a few words."""
    value = {"size": "size", "leaves": "leaves", "threads": "threads", "share of rows": "share"}
    return f"{what['sweep']} {what[value[what['sweep']]]:,}"


def spread(found: Found, axes: Any) -> None:
    """The test loss of each training, by mode."""
    modes = list(dict.fromkeys(sample["mode"] for sample in found["samples"]))
    losses = [[s["loss"] for s in found["samples"] if s["mode"] == mode] for mode in modes]
    axes.boxplot(losses, orientation="horizontal")
    axes.set_yticks(range(1, len(modes) + 1), modes)
    axes.set(xlabel="test loss", title="Seeds and repeats")


def training(found: Found, axes: Any) -> None:
    """How far from the order of its number each contribution was added, by step."""
    for leaf, name in enumerate(found["leaves"]):
        moved = [sum(c != turn for turn, c in enumerate(orders[leaf])) for orders in
                 found["arrivals"]]  # fmt: skip
        axes.step(range(len(moved)), [count + 0.05 * leaf for count in moved], label=name)
    elements = sum(prod(array["shape"]) for array in found["parameters"])
    axes.set(xlabel="step", ylabel="contributions out of order",
             title=f"Order of additions; {elements:,} parameters")  # fmt: skip
    axes.legend()


PLOTS: dict[str, Callable[[Found, Any], None]] = {
    "orders": orders, "sources": sources, "loss": loss, "spread": spread, "record": training,
    "replay": training,
}  # fmt: skip
