"""The door to SciPy: opened by the first call that needs it, and by nothing else in the engine.

SciPy comes with the extra ``special``. What is computed without it does not come through here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..errors import MissingExtraError


@lru_cache
def scipy(part: str) -> Any:
    """The module ``scipy.<part>``. Raises ``MissingExtraError`` where SciPy is not installed.

    Internally synchronised, by the lock that Python imports under.
    """
    try:
        import scipy
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this needs scipy.{part}: install SciPy with `pip install hogwild-engine[special]`"
        ) from error
    return getattr(scipy, part)
