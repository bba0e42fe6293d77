"""Concurrent training on shared parameters (Niu, Recht, Re and Wright, "Hogwild!", 2011)."""

from .share import share as share

__all__ = ["share"]
