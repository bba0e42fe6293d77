"""Containers of tensors: nested dicts, lists, tuples and namedtuples, taken apart and rebuilt.

``None`` is a container of nothing; everything else that is no container is a leaf. No threads here:
each function reads what its caller owns and returns something new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Any

from ..errors import OperandError


def leaves(tree: Any) -> list[Any]:
    """What is in ``tree``, in the order in which it stands there.

    >>> leaves({"w": [1, 2], "b": (3, None)})
    [1, 2, 3]
    """
    if tree is None:
        return []
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        return [tree]
    return [leaf for part in tree for leaf in leaves(part)]


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """``tree`` with ``function(leaf)`` in place of each leaf.

    >>> map_leaves(lambda n: n + 1, {"w": [1, 2], "b": (3, None)})
    {'w': [2, 3], 'b': (4, None)}
    """
    if tree is None:
        return None
    if isinstance(tree, dict):
        out = copy(tree)  # keeps what kind of dict it is
        for key, part in tree.items():
            out[key] = map_leaves(function, part)
        return out
    if not isinstance(tree, list | tuple):
        return function(tree)
    parts = [map_leaves(function, part) for part in tree]
    if hasattr(tree, "_make"):
        return tree._make(parts)
    return tuple(parts) if isinstance(tree, tuple) else parts


def refill(tree: Any, values: Iterable[Any]) -> Any:
    """``tree`` with its leaves replaced by as many ``values``, in the order of ``leaves``."""
    rest: Iterator[Any] = iter(values)
    return map_leaves(lambda _: next(rest), tree)


def paired(tree: Any, other: Any, what: str) -> list[Any]:
    """The leaves of ``other``, in the order of those of ``tree``, which it has to resemble.

    Lists and tuples stand for each other. Raises ``OperandError``, naming ``what`` does not fit.

    >>> paired({"w": 1, "b": 2}, {"b": 20, "w": 10}, "the tangents")
    [10, 20]
    """
    if isinstance(tree, dict):
        if not isinstance(other, dict) or other.keys() != tree.keys():
            raise _unlike(tree, other, what)
        pairs = [(part, other[key]) for key, part in tree.items()]
    elif isinstance(tree, list | tuple):
        if not isinstance(other, list | tuple) or len(other) != len(tree):
            raise _unlike(tree, other, what)
        pairs = list(zip(tree, other, strict=True))
    elif isinstance(other, dict | list | tuple) or (tree is None) != (other is None):
        raise _unlike(tree, other, what)
    else:
        return [] if tree is None else [other]
    return [leaf for pair in pairs for leaf in paired(*pair, what)]


def spread(prefix: Any, tree: Any, what: str) -> list[Any]:
    """One value of ``prefix`` a leaf of ``tree``: a value stands for all that is below its place.

    >>> spread((0, None), ([1, 2], 3), "in_axes")
    [0, 0, None]
    """
    if isinstance(prefix, dict | list | tuple):
        if isinstance(prefix, dict) and isinstance(tree, dict) and prefix.keys() == tree.keys():
            pairs = [(prefix[key], part) for key, part in tree.items()]
        elif (
            not isinstance(prefix, dict)
            and isinstance(tree, list | tuple)
            and len(prefix) == len(tree)
        ):
            pairs = list(zip(prefix, tree, strict=True))
        else:
            raise _unlike(tree, prefix, what)
        return [value for pair in pairs for value in spread(*pair, what)]
    return [prefix] * len(leaves(tree))


def _unlike(tree: Any, other: Any, what: str) -> OperandError:
    return OperandError(f"{what} must have the structure {sketch(tree)}, got {sketch(other)}")


def sketch(tree: Any) -> str:
    """A container's structure in a few characters: ``{'w': [*, *]}``."""
    if isinstance(tree, dict):
        inner = ", ".join(f"{key!r}: {sketch(part)}" for key, part in tree.items())
        return f"{{{inner}}}"
    if isinstance(tree, list | tuple):
        inner = ", ".join(map(sketch, tree))
        return f"[{inner}]" if isinstance(tree, list) else f"({inner})"
    return "None" if tree is None else "*"
