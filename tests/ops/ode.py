"""Cases of `engine.ops.ode`."""

from typing import Any

import numpy as np

from tests.ops.case import Case, call

TIMES = np.array([0.0, 0.1, 0.3])
BACK = np.array([0.3, 0.1, 0.0])


def pendulum(y: Any, t: float) -> Any:
    """Two states, coupled, damped, pushed."""
    return np.stack([y[1], -np.sin(y[0]) - y[1] * 0.3 + 0.2 * t])


def decay(y: Any, t: float, rate: float) -> Any:
    return y * -rate


def _exact(func: Any, y0: Any, t: Any, args: Any = (), **keywords: Any) -> Any:
    from scipy.integrate import solve_ivp

    y0 = np.atleast_1d(y0)
    found = solve_ivp(
        lambda time, y: func(y, time, *args),
        (t[0], t[-1]),
        y0,
        t_eval=t,
        method="DOP853",
        rtol=1e-13,
        atol=1e-14,
    )
    return found.y.T.astype(y0.dtype)


EQUATIONS = (
    Case(
        "scipy.integrate.odeint",
        (
            call(pendulum, (2,), TIMES, rtol=1e-13, atol=1e-13),
            call(pendulum, (2,), BACK, rtol=1e-13, atol=1e-13),
            call(decay, (), TIMES, args=(0.7,), rtol=1e-13, atol=1e-13),
        ),
        _exact,
        domain=(0.5, 2.0),
        needs="scipy",
    ),
)
