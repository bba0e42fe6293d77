"""Shape and joining. Views where NumPy gives views; a rule is the same move backwards."""

import numpy as np

from .op import op


def _reshape(x, shape):
    return x.reshape(shape)


def _permute(x, axes=None):
    return x.transpose(axes)


def _unpermute(g, axes):
    return np.transpose(g, None if axes is None else tuple(np.argsort(np.mod(axes, len(axes)))))


def _squeeze(x, axis=None):
    return np.squeeze(x, axis=axis)


def _expand_dims(x, axis):
    return np.expand_dims(x, axis)


def _broadcast_to(x, shape):
    return np.broadcast_to(x, shape)


def _astype(x, dtype):
    return x.astype(dtype)


def _swapaxes(x, axis1, axis2):
    return np.swapaxes(x, axis1, axis2)


op("reshape", _reshape, "x", numpy=np.reshape, view=True, x=lambda g, x_shape: g.reshape(x_shape))
op("permute", _permute, "x", numpy=np.transpose, view=True, x=_unpermute)
op("swapaxes", _swapaxes, "x", numpy=np.swapaxes, view=True,
   x=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2))
op("squeeze", _squeeze, "x", numpy=np.squeeze, view=True, x=lambda g, x_shape: g.reshape(x_shape))
op("unsqueeze", _expand_dims, "x", numpy=np.expand_dims, view=True,
   x=lambda g, x_shape: g.reshape(x_shape))
# Summing back to the shape of the input is what the loop does with every gradient.
op("broadcast_to", _broadcast_to, "x", numpy=np.broadcast_to, view=True, x=lambda g: g)
op("astype", _astype, "x", numpy=np.astype, x=lambda g: g)
op("clone", np.copy, "x", x=lambda g: g)
