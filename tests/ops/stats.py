"""Cases of `engine.ops.stats`."""

from typing import Any

import numpy as np

from tests.ops.case import Case, Sample, call
from tests.ops.special import special

SHAPES = np.array([1.5, 2.0, 4.0])
COUNTS = np.array([[0.0, 1.0, 2.0], [3.0, 7.0, -1.0]])
SPREAD = np.array([[2.0, 0.3], [0.3, 1.0]])


def law(name: str, function: str, samples: tuple[Sample, ...], **options: Any) -> Case:
    def numpy(*args: Any) -> Any:
        from scipy import stats

        return getattr(getattr(stats, name), function)(*args)

    return Case(f"scipy.stats.{name}.{function}", samples, numpy, needs="scipy", **options)


def laws(name: str, functions: str, samples: tuple[Sample, ...], **options: Any) -> list[Case]:
    return [law(name, function, samples, **options) for function in functions.split()]


POSITIVE: Any = {"domain": (0.2, 3.0)}
OPEN: Any = {"domain": (0.05, 0.95)}
MIDDLE = (call((3, 4)), call((3, 4), (4,), (3, 1)), call((), 0.5, 2.0))


def standard(points: Any, *shapes: Any) -> tuple[Sample, ...]:
    """Alone, between a location and a scale that are constants, and where these are not."""
    return (
        call(points, *shapes),
        call(points, *shapes, -0.5, 1.7),
        call(points, *shapes, np.full(3, -0.25), points[-1:]),
    )


def _simplex(x: Any, alpha: Any) -> tuple[Any, Any]:
    """Points whose coordinates are positive and sum to less than 1: the last is left out."""
    return x * 0.1, alpha


def _dirichlet(function: str) -> Case:
    samples = (call((2,), (3,)), call((2, 4), (3,)), call((2,), np.array([1.0, 2.0, 0.5])))
    return law("dirichlet", function, samples, before=_simplex, **POSITIVE)


def _symmetric(x: Any, mean: Any, cov: Any) -> tuple[Any, Any, Any]:
    """A positive definite covariance of what was drawn."""
    if cov is None or isinstance(cov, float) or cov.ndim < 2:
        return x, mean, cov
    return x, mean, cov @ cov.swapaxes(0, 1) + _eye(cov)


def _eye(cov: Any) -> Any:
    return np.eye(cov.shape[0], dtype=cov.dtype)


POINTS = (
    call((2,), (2,), (2, 2)),
    call((3, 2), (2,), (2, 2)),
    call((3, 2), None, SPREAD),
    call((3, 2), (2,), 2.0),
    call((3, 2), np.zeros(2), np.array([0.5, 2.0])),
)


def _entropy(mean: Any, cov: Any) -> Any:
    from scipy import stats

    return stats.multivariate_normal.entropy(mean, cov)


STATS = (
    special("stdtr", (call(SHAPES, (2, 3)), call(4.0, ())), peer=False),
    *laws("norm", "pdf cdf sf logpdf logcdf logsf", MIDDLE, domain=(0.3, 2.5)),
    *laws("t", "pdf logpdf", (*standard((3,), (3,)), call((3,), 4.0)), **POSITIVE),
    *laws("t", "cdf logcdf", (*standard((3,), SHAPES), call((2, 3), 4.0)), **POSITIVE),
    *laws("beta", "pdf logpdf", (call((3,), (3,), (3,)), call((3,), 2.0, 1.5, -0.1, 1.2)), **OPEN),
    law("beta", "cdf", (call((3,), SHAPES, 2.0), call((3,), SHAPES, 2.0, (1,), 1.5)), **OPEN),
    *laws("gamma", "pdf logpdf", standard((3,), (3,)), **POSITIVE),
    law("gamma", "cdf", standard((3,), SHAPES), **POSITIVE),
    *laws("chi2", "pdf logpdf", standard((3,), (3,)), **POSITIVE),
    law("chi2", "cdf", standard((3,), SHAPES), **POSITIVE),
    *laws("poisson", "pmf cdf", (call(COUNTS, (3,)), call(2.0, ()), call(2.5, ())), **POSITIVE),
    law("poisson", "logpmf", (call(np.abs(COUNTS), (3,)), call(4.0, (2,), 1.0)), **POSITIVE),
    _dirichlet("pdf"),
    _dirichlet("logpdf"),
    *laws("multivariate_normal", "pdf logpdf", POINTS, before=_symmetric),
    Case(
        "scipy.stats.multivariate_normal.entropy",
        (call(np.zeros(2), (2, 2)), call(None, (3, 3)), call(np.zeros(3), ())),
        _entropy,
        before=lambda mean, cov: _symmetric(None, mean, cov)[1:],
        domain=(0.3, 2.0),
        needs="scipy",
    ),
)
