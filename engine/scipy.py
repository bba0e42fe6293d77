"""Functions under SciPy's names: ``engine.scipy.stats.norm.pdf``, ``engine.scipy.signal.convolve``.

Most need SciPy, which the extra ``special`` brings; what does not need it works without. Each
function reads its inputs and writes nothing: internally synchronised.

>>> import engine
>>> x = engine.tensor([0.0, 1.0], requires_grad=True)
>>> engine.scipy.stats.norm.logpdf(x).sum().backward()
>>> x.grad
tensor([-0., -1.])
"""

from types import SimpleNamespace as _SimpleNamespace

from . import special as special
from .ops.stats import DISTRIBUTIONS as _DISTRIBUTIONS
from .surface import namespace as _namespace

stats = _SimpleNamespace(
    **{name: _SimpleNamespace(**_namespace(f"scipy.stats.{name}.")) for name in _DISTRIBUTIONS}
)
linalg, signal, integrate = (
    _SimpleNamespace(**_namespace(f"scipy.{name}.")) for name in ("linalg", "signal", "integrate")
)

__all__ = ["integrate", "linalg", "signal", "special", "stats"]
