"""Cases of `engine.ops.resizing`."""

import numpy as np

from tests.ops.case import UNARY, Case, call

TIMES = np.array([2, 0, 3])


def _torch_pad(torch, x, pad_width, mode="constant", constant_values=0):
    pairs = np.broadcast_to(pad_width, (x.ndim, 2))
    flat = [int(n) for pair in pairs[::-1] for n in pair]
    if mode == "constant":
        return torch.nn.functional.pad(x, flat, value=constant_values)
    name = {"edge": "replicate", "wrap": "circular", "reflect": "reflect"}[mode]
    lead = x[None, None] if x.ndim < 3 else x[None]
    return torch.nn.functional.pad(lead, flat, mode=name).reshape(
        [n + sum(map(int, pair)) for n, pair in zip(x.shape, pairs, strict=True)]
    )


RESIZING = (
    Case(
        "repeat_interleave",
        (
            call((2, 3), repeats=2),
            call((2, 3), repeats=2, axis=1),
            call((2, 3), repeats=TIMES, axis=-1),
            call((3,), repeats=TIMES),
            call((2, 2), repeats=np.array([1, 2, 0, 2]), axis=None),
            call((2, 3), repeats=[2], axis=0, peer=False),
            call((2, 3), repeats=0, axis=0),
            call((), repeats=3),
            call((0, 2), repeats=2, axis=1),
        ),
        np.repeat,
        lambda torch, x, repeats, axis=None: torch.repeat_interleave(
            x, torch.as_tensor(repeats) if isinstance(repeats, np.ndarray) else repeats, axis
        ),
    ),
    Case(
        "tile",
        (
            call((2, 3), reps=2),
            call((2, 3), reps=(2, 1)),
            call((3,), reps=(2, 2)),
            call((1, 2, 3), reps=(2,)),
            call((2, 3), reps=(0, 2), peer=False),
            call((), reps=(2, 3)),
            call((2, 2), reps=()),
        ),
        np.tile,
        lambda torch, x, reps: torch.tile(x, (reps,) if isinstance(reps, int) else reps),
    ),
    Case(
        "constant_pad",
        (
            call((2, 3), pad_width=((1, 0), (2, 1))),
            call((2,), pad_width=((0, 2),), constant_values=1.5),
        ),
        lambda x, pad_width, constant_values=0: np.pad(
            x, pad_width, constant_values=constant_values
        ),
    ),
    Case(
        "pad",
        (
            call((2, 3), pad_width=1),
            call((2, 3), pad_width=((0, 1), (2, 0)), constant_values=2),
            call((2, 3), pad_width=(1, 2), peer=False),
            call((2, 3), pad_width={-1: (0, 2)}, peer=False),
            call((3, 4), pad_width=((1, 2), (2, 3)), mode="reflect"),
            call((2, 3), pad_width=((1, 2), (3, 0)), mode="edge"),
            call((2, 3), pad_width=((1, 2), (3, 0)), mode="wrap"),
            call((2, 3), pad_width=((1, 2), (0, 0)), mode="symmetric", peer=False),
            call((2, 3), pad_width=((5, 0), (0, 7)), mode="reflect", peer=False),
            call((2, 3), pad_width=((5, 0), (0, 7)), mode="wrap", peer=False),
            call((2, 3), pad_width=0, mode="edge"),
            call((), pad_width=0, peer=False),
            call((0, 2), pad_width=((0, 1), (1, 0))),
            call((2, 3), pad_width=1, cplx=True),
        ),
        np.pad,
        _torch_pad,
    ),
    Case(
        "delete",
        (
            call((2, 4), obj=1, axis=1),
            call((2, 4), obj=[0, -1, 0], axis=1),
            call((2, 3), obj=slice(1, 4)),
            call((4,), obj=np.array([True, False, True, False])),
            call((3, 2), obj=np.zeros(0, int), axis=0),
        ),
        np.delete,
    ),
    Case(
        "insert",
        (
            call((4,), 1, ()),
            call((4,), 1, (2,)),
            call((2, 3), 1, (3,)),
            call((2, 3), 1, (3,), axis=0),
            call((2, 3), -1, (2,), axis=1),
            call((2, 3), 3, (2, 2), axis=1),
            call((2, 3), [1, 2], (2, 2), axis=1),
            call((2, 3), [2, 0], (2,), axis=1),
            call((2, 3), [1], (2, 1), axis=1),
            call((4,), np.array([3, 1, 1]), (3,)),
            call((4,), slice(0, 4, 2), ()),
            call((4,), [0, -1], (1,)),
            call((2, 3), 0, 5, axis=1),
        ),
        np.insert,
    ),
    Case(
        "trim_zeros",
        (*UNARY[:1], call((5,)), call((5,), trim="f"), call((3, 2), trim="b", axis=0)),
        np.trim_zeros,
        kinks=(0.0,),
        before=lambda x: (
            x * np.linspace(-1, 1, x.shape[0]).round().reshape(-1, *[1] * (x.ndim - 1)),
        ),
    ),
)
