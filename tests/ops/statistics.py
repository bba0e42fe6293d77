"""Cases of `engine.ops.statistics`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.ops.case import Case, Sample, call
from tests.ops.reduce import AXES, COMPLEX, LARGE, dims, first, with_gaps, with_nan

SPREADS = (
    call((3, 4), axis=0, ddof=1),
    call((3, 4), ddof=0.5),
    call((3, 4), axis=(1, 0), correction=1),
    call((3, 4), axis=1, unbiased=True),
    call((3, 4), unbiased=False),
    *LARGE,
    *COMPLEX,
)
W4, W34 = np.array([0.5, 1.0, 2.0, 0.25]), np.linspace(0.5, 1.5, 12).reshape(3, 4)


def _ddof(ddof=None, correction=None, unbiased=None):
    """What the three spellings come to; NumPy's default."""
    given = [each for each in (ddof, correction, unbiased) if each is not None]
    return int(given[0]) if given and isinstance(given[0], bool) else given[0] if given else 0


def spread(name: str, function: Callable[..., Any], smooth: tuple[Sample, ...]) -> Case:
    def numpy(x, axis=None, keepdims=False, **freedom):
        return function(x, **first(x, axis, keepdims), ddof=_ddof(**freedom))

    def peer(torch, x, axis=None, keepdims=False, **freedom):
        which, n = dims(x, axis), _ddof(**freedom)
        return getattr(torch, name)(x, dim=which, keepdim=keepdims, correction=n)

    # PyTorch warns of spreads of nothing.
    quiet = [replace(s, peer=False) if (0, 3) in s.args else s for s in (*smooth, *SPREADS)]
    return Case(name, tuple(quiet), numpy, peer)


def _average(x, axis=None, weights=None, keepdims=False):
    return np.average(x, axis=axis, weights=weights, keepdims=keepdims)


def _quantile(torch, x, q, axis=None, keepdims=False, method="linear"):
    return torch.quantile(
        x, torch.as_tensor(q, dtype=x.dtype), axis, keepdim=keepdims, interpolation=method
    )


def _cov(torch, x, ddof=1, **weights):
    return torch.cov(x, correction=ddof, **{k: torch.as_tensor(w) for k, w in weights.items()})


QUANTILES = (
    call((3, 4), q=0.3),
    call((3, 5), q=0.5, axis=0),
    call((3, 5), q=np.array([0.0, 0.25, 1.0]), axis=-1, keepdims=True),
    call((3, 4), q=np.array([[0.1, 0.9]]), axis=(0, 1), peer=False),
    *(call((3, 4), q=0.4, axis=1, method=m) for m in ("lower", "higher", "nearest", "midpoint")),
)
MEDIANS = (
    call((3, 5)),
    call((3, 4)),
    call((3, 4), axis=0),
    call((2, 3, 2), axis=(0, -1), keepdims=True),
    call(()),
)


def percent(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    return tuple(call(*s.args, **{**s.keywords, "q": s.keywords["q"] * 100}) for s in samples)


def _gappy(name: str, function: Callable[..., Any], samples: tuple[Sample, ...]) -> Case:
    fitting = tuple(sample for sample in samples if sample.args == ((3, 4),))
    return Case(name, fitting, function, before=with_nan)


STATISTICS = (
    spread("var", np.var, AXES),
    # At a constant it has no differences: see the conventions.
    spread("std", np.std, tuple(s for s in AXES if s.args != ((),))),
    with_gaps("nanvar", np.nanvar, call((3, 4), axis=0, ddof=0.5), call((3, 4), ddof=1)),
    with_gaps("nanstd", np.nanstd, call((3, 4), ddof=1)),
    Case(
        "average",
        (
            call((3, 4)),
            call((3, 4), axis=0, keepdims=True),
            call((3, 4), axis=1, weights=W4),
            call((3, 4), weights=W34),
            call((3, 2, 4), axis=(2, 0), weights=W34.T.copy(), keepdims=True),
        ),
        _average,
    ),
    Case(
        "cov",
        (
            call((3, 5)),
            call((5,)),
            call((5, 3), rowvar=False, peer=False),
            call((3, 5), bias=True, peer=False),
            call((3, 5), ddof=0),
            call((3, 4), fweights=np.array([1, 2, 1, 3])),
            call((3, 4), aweights=W4),
            call((3, 4), aweights=W4, fweights=np.array([1, 2, 1, 3])),
            call((2, 4), y=W34, peer=False),
            call((2, 4), cplx=True),
        ),
        np.cov,
        _cov,
    ),
    Case(
        "corrcoef",
        (call((3, 5)), call((2, 4), y=W34, peer=False)),
        np.corrcoef,
        lambda torch, x: torch.corrcoef(x),
    ),
    Case("quantile", QUANTILES, np.quantile, _quantile),
    Case("percentile", percent(QUANTILES), np.percentile),
    Case("median", MEDIANS, np.median),
    with_gaps("nanmedian", np.nanmedian),
    _gappy("nanquantile", np.nanquantile, QUANTILES),
    _gappy("nanpercentile", np.nanpercentile, percent(QUANTILES)),
)
