"""Cases of `engine.ops.loss`."""

from typing import Any

import numpy as np

from tests.ops.case import Case, Sample, call
from tests.ops.softmax import softmax

LABELS = np.array([2, 0, 1])


def _reduced(losses, reduction="mean"):
    reduce: Any = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction]
    return reduce(losses)


def _cross_entropy(logits, target, reduction="mean"):
    return _reduced(-np.log(softmax(logits))[np.arange(len(logits)), target], reduction)


def _bce(x, target, reduction="mean"):
    p = 1 / (1 + np.exp(-x))
    return _reduced(-(target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)


def loss_samples(*args: Any) -> tuple[Sample, ...]:
    return (call(*args), *(call(*args, reduction=how) for how in ("mean", "sum", "none")))


LOSSES = (
    Case(
        "cross_entropy",
        (
            *loss_samples((3, 4), LABELS),
            call((3, 4), LABELS.astype("uint8"), peer=False),
            call((1, 1), np.array([0])),
            call((0, 4), np.zeros(0, int), reduction="sum"),
        ),
        _cross_entropy,
        lambda torch, x, target, **keywords: torch.nn.functional.cross_entropy(
            x, target, **keywords
        ),
    ),
    Case(
        "mse_loss",
        (
            *loss_samples((3, 4), (3, 4)),
            call((), ()),
            call((3, 1), (1, 4), peer=False),
            call((2, 3), 0.5, peer=False),
            call((0, 3), (0, 3), reduction="sum"),
        ),
        lambda x, target, reduction="mean": _reduced((x - target) ** 2, reduction),
        lambda torch, x, target, **keywords: torch.nn.functional.mse_loss(x, target, **keywords),
    ),
    Case(
        "binary_cross_entropy_with_logits",
        (*loss_samples((3, 4), (3, 4)), call((), ()), call((0, 3), (0, 3), reduction="sum")),
        _bce,
        lambda torch, x, target, **keywords: torch.nn.functional.binary_cross_entropy_with_logits(
            x, target, **keywords
        ),
    ),
)
