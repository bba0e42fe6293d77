"""Bessel functions, from SciPy. A derivative is a sum of neighbours in the order: any order works.

Functions of a fixed order go through those of any order; nothing is divided by the argument, so 0
is no trap. The order itself has no closed derivative and refuses. NIST Digital Library of
Mathematical Functions, 10.6 and 10.29.
"""

from __future__ import annotations

import numpy as np

from ..values import Value
from .op import Op, op
from .refusal import refuse
from .special import scipys


def _scaled(g: Value, ans: Value, x: Value, neighbours: Value) -> Value:
    """What exp(-abs(x)) in front adds to the derivative."""
    return g * (neighbours - np.sign(x) * ans)


# -- of any order ----------------------------------------------------------------------------------

jn: Op = op(
    "special.jn",
    scipys("jv", 2),
    "n x",
    torch=None,
    also="special.jv",
    n=refuse("special.jn", "n"),
    x=lambda g, n, x: g * ((jn(n - 1, x) - jn(n + 1, x)) * 0.5),
)
yn: Op = op(
    "special.yn",
    scipys("yv", 2),
    "n x",
    torch=None,
    also="special.yv",
    n=refuse("special.yn", "n"),
    x=lambda g, n, x: g * ((yn(n - 1, x) - yn(n + 1, x)) * 0.5),
)
iv: Op = op(
    "special.iv",
    scipys("iv", 2),
    "v x",
    torch=None,
    v=refuse("special.iv", "v"),
    x=lambda g, v, x: g * ((iv(v - 1, x) + iv(v + 1, x)) * 0.5),
)
ive: Op = op(
    "special.ive",
    scipys("ive", 2),
    "v x",
    torch=None,
    v=refuse("special.ive", "v"),
    x=lambda g, ans, v, x: _scaled(g, ans, x, (ive(v - 1, x) + ive(v + 1, x)) * 0.5),
)

# -- of order 0 and 1 ------------------------------------------------------------------------------

j0: Op = op("special.j0", scipys("j0"), "x", torch="special.bessel_j0", x=lambda g, x: -g * j1(x))
j1: Op = op(
    "special.j1",
    scipys("j1"),
    "x",
    torch="special.bessel_j1",
    x=lambda g, x: g * ((j0(x) - jn(2, x)) * 0.5),
)
y0: Op = op("special.y0", scipys("y0"), "x", torch="special.bessel_y0", x=lambda g, x: -g * y1(x))
y1: Op = op(
    "special.y1",
    scipys("y1"),
    "x",
    torch="special.bessel_y1",
    x=lambda g, x: g * ((y0(x) - yn(2, x)) * 0.5),
)
i0: Op = op("special.i0", scipys("i0"), "x", also="i0", numpy=np.i0, x=lambda g, x: g * i1(x))
i1: Op = op("special.i1", scipys("i1"), "x", x=lambda g, x: g * ((i0(x) + iv(2, x)) * 0.5))
i0e: Op = op(
    "special.i0e",
    scipys("i0e"),
    "x",
    x=lambda g, ans, x: _scaled(g, ans, x, i1e(x)),
)
i1e: Op = op(
    "special.i1e",
    scipys("i1e"),
    "x",
    x=lambda g, ans, x: _scaled(g, ans, x, (i0e(x) + ive(2, x)) * 0.5),
)
