"""Where scenarios come from: a module by name, or a file of a user's by path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from stress.core.errors import said
from stress.core.scenario import MODES, Params, Scenario

__all__ = ["SHIPPED", "SourceError", "asked", "load"]

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
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and f"{source}.".startswith(
            f"{error.name}."
        )
        if not missing:  # it raises, or imports what is missing
            raise SourceError(f"{source}: {said(error)}") from error
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
        if isinstance(error, Exception | SystemExit):  # a script that ends itself gives no verdict
            raise SourceError(f"{place(error, path)}: {said(error)}") from error
        raise
    return module


def place(error: BaseException, path: Path) -> str:
    """The file, and the last line of it that was executed before ``error``."""
    lines = [at.lineno for at in extract_tb(error.__traceback__) if at.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


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
        if wrong := wrong_modes(scenario):
            raise SourceError(f"{source}: {scenario.name!r} has {wrong} {', '.join(MODES)}")
    return found


def wrong_modes(scenario: Scenario) -> str:
    """Why no table of outcomes could be found in ``scenario``, up to the names of the modes."""
    tables = scenario.outcomes
    if not isinstance(tables, Mapping) or not all(map(callable, tables.values())):
        return "outcomes that are no dict from mode to a function of the params; modes are"
    if unknown := [mode for mode in tables if mode not in MODES]:
        return f"outcomes in {unknown[0]!r}, which is none of the modes"
    return "" if scenario.modes else "outcomes in none of the modes"


Fits = Callable[[Any], bool]


def all_are(fits: Fits) -> Fits:
    """Whether something holds several items, each of which fits."""
    return lambda found: isinstance(found, Collection) and all(map(fits, found))


def natural(value: Any) -> bool:
    """Whether it is a whole number from 1 on."""
    return isinstance(value, int) and value >= 1


PARTS: dict[str, tuple[str, Fits]] = {
    "sizes": ("whole numbers from 1 on", lambda it: bool(it) and all_are(natural)(it)),
    "tags": ("a set of strings", all_are(lambda tag: isinstance(tag, str))),
    "explore": ("a tuple of Params", all_are(lambda params: isinstance(params, Params))),
    "crew": ("a whole number from 1 on", natural),
    "minimum": ("a whole number", lambda it: isinstance(it, int)),
    "declared": ("a list of outcomes", lambda it: True),  # sees to that itself
}


def asked(scenario: Scenario, part: str, about: Any) -> Any:
    """What ``scenario`` says in one of its ``PARTS`` of a configuration, before that is run.

    Raises ``SourceError`` where it raises, or says what cannot be used.
    """
    try:
        found = getattr(scenario, part)(about)
    except Exception as error:
        raise SourceError(f"{scenario.name!r}: its {part} raised {said(error)}") from error
    words, fits = PARTS[part]
    if not fits(found):
        raise SourceError(f"{scenario.name!r}: its {part} must be {words}, got {found!r}")
    return found
