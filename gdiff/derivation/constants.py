"""Constant matrices, sizes, and the shapes of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TypeGuard

from gdiff.derivation.errors import Unsupported
from gdiff.derivation.printer import size_text
from gdiff.derivation.tree import SCALAR, Call, Extent, Node, Number, Product, Shape, Size, number

ZERO = number(0)
ONE = number(1)


def shaped(node: Node, shape: Shape) -> Node:
    """The node, with its shape."""
    return node if node.shape == shape else replace(node, shape=shape)


def identity(shape: Shape) -> Node:
    """The identity matrix of a shape; the number 1 for a scalar."""
    if shape == SCALAR:
        return ONE
    size = shape[0]
    return Call("eye", (Extent(size),) if isinstance(size, int | str) else (), shape=shape)


def is_zero(node: Node) -> bool:
    """Whether an expression is 0 as it is written."""
    if is_call(node, "kron") or isinstance(node, Product):
        return any(is_zero(part) for part in (node.factors if isinstance(node, Product) else node.arguments))
    return node == ZERO or is_call(node, "zeros")


def zero_map(output: Shape, entries: Shape) -> Node:
    """The 0 that multiplies vec of an array of one shape to give vec of one of another: 0 ⊗ 0."""
    (m, n), (p, q) = output, entries
    if n == q == 1:
        return zeros((m, p))
    shape = size_times(m, n), size_times(p, q)
    return Call("kron", (zeros((n, q)), zeros((m, p))), shape=shape)


def written_out(node: Node) -> Node:
    """zeros(d, d) for a 0 that is a matrix, where its sizes have names."""
    is_zero = isinstance(node, Number) and node.shape != SCALAR
    return zeros(node.shape) if is_zero and all(isinstance(s, int | str) for s in node.shape) else node


def ones(shape: Shape) -> Node:
    """A matrix of ones."""
    return Call("ones", extents(shape), shape=shape)


def zeros(shape: Shape) -> Node:
    """A matrix of zeros; the number 0 for a scalar."""
    if shape == SCALAR:
        return ZERO
    return Call("zeros", extents(shape), shape=shape)


def extents(shape: Shape) -> tuple[Extent, ...]:
    """The sizes of a constant matrix, written out; one for a column."""
    rows, columns = shape
    return (extent(rows),) if columns == 1 else (extent(rows), extent(columns))


def extent(size: Size) -> Extent:
    """A size, written out. Raises Unsupported for one that is made of others, which has no name."""
    if not isinstance(size, int | str):
        raise Unsupported(f"a constant matrix of {size_text(size)} rows or columns has no name in this notation")
    return Extent(size)


def is_call(node: Node, name: str) -> TypeGuard[Call]:
    """Whether a node is this function of something."""
    return isinstance(node, Call) and node.function == name


def untransposed(node: Node) -> Node:
    """What a transpose is of; anything else itself."""
    return node.arguments[0] if is_call(node, "t") else node


def result_shape(name: str, arguments: Sequence[Node]) -> Shape:
    """The shape of a function of arguments."""
    a = arguments[0]
    rows, columns = a.shape
    match name:
        case "tr" | "det" | "sum" | "norm":
            return SCALAR
        case "diag":
            return rows, rows
        case "diagonal":
            return rows, 1
        case "pinv":
            return columns, rows
        case "vec":
            return size_times(rows, columns), 1
        case "vech":
            return ("triangle", rows) if not isinstance(rows, int) else rows * (rows + 1) // 2, 1
        case "kron":
            b = arguments[1]
            return size_times(rows, b.shape[0]), size_times(columns, b.shape[1])
        case "cbind":
            return rows, size_plus([b.shape[1] for b in arguments])
        case "rbind":
            return size_plus([b.shape[0] for b in arguments]), columns
    return a.shape


def size_times(*sizes: Size) -> Size:
    """The product of sizes, as a size."""
    flat = [p for s in sizes for p in (s[1:] if isinstance(s, tuple) and s[0] == "times" else (s,))]
    known = prod(p for p in flat if isinstance(p, int))
    rest = sorted((p for p in flat if not isinstance(p, int)), key=repr)
    factors = ([known] if known != 1 or not rest else []) + rest
    return factors[0] if len(factors) == 1 else ("times", *factors)


def size_plus(sizes: Sequence[Size]) -> Size:
    """The sum of sizes, as a size."""
    known = sum(s for s in sizes if isinstance(s, int))
    rest = sorted((s for s in sizes if not isinstance(s, int)), key=repr)
    summands = ([known] if known or not rest else []) + rest
    return summands[0] if len(summands) == 1 else ("plus", *summands)
