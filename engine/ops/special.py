"""Special functions: gamma, beta, zeta, and what belongs to the normal distribution.

The values come from SciPy; a derivative is made of operations of this table, so any order works.
Parameters without a closed derivative (the order of ``polygamma``, the shapes of ``gammainc`` and
``betainc``) refuse. At the poles of ``gamma`` and its relatives derivatives are not finite.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError
from ..values import Value
from ._scipy import scipy
from .op import Forward, Op, composed, op
from .refusal import refuse

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2 * math.pi)


def scipys(name: str, inputs: int = 1) -> Forward:
    """SciPy's function of that name, looked up when it is called."""
    one: dict[int, Forward] = {
        1: lambda x: getattr(scipy("special"), name)(x),
        2: lambda a, b: getattr(scipy("special"), name)(a, b),
        3: lambda a, b, c: getattr(scipy("special"), name)(a, b, c),
    }
    return one[inputs]


def times_log(x: Value, y: Value) -> Value:
    """x * log(y), which is 0 where both are; so are its derivatives."""
    return x * np.log(np.where(np.logical_and(np.equal(x, 0), np.equal(y, 0)), 1, y))


def times_log1p(x: Value, y: Value) -> Value:
    """x * log1p(y), which is 0 where x is 0 and y is -1."""
    return x * np.log1p(np.where(np.logical_and(np.equal(x, 0), np.equal(y, -1)), 0, y))


# -- gamma -----------------------------------------------------------------------------------------


def _polygamma(n: Value, x: Value) -> Value:
    return scipy("special").polygamma(n, x).astype(np.result_type(x, np.float32), copy=False)


def _multigammaln(x: Value, d: int) -> Value:
    """The logarithm of the gamma function of ``d`` dimensions, where ``x > (d - 1) / 2``."""
    if d < 1 or d != int(d):
        raise ArgumentError(f"special.multigammaln: the dimension must be 1, 2, ..., got {d}")
    if not bool(np.all(np.greater(x, 0.5 * (d - 1)))):
        raise ArgumentError(f"special.multigammaln: for d={d} all x must exceed {0.5 * (d - 1)}")
    total = gammaln(x)
    for j in range(1, int(d)):
        total = total + gammaln(x - 0.5 * j)
    return total + 0.25 * d * (d - 1) * math.log(math.pi)


def _weak(x: Value) -> Value:
    """A number as Python's, which does not widen what it meets."""
    return x.item() if isinstance(x, np.generic) else x


def _gammainc_slope(a: Value, x: Value) -> Value:
    return np.exp(times_log(a - 1, x) - x - _weak(gammaln(a)))


polygamma: Op = op(
    "special.polygamma",
    _polygamma,
    "n x",
    also="polygamma",
    n=refuse("special.polygamma", "n"),
    x=lambda g, n, x: g * polygamma(n + 1, x),
)
digamma = op(
    "special.digamma",
    scipys("psi"),
    "x",
    also="special.psi digamma",
    x=lambda g, x: g * polygamma(1, x),
)
gammaln = op(
    "special.gammaln",
    scipys("gammaln"),
    "x",
    also="lgamma",
    x=lambda g, x: g * digamma(x),
)
op("special.gamma", scipys("gamma"), "x", torch=None, x=lambda g, ans, x: g * (ans * digamma(x)))
op("special.rgamma", scipys("rgamma"), "x", torch=None, x=lambda g, ans, x: -g * (ans * digamma(x)))
op("special.gammasgn", scipys("gammasgn"), "x", torch=None)
gammainc = op(
    "special.gammainc",
    scipys("gammainc", 2),
    "a x",
    also="igamma",
    a=refuse("special.gammainc", "a"),
    x=lambda g, a, x: g * _gammainc_slope(a, x),
)
gammaincc = op(
    "special.gammaincc",
    scipys("gammaincc", 2),
    "a x",
    also="igammac",
    a=refuse("special.gammaincc", "a"),
    x=lambda g, a, x: -g * _gammainc_slope(a, x),
)
composed("special.multigammaln", _multigammaln, "x", also="mvlgamma")

# -- beta ------------------------------------------------------------------------------------------


def _betainc_slope(a: Value, b: Value, x: Value) -> Value:
    return np.exp(times_log(a - 1, x) + times_log1p(b - 1, -x) - _weak(betaln(a, b)))


op(
    "special.beta",
    scipys("beta", 2),
    "a b",
    torch=None,
    a=lambda g, ans, a, b: g * ans * (digamma(a) - digamma(a + b)),
    b=lambda g, ans, a, b: g * ans * (digamma(b) - digamma(a + b)),
)
betaln = op(
    "special.betaln",
    scipys("betaln", 2),
    "a b",
    torch=None,
    a=lambda g, a, b: g * (digamma(a) - digamma(a + b)),
    b=lambda g, a, b: g * (digamma(b) - digamma(a + b)),
)
betainc = op(
    "special.betainc",
    scipys("betainc", 3),
    "a b x",
    torch=None,
    a=refuse("special.betainc", "a"),
    b=refuse("special.betainc", "b"),
    x=lambda g, a, b, x: g * _betainc_slope(a, b, x),
)

# -- zeta ------------------------------------------------------------------------------------------


def _zeta(x: Value, q: Value) -> Value:
    return scipy("special").zeta(x, q)


zeta: Op = op(
    "special.zeta",
    _zeta,
    "x q",
    x=refuse("special.zeta", "x"),
    q=lambda g, x, q: -g * (x * zeta(x + 1, q)),
)

# -- of the normal distribution --------------------------------------------------------------------


def _normal(x: Value) -> Value:
    return np.exp(x * x * -0.5) * (1 / _ROOT_2PI)


def _logit(x: Value, eps: float | None = None) -> Value:
    """log(x / (1 - x)), after ``x`` was brought into ``eps``..1 - ``eps``."""
    if eps is not None:
        x = np.clip(x, eps, 1 - eps)
    return np.log(x) - np.log1p(-x)


def _entr(x: Value) -> Value:
    """-x * log(x): 0 at 0, minus infinity for what is negative."""
    inside = np.greater(x, 0)
    return np.where(inside, -x * np.log(np.where(inside, x, 1)), np.where(x < 0, -np.inf, x))


erfinv = op(
    "special.erfinv",
    scipys("erfinv"),
    "x",
    also="erfinv",
    x=lambda g, ans: g * (np.exp(ans * ans) * (_ROOT_PI / 2)),
)
op(
    "special.erfcinv",
    scipys("erfcinv"),
    "x",
    torch=None,
    x=lambda g, ans: g * (np.exp(ans * ans) * (-_ROOT_PI / 2)),
)
op(
    "special.erfcx",
    scipys("erfcx"),
    "x",
    x=lambda g, ans, x: g * (x * ans * 2 - 2 / _ROOT_PI),
)
ndtr = op("special.ndtr", scipys("ndtr"), "x", x=lambda g, x: g * _normal(x))
log_ndtr = op(
    "special.log_ndtr",
    scipys("log_ndtr"),
    "x",
    x=lambda g, ans, x: g * (np.exp(x * x * -0.5 - ans) * (1 / _ROOT_2PI)),
)
op(
    "special.ndtri",
    scipys("ndtri"),
    "x",
    x=lambda g, ans: g * (np.exp(ans * ans * 0.5) * _ROOT_2PI),
)
composed("logit", _logit, "x", also="special.logit")
op("special.entr", _entr, "x", x=lambda g, x: -g * (np.log(x) + 1))
composed("special.xlog1py", times_log1p, "x y")
