"""What tells results apart."""

from __future__ import annotations

from collections.abc import Iterable

from stress.core.result import Result
from stress.core.tactics import PLAIN

__all__ = ["DIMENSIONS", "dimensions", "keep", "kept", "title", "unusual", "varied"]


DIMENSIONS = ("size", "threads", "dtype", "sync", "chaos", "switch", "gil", "fork")


def title(result: Result) -> str:
    """What tells a run from all others, its seed aside.

    >>> from stress.core.scenario import Params
    >>> title(Result(1, "accumulate.ones", Params("racy")))
    'accumulate.ones[racy,threads=2,size=10000,float64]'
    """
    params = result.params
    words = [params.mode, f"threads={params.threads}", f"size={params.size}", params.dtype]
    words += ["explored"] if params.explored else []
    return f"{result.name}[{','.join([*words, *unusual(result)])}]"


def unusual(result: Result) -> list[str]:
    """How a run was not made as most are."""
    tactics = result.tactics
    words = {
        f"sync={tactics.sync}": tactics.sync != PLAIN.sync,
        f"chaos={tactics.chaos}": tactics.chaos != PLAIN.chaos,
        f"switch={tactics.switch_interval:g}": tactics.switch_interval != PLAIN.switch_interval,
        f"gil={tactics.gil}": tactics.gil != PLAIN.gil,
        f"fork={result.fork}": result.fork,
    }
    return [word for word, is_so in words.items() if is_so]


def dimensions(result: Result) -> dict[str, str]:
    """In what a run may differ from others of its scenario and mode, seeds aside."""
    params, tactics = result.params, result.tactics
    values = (
        f"{params.size:,}", str(params.threads), params.dtype, tactics.sync, tactics.chaos,
        f"{tactics.switch_interval:g}", tactics.gil, str(result.fork),
    )  # fmt: skip
    return dict(zip(DIMENSIONS, values, strict=True))


def varied(results: Iterable[Result]) -> list[str]:
    """The dimensions in which results of scenarios differ; those of trainings do not count.

    >>> from stress.core.scenario import Params
    >>> varied([Result(1, "ones", Params("racy", threads=n, size=5)) for n in (2, 3)])
    ['threads']
    """
    seen = [dimensions(result) for result in results if result.number]
    return [name for name in DIMENSIONS if len({each[name] for each in seen}) > 1]


def keep(results: dict[str, Result], result: Result) -> None:
    """Keep ``result``: of every configuration the last one counts, or the last that failed."""
    before = results.get(title(result))
    if before is None or result.failed or (result.trials and not before.failed):
        results[title(result)] = result


def kept(results: Iterable[Result]) -> list[Result]:
    """One result for each configuration, where a run went through them again and again."""
    found: dict[str, Result] = {}
    for result in results:
        keep(found, result)
    return list(found.values())
