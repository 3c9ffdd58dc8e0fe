"""Singular values and vectors of a rectangular matrix, and the norms that are made of them.

The formulas take singular vectors from the eigenvectors of X'X, and not from the decomposition that is differentiated.
Vectors have their signs fixed: the largest entry of every right one is positive.
"""

import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import General, Positive, Vector
from gdiff.identities.notation import beyond
from gdiff.written import identity

_tall = Argument("X", General(), ("n", "d"))
_wide = Argument("X", General(), ("d", "n"))
_exponent = Argument("a", Positive(), ())

_SIMPLE = ("X tall or square of full column rank", "distinct singular values")
_FULL = ("X of full rank",)


def _signs(v):
    """Of each column, the sign of its largest entry."""
    return jnp.sign(jnp.take_along_axis(v, jnp.argmax(jnp.abs(v), axis=0)[None], axis=0))


def _svd(x):
    """U, s, V of X = U diag(s) V', X tall: V and s^2 are those of X'X, and U = X V S^-1."""
    squares, v = jnp.linalg.eigh(x.T @ x)
    s, v = jnp.sqrt(squares[::-1]), v[:, ::-1]
    v = v * _signs(v)
    return x @ v / s, s, v


def _values(x):
    return jnp.linalg.svd(x, compute_uv=False)


def _left_vectors(x):
    u, _, vt = jnp.linalg.svd(x, full_matrices=False)
    return u * _signs(vt.T)


def _right_vectors(x):
    vt = jnp.linalg.svd(x, full_matrices=False)[2]
    return vt.T * _signs(vt.T)


def _gaps(s):
    """1 / (s_j^2 - s_i^2), 0 on the diagonal."""
    eye = jnp.eye(len(s))
    return (1 - eye) / (s**2 - s[:, None] ** 2 + eye)


def _left_rotation(x, dx):
    """U [F o (M S + S M')]."""
    u, s, v = _svd(x)
    m = u.T @ dx @ v
    return u @ (_gaps(s) * (m * s + s[:, None] * m.T))


def _left_differential(x, dx):
    u, s, v = _svd(x)
    return _left_rotation(x, dx) + (dx @ v - u @ (u.T @ dx @ v)) / s


def _right_differential(x, dx):
    u, s, v = _svd(x)
    m = u.T @ dx @ v
    return v @ (_gaps(s) * (s[:, None] * m + m.T * s))


def _of_singular_values(f, x):
    """U diag(f(s)) V'."""
    if x.shape[0] < x.shape[1]:
        return _of_singular_values(f, x.T).T
    u, s, v = _svd(x)
    return u * f(s) @ v.T


_LEFT = r"\mathrm{d}U = U \bigl[F \circ (M S + S M^\top)\bigr]"
_WHERE = r", \quad M = U^\top \mathrm{d}X\, V, \quad F_{ij} = \frac{1}{s_j^2 - s_i^2}"

_DECOMPOSITION = (
    Claim(
        name="svd/singular_values",
        title="differential of the singular values",
        statement=r"\mathrm{d}s_i = u_i^\top \mathrm{d}X\, v_i",
        function=_values,
        derivative=lambda x, dx: jnp.einsum("ki,kl,li->i", _svd(x)[0], dx, _svd(x)[2]),
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(63),
        hypotheses=_SIMPLE,
    ),
    Claim(
        name="svd/left_vectors",
        title="differential of the left singular vectors",
        statement=_LEFT + r" + (I - U U^\top)\, \mathrm{d}X\, V S^{-1}" + _WHERE,
        function=_left_vectors,
        derivative=_left_differential,
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(63),
        hypotheses=(*_SIMPLE, "signs fixed"),
        dimensions=(2, 3),
    ),
    Claim(
        name="svd/left_vectors_square",
        title="differential of the left singular vectors as for square matrices",
        statement=_LEFT + _WHERE,
        function=_left_vectors,
        derivative=_left_rotation,
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(63),
        hypotheses=(*_SIMPLE, "signs fixed"),
        holds_if=(Hypothesis("X square", (Argument("X", General(), ("d", "d")),)),),
        expected="refuted",
        instead="svd/left_vectors",
        dimensions=(2, 3),
    ),
    Claim(
        name="svd/right_vectors",
        title="differential of the right singular vectors",
        statement=r"\mathrm{d}V = V \bigl[F \circ (S M + M^\top S)\bigr]" + _WHERE,
        function=_right_vectors,
        derivative=_right_differential,
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(63),
        hypotheses=(*_SIMPLE, "signs fixed"),
        dimensions=(2, 3),
    ),
)

_NORMS = (
    identity(
        "norm/frobenius",
        "norm(X)",
        "X/norm(X)",
        "X",
        title="gradient of the Frobenius norm",
        shapes={"X": ("n", "d")},
        source=beyond(64),
        hypotheses=("X not 0",),
    ),
    Claim(
        name="norm/nuclear",
        title="gradient of the nuclear norm",
        statement=r"\frac{\partial \|X\|_*}{\partial X} = U V^\top",
        function=lambda x: jnp.sum(_values(x)),
        derivative=lambda x: _of_singular_values(jnp.ones_like, x),
        arguments=(_wide,),
        wrt=(0,),
        source=beyond(64),
        hypotheses=_FULL,
    ),
    Claim(
        name="norm/spectral",
        title="gradient of the spectral norm",
        statement=r"\frac{\partial \|X\|_2}{\partial X} = u_1 v_1^\top",
        function=lambda x: _values(x)[0],
        derivative=lambda x: jnp.outer(_svd(x)[0][:, 0], _svd(x)[2][:, 0]),
        arguments=(_tall,),
        wrt=(0,),
        source=beyond(64),
        hypotheses=("the largest singular value simple",),
    ),
    Claim(
        name="norm/schatten",
        title="gradient of the Schatten p-norm, p = 1 + a",
        statement=r"\frac{\partial \|X\|_p}{\partial X} = \frac{U S^{p-1} V^\top}{\|X\|_p^{p-1}}, \quad p = 1 + a",
        function=lambda a, x: jnp.sum(_values(x) ** (1 + a)) ** (1 / (1 + a)),
        derivative=lambda a, x: _of_singular_values(lambda s: s**a / jnp.sum(s ** (1 + a)) ** (a / (1 + a)), x),
        arguments=(_exponent, _wide),
        wrt=(1,),
        source=beyond(64),
        hypotheses=(*_FULL, "p > 1"),
    ),
    Claim(
        name="norm/p_norm",
        title="gradient of the p-norm of a vector, p = 1 + a",
        statement=(
            r"\frac{\partial \|x\|_p}{\partial x} ="
            r" \frac{\operatorname{sign}(x) \circ |x|^{p-1}}{\|x\|_p^{p-1}}, \quad p = 1 + a"
        ),
        function=lambda a, x: jnp.sum(jnp.exp((1 + a) / 2 * jnp.log(x**2))) ** (1 / (1 + a)),
        derivative=lambda a, x: jnp.sign(x) * jnp.abs(x) ** a / jnp.sum(jnp.abs(x) ** (1 + a)) ** (a / (1 + a)),
        arguments=(_exponent, Argument("x", Vector(), ("d",))),
        wrt=(1,),
        source=beyond(64),
        hypotheses=("no entry of x is 0", "p > 1"),
    ),
)

CLAIMS = (*_DECOMPOSITION, *_NORMS)
