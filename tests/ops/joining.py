"""Cases of `engine.ops.joining`."""

import numpy as np

from tests.ops.case import Case, call, joined


def _split_torch(name):
    def run(torch, x, sections, axis=0):
        sections = sections if isinstance(sections, int) else tuple(map(int, sections))
        function = getattr(torch, name)
        return function(x, sections, dim=axis) if name == "tensor_split" else function(x, sections)

    return lambda torch, x, indices_or_sections, **k: run(torch, x, indices_or_sections, **k)


def _parts(x, sizes, axis=0):
    n = x.shape[axis]
    if isinstance(sizes, int):
        return np.split(x, range(sizes, n, sizes), axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _chunks(x, chunks, axis=0):
    return _parts(x, max(-(-x.shape[axis] // chunks), 1), axis)


JOINING = (
    Case(
        "cat",
        (
            call((2, 3), (1, 3)),
            call((2, 3), (2, 2), (2, 0), axis=-1),
            call((2, 3), (2,), axis=None, peer=False),
            call((2, 3)),
            call((2, 3), np.ones((1, 3)), axis=0),
            call((2, 3), (1, 3), cplx=True),
        ),
        np.concatenate,
        lambda torch, arrays, axis=0: torch.cat(list(arrays), axis),
    ),
    Case(
        "stack",
        (call((2, 3), (2, 3)), call((), (), ()), call((2, 3), (2, 3), axis=-1), call((0, 2))),
        np.stack,
        lambda torch, arrays, axis=0: torch.stack(list(arrays), axis),
    ),
    Case(
        "hstack",
        (call((2, 3), (2, 1)), call((), (2,)), call((2, 1, 2), (2, 2, 2))),
        np.hstack,
        lambda torch, arrays: torch.hstack(list(arrays)),
    ),
    Case(
        "vstack",
        (call((2, 3), (1, 3)), call((3,), (2, 3)), call((), ()), call((2, 1, 2), (1, 1, 2))),
        np.vstack,
        lambda torch, arrays: torch.vstack(list(arrays)),
    ),
    Case(
        "dstack",
        (call((2, 3), (2, 3)), call((3,), (1, 3, 2)), call((), ()), call((0, 2), (0, 2))),
        np.dstack,
        lambda torch, arrays: torch.dstack(list(arrays)),
    ),
    Case(
        "column_stack",
        (call((2,), (2, 3)), call((2, 1), (2, 0)), call((3,))),
        np.column_stack,
        lambda torch, arrays: torch.column_stack(list(arrays)),
    ),
    Case(
        "append",
        (
            call((2, 3), (2,)),
            call((2, 3), (1, 3), axis=0),
            call((), 1.0),
            call((2, 0), (2, 1), axis=-1),
        ),
        np.append,
    ),
    Case(
        "block",
        (call((2, 2), (2, 1), (1, 2), ()), call((), (), (), ()), call((1, 2, 2), (2, 1), (2,), ())),
        np.block,
        before=lambda a, b, c, d: ([[a, b], [c, d]],),
    ),
    Case(
        "array",
        (call((2,), (2,), 1.0), call((), (), 2)),
        np.array,
        before=lambda a, b, c: ([[a, b], [[c, c], (c, c)] if np.ndim(a) else [c, c]],),
    ),
    Case(
        "tensor_split",
        (
            call((5, 2), indices_or_sections=3),
            call((2, 5), indices_or_sections=2, axis=-1),
            call((2, 5), indices_or_sections=(1, 3), axis=1),
            call((5,), indices_or_sections=np.array([2, -1]), peer=False),
            call((5,), indices_or_sections=(4, 2, 9)),
            call((2,), indices_or_sections=4),
        ),
        np.array_split,
        _split_torch("tensor_split"),
        after=joined,
    ),
    Case(
        "numpy.split",
        (
            call((4, 2), indices_or_sections=2),
            call((2, 6), indices_or_sections=3, axis=1),
            call((4,), indices_or_sections=[1, 3]),
        ),
        np.split,
        after=joined,
    ),
    *[
        Case(name, samples, function, _split_torch(name), after=joined)
        for name, function, samples in (
            (
                "hsplit",
                np.hsplit,
                (call((2, 4), indices_or_sections=2), call((4,), indices_or_sections=(1,))),
            ),
            (
                "vsplit",
                np.vsplit,
                (call((4, 2), indices_or_sections=2), call((3, 2), indices_or_sections=(1,))),
            ),
            ("dsplit", np.dsplit, (call((1, 2, 4), indices_or_sections=2),)),
        )
    ],
    Case(
        "split",
        (
            call((5, 2), split_size=2),
            call((2, 5), split_size=(1, 3, 1), axis=-1),
            call((2, 2), split_size=9),
            call((0, 2), split_size=1),
        ),
        lambda x, split_size, axis=0: _parts(x, split_size, axis),
        lambda torch, x, split_size, axis=0: torch.split(x, split_size, axis),
        after=joined,
    ),
    Case(
        "chunk",
        (call((5, 2), chunks=3), call((2, 5), chunks=4, axis=1), call((2,), chunks=4)),
        _chunks,
        lambda torch, x, chunks, axis=0: torch.chunk(x, chunks, axis),
        after=joined,
    ),
    Case(
        "unbind",
        (call((3, 2)), call((2, 3), axis=-1), call((2,))),
        np.unstack,
        lambda torch, x, axis=0: torch.unbind(x, axis),
        after=joined,
    ),
)
