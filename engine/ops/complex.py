"""Complex numbers: their parts, their conjugates, their angles.

Gradients are in PyTorch's convention, ``dL/d(real) + 1j * dL/d(imag)``: the direction of steepest
ascent, so that gradient descent is ``z -= lr * grad``.
"""

from __future__ import annotations

import numpy as np

from ..values import Value
from .arithmetic import flat
from .op import Op, composed, op


def _imag(x: Value) -> Value:
    return np.imag(x).copy() if np.asarray(x).dtype.kind != "c" else np.imag(x)


def _angle(x: Value, deg: bool = False) -> Value:
    return np.angle(x, deg)


def _angle_pull(g: Value, x: Value, deg: bool) -> Value:
    """A real number has the angle 0 or pi, whichever way it moves; so does 0."""
    if x.dtype.kind != "c":
        return flat(g)
    if deg:
        g = np.rad2deg(g)
    zero = np.equal(x, 0)
    return np.where(zero, 0, g * -1j / np.where(zero, 1, x))


def _real_if_close(x: Value, tol: float = 100) -> Value:
    return np.array(np.real_if_close(x, tol))


def _complex(real: Value, imag: Value) -> Value:
    """Not ``real + 1j * imag``: an infinite part must not make a NaN of the other."""
    shape = np.broadcast_shapes(np.shape(real), np.shape(imag))
    out = np.empty(shape, np.result_type(real, imag, np.complex64))
    out.real, out.imag = real, imag
    return out


def _polar(abs: Value, angle: Value) -> Value:
    return make_complex(abs * np.cos(angle), abs * np.sin(angle))


op("real", lambda x: np.real(x), "x", numpy=np.real, view=True, x=lambda g: g)
op("imag", _imag, "x", numpy=np.imag, view=True, x=lambda g: g * -1j)
op("conj", np.conjugate, "x", x=lambda g: np.conjugate(g))
op("angle", _angle, "x", numpy=np.angle, x=_angle_pull)
op(
    "real_if_close",
    _real_if_close,
    "x",
    numpy=np.real_if_close,
    torch=None,
    x=lambda g: g,
)
make_complex: Op = op(
    "complex",
    _complex,
    "real imag",
    real=lambda g: np.real(g),
    imag=lambda g: -np.imag(g),
)
composed("polar", _polar, "abs angle")
op("is_complex", lambda x: np.iscomplexobj(x), "x", numpy=np.iscomplexobj)
op("isreal", lambda x: np.isreal(x), "x", numpy=np.isreal)
op("iscomplex", lambda x: np.iscomplex(x), "x", numpy=np.iscomplex, torch=None)
