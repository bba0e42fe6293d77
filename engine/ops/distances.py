"""Norms, distances and angles along an axis, with a gradient of 0 where they are 0."""

from __future__ import annotations

import numpy as np

from ..values import Value
from .op import composed


def norm(x: Value, p: float, axis: int, keepdims: bool = False) -> Value:
    """The ``p``-norm along an axis; where it is 0, so is its gradient."""
    if p == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if p == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    powers = np.square(x) if p == 2 else np.abs(x) ** p
    total = np.sum(powers, axis=axis, keepdims=keepdims)
    none = np.equal(total, 0)
    safe = np.where(none, 1, total)
    root = np.sqrt(safe) if p == 2 else safe ** (1 / p)
    return np.where(none, 0, root)


def _normalize(x: Value, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Value:
    return x / np.maximum(norm(x, p, axis, True), eps)


def cosine_similarity(x1: Value, x2: Value, axis: int = 1, eps: float = 1e-8) -> Value:
    """The cosine of the angle between vectors along an axis, none counting as shorter than eps."""
    first = x1 / np.maximum(norm(x1, 2, axis, True), eps)
    second = x2 / np.maximum(norm(x2, 2, axis, True), eps)
    return np.add.reduce(first * second, axis=axis)


def pairwise_distance(
    x1: Value, x2: Value, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Value:
    """The ``p``-norm of ``x1 - x2 + eps`` along the last axis."""
    return norm(x1 - x2 + eps, p, -1, keepdims)


composed("nn.normalize", _normalize, "x")
composed("nn.cosine_similarity", cosine_similarity, "x1 x2")
composed("nn.pairwise_distance", pairwise_distance, "x1 x2")
