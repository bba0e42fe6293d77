"""Optimisers that update parameters in place."""

from .sgd import SGD as SGD

__all__ = ["SGD"]
