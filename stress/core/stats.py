"""Statistics of rare events: intervals that are honest for small counts, for none, and for bursts.

>>> wilson(5, 10)
Interval(low=0.2365..., high=0.7634...)
>>> f"{rule_of_three(30_000):.4%}"
'0.0100%'
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

__all__ = ["Z95", "Interval", "Rate", "rule_of_three", "wilson"]

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends of a confidence interval of a proportion. Immutable."""

    low: float
    high: float


def wilson(successes: float, trials: float, z: float = Z95) -> Interval:
    """Wilson's score interval for ``successes`` of ``trials``; [0, 1] without trials.

    Unlike the textbook interval it stays inside [0, 1] and is not empty at 0 and at ``trials``.
    """
    if trials <= 0:
        return Interval(0.0, 1.0)
    p = successes / trials
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z / scale * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def rule_of_three(trials: float) -> float:
    """The 95 % upper bound of a rate after ``trials`` trials without one event: 3 / trials."""
    return min(1.0, 3 / trials) if trials > 0 else 1.0


class Rate:
    """The rate of lost element-updates, with an interval that allows for bursts.

    Losses come in bursts: one collision costs many neighbouring elements, so element-updates are
    not independent samples, and Wilson's interval over them would be far too narrow. Trials are
    independent. Their variance gives the design effect (how many times larger the variance of the
    rate is than for independent samples), and Wilson's interval is taken over as many samples as
    the data are really worth. Without a single loss there is no variance to go by; then the rule
    of three is taken over contributions, not over elements.

    Externally synchronised.
    """

    __slots__ = ("_both", "_lost2", "_offered2", "lost", "offered", "samples", "trials")

    def __init__(self) -> None:
        self.lost = self.offered = self.samples = self.trials = 0
        self._lost2 = self._both = self._offered2 = 0  # sums of squares and products over trials

    def add(self, lost: int, offered: int, samples: int) -> None:
        """Count a trial: ``lost`` of ``offered`` element-updates, ``samples`` contributions."""
        self.lost += lost
        self.offered += offered
        self.samples += samples
        self.trials += 1
        self._lost2 += lost * lost
        self._both += lost * offered
        self._offered2 += offered * offered

    @property
    def value(self) -> float:
        """Lost over offered; 0 where nothing was offered."""
        return self.lost / self.offered if self.offered else 0.0

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the rate."""
        if not self.lost:
            return Interval(0.0, rule_of_three(self.samples))
        worth = self.offered / self.design_effect
        return wilson(self.value * worth, worth)

    @property
    def design_effect(self) -> float:
        """Variance of the rate over trials ÷ its variance if element-updates were independent."""
        rate, trials = self.value, self.trials
        if trials < 2 or not 0 < rate < 1:
            return self.offered / max(1, self.trials)
        squares = self._lost2 - 2 * rate * self._both + rate * rate * self._offered2
        variance = trials / (trials - 1) * squares / self.offered**2
        return max(1.0, variance * self.offered / (rate * (1 - rate)))
