"""Cases of `engine.ops.special`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import UNARY, Case, Sample, call

TWO = (call((3, 4), (3, 4)), call((3, 1), (4,)), call((), ()), call((0, 3), (3,)))
SHAPES = np.array([0.5, 1.0, 2.5, 4.0])  # parameters that are constants


def needed(name: str) -> Callable[..., Any]:
    """SciPy's function, looked up when it is called."""

    def function(*args: Any, **keywords: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args, **keywords)

    return function


def special(
    name: str, samples: tuple[Sample, ...] = UNARY, peer: str | bool = True, **options: Any
) -> Case:
    """A Case whose value is SciPy's; PyTorch knows it by the same name, or as `peer`."""
    named = peer if isinstance(peer, str) else name

    def torch(torch, *args, **keywords):
        return getattr(torch.special, named)(*args, **keywords)

    return Case(
        f"special.{name}",
        samples,
        needed(name),
        torch if peer else None,
        needs="scipy",
        **options,
    )


POSITIVE: Any = {"domain": (0.2, 4.0)}
OPEN: Any = {"domain": (0.05, 0.95)}
PARAMETER = (call(SHAPES, (3, 4)), call(2.0, (3,)), call(SHAPES[1], ()))


def _multigammaln(x, d):
    return np.vectorize(lambda each: needed("multigammaln")(each, d), otypes=[x.dtype])(x)


def _polygamma(n, x):
    return needed("polygamma")(n, x).astype(x.dtype)


def _logit(x, eps=None):
    return (
        np.log(np.clip(x, eps, 1 - eps) / (1 - np.clip(x, eps, 1 - eps)))
        if eps
        else np.log(x / (1 - x))
    )


SPECIAL = (
    special("gamma", peer=False, **POSITIVE),
    special("rgamma", peer=False, domain=(-0.9, -0.1)),
    special("gammaln", **POSITIVE),
    special("digamma", **POSITIVE),
    special("gammasgn", peer=False, order=0),
    Case(
        "special.polygamma",
        (
            call(1, (3, 4), peer=False),
            call(0, (3,)),
            call(3, ()),
            call(np.array([1, 2]), (3, 2), peer=False),
        ),
        _polygamma,
        lambda torch, n, x: torch.special.polygamma(n, x),
        needs="scipy",
        **POSITIVE,
    ),
    Case(
        "special.multigammaln",
        (call((3, 4), d=1), call((3,), d=3), call((), d=2)),
        _multigammaln,
        lambda torch, x, d: torch.special.multigammaln(x, d),
        needs="scipy",
        domain=(1.2, 5.0),
    ),
    special("gammainc", PARAMETER, peer=False, **POSITIVE),
    special("gammaincc", PARAMETER, peer=False, **POSITIVE),
    special("beta", TWO, peer=False, **POSITIVE),
    special("betaln", TWO, peer=False, **POSITIVE),
    special(
        "betainc",
        (call(SHAPES, 2.0, (3, 4)), call(SHAPES[:3], SHAPES[1:], (2, 3)), call(2.0, 0.5, ())),
        peer=False,
        **OPEN,
    ),
    special("zeta", (call(2.5, (3, 4)), call(SHAPES + 1.5, (4,)), call(3.0, ())), **POSITIVE),
    special("erfinv", domain=(-0.95, 0.95)),
    special("erfcinv", peer=False, domain=(0.05, 1.95)),
    special("erfcx"),
    special("ndtr"),
    special("log_ndtr"),
    special("ndtri", **OPEN),
    special("entr", **POSITIVE),
    Case(
        "logit",
        (*UNARY, call((3, 4), eps=0.2)),
        _logit,
        lambda torch, x, **keywords: torch.special.logit(x, **keywords),
        kinks=(0.2, 0.8),
        **OPEN,
    ),
    special("xlog1py", TWO, domain=(-0.9, 3.0)),
)
