"""One `Case` per op of the table. A file for each family, of the same name as in `engine.ops`."""

from tests.ops import (
    convolution,
    elementwise,
    indexing,
    linalg,
    loss,
    pooling,
    reduce,
    shape,
    writing,
)

CASES = (
    *elementwise.ARITHMETIC,
    *elementwise.ACTIVATIONS,
    *elementwise.CHOICES,
    *elementwise.WITHOUT_GRADIENT,
    *reduce.REDUCTIONS,
    *shape.SHAPES,
    *indexing.INDEXING,
    *linalg.PRODUCTS,
    *loss.LOSSES,
    *writing.WRITING,
    *convolution.CONVOLUTIONS,
    *pooling.POOLING,
)
