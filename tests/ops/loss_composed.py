"""Cases of composed losses, of `engine.ops.distances` and of `engine.ops.ctc`."""

import itertools

import numpy as np

from tests.ops.case import Case, call
from tests.ops.loss import LABELS, _bce_with_logits, _of, _reduced, loss_samples

MAPS = np.array([[[2, 0], [1, 1]], [[0, -100], [2, 2]]])


WEIGHT = np.array([0.5, 1.0, 2.0])


SIGNS = np.array([1, -1, 1, -1])


def _counted(losses, weight, reduction):
    return _reduced(losses if weight is None else losses * weight, reduction)


def _nll(x, target, weight, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Element by element."""
    x = x[None] if x.ndim == 1 else x
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    weight = np.ones(x.shape[1]) if weight is None else weight
    losses, total = [], 0.0
    for row, c in zip(rows, np.ravel(target), strict=True):
        if c == ignore_index:
            losses.append(row[0] * 0)
            continue
        smooth = -(weight * row).sum() * label_smoothing / len(row)
        losses.append(-(1 - label_smoothing) * weight[c] * row[c] + smooth)
        total += weight[c]
    out = np.array(losses, x.dtype).reshape(target.shape)
    return out if reduction == "none" else out.sum() / (total if reduction == "mean" else 1)


def _torch_nll(torch, x, target, weight, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """PyTorch smooths in cross_entropy alone; log_softmax is undone by what it is given."""
    if not label_smoothing:
        weight = None if weight is None else weight.to(x.dtype)
        return torch.nn.functional.nll_loss(x, target, weight, None, ignore_index, None, reduction)
    how = torch.ones(x.shape[1], dtype=x.dtype) if weight is None else weight
    spread = (x * how.reshape(-1, *[1] * (x.ndim - 2))).sum(1)
    counts = target != ignore_index
    ids = torch.where(counts, target, 0)
    picked = torch.gather(x, 1, ids[:, None])[:, 0] * how[ids]
    losses = -(1 - label_smoothing) * picked - label_smoothing / x.shape[1] * spread
    losses = torch.where(counts, losses, 0)
    if reduction == "none":
        return losses
    return losses.sum() / (how[ids] * counts).sum() if reduction == "mean" else losses.sum()


def _of_probabilities(x, target, weight, label_smoothing=0.0, reduction="mean"):
    axis = min(x.ndim - 1, 1)
    target = target * (1 - label_smoothing) + label_smoothing / x.shape[axis]
    by = 1 if weight is None else weight.reshape(-1, *[1] * (x.ndim - axis - 1))
    return _reduced(-(by * target * x).sum(axis), reduction)


def _bce_pos(x, target, pos_weight, weight, reduction="mean"):
    p = 1 / (1 + np.exp(-x))
    losses = -(pos_weight * target * np.log(p) + (1 - target) * np.log(1 - p))
    return _counted(losses, weight, reduction)


def _kl_div(x, target, reduction="mean", log_target=False):
    p, log = (np.exp(target), target) if log_target else (target, np.log(target))
    losses = p * (log - x)
    if reduction == "batchmean":
        return losses.sum() / (len(x) if x.ndim else 1)
    return _reduced(losses, reduction)


def _poisson(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    losses = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        stirling = target * np.log(target) - target + 0.5 * np.log(2 * np.pi * target)
        losses = losses + np.where(target > 1, stirling, 0)
    return _reduced(losses, reduction)


def _gaussian(x, target, var, full=False, eps=1e-6, reduction="mean"):
    losses = 0.5 * (np.log(np.maximum(var, eps)) + (x - target) ** 2 / np.maximum(var, eps))
    return _reduced(losses + (0.5 * np.log(2 * np.pi) if full else 0), reduction)


def _multilabel(x, target, weight, reduction="mean"):
    losses = _bce_with_logits(x, target, "none")
    return _reduced((losses if weight is None else losses * weight).mean(-1), reduction)


def _norm(x, p, axis, keepdims=False):
    return np.linalg.norm(x, p, axis, keepdims)


def _cosine(a, b, axis=1, eps=1e-8):
    lengths = np.maximum(_norm(a, 2, axis), eps) * np.maximum(_norm(b, 2, axis), eps)
    return (a * b).sum(axis) / lengths


def _hinge_embedding(x, target, margin=1.0, reduction="mean"):
    return _reduced(np.where(target == 1, x, np.maximum(0, margin - x)), reduction)


def _ranking(a, b, target, margin=0.0, reduction="mean"):
    return _reduced(np.maximum(0, margin - target * (a - b)), reduction)


def _cosine_embedding(a, b, target, margin=0.0, reduction="mean"):
    cosine = _cosine(a, b, -1)
    return _reduced(np.where(target == 1, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


def _triplet(a, p_, n, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    near, far = _norm(a - p_ + eps, p, -1), _norm(a - n + eps, p, -1)
    far = np.minimum(far, _norm(p_ - n + eps, p, -1)) if swap else far
    return _reduced(np.maximum(0, near - far + margin), reduction)


def _multi_margin(x, target, weight, p=1, margin=1.0, reduction="mean"):
    rows, ids = np.atleast_2d(x), np.ravel(target)
    losses = []
    for row, c in zip(rows, ids, strict=True):
        over = np.delete(np.maximum(0, margin - row[c] + row), c) ** p
        losses.append(over.sum() / len(row) * (1 if weight is None else weight[c]))
    out = np.array(losses, x.dtype)
    return _reduced(out if x.ndim == 2 else out[0], reduction)


def _pick(x, ids):
    return np.take_along_axis(x, ids[:, None], 1)[:, 0]


def _place(g, ids, classes):
    return g[:, None] * (ids[:, None] == np.arange(classes))


TARGETS = np.array([[1, 2], [3, 3], [2, 0]])


CTC = (TARGETS, np.array([5, 4, 3]), np.array([2, 2, 1]))


def _ctc(x, targets, steps, lengths, blank=0):
    """The sum over all paths, one after the other."""
    losses, flat = [], iter(targets.ravel()) if targets.ndim == 1 else None
    for n, (count, length) in enumerate(zip(steps, lengths, strict=True)):
        row = [next(flat) for _ in range(length)] if flat else targets[n, :length]
        total = 0
        for path in itertools.product(range(x.shape[2]), repeat=int(count)):
            said = [c for c, _ in itertools.groupby(path) if c != blank]
            if said == list(row):
                total = total + np.exp(sum(x[t, n, c] for t, c in enumerate(path)))
        losses.append(-np.log(total))
    return np.array(losses, x.dtype)


COMPOSED = (
    Case(
        "nn.binary_cross_entropy_with_pos_weight",
        (
            *loss_samples((2, 3), (2, 3), WEIGHT, None),
            call((2, 3), (2, 3), WEIGHT, np.array([[2.0], [0.5]])),
        ),
        _bce_pos,
        lambda torch, x, target, pos_weight, weight, reduction="mean": _of(
            "binary_cross_entropy_with_logits"
        )(torch, x, target, weight, pos_weight=pos_weight, reduction=reduction),
    ),
    Case(
        "nn.kl_div",
        (
            *loss_samples((2, 3), (2, 3)),
            call((2, 3), (2, 3), reduction="batchmean"),
            call((2, 3), (2, 3), log_target=True),
        ),
        _kl_div,
        lambda torch, x, target, reduction="mean", **keywords: (
            _of("kl_div")(torch, x, target, reduction="none", **keywords).mean()
            if reduction == "mean"  # which PyTorch warns of
            else _of("kl_div")(torch, x, target, reduction=reduction, **keywords)
        ),
        domain=(0.05, 0.95),
    ),
    Case(
        "nn.poisson_nll_loss",
        (
            *loss_samples((2, 3), (2, 3)),
            call((2, 3), (2, 3), log_input=False),
            call((3, 3), (3, 3), full=True, peer=False),
        ),
        _poisson,
        lambda torch, x, target, **keywords: _of("poisson_nll_loss")(torch, x, target, **keywords),
        domain=(0.05, 2.5),
        kinks=(1.0,),
    ),
    Case(
        "nn.gaussian_nll_loss",
        (
            *loss_samples((2, 3), (2, 3), (2, 3)),
            call((2, 3), (2, 3), (2, 1), full=True),
        ),
        _gaussian,
        _of("gaussian_nll_loss"),
        domain=(0.05, 2.0),
    ),
    Case(
        "nn.soft_margin_loss",
        loss_samples((4,), SIGNS),
        lambda x, target, reduction="mean": _reduced(np.log1p(np.exp(-target * x)), reduction),
        _of("soft_margin_loss"),
    ),
    Case(
        "nn.multilabel_soft_margin_loss",
        (*loss_samples((2, 3), (2, 3), None), call((2, 3), (2, 3), WEIGHT)),
        _multilabel,
        lambda torch, x, target, weight, reduction="mean": _of("multilabel_soft_margin_loss")(
            torch, x, target, weight, reduction=reduction
        ),
    ),
    Case("nn.pick", (call((3, 4), LABELS), call((0, 4), LABELS[:0])), _pick),
    Case("nn.place", (call((3,), LABELS, 4), call((0,), LABELS[:0], 2)), _place),
    Case(
        "nn.nll_loss",
        (
            *loss_samples((3, 4), LABELS, None),
            *loss_samples((3, 3), LABELS, WEIGHT),
            *loss_samples((2, 3, 2, 2), MAPS, WEIGHT),
            call((3, 4), LABELS, None, ignore_index=0),
            call((4,), np.array(2), None),
            call((3, 4), LABELS, None, label_smoothing=0.1),
            call((2, 3, 2, 2), MAPS, WEIGHT, label_smoothing=0.25),
            call((2, 3, 2, 2), MAPS, WEIGHT, label_smoothing=0.25, reduction="none"),
        ),
        _nll,
        _torch_nll,
    ),
    Case(
        "nn.cross_entropy_of_probabilities",
        (
            *loss_samples((3, 4), (3, 4), None),
            call((2, 3, 2), (2, 3, 2), WEIGHT, label_smoothing=0.1),
            call((3,), (3,), WEIGHT),
        ),
        _of_probabilities,
    ),
    Case(
        "nn.normalize",
        (
            call((2, 3)),
            call((2, 3), axis=0),
            call((2, 3), p=1.0),
            call((2, 3), p=3.0),
            call((4,), axis=0, p=np.inf),
        ),
        lambda x, p=2.0, axis=1, eps=1e-12: x / np.maximum(_norm(x, p, axis, True), eps),
        lambda torch, x, p=2.0, axis=1, eps=1e-12: torch.nn.functional.normalize(x, p, axis, eps),
        domain=(-2.0, 1.7),
    ),
    Case(
        "nn.cosine_similarity",
        (call((2, 3), (2, 3)), call((2, 3), (1, 3), axis=-1), call((4,), (4,), axis=0)),
        _cosine,
        lambda torch, a, b, axis=1, eps=1e-8: torch.cosine_similarity(a, b, axis, eps),
    ),
    Case(
        "nn.pairwise_distance",
        (
            call((2, 3), (2, 3)),
            call((2, 3), (1, 3), p=1.0, keepdims=True),
            call((4,), (4,), p=3.0, eps=0.1),
        ),
        lambda a, b, p=2.0, eps=1e-6, keepdims=False: _norm(a - b + eps, p, -1, keepdims),
        lambda torch, a, b, p=2.0, eps=1e-6, keepdims=False: torch.pairwise_distance(
            a, b, p, eps, keepdims
        ),
    ),
    Case(
        "nn.hinge_embedding_loss",
        (*loss_samples((4,), SIGNS), call((4,), SIGNS, margin=0.5)),
        _hinge_embedding,
        _of("hinge_embedding_loss"),
        kinks=(1.0, 0.5),
    ),
    Case(
        "nn.margin_ranking_loss",
        (*loss_samples((4,), (4,), SIGNS), call((4,), (4,), SIGNS, margin=0.3)),
        _ranking,
        _of("margin_ranking_loss"),
    ),
    Case(
        "nn.cosine_embedding_loss",
        (
            *loss_samples((4, 3), (4, 3), SIGNS),
            call((4, 3), (4, 3), SIGNS, margin=-0.2),
            call((3,), (3,), np.array(1)),
        ),
        _cosine_embedding,
        _of("cosine_embedding_loss"),
    ),
    Case(
        "nn.triplet_margin_loss",
        (
            *loss_samples((3, 4), (3, 4), (3, 4)),
            call((3, 4), (3, 4), (3, 4), swap=True, margin=0.5),
            call((3, 4), (3, 4), (3, 4), p=1.0),
        ),
        _triplet,
        _of("triplet_margin_loss"),
    ),
    Case(
        "nn.multi_margin_loss",
        (
            *loss_samples((3, 4), LABELS, None),
            call((3, 3), LABELS, WEIGHT, p=2, margin=0.5),
            call((4,), np.array(1), None),
        ),
        _multi_margin,
    ),
    Case(
        "nn.bpr_loss",
        loss_samples((2, 3), (2, 3)),
        lambda a, b, reduction="mean": _reduced(np.log1p(np.exp(b - a)), reduction),
        lambda torch, a, b, reduction="mean": _of("soft_margin_loss")(
            torch, a - b, torch.ones_like(a), reduction=reduction
        ),
    ),
    Case(
        "nn.ctc_loss",
        (
            call((5, 3, 4), *CTC),
            call((4, 2, 3), np.array([1, 1, 0]), np.array([4, 3]), np.array([2, 1]), blank=2),
            call((2, 1, 3), np.zeros((1, 0), int), np.array([2]), np.array([0])),
        ),
        _ctc,
        domain=(-3.0, -0.1),
    ),
)
