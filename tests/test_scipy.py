"""SciPy's door, and what special functions and distributions do at the edges."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import engine
from engine.errors import MissingExtraError, NotSupportedError, ShapeError
from engine.ops._scipy import scipy
from tests import house

INF, NAN = float("inf"), float("nan")


def tensor(value, requires_grad=True):
    return engine.tensor(value, dtype="float64", requires_grad=requires_grad)


def slope(function, value) -> Any:
    with np.errstate(all="ignore"):
        x = tensor(value)
        function(x).sum().backward()
    return x.grad.tolist()


# The door


def test_importing_the_engine_does_not_import_scipy():
    code = "import engine, sys; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == 0


def test_without_scipy_a_call_names_the_extra_and_what_needs_none_works(monkeypatch):
    scipy.cache_clear()
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed
    try:
        with pytest.raises(MissingExtraError, match=r"hogwild-engine\[special\]") as caught:
            engine.special.gammaln(tensor([1.0]))
        assert isinstance(caught.value, ImportError)
        assert engine.scipy.stats.norm.logpdf(tensor([0.0])).item() < 0
        decay = engine.scipy.integrate.odeint(lambda y, t: -y, tensor([1.0]), [0.0, 1.0])
        np.testing.assert_allclose(decay[-1].item(), np.exp(-1), rtol=1e-7)
    finally:
        scipy.cache_clear()


@pytest.mark.parametrize(("path", "breaches"), [("_scipy", 0), ("special", 1)])
def test_one_module_alone_may_import_scipy(path, breaches):
    sources = {f"engine/ops/{path}.py": "def f():\n    import scipy.special\n"}
    assert len(house.foreign_breaches(sources)) == breaches


# Distributions and equations, which need no SciPy, or not for this


def test_far_out_the_normal_distribution_keeps_its_slope():
    pytest.importorskip("scipy")
    norm = engine.scipy.stats.norm
    np.testing.assert_allclose(slope(norm.logcdf, [-40.0]), [40.025], rtol=1e-4)
    np.testing.assert_allclose(slope(norm.logsf, [40.0]), [-40.025], rtol=1e-4)
    assert slope(norm.cdf, [-INF, INF]) == [0.0, 0.0]


def test_outside_of_its_support_a_density_is_nothing_and_passes_nothing_on():
    pytest.importorskip("scipy")
    stats = engine.scipy.stats
    for function, points, values in (
        (lambda x: stats.gamma.pdf(x, 2.0), [-1.0], [0.0]),
        (lambda x: stats.gamma.cdf(x, 2.0), [-1.0, 0.0], [0.0, 0.0]),
        (lambda x: stats.beta.pdf(x, 2.0, 3.0), [-1.0, 2.0], [0.0, 0.0]),
        (lambda x: stats.beta.cdf(x, 2.0, 3.0), [-1.0, 2.0], [0.0, 1.0]),
        (lambda x: stats.chi2.pdf(x, 3.0), [-1.0], [0.0]),
    ):
        assert function(tensor(points)).tolist() == values
        assert slope(function, points) == [0.0] * len(points)


def test_counts_that_cannot_be_have_no_probability():
    pytest.importorskip("scipy")
    poisson = engine.scipy.stats.poisson
    with np.errstate(all="ignore"):
        assert poisson.pmf([-1.0, 0.5], 2.0).tolist() == [0.0, 0.0]
    assert slope(lambda mu: poisson.cdf(-1.0, mu), [2.0]) == [0.0]
    with pytest.raises(NotSupportedError, match="counts"):
        poisson.pmf(tensor([1.0]), 2.0)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("gammainc", ("x", 2.0)),
        ("gammaincc", ("x", 2.0)),
        ("betainc", ("x", 2.0, 0.5)),
        ("betainc", (2.0, "x", 0.5)),
        ("zeta", ("x", 2.0)),
        ("iv", ("x", 2.0)),
        ("jn", ("x", 2.0)),
        ("stdtr", ("x", 2.0)),
    ],
)
def test_a_parameter_without_a_closed_derivative_refuses(name, args):
    pytest.importorskip("scipy")
    x = tensor([1.5])
    out = getattr(engine.special, name)(*[x if arg == "x" else arg for arg in args])
    with pytest.raises(NotSupportedError, match=f"special.{name}: the gradient .* no closed form"):
        out.backward()


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("i1", 0.0, 0.5),
        ("i1e", 0.0, 0.5),
        ("j1", 0.0, 0.5),
        ("i0", 0.0, 0.0),
        ("entr", 0.0, INF),
        ("erfinv", 1.0, INF),
        ("ndtri", 0.0, INF),
        ("log_ndtr", -1e3, 1000.001),
        ("erfcx", 1e3, -1 / (np.sqrt(np.pi) * 1e6)),
    ],
)
def test_slopes_at_the_edges(name, at, expected):
    pytest.importorskip("scipy")
    found = slope(getattr(engine.special, name), [at])
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_densities_in_float32_stay_in_float32():
    pytest.importorskip("scipy")
    stats, x = engine.scipy.stats, engine.tensor([0.25, 0.5], requires_grad=True)
    for made in (
        stats.norm.pdf(x, 0.5, 2.0),
        stats.norm.logcdf(x),
        stats.t.logpdf(x, 3.0),
        stats.t.cdf(x, 3.0),
        stats.beta.pdf(x, 2.0, 3.0),
        stats.beta.cdf(x, 2.0, 3.0),
        stats.gamma.cdf(x, 2.0, 0.0, 2.0),
        stats.chi2.logpdf(x, 3.0),
        stats.poisson.pmf(2.0, x),
    ):
        assert made.dtype == np.float32


# Differential equations


def test_a_tensor_that_the_equation_only_closes_over_gets_its_gradient():
    rate = tensor(0.7)
    y = engine.scipy.integrate.odeint(lambda y, t: -rate * y, tensor([2.0]), [0.0, 1.0])
    y[-1].sum().backward()
    np.testing.assert_allclose(rate.grad.item(), -2 * np.exp(-0.7), rtol=1e-6)


def test_the_time_may_come_first_and_the_state_as_a_list():
    def circle(t, y):
        return [y[1], -y[0]]

    turned = engine.scipy.integrate.odeint(circle, [1.0, 0.0], [0.0, np.pi / 2], tfirst=True)
    np.testing.assert_allclose(turned.numpy()[-1], [0.0, -1.0], atol=1e-6)


def test_what_cannot_be_integrated_says_why():
    odeint = engine.scipy.integrate.odeint
    with pytest.raises(NotSupportedError, match="stiff"):
        odeint(lambda y, t: -1e6 * (y - np.cos(t)), tensor([0.0]), [0.0, 10.0], mxstep=100)
    with pytest.raises(ShapeError, match="returned"):
        odeint(lambda y, t: y[:1], tensor([0.0, 1.0]), [0.0, 1.0])
    with pytest.raises(NotSupportedError, match="times"):
        odeint(lambda y, t: y, tensor([0.0]), tensor([0.0, 1.0]))
