"""Every error the user can meet, each also what PyTorch raises for the same misuse.

Code ported from PyTorch keeps its ``except`` clauses: the second base of each class is the built-in
exception that PyTorch chose. Where NumPy or JAX chose another, both are bases. A message names the
operation, the shapes and dtypes met, and the way out.
"""

import numpy as np


class EngineError(Exception):
    """Base of every error that the engine raises on purpose."""


class NonScalarError(EngineError, RuntimeError, TypeError):
    """A gradient was asked of a non-scalar output without saying which combination of it."""


class NoGraphError(EngineError, RuntimeError):
    """A tensor that was not computed from anything requiring a gradient was differentiated."""


class GraphReleasedError(EngineError, RuntimeError):
    """A graph was walked a second time after its saved values had been released."""


class SavedValueChangedError(EngineError, RuntimeError):
    """A value saved by the forward pass was written to before the backward pass read it."""


class InPlaceError(EngineError, RuntimeError):
    """An in-place write would have destroyed the history of a tensor."""


class UnusedInputError(EngineError, RuntimeError):
    """A gradient was asked for an input that the output does not depend on."""


class ShapeError(EngineError, RuntimeError, ValueError):
    """Shapes do not fit together."""


class DTypeError(EngineError, RuntimeError, TypeError):
    """A dtype cannot do what was asked of it."""


class IndexRangeError(ShapeError, IndexError):
    """An index or axis lies outside of the shape."""


class LinAlgError(ShapeError, np.linalg.LinAlgError):
    """A matrix is singular, not positive definite, or not square; an iteration does not converge.

    ``numpy.linalg.LinAlgError`` is a ``ValueError``, PyTorch's a ``RuntimeError``.
    """


class ArgumentError(EngineError, ValueError, RuntimeError):
    """An argument has a value outside of what the function takes."""


class TicketError(ArgumentError):
    """A ticket of ordered accumulation was used twice, or after it had been given up."""


class TicketsFullError(EngineError, RuntimeError):
    """So many backwards wait for missing tickets that another one must not begin."""


class OperandError(EngineError, TypeError):
    """An argument has a type that the function cannot work with."""


class NotSupportedError(EngineError, NotImplementedError):
    """A corner that the engine does not reach; it says so rather than answer wrongly.

    ``NotImplementedError`` is a ``RuntimeError``, which is what PyTorch raises.
    """


class MissingExtraError(EngineError, ImportError):
    """A function needs a package that one of the engine's extras brings."""


class RequiresGradError(EngineError, RuntimeError):
    """A tensor that requires a gradient was used where its history would be silently lost."""


class RuleError(EngineError, RuntimeError):
    """A gradient rule returned something that is no gradient of its input."""


class HookError(EngineError, RuntimeError, AssertionError):
    """A hook was registered where it cannot work."""


class CancelledError(EngineError, RuntimeError):
    """A submitted task was cancelled; ``asyncio``'s would say that the one who awaits it was."""


class DeadlineError(CancelledError, TimeoutError):
    """A submitted task was cancelled because its ``timeout`` had passed."""


class WaitTimeoutError(EngineError, TimeoutError):
    """A submitted task had not ended when the one who waits for it would wait no longer."""


class DeadlockError(EngineError, RuntimeError):
    """A submitted task would wait for itself, directly or through others."""


class AnomalyError(EngineError, RuntimeError):
    """Anomaly detection found a NaN that a backward made."""


class InferenceError(EngineError, RuntimeError):
    """A tensor made in inference mode was used where a graph needs it."""


class ExportError(EngineError, RuntimeError, BufferError):
    """A tensor cannot be handed to another library as it is."""


class PositionError(ArgumentError, RuntimeError, TypeError, IndexError):
    """An argument was named that the call, or the gradients, do not have."""


class OutputError(EngineError, RuntimeError, TypeError, ValueError):
    """A function returned what a transform of it cannot work with."""


class StrategyError(ArgumentError, AssertionError):
    """A Jacobian was asked for by a strategy that does not exist."""


class GradcheckError(EngineError, RuntimeError):
    """A derivative is not what finite differences say, or is not the same twice."""
