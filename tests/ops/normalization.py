"""Cases of `engine.ops.normalization`."""

import numpy as np

from tests.ops.case import Case, call


def _standard(x, axes, eps):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def _layer_norm(x, weight, bias, axes=1, eps=1e-5):
    out = _standard(x, tuple(range(x.ndim - axes, x.ndim)), eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _rms_norm(x, weight, axes=1, eps=1e-6):
    last = tuple(range(x.ndim - axes, x.ndim))
    out = x / np.sqrt((x * x).mean(last, keepdims=True) + eps)
    return out if weight is None else out * weight


def _each(x, parameter):
    return parameter.reshape(-1, *[1] * (x.ndim - 2))


def _affine(out, weight, bias):
    out = out if weight is None else out * _each(out, weight)
    return out if bias is None else out + _each(out, bias)


def _batch_norm(x, weight, bias, eps=1e-5):
    return _affine(_standard(x, (0, *range(2, x.ndim)), eps), weight, bias)


def _running(x, mean, variance, weight, bias, eps=1e-5):
    return _affine((x - _each(x, mean)) / np.sqrt(_each(x, variance) + eps), weight, bias)


def _group_norm(x, weight, bias, groups=1, eps=1e-5):
    parts = np.split(x, groups, axis=1)
    axes = tuple(range(1, x.ndim))
    return _affine(np.concatenate([_standard(p, axes, eps) for p in parts], 1), weight, bias)


def _torch_layer_norm(torch, x, weight, bias, axes=1, eps=1e-5):
    return torch.nn.functional.layer_norm(x, x.shape[x.ndim - axes :], weight, bias, eps)


def _torch_rms_norm(torch, x, weight, axes=1, eps=1e-6):
    return torch.nn.functional.rms_norm(x, x.shape[x.ndim - axes :], weight, eps)


def _running_torch(torch, x, mean, variance, weight, bias, eps=1e-5):
    """PyTorch gives no gradient to running statistics, so it is written out."""

    def each(p):
        return p.reshape(-1, *[1] * (x.ndim - 2))

    out = (x - each(mean)) / torch.sqrt(each(variance) + eps)
    out = out if weight is None else out * each(weight)
    return out if bias is None else out + each(bias)


NORMALIZATIONS = (
    Case(
        "nn.layer_norm",
        (
            call((3, 4), (4,), (4,)),
            call((2, 3, 2), (3, 2), (3, 2), axes=2, eps=0.1),
            call((2, 2, 3), (3,), None),
            call((3, 4), None, None, eps=1e-2),
            call((4,), None, (4,), peer=False),
            call((0, 3), (3,), (3,)),
        ),
        _layer_norm,
        _torch_layer_norm,
    ),
    Case(
        "nn.rms_norm",
        (
            call((3, 4), (4,)),
            call((2, 3, 2), (3, 2), axes=2, eps=0.1),
            call((3, 4), None, eps=1e-2),
            call((0, 3), (3,)),
        ),
        _rms_norm,
        _torch_rms_norm,
    ),
    Case(
        "nn.batch_norm",
        (
            call((5, 3), (3,), (3,)),
            call((3, 2, 4), (2,), (2,), eps=0.1),
            call((2, 3, 2, 2), (3,), None),
            call((2, 2, 3), None, (2,), peer=False),
            call((4, 2), None, None),
        ),
        _batch_norm,
        lambda torch, x, weight, bias, eps=1e-5: torch.nn.functional.batch_norm(
            x, None, None, weight, bias, True, 0.1, eps
        ),
    ),
    Case(
        "nn.batch_norm_running",
        (
            call((3, 2), (2,), (2,), (2,), (2,)),
            call((2, 3, 2), (3,), (3,), None, (3,), eps=0.1),
            call((2, 1, 2, 2), (1,), (1,), (1,), None),
            call((2, 1), (1,), (1,), None, None),
        ),
        _running,
        _running_torch,
        domain=(0.5, 2.0),
    ),
    Case(
        "nn.group_norm",
        (
            call((2, 4, 3), (4,), (4,), groups=2),
            call((2, 3, 2, 2), (3,), None, groups=3, eps=0.1),
            call((3, 4), None, None, groups=2),
            call((2, 2, 2), None, (2,), peer=False),
        ),
        _group_norm,
        lambda torch, x, weight, bias, groups=1, eps=1e-5: torch.nn.functional.group_norm(
            x, groups, weight, bias, eps
        ),
    ),
)
