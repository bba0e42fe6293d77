"""Concurrent training on shared parameters (Niu, Recht, Re and Wright, "Hogwild!", 2011)."""

from .result import EpochStats, Progress, TrainResult
from .share import share
from .snapshot import snapshot
from .train import train

__all__ = ["EpochStats", "Progress", "TrainResult", "share", "snapshot", "train"]
