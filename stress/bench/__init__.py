"""``python -m stress bench``: the engine's speed, side by side with what it is compared to.

Every figure is a ratio of things that were measured alternately, in this run, on this machine.
"""

from stress.bench.command import add_arguments, main

__all__ = ["add_arguments", "main"]
