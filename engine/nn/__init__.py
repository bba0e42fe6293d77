"""What training needs beside tensors: modules, their functions, and how they are saved."""

from . import functional as functional
from . import init as init
from .attention import MultiheadAttention as MultiheadAttention
from .container import ModuleDict as ModuleDict
from .container import ModuleList as ModuleList
from .container import Sequential as Sequential
from .convolution import AvgPool2d as AvgPool2d
from .convolution import Conv1d as Conv1d
from .convolution import Conv2d as Conv2d
from .convolution import MaxPool2d as MaxPool2d
from .dropout import Dropout as Dropout
from .embedding import Embedding as Embedding
from .functions import ELU as ELU
from .functions import GELU as GELU
from .functions import BCELoss as BCELoss
from .functions import BCEWithLogitsLoss as BCEWithLogitsLoss
from .functions import CrossEntropyLoss as CrossEntropyLoss
from .functions import HuberLoss as HuberLoss
from .functions import KLDivLoss as KLDivLoss
from .functions import L1Loss as L1Loss
from .functions import LeakyReLU as LeakyReLU
from .functions import LogSoftmax as LogSoftmax
from .functions import MSELoss as MSELoss
from .functions import NLLLoss as NLLLoss
from .functions import ReLU as ReLU
from .functions import Sigmoid as Sigmoid
from .functions import SiLU as SiLU
from .functions import Softmax as Softmax
from .functions import Softplus as Softplus
from .functions import Tanh as Tanh
from .linear import Flatten as Flatten
from .linear import Identity as Identity
from .linear import Linear as Linear
from .linear import Unflatten as Unflatten
from .module import LoadReport as LoadReport
from .module import Module as Module
from .module import Parameter as Parameter
from .normalization import BatchNorm1d as BatchNorm1d
from .normalization import BatchNorm2d as BatchNorm2d
from .normalization import LayerNorm as LayerNorm
from .normalization import RMSNorm as RMSNorm
from .recurrent import GRUCell as GRUCell
from .recurrent import LSTMCell as LSTMCell
from .state import load as load
from .state import save as save

__all__ = [
    "ELU",
    "GELU",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LoadReport",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
    "load",
    "save",
]
