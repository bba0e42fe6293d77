"""Cases of `engine.ops.bessel`. PyTorch has no gradient of its `bessel_j0` and the like."""

import numpy as np

from tests.ops.case import call
from tests.ops.special import POSITIVE, special

ORDERS = (call(2.0, (3, 4)), call(np.array([0.0, 1.0, 3.0]), (2, 3)), call(1.0, ()), call(0, (3,)))
FRACTIONS = (*ORDERS, call(0.5, (3,)))

BESSEL = (
    special("j0", peer=False),
    special("j1", peer=False),
    special("y0", peer=False, **POSITIVE),
    special("y1", peer=False, **POSITIVE),
    special("jn", ORDERS, peer=False),
    special("yn", ORDERS, peer=False, **POSITIVE),
    special("iv", FRACTIONS, peer=False, **POSITIVE),
    special("ive", FRACTIONS, peer=False, **POSITIVE),
    special("i0"),
    special("i1"),
    special("i0e", kinks=(0.0,)),
    special("i1e", kinks=(0.0,)),
)
