"""Exit codes: pytest's where it has one, so that scripts need to learn only the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import IntEnum

from stress.core.result import Result, Verdict

__all__ = ["Exit", "exit_code", "worst"]


class Exit(IntEnum):
    """How a command ended."""

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> Exit:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    PASS = 0, "no promise was broken"
    FORBIDDEN = 1, "a forbidden or unknown outcome, a broken promise, or drift (compare)"
    INTERRUPTED = 2, "interrupted (Ctrl-C), or killed"
    HARNESS = 3, "a scenario's own code, or the harness, went wrong"
    USAGE = 4, "wrong usage: an option, a value or a file"
    NOTHING = 5, "nothing was selected"
    INCONCLUSIVE = 6, "too little was seen to tell (only with --fail-on inconclusive)"
    HANG = 7, "a scenario or a training run hung"
    CRASH = 8, "a scenario or a training run crashed its process"


# The worst verdict decides: first come those after which the rest of the run says least.
SEVERITY = (
    (Verdict.CRASH, Exit.CRASH),
    (Verdict.TIMEOUT, Exit.HANG),
    (Verdict.ERROR, Exit.HARNESS),
    (Verdict.FAIL, Exit.FORBIDDEN),
)


def exit_code(results: Sequence[Result], fail_on: Collection[str] = ()) -> Exit:
    """The exit code of a run that came to its end with ``results``."""
    verdicts = {result.verdict for result in results}
    for verdict, code in SEVERITY:
        if verdict.value in verdicts:
            return code
    if "interesting" in fail_on and any(result.interesting for result in results):
        return Exit.FORBIDDEN
    if "inconclusive" in fail_on and Verdict.INCONCLUSIVE.value in verdicts:
        return Exit.INCONCLUSIVE
    return Exit.PASS


# Codes from the worst on: an end by Ctrl-C hides nothing that was found before it.
WORST = (
    *(code for _, code in SEVERITY), Exit.INCONCLUSIVE, Exit.INTERRUPTED, Exit.NOTHING, Exit.USAGE,
    Exit.PASS,
)  # fmt: skip


def worst(*codes: Exit) -> Exit:
    """The code that decides where there are several.

    >>> worst(Exit.INTERRUPTED, Exit.PASS).name, worst(Exit.INTERRUPTED, Exit.FORBIDDEN).name
    ('INTERRUPTED', 'FORBIDDEN')
    """
    return min(codes, key=WORST.index)
