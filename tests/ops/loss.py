"""Cases of the fused losses: `engine.ops.loss` and `engine.ops.loss_elementwise`."""

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


def _bce_with_logits(x, target, reduction="mean"):
    p = 1 / (1 + np.exp(-x))
    return _bce(p, target, reduction)


def _bce(p, target, reduction="mean"):
    return _reduced(-(target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)


def _huber(x, target, reduction="mean", delta=1.0):
    d = np.abs(x - target)
    return _reduced(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


def _of(name: str):
    return lambda torch, *args, **keywords: getattr(torch.nn.functional, name)(*args, **keywords)


def loss_samples(*args: Any) -> tuple[Sample, ...]:
    return (call(*args), *(call(*args, reduction=how) for how in ("mean", "sum", "none")))


LOSSES = (
    Case(
        "nn.cross_entropy",
        (
            *loss_samples((3, 4), LABELS),
            call((3, 4), LABELS.astype("uint8"), peer=False),
            call((1, 1), np.array([0])),
            call((3, 70), np.array([69, 0, 31])),
            call((1, 70), np.array([2]), reduction="none"),
            call((0, 4), np.zeros(0, int), reduction="sum"),
        ),
        _cross_entropy,
        _of("cross_entropy"),
    ),
    Case(
        "nn.nll",
        (
            *loss_samples((3, 4), LABELS),
            call((3, 4), LABELS.astype("uint8"), peer=False),
            call((0, 4), np.zeros(0, int), reduction="sum"),
        ),
        lambda x, target, reduction="mean": _reduced(-x[np.arange(len(x)), target], reduction),
        _of("nll_loss"),
    ),
    Case(
        "nn.mse_loss",
        (
            *loss_samples((3, 4), (3, 4)),
            call((), ()),
            call((3, 1), (1, 4), peer=False),
            call((2, 3), 0.5, peer=False),
            call((0, 3), (0, 3), reduction="sum"),
        ),
        lambda x, target, reduction="mean": _reduced((x - target) ** 2, reduction),
        _of("mse_loss"),
    ),
    Case(
        "nn.l1_loss",
        (
            *loss_samples((3, 4), (3, 4)),
            call((3, 1), (1, 4), peer=False),
            call((2,), 9.0, peer=False),
        ),
        lambda x, target, reduction="mean": _reduced(np.abs(x - target), reduction),
        _of("l1_loss"),
    ),
    Case(
        "nn.huber_loss",
        (
            *loss_samples((3, 4), (3, 4)),
            call((5, 3), (5, 3), delta=0.5),
            call((3, 1), (1, 4), delta=0.7, peer=False),
        ),
        _huber,
        _of("huber_loss"),
    ),
    Case(
        "nn.binary_cross_entropy_with_logits",
        (*loss_samples((3, 4), (3, 4)), call((), ()), call((0, 3), (0, 3), reduction="sum")),
        _bce_with_logits,
        _of("binary_cross_entropy_with_logits"),
    ),
    Case(
        "nn.binary_cross_entropy",
        (*loss_samples((3, 4), (3, 4)), call((), ()), call((0, 3), (0, 3), reduction="sum")),
        _bce,
        _of("binary_cross_entropy"),
        domain=(0.05, 0.95),
    ),
)
