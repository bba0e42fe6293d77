"""The slow path of the loop: nodes that something is hooked to.

The order is PyTorch's: tensor hooks, the retained gradient, node pre-hooks, the node, node
post-hooks; on a leaf the addition to ``.grad`` is the node, and its post-accumulate hooks come
before its post-hooks. Hooks run under no lock. They see values through ``show`` and give them back
through ``hide``: this room does not know what a Tensor is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import AnomalyError, RuleError
from ..graph import Node, describe
from ..hooks import HookList
from ..values import Value, fit, has_nan

Shown = Any


def _same(value: Value, like: Value = None) -> Value:
    return value


# What user code sees of a travelling value, and back again, checked against what it replaces.
# Immutable once `differentiable` has been imported.
show: Callable[[Value], Shown] = _same
hide: Callable[[Shown, Value], Value] = _same


def present(shower: Callable[[Value], Shown], hider: Callable[[Shown, Value], Value]) -> None:
    """Decide what user code sees of a travelling value."""
    global show, hide
    show, hide = shower, hider


def call_tensor_hooks(hooks: HookList, g: Value) -> Value:
    """Each hook sees what the one before it returned; None leaves the gradient as it is."""
    for _, hook in hooks.entries if g is not None else ():
        replaced = hook(g)
        if replaced is not None:
            g = replaced
    return g


def call_pre_hooks(node: Node, g: Value) -> Value:
    """Node pre-hooks: each sees the gradients of all outputs, and may replace them."""
    assert node.hooks is not None
    for _, hook in node.hooks.pre.entries:
        several = type(g) is list
        outputs: list[Value] = g if several else [g]
        replaced = _replaced(node, "pre-hook", hook(_shown(outputs)), outputs)
        g = replaced if several else replaced[0]
    return g


def pull_hooked(node: Node, g: Value, onward: Sequence[object | None], retain: bool) -> list[Value]:
    """``node.pull`` between its pre- and post-hooks."""
    assert node.hooks is not None
    g = call_pre_hooks(node, g)
    grads = node.pull(g, onward, retain)
    if node.hooks.post.entries:
        fitted = [
            value if value is None or edge is None else fit(value, *edge[0].output(edge[1]))
            for value, edge in zip(grads, node.edges, strict=True)
        ]
        grads = call_post_hooks(node, fitted, g)
    return grads


def call_post_hooks(node: Node, grads: list[Value], g: Value) -> list[Value]:
    """Node post-hooks: each sees the gradients of inputs and outputs; may replace the former."""
    assert node.hooks is not None
    outputs = _shown(g if type(g) is list else [g])
    for _, hook in node.hooks.post.entries:
        grads = _replaced(node, "hook", hook(_shown(grads), outputs), grads)
    return grads


def check_nan(node: Node, grads: Sequence[Value]) -> None:
    """Anomaly detection: raise where ``node`` made a NaN."""
    for index, value in enumerate(grads):
        if value is not None and has_nan(value):
            raise AnomalyError(
                f"Function {node.name()!r} returned nan values in its {index}th output. It was "
                f"recorded at {describe(node.origin)}"
            )


def _shown(values: Sequence[Value]) -> tuple[Shown, ...]:
    return tuple(None if value is None else show(value) for value in values)


def _replaced(node: Node, what: str, result: Any, values: list[Value]) -> list[Value]:
    if result is None:
        return values
    given = result if isinstance(result, tuple | list) else (result,)
    if len(given) != len(values):
        raise RuleError(
            f"a {what} of {node.name()} must return {len(values)} gradients, got {len(given)}"
        )
    return [None if new is None else hide(new, old) for new, old in zip(given, values, strict=True)]
