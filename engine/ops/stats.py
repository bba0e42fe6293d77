"""Distributions: ``scipy.stats`` in closed forms, made of operations of this table.

Densities are computed as logarithms. Outside of its support a density is 0 and passes nothing on.
Where a distribution function has no closed derivative by a parameter (the shapes of ``gamma.cdf``,
``beta.cdf`` and ``t.cdf``), that parameter refuses; the counts of ``poisson`` are constants.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import NotSupportedError
from ..values import Value
from .op import Op, composed, op
from .refusal import refuse
from .special import (
    betainc,
    betaln,
    gammainc,
    gammaincc,
    gammaln,
    log_ndtr,
    ndtr,
    scipys,
    times_log,
    times_log1p,
)

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def _params(x: Value, *given: Any) -> list[Value]:
    """Parameters in the dtype of ``x``, so that a number does not widen it."""
    dtype = getattr(x, "dtype", np.dtype(np.float64))
    dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
    return [np.asarray(p, dtype) if isinstance(p, int | float) else p for p in given]


def _standard(x: Value, loc: Value, scale: Value) -> tuple[Value, Value]:
    """(x - loc) / scale, and the scale."""
    loc, scale = _params(x, 0 if loc is None else loc, 1 if scale is None else scale)
    return (x - loc) / scale, scale


def _within(inside: Value, z: Value) -> Value:
    """``z`` where it is inside of the support, else something harmless."""
    return np.where(inside, z, 0.5)


# -- norm ------------------------------------------------------------------------------------------


def _norm_logpdf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    z, scale = _standard(x, loc, scale)
    return z * z * -0.5 - _LOG_ROOT_2PI - np.log(scale)


def _norm_pdf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.exp(_norm_logpdf(x, loc, scale))


def _norm_cdf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    return ndtr(_standard(x, loc, scale)[0])


def _norm_sf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    return ndtr(-_standard(x, loc, scale)[0])


def _norm_logcdf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    return log_ndtr(_standard(x, loc, scale)[0])


def _norm_logsf(x: Value, loc: Value = None, scale: Value = None) -> Value:
    return log_ndtr(-_standard(x, loc, scale)[0])


# -- t ---------------------------------------------------------------------------------------------


def _t_logpdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    (df,) = _params(x, df)
    z, scale = _standard(x, loc, scale)
    half = (df + 1) * 0.5
    level = gammaln(half) - gammaln(df * 0.5) - 0.5 * np.log(df * math.pi)
    return level - half * np.log1p(z * z / df) - np.log(scale)


def _t_pdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.exp(_t_logpdf(x, df, loc, scale))


stdtr: Op = op(
    "special.stdtr",
    scipys("stdtr", 2),
    "df t",
    torch=None,
    df=refuse("special.stdtr", "df"),
    t=lambda g, df, t: g * _t_pdf(t, df),
)


def _t_cdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    (df,) = _params(x, df)
    return stdtr(df, _standard(x, loc, scale)[0])


def _t_logcdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.log(_t_cdf(x, df, loc, scale))


# -- beta, gamma, chi2 -----------------------------------------------------------------------------


def _beta_logpdf(x: Value, a: Value, b: Value, loc: Value = None, scale: Value = None) -> Value:
    a, b = _params(x, a, b)
    z, scale = _standard(x, loc, scale)
    inside = np.logical_and(np.greater_equal(z, 0), np.less_equal(z, 1))
    z = _within(inside, z)
    density = times_log(a - 1, z) + times_log1p(b - 1, -z) - betaln(a, b) - np.log(scale)
    return np.where(inside, density, -np.inf)


def _beta_pdf(x: Value, a: Value, b: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.exp(_beta_logpdf(x, a, b, loc, scale))


def _beta_cdf(x: Value, a: Value, b: Value, loc: Value = None, scale: Value = None) -> Value:
    a, b = _params(x, a, b)
    z, _ = _standard(x, loc, scale)
    inside = np.logical_and(np.greater(z, 0), np.less(z, 1))
    beyond = np.greater_equal(z, 1).astype(z.dtype)
    return np.where(inside, betainc(a, b, _within(inside, z)), beyond)


def _gamma_logpdf(x: Value, a: Value, loc: Value = None, scale: Value = None) -> Value:
    (a,) = _params(x, a)
    z, scale = _standard(x, loc, scale)
    inside = np.greater_equal(z, 0)
    z = _within(inside, z)
    density = times_log(a - 1, z) - z - gammaln(a) - np.log(scale)
    return np.where(inside, density, -np.inf)


def _gamma_pdf(x: Value, a: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.exp(_gamma_logpdf(x, a, loc, scale))


def _gamma_cdf(x: Value, a: Value, loc: Value = None, scale: Value = None) -> Value:
    (a,) = _params(x, a)
    z, _ = _standard(x, loc, scale)
    inside = np.greater(z, 0)
    return np.where(inside, gammainc(a, _within(inside, z)), 0)


def _chi2(x: Value, df: Value, scale: Value) -> tuple[Value, Value]:
    """The shape and the scale of the gamma distribution that it is."""
    df, scale = _params(x, df, 1 if scale is None else scale)
    return df * 0.5, scale * 2


def _chi2_logpdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    a, scale = _chi2(x, df, scale)
    return _gamma_logpdf(x, a, loc, scale)


def _chi2_pdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    return np.exp(_chi2_logpdf(x, df, loc, scale))


def _chi2_cdf(x: Value, df: Value, loc: Value = None, scale: Value = None) -> Value:
    a, scale = _chi2(x, df, scale)
    return _gamma_cdf(x, a, loc, scale)


# -- poisson ---------------------------------------------------------------------------------------


def _counts(name: str, k: Value, mu: Value, loc: Value) -> list[Value]:
    """``k - loc``, as constants, and ``mu``."""
    if any(getattr(each, "requires_grad", False) for each in (k, loc)):
        raise NotSupportedError(f"scipy.stats.poisson.{name}: counts have no gradient: detach()")
    k = k if loc is None else k - loc
    return [*_params(mu, k), *_params(k, mu)]


def _poisson_logpmf(k: Value, mu: Value, loc: Value = None) -> Value:
    k, mu = _counts("logpmf", k, mu, loc)
    inside = np.logical_and(np.greater_equal(k, 0), np.equal(k, np.floor(k)))
    safe = np.where(inside, k, 0)
    return np.where(inside, times_log(safe, mu) - gammaln(safe + 1.0) - mu, -np.inf)


def _poisson_pmf(k: Value, mu: Value, loc: Value = None) -> Value:
    return np.exp(_poisson_logpmf(k, mu, loc))


def _poisson_cdf(k: Value, mu: Value, loc: Value = None) -> Value:
    k, mu = _counts("cdf", k, mu, loc)
    known = np.greater_equal(k, 0)
    return np.where(known, gammaincc(np.where(known, np.floor(k), 0) + 1.0, mu), 0)


# -- several dimensions ----------------------------------------------------------------------------


def _dirichlet_logpdf(x: Value, alpha: Value) -> Value:
    """Of points in columns, whose coordinates sum to 1; the last one may be left out."""
    if len(x) == len(alpha) - 1:
        rest = 1 - np.add.reduce(x, axis=0, keepdims=True)
        x = np.concatenate([x, rest], axis=0)
    level = gammaln(np.add.reduce(alpha)) - np.add.reduce(gammaln(alpha))
    powers = (alpha - 1).reshape((-1,) + (1,) * (x.ndim - 1))
    return level + np.add.reduce(times_log(powers, x), axis=0)


def _dirichlet_pdf(x: Value, alpha: Value) -> Value:
    return np.exp(_dirichlet_logpdf(x, alpha))


def _covariance(cov: Value, k: int, dtype: Any) -> Value:
    """The matrix that ``cov`` stands for: a number and a vector are diagonals."""
    if cov is None or isinstance(cov, int | float):
        return np.eye(k, dtype=dtype) * np.asarray(1 if cov is None else cov, dtype)
    return cov if cov.ndim == 2 else np.eye(k, dtype=dtype) * cov


def _mvn_logpdf(x: Value, mean: Value = None, cov: Value = None) -> Value:
    """Of points in rows. The covariance must be positive definite."""
    apart = x if mean is None else x - mean
    if not apart.ndim:
        apart = apart.reshape(1)
    k = apart.shape[-1]
    cov = _covariance(cov, k, x.dtype)
    rows = apart.reshape(-1, k)
    distance = np.add.reduce(rows * np.transpose(np.linalg.solve(cov, np.transpose(rows))), axis=-1)
    logs = (distance + _log_determinant(cov)) * -0.5 - k * _LOG_ROOT_2PI
    return logs.reshape(apart.shape[:-1])


def _log_determinant(cov: Value) -> Value:
    return np.linalg.slogdet(cov)[1]


def _mvn_pdf(x: Value, mean: Value = None, cov: Value = None) -> Value:
    return np.exp(_mvn_logpdf(x, mean, cov))


def _mvn_entropy(mean: Value = None, cov: Value = None) -> Value:
    k = 1 if mean is None else len(mean)
    if getattr(cov, "ndim", 0):
        k = len(cov)
    cov = _covariance(cov, k, np.float64)
    return 0.5 * _log_determinant(cov) + k * (0.5 + _LOG_ROOT_2PI)


_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "norm": (
        "x loc scale",
        {
            "pdf": _norm_pdf,
            "cdf": _norm_cdf,
            "sf": _norm_sf,
            "logpdf": _norm_logpdf,
            "logcdf": _norm_logcdf,
            "logsf": _norm_logsf,
        },
    ),
    "t": (
        "x df loc scale",
        {"pdf": _t_pdf, "cdf": _t_cdf, "logpdf": _t_logpdf, "logcdf": _t_logcdf},
    ),
    "beta": (
        "x a b loc scale",
        {"pdf": _beta_pdf, "cdf": _beta_cdf, "logpdf": _beta_logpdf},
    ),
    "gamma": (
        "x a loc scale",
        {"pdf": _gamma_pdf, "cdf": _gamma_cdf, "logpdf": _gamma_logpdf},
    ),
    "chi2": (
        "x df loc scale",
        {"pdf": _chi2_pdf, "cdf": _chi2_cdf, "logpdf": _chi2_logpdf},
    ),
    "poisson": (
        "k mu loc",
        {"pmf": _poisson_pmf, "cdf": _poisson_cdf, "logpmf": _poisson_logpmf},
    ),
    "dirichlet": ("x alpha", {"pdf": _dirichlet_pdf, "logpdf": _dirichlet_logpdf}),
    "multivariate_normal": ("x mean cov", {"pdf": _mvn_pdf, "logpdf": _mvn_logpdf}),
}

DISTRIBUTIONS = tuple(_TABLE)

for _name, (_inputs, _functions) in _TABLE.items():
    for _what, _function in _functions.items():
        composed(f"scipy.stats.{_name}.{_what}", _function, _inputs, torch=None)
composed("scipy.stats.multivariate_normal.entropy", _mvn_entropy, "mean cov", torch=None)
