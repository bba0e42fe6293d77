"""``torch.nn.functional``'s names over the op table, a module for each kind.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from .activation import leaky_relu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from .dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d
from .linear import linear
from .loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss

__all__ = [
    "alpha_dropout",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]
