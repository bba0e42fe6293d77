"""Cases of `engine.ops.sequences`."""

import numpy as np

from tests.ops.case import Case, call

BINS = np.array([0, 3, 1, 1, 0])

SEQUENCES = (
    Case(
        "convolve",
        (
            call((5,), (3,)),
            *(call((5,), (3,), mode=mode) for mode in ("full", "same", "valid")),
            *(call((2,), (5,), mode=mode) for mode in ("full", "same", "valid")),
            call((4,), (4,), mode="same"),
            call((1,), (1,)),
            call((4,), (3,), cplx=True),
        ),
        np.convolve,
    ),
    Case("polyval", (call((4,), (2, 3)), call((1,), (3,)), call((3,), ())), np.polyval),
    Case(
        "bincount",
        (call(BINS, (5,)), call(BINS, (5,), minlength=6)),
        np.bincount,
        lambda torch, x, weights, minlength=0: weights.new_zeros(
            max(minlength, int(x.max()) + 1)
        ).index_add(0, x, weights),
    ),
)
