"""Rules that refuse: a gradient that exists, but that nobody has a closed form of."""

from __future__ import annotations

from typing import Any

from ..errors import NotSupportedError
from ..values import Value
from .recipe import Rule


def refuse(op: str, name: str) -> Rule:
    """A rule for the input ``name`` of ``op`` that raises ``NotSupportedError``."""

    def rule(g: Value) -> Value:
        raise NotSupportedError(
            f"{op}: the gradient with respect to {name} has no closed form. detach() {name} where "
            "it is to count as a constant"
        )

    rule.__name__ = "refused"
    return rule


def refuses(rule: Any) -> bool:
    """Whether ``rule`` was made by ``refuse``."""
    return getattr(rule, "__name__", "") == "refused"
