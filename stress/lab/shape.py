"""The shape of result files: whether all that is read of one is there, and of its kind.

A shape is a type; a list with the shape of each item; or a dict with the shapes of fields, beside
which there may be others. Numbers are ``float``: JSON has one kind.
"""

from __future__ import annotations

from typing import Any

__all__ = ["flaw"]

ENVIRONMENT = {"python": str, "gil_enabled": bool, "cores": float}
COMMON = {"environment": ENVIRONMENT, "settings": {}, "exit_code": float}
CONTENTION = {"sweep": str, "size": float, "leaves": float, "share": float, "threads": float}
CELL = {"source": str, "mode": str}
SUM = {"policy": str, "dtype": str, "count": float}
TRAINING = {
    "hash": str, "leaves": [str], "arrivals": [[[float]]], "digests": [[str]],
    "parameters": [{"dtype": str, "shape": [float], "data": str}],
}  # fmt: skip

SHAPES: dict[str, dict[str, Any]] = {
    "orders": {"rows": [{**SUM, "patterns": float, "ulp": float}],
               "samples": [{**SUM, "which": [float]}]},
    "sources": {"rows": [{**CELL, "results": float}],
                "samples": [{**CELL, "samples": [{"hash": str}]}]},
    "record": TRAINING,
    "replay": TRAINING,
    "loss": {"samples": [{"contention": CONTENTION, "rate": float, "low": float, "high": float}]},
    "spread": {"samples": [{"mode": str, "loss": float}]},
}  # fmt: skip


def flaw(found: dict[str, Any]) -> str | None:
    """The first thing that is wrong with a result, in words; None: there is nothing.

    >>> flaw({"command": "spread", "environment": {"python": "3.13"}})
    'environment.gil_enabled is missing'
    """
    command = found["command"]
    if not isinstance(command, str) or command not in SHAPES:
        return f"there is no command {command!r}"
    return misshapen(found, {**COMMON, **SHAPES[command]}, "")


def misshapen(found: object, shape: Any, where: str) -> str | None:
    """What is wrong at a place, or below it."""
    if isinstance(shape, dict):
        return without_field(found, shape, where)
    if isinstance(shape, list):
        return without_item(found, shape[0], where)
    kinds = (int, float) if shape is float else shape
    right = isinstance(found, kinds) and isinstance(found, bool) == (shape is bool)
    return None if right else f"{where} is {found!r:.40}, not a {NAMES[shape]}"


NAMES = {float: "number", str: "text", bool: "truth value"}


def without_field(found: object, shape: dict[str, Any], where: str) -> str | None:
    """What is wrong with an object."""
    if not isinstance(found, dict):
        return f"{where} is {found!r:.40}, not an object"
    for name, part in shape.items():
        inner = f"{where}.{name}" if where else name
        if name not in found:
            return f"{inner} is missing"
        if wrong := misshapen(found[name], part, inner):
            return wrong
    return None


def without_item(found: object, part: Any, where: str) -> str | None:
    """What is wrong with a list; one that is empty is."""
    if not isinstance(found, list) or not found:
        return f"{where} is {found!r:.40}, not a list of something"
    wrong = (misshapen(item, part, f"{where}[{index}]") for index, item in enumerate(found))
    return next(filter(None, wrong), None)
