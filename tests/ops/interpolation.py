"""Cases of `engine.ops.interpolation`."""

import numpy as np

from tests.ops.case import Case, call


def _sorted(x, xp, fp):
    """Knots that were drawn in any order, and so near to the ends that few points lie outside."""
    return (x, xp * 0.05 + np.linspace(-1.7, 1.7, len(xp)), fp) if np.ndim(xp) else (x, xp, fp)


INTERPOLATION = (
    Case(
        "interp",
        (
            call((7,), (4,), (4,)),
            call((2, 3), (3,), (3,), left=-1.0, right=2.0),
            call((), (2,), (2,)),
            call((6,), (4,), (4,), period=3.7),
            call((6,), (4,), (4,), period=-1.1),
            call((0,), (2,), (2,)),
        ),
        np.interp,
        before=_sorted,
    ),
    Case(
        "linspace",
        (
            call((), ()),
            call((), (), num=5),
            call((2, 1), (3,), num=4),
            call((2,), (2,), num=3, endpoint=False, axis=-1),
            call((2,), 1.0, num=3),
            call((), (), num=1),
            call((), (), num=0),
        ),
        np.linspace,
        lambda torch, start, stop, num=50, endpoint=True, axis=0: (
            torch.stack(
                [start + (stop - start) * (k / max(num - endpoint, 1)) for k in range(num)],
                axis,
            )
            if num
            else start[None][:0] + stop[None][:0]
        ),
    ),
)
