"""Forward and backward of single operations, the engine and PyTorch eager in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import engine
from stress.bench.measure import Ratio, alternate, ratio
from stress.bench.op_list import OPERATIONS, SIZES, Operation
from stress.bench.steps import LIMIT, Disagreement
from stress.bench.torch_peer import torch_installed
from stress.core.child import Child, Report
from stress.report.terminal import Progress, Table

__all__ = ["OpTimes", "op_table", "slow", "time_ops"]

SLOW = 2.0  # times PyTorch's time, from which an operation is listed as slow
PARTS = ("forward", "backward")


@dataclass(frozen=True, slots=True)
class OpTimes:
    """One operation at one size. Immutable.

    ``seconds["engine forward"]``: median per call. ``ratios["forward"]``: how many times PyTorch's
    time the engine takes; empty without PyTorch.
    """

    name: str
    size: int
    seconds: dict[str, float]
    ratios: dict[str, Ratio]


def time_ops(chosen: Sequence[Operation], seconds: float, shown: Progress) -> list[OpTimes]:
    """Time every operation at every size, each for ``seconds``. Raises ``Disagreement``."""
    found = []
    with Child() as child:
        for operation in chosen:
            shown.begin(f"operation {operation.name}")
            for size in SIZES:
                task = operation.name, size, seconds
                answer = child.call(perform, task, 10 * seconds + LIMIT)
                if isinstance(answer, Disagreement):
                    raise answer
                found.append(answer)
    return found


def perform(task: tuple[str, int, float], report: Report) -> OpTimes | Disagreement:
    """The child's part: an error that is a finding is sent, not raised."""
    name, size, seconds = task
    operation = next(each for each in OPERATIONS if each.name == name)
    try:
        return time_here(operation, size, seconds)
    except Disagreement as disagreement:
        return disagreement


def time_here(operation: Operation, size: int, seconds: float) -> OpTimes:
    """Time it in this process. Raises ``Disagreement``."""
    calls: dict[str, Callable[[], object]] = {}
    with threadpool_limits(1), engine.WorkerPool(0):
        answers = []
        for who, lib in _libraries().items():
            forward, backward, answer = _contestant(operation, size, lib)
            calls[f"{who} forward"] = forward
            if backward is not None:
                calls[f"{who} backward"] = backward
            answers.append(answer)
        if operation.exact:
            _agree(operation, size, answers)
        blocks = alternate(calls, seconds)
    return OpTimes(
        operation.name,
        size,
        {name: median(times) for name, times in blocks.items()},
        {
            part: ratio(blocks[f"engine {part}"], blocks[f"PyTorch {part}"])
            for part in PARTS
            if f"PyTorch {part}" in blocks and f"engine {part}" in blocks
        },
    )


def _libraries() -> dict[str, Any]:
    libraries: dict[str, Any] = {"engine": engine}
    if torch_installed():
        import torch

        torch.set_num_threads(1)
        libraries["PyTorch"] = torch
    return libraries


def _contestant(operation: Operation, size: int, lib: Any) -> tuple[Any, Any, Any]:
    """The forward, the backward of one graph again and again, and what they compute."""
    arrays = operation.inputs(np.random.default_rng(0), size)
    tensors = [lib.from_numpy(array) for array in arrays]
    sources = [t.requires_grad_() for t, a in zip(tensors, arrays, strict=True) if _real(a)]
    functional = lib.nn.functional

    def forward() -> Any:
        return operation.call(lib, functional, *tensors)

    out = forward()
    if not out.requires_grad:
        return forward, None, [out]
    seed = lib.ones_like(out)
    keywords = {"retain_graph": True, "allow_unused": True}

    def backward() -> Any:
        return lib.autograd.grad(out, sources, seed, **keywords)

    return forward, backward, [out.detach(), *backward()]


def _real(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _agree(operation: Operation, size: int, answers: Sequence[Sequence[Any]]) -> None:
    atol = 1e-3 + 1e-6 * size  # a sum of so many numbers that cancel is rounded by as much
    for ours, *others in zip(*answers, strict=True):
        for theirs in others:
            if (ours is None) != (theirs is None):
                raise Disagreement(f"{operation.name} at {size}: one has a gradient, one has none")
            if ours is not None and not np.allclose(
                ours.numpy(), theirs.numpy(), rtol=1e-3, atol=atol
            ):
                raise Disagreement(f"{operation.name} at {size}: results differ from PyTorch's")


def op_table(times: Sequence[OpTimes]) -> Table:
    """Microseconds of the engine, and how many times PyTorch's they are."""
    rows = []
    for name in dict.fromkeys(each.name for each in times):
        row = [name]
        for each in (each for each in times if each.name == name):
            row += [_cell(each, part) for part in PARTS]
        rows.append(tuple(row))
    columns = [f"{part[:3]} {_short(size)}" for size in SIZES for part in PARTS]
    title = "Operations: µs of the engine (times PyTorch's)"
    return Table(title, ("operation", *columns), rows, frozenset({"operation"}))


def _short(size: int) -> str:
    return {1: "1", 1_000: "1e3", 1_000_000: "1e6"}.get(size, str(size))


def _cell(times: OpTimes, part: str) -> str:
    seconds = times.seconds.get(f"engine {part}")
    if seconds is None:
        return "-"
    against = f" ({times.ratios[part].median:.2f})" if part in times.ratios else ""
    return f"{seconds * 1e6:,.1f}{against}"


def slow(times: Sequence[OpTimes]) -> list[str]:
    """What takes more than twice PyTorch's time, slowest first, as lines."""
    found = [
        (each.ratios[part].median, f"{each.name} {part} at {each.size:,}")
        for each in times
        for part in PARTS
        if part in each.ratios and each.ratios[part].median > SLOW
    ]
    found.sort(key=lambda line: -line[0])
    return [f"{factor:.1f} x PyTorch's time: {what}" for factor, what in found]
