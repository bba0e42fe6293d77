"""Where scenarios come from: a module by name, or a file of a user's by path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from stress.core.scenario import MODES, Scenario

__all__ = ["SHIPPED", "SourceError", "load"]

SHIPPED = "stress.scenarios"

HOW = "`docs/stress.md` shows how a file of scenarios begins"


class SourceError(ValueError):
    """Scenarios that cannot be used; the message names the file, what is wrong and the fix."""


def load(source: str) -> Sequence[Scenario]:
    """The scenarios that ``source`` lists as ``SCENARIOS``.

    ``source`` names a module, or is the path of a ``.py`` file, which may import its neighbours.
    It is executed once a process. Raises ``SourceError`` where there is nothing to run. Externally
    synchronised: it imports.

    >>> load("stress.scenarios")[0].name
    'accumulate.ones'
    >>> load("nowhere.py")
    Traceback (most recent call last):
        ...
    stress.core.source.SourceError: nowhere.py: there is no such file
    """
    module = from_file(source) if source.endswith(".py") else by_name(source)
    return checked(source, getattr(module, "SCENARIOS", None))


def by_name(source: str) -> ModuleType:
    """The module of that name."""
    try:
        return importlib.import_module(source)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and f"{source}.".startswith(
            f"{error.name}."
        )
        if not missing:  # it raises, or imports what is missing
            raise SourceError(f"{source}: {type(error).__name__}: {error}") from error
    file = f"{source}.py"
    fix = f"did you mean {file}?" if Path(file).is_file() else f"a file is named as in {file}"
    raise SourceError(f"{source}: there is no such module; {fix}")


def from_file(source: str) -> ModuleType:
    """The module of a file."""
    path = Path(source).resolve()
    if not path.is_file():
        raise SourceError(f"{source}: there is no such file")
    name = f"stress_user_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    return sys.modules.get(name) or execute(name, path)


def execute(name: str, path: Path) -> ModuleType:
    """Execute the file as module ``name``; it stays in ``sys.modules`` only if that succeeds."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise SourceError(f"{path}: {type(error).__name__}: {error}") from error
        raise
    return module


def checked(source: str, found: object) -> Sequence[Scenario]:
    """``found``, if it is scenarios that can be told apart and run."""
    if not isinstance(found, Sequence) or not all(isinstance(item, Scenario) for item in found):
        raise SourceError(f"{source}: SCENARIOS must be a list or tuple of Scenario; {HOW}")
    names = [scenario.name for scenario in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SourceError(
            f"{source}: two scenarios are called {twice.pop()!r}; names tell them apart"
        )
    for scenario in found:
        if not scenario.modes:
            known = ", ".join(MODES)
            raise SourceError(
                f"{source}: {scenario.name!r} has outcomes in none of the modes {known}"
            )
    return found
