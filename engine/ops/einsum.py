"""Sums over indices, as products of matrices: ``einsum`` and ``tensordot``.

A call is read once for its subscripts and shapes. What only one operand has is summed first, the
rest becomes one product of matrices, with a batch of them where an index stays; without anything to
sum, it is a product of elements. More than two operands are taken in pairs, in the order that
``numpy.einsum_path`` finds.

The gradient of an operand is another ``einsum``: of the gradient and of the other operands, onto
its own indices. An index that nobody else has is spread; one that stands there twice meets the
diagonal alone; an axis of size 1 that was stretched is summed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_letters
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..values import Shape, Value
from .choice import only
from .op import Op, composed, op

Axes = tuple[int, ...]

# -- what the subscripts say -----------------------------------------------------------------------


class Indices(NamedTuple):
    """Subscripts for certain shapes, a letter for each axis. Immutable.

    ``shapes``: those of the operands without the axes of size 1 that others stretch. ``terms``:
    their indices.
    """

    terms: tuple[str, ...]
    output: str
    shapes: tuple[Shape, ...]
    sizes: Mapping[str, int]


@lru_cache(maxsize=1024)
def _read(subscripts: str, shapes: tuple[Shape, ...]) -> Indices:
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    named = left.split(",")
    if len(named) != len(shapes):
        raise ValueError(f"{subscripts!r} speaks of {len(named)} operands, given {len(shapes)}")
    spread = [
        len(shape) - len(t.replace("...", "")) for t, shape in zip(named, shapes, strict=True)
    ]
    if any(n < 0 or (n and "..." not in t) for t, n in zip(named, spread, strict=True)):
        raise ValueError(f"{subscripts!r} does not fit the shapes {shapes}")
    free = [letter for letter in ascii_letters if letter not in subscripts]
    dots = "".join(free[: max(spread)])
    if len(dots) < max(spread):
        raise ValueError(f"{subscripts!r} needs more than {len(ascii_letters)} indices")
    terms = [
        t.replace("...", dots[len(dots) - n :] if n else "")
        for t, n in zip(named, spread, strict=True)
    ]
    output = right.replace("...", dots) if arrow else _implied(left, dots)
    return _sized(subscripts, terms, output, shapes)


def _implied(left: str, dots: str) -> str:
    letters = left.replace(",", "").replace(".", "")
    return dots + "".join(sorted(letter for letter in letters if letters.count(letter) == 1))


def _sized(
    subscripts: str, terms: Sequence[str], output: str, shapes: tuple[Shape, ...]
) -> Indices:
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[str, int] = {}
        for letter, size in zip(term, shape, strict=True):
            if own.setdefault(letter, size) != size or 1 != sizes.get(letter, 1) != size != 1:
                raise ValueError(f"{subscripts!r}: index {letter!r} has two sizes in {shapes}")
            if sizes.get(letter, 1) == 1:
                sizes[letter] = size
    letters = set("".join(terms))
    if not letters <= set(ascii_letters) or not set(output) <= letters:
        raise ValueError(f"{subscripts!r}: an index is no letter, or only in the output")
    if len(set(output)) < len(output):
        raise ValueError(f"{subscripts!r}: an index is twice in the output")
    kept = [
        [(letter, n) for letter, n in zip(term, shape, strict=True) if n == sizes[letter]]
        for term, shape in zip(terms, shapes, strict=True)
    ]
    return Indices(
        tuple("".join(letter for letter, _ in axes) for axes in kept),
        output,
        tuple(tuple(n for _, n in axes) for axes in kept),
        sizes,
    )


# -- the sum ---------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """How two operands become matrices. Immutable.

    ``sums``: the axes of each that are summed first; ``orders``: its axes after that: batch, rows
    and inner of the left, batch, inner and columns of the right. ``swapped``: the second operand is
    the left one. ``counts``: of batch, rows and inner axes. ``back``: the axes of the answer, None
    where they are in order.
    """

    sums: tuple[Axes, Axes]
    orders: tuple[Axes, Axes]
    swapped: bool
    counts: tuple[int, int, int]
    back: Axes | None


@lru_cache(maxsize=1024)
def _pairing(first: str, second: str, output: str) -> Pair:
    sums = tuple(
        tuple(i for i, letter in enumerate(one) if letter not in other + output)
        for one, other in ((first, second), (second, first))
    )
    left, right = (
        [letter for i, letter in enumerate(term) if i not in alone]
        for term, alone in zip((first, second), sums, strict=True)
    )
    batch = [letter for letter in output if letter in left and letter in right]
    rows, columns = ([x for x in output if x in side and x not in batch] for side in (left, right))
    inner = [letter for letter in left if letter in right and letter not in output]
    swapped = bool(rows and columns) and output.index(rows[0]) > output.index(columns[0])
    if swapped:
        left, right, rows, columns = right, left, columns, rows
    made = batch + rows + columns
    back = tuple(made.index(letter) for letter in output)
    return Pair(
        sums,  # type: ignore[arg-type]
        (
            tuple(left.index(letter) for letter in batch + rows + inner),
            tuple(right.index(letter) for letter in batch + inner + columns),
        ),
        swapped,
        (len(batch), len(rows), len(inner)),
        None if back == tuple(range(len(back))) else back,
    )


def _pair(a: Value, b: Value, first: str, second: str, output: str) -> Value:
    sums, orders, swapped, (batch, rows, inner), back = _pairing(first, second, output)
    a = np.add.reduce(a, axis=sums[0]) if sums[0] else a
    b = np.add.reduce(b, axis=sums[1]) if sums[1] else b
    if swapped:
        a, b = b, a
    a, b = a.transpose(orders[0]), b.transpose(orders[1])
    shape = a.shape[: batch + rows] + b.shape[batch + inner :]
    if not inner:
        columns = b.ndim - batch
        a = a.reshape(a.shape + (1,) * columns)
        out = a * b.reshape(b.shape[:batch] + (1,) * rows + b.shape[batch:])
    else:
        out = _product(a, b, batch, batch + rows, shape)
    return out if back is None else out.transpose(back)


def _product(a: Value, b: Value, batch: int, rows: int, shape: Shape) -> Value:
    """The product of matrices; axes from ``batch`` to ``rows`` of ``a`` are its rows."""
    left, right = a.shape, b.shape
    depth = math.prod(left[rows:])
    a = a.reshape(*left[:batch], math.prod(left[batch:rows]), depth)
    b = b.reshape(*right[:batch], depth, math.prod(shape[rows:]))
    if not batch:
        return a.dot(b).reshape(shape)
    if a.shape[-2] == b.shape[-1] == 1:  # a batch of inner products: no work for BLAS
        return np.einsum("...ik,...kj->...ij", a, b).reshape(shape)
    return np.matmul(a, b).reshape(shape)


def _one(x: Value, term: str, output: str) -> Value:
    alone = tuple(i for i, letter in enumerate(term) if letter not in output)
    x = np.add.reduce(x, axis=alone) if alone else x
    rest = [letter for letter in term if letter in output]
    return x.transpose([rest.index(letter) for letter in output])


def _steps(arrays: Sequence[Value], terms: Sequence[str], output: str) -> Value:
    """Pair after pair, in a good order."""
    left, waiting = list(arrays), list(terms)
    for step in _order(tuple(terms), output, tuple(array.shape for array in arrays)):
        parts = [(left.pop(i), waiting.pop(i)) for i in sorted(step, reverse=True)]
        needed = set(output).union(*waiting)
        (a, first), (b, second) = parts[0], parts[-1]
        if len(parts) == 1:
            made = "".join(letter for letter in first if letter in needed)
            left.append(_one(a, first, made))
        else:
            made = output if not waiting else _of(first + second, needed)
            left.append(_pair(a, b, first, second, made))
        waiting.append(made)
    return left[0]


def _of(letters: str, needed: set[str]) -> str:
    return "".join(dict.fromkeys(letter for letter in letters if letter in needed))


@lru_cache(maxsize=256)
def _order(terms: tuple[str, ...], output: str, shapes: tuple[Shape, ...]) -> list[tuple[int, ...]]:
    """The pairs to take, as ``numpy.einsum_path`` says; three at a time are taken as two pairs."""
    blanks = [np.broadcast_to(np.empty(()), shape) for shape in shapes]
    path = np.einsum_path(f"{','.join(terms)}->{output}", *blanks, optimize="greedy")[0][1:]
    pairs: list[tuple[int, ...]] = []
    left = len(terms)
    for step in path:
        chosen = sorted(step)
        while len(chosen) > 2:  # the product of the first two goes to the end
            pairs.append((chosen[0], chosen[1]))
            left -= 1
            chosen = [i - 2 for i in chosen[2:]] + [left - 1]
        pairs.append(tuple(chosen))
        left -= len(chosen) - 1
    return pairs


def _without_diagonals(x: Value, term: str) -> tuple[Value, str]:
    """Where an index stands twice, the diagonal alone."""
    once = "".join(dict.fromkeys(term))
    return (x, once) if once == term else (np.einsum(f"{term}->{once}", x), once)


def _einsum(operands: Sequence[Value], subscripts: str, optimize: Any = True) -> Value:
    read = _read(subscripts, tuple(x.shape for x in operands))
    arrays = [x.reshape(shape) for x, shape in zip(operands, read.shapes, strict=True)]
    once = [_without_diagonals(x, t) for x, t in zip(arrays, read.terms, strict=True)]
    if len(once) == 2:
        (a, first), (b, second) = once
        return _pair(a, b, first, second, read.output)
    if len(once) == 1:
        out = _one(*once[0], read.output)
        return out.copy() if np.may_share_memory(out, operands[0]) else out
    return _steps([x for x, _ in once], [term for _, term in once], read.output)


# -- the gradient ----------------------------------------------------------------------------------


def _einsum_pull(
    g: Value,
    operands: Sequence[Value],
    shapes: tuple[Shape, ...],
    needed: Sequence[bool],
    subscripts: str,
) -> list[Value]:
    read = _read(subscripts, shapes)
    if len(operands) == 1:
        return [_spread(g, read.output, read, 0).reshape(shapes[0])]
    arrays = [_reshaped(x, shape) for x, shape in zip(operands, read.shapes, strict=True)]
    grads: list[Value] = [None] * len(operands)
    for k in range(len(operands)):
        if needed[k]:
            others = [i for i in range(len(operands)) if i != k]
            known = read.output + "".join(read.terms[i] for i in others)
            found = _of(read.terms[k], set(known))
            terms = ",".join([read.output, *[read.terms[i] for i in others]])
            part = einsum([g, *[arrays[i] for i in others]], subscripts=f"{terms}->{found}")
            grads[k] = _reshaped(_spread(part, found, read, k), shapes[k])
    return grads


def _reshaped(x: Value, shape: Shape) -> Value:
    return x if x.shape == shape else x.reshape(shape)


def _spread(part: Value, found: str, read: Indices, k: int) -> Value:
    """The gradient of operand ``k`` from that with respect to the indices ``found``."""
    term, shape = read.terms[k], read.shapes[k]
    if found == term:
        return part
    order = [found.index(letter) for letter in dict.fromkeys(term) if letter in found]
    part = part if order == sorted(order) else np.transpose(part, order)
    first = [letter in found and term.index(letter) == i for i, letter in enumerate(term)]
    part = part.reshape(tuple(n if here else 1 for here, n in zip(first, shape, strict=True)))
    part = np.broadcast_to(part, shape)
    for i, letter in enumerate(term):
        before = term.index(letter)
        if before < i:
            ones = tuple(n if j in (before, i) else 1 for j, n in enumerate(shape))
            part = only(part, np.eye(shape[i], dtype=bool).reshape(ones))
    return part


class _Einsum(Op):
    """An op that is called with the subscripts first, and then with each operand by itself."""

    def bind(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Op, tuple[Any, ...], dict[str, Any]]:
        if "subscripts" not in keywords:
            subscripts, operands = _spelled(args)
            args, keywords = (operands,), {**keywords, "subscripts": subscripts}
        return super().bind(args, keywords)


def _spelled(args: tuple[Any, ...]) -> tuple[str, Sequence[Any]]:
    """The subscripts and the operands of a call: ``("ij,jk", a, b)`` or ``(a, [0, 1], b, ...)``."""
    if isinstance(args[0], str):
        # A list of operands is one argument more that PyTorch takes.
        alone = len(args) == 2 and isinstance(args[1], list | tuple)
        return args[0], args[1] if alone else args[1:]
    paired = len(args) // 2 * 2
    named = ",".join(_letters(indices) for indices in args[1:paired:2])
    return named + ("->" + _letters(args[-1]) if len(args) % 2 else ""), args[0:paired:2]


def _letters(indices: Sequence[Any]) -> str:
    return "".join("..." if i is Ellipsis else ascii_letters[i] for i in indices)


einsum = op("einsum", _einsum, "*operands", numpy=np.einsum, together=_einsum_pull, kind=_Einsum)


def _tensordot(a: Value, b: Value, axes: Any = 2) -> Value:
    """``axes``: how many last axes of ``a`` meet the first of ``b``, or a list of each."""
    if isinstance(axes, int | np.integer):
        inner: Sequence[Sequence[int]] = (range(a.ndim - int(axes), a.ndim), range(int(axes)))
    else:
        inner = [[int(one)] if isinstance(one, int | np.integer) else one for one in axes]
    first, rest = list(ascii_letters[: a.ndim]), list(ascii_letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(*inner, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(f"tensordot: axis {i} of {a.shape} does not fit axis {j} of {b.shape}")
        rest[j] = first[i]
    once = [letter for letter in first + rest if (letter in first) != (letter in rest)]
    terms = f"{''.join(first)},{''.join(rest)}->{''.join(once)}"
    return einsum([a, b], subscripts=terms)


composed("tensordot", _tensordot, "a b", numpy=(np.tensordot, np.linalg.tensordot))
