"""Cases of `engine.ops.fft`."""

import numpy as np

from tests.ops.case import Case, call

LENGTHS = (
    call((4,)),
    call((2, 5)),
    call((5, 2), axis=0),
    call((2, 4), n=3),
    call((2, 4), n=6, axis=-1),
    call((2, 4), n=7),
    call((3, 4), axis=0, n=2, norm="ortho"),
    call((4,), norm="forward"),
    call((5,), norm="ortho"),
    call((4,), norm="backward"),
    call((0, 3), peer=False),
    call((1,)),
)
COMPLEX = (call((2, 4), cplx=True), call((5, 2), axis=0, norm="forward", cplx=True))


def _one(name):
    def torch_one(torch, x, n=None, axis=-1, norm=None):
        return getattr(torch.fft, name)(x, n=n, dim=axis, norm=norm)

    return torch_one


def _several(name):
    def torch_several(torch, x, s=None, axes=(-2, -1), norm=None):
        return getattr(torch.fft, name)(x, s=s, dim=axes, norm=norm)

    return torch_several


def _case(name, *samples, torch=_one):
    return Case(f"fft.{name}", samples, getattr(np.fft, name), torch(name))


TO_REAL = (
    call((3,), cplx=True),
    call((2, 4), cplx=True),
    call((2, 4), n=5, cplx=True),
    call((2, 4), n=4, cplx=True),
    call((2, 4), n=9, cplx=True),
    call((2, 4), n=7, norm="ortho", cplx=True),
    call((3, 2), axis=0, norm="forward", cplx=True),
    call((2,), n=1, cplx=True),
    call((3,), peer=False),  # real input
)
PLANES = (
    call((3, 4)),
    call((2, 3, 4), norm="ortho"),
    call((3, 4), s=(2, 6)),
    call((3, 4, 2), axes=(0, 1), norm="forward"),
    call((3, 4), s=(5, 3), axes=(1, 0)),
)
VOLUMES = (
    call((2, 3, 4), axes=(0, 1, 2)),
    call((2, 3), axes=(-1,)),
    call((2, 3), axes=None),
    call((2, 3, 4), s=(3, 3), axes=(0, 2), norm="ortho"),
)


def _complex(samples):
    return tuple(call(*s.args, peer=s.peer, cplx=True, **s.keywords) for s in samples)


ONE = (
    _case("fft", *LENGTHS, *COMPLEX),
    _case("ifft", *LENGTHS, *COMPLEX),
    _case("rfft", *LENGTHS),
    _case("irfft", *TO_REAL),
    _case("hfft", *TO_REAL),
    _case("ihfft", *LENGTHS),
)
SEVERAL = (
    _case("fft2", *PLANES, call((3, 4), cplx=True), torch=_several),
    _case("ifft2", *PLANES, call((3, 4), cplx=True), torch=_several),
    _case("rfft2", *PLANES, torch=_several),
    _case("irfft2", *_complex(PLANES), torch=_several),
    _case("fftn", *VOLUMES, call((3, 4), axes=(0, 1), cplx=True), torch=_several),
    _case("ifftn", *VOLUMES, torch=_several),
    _case("rfftn", *VOLUMES, torch=_several),
    _case("irfftn", *_complex(VOLUMES), torch=_several),
)
SHIFTS = tuple(
    Case(
        f"fft.{name}",
        (call((5,)), call((2, 4)), call((3, 5), axes=1), call((3, 5), axes=(0,)), call((0, 2))),
        getattr(np.fft, name),
        lambda torch, x, axes=None, name=name: getattr(torch.fft, name)(x, dim=axes),
    )
    for name in ("fftshift", "ifftshift")
)
FFT = (*ONE, *SEVERAL, *SHIFTS)
