"""Hadamard and diagonal forms, the adjugate, the matrix determinant lemma, and criteria of optimal design."""

import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Positive, PositiveDefinite, Symmetric
from gdiff.identities.notation import beyond
from gdiff.symmetric.coordinates import commutation_matrix, vec
from gdiff.written import identity

_square = Argument("X", General(), ("d", "d"))

_FREE = ("entries independent",)
_INVERTIBLE = ("X square and invertible, entries independent",)
_PAIR = {"A": ("d", "d"), "B": ("d", "d"), "x": ("d",)}
_UPDATE = {"A": ("n", "n"), "U": ("n", "d"), "B": ("d", "p"), "V": ("p", "n")}
_DESIGN = {"F": ("n", "d"), "w": ("n",)}


def _determinant(m):
    """By expansion along the first row."""
    if len(m) == 0:
        return jnp.ones(())
    return sum((-1) ** j * m[0, j] * _determinant(jnp.delete(m[1:], j, axis=1)) for j in range(len(m)))


def _adjugate(x):
    """The transposed matrix of cofactors, each a minor with its sign."""
    d = range(len(x))

    def cofactor(i, j):
        return (-1) ** (i + j) * _determinant(jnp.delete(jnp.delete(x, i, axis=0), j, axis=1))

    return jnp.stack([jnp.stack([cofactor(i, j) for i in d]) for j in d])


def _adjugate_differential(x, dx):
    """tr(X^-1 dX) adj X - adj X dX X^-1."""
    inverse = jnp.linalg.inv(x)
    adjugate = jnp.linalg.det(x) * inverse
    return jnp.trace(inverse @ dx) * adjugate - adjugate @ dx @ inverse


def _determinant_hessian(x):
    """det(X) [vec(X^-T) vec(X^-T)' - K (X^-T kron X^-1)]."""
    p = jnp.linalg.inv(x)
    first = vec(p.T)
    return jnp.linalg.det(x) * (jnp.outer(first, first) - commutation_matrix(*x.shape) @ jnp.kron(p.T, p))


_HADAMARD = (
    identity(
        "hadamard_form/trace",
        "x'*had(A, B')*x",
        "tr(diag(x)*A*diag(x)*B)",
        kind="value",
        title="a quadratic form in a Hadamard product as a trace",
        shapes=_PAIR,
        source=beyond(68),
        hypotheses=("A and B square",),
    ),
    identity(
        "hadamard_form/gradient",
        "tr(diag(x)*A*diag(x)*B)",
        "(had(A, B') + had(A, B')')*x",
        "x",
        title="gradient of tr(diag(x) A diag(x) B) in x",
        shapes=_PAIR,
        source=beyond(68),
        hypotheses=("A and B square",),
    ),
    identity(
        "diagonal_form/trace",
        "tr(A*diag(x))",
        "diagonal(A)",
        "x",
        title="gradient of tr(A diag(x)) in x",
        shapes={"A": ("d", "d"), "x": ("d",)},
        source=beyond(68),
        hypotheses=("A square",),
    ),
    identity(
        "diagonal_form/bilinear",
        "u'*diag(x)*v",
        "had(u, v)",
        "x",
        title="gradient of u' diag(x) v in x",
        shapes={"u": ("d",), "v": ("d",), "x": ("d",)},
        source=beyond(68),
        hypotheses=("u and v constant",),
    ),
    identity(
        "diagonal_form/of_matrix",
        "u'*exp(diagonal(X))",
        "diag(had(u, exp(diagonal(X))))",
        "X",
        title="gradient in X of a function of its diagonal, u' exp(diag X)",
        shapes={"u": ("d",), "X": ("d", "d")},
        source=beyond(68),
        hypotheses=_FREE,
    ),
)

_ADJUGATES = (
    Claim(
        name="adjugate/differential",
        title="differential of the adjugate",
        statement=(
            r"\mathrm{d} \operatorname{adj} X"
            r" = \operatorname{tr}(X^{-1} \mathrm{d}X) \operatorname{adj} X"
            r" - \operatorname{adj}(X)\, \mathrm{d}X\, X^{-1}"
        ),
        function=_adjugate,
        derivative=_adjugate_differential,
        arguments=(_square,),
        wrt=(0,),
        kind="differential",
        source=beyond(69),
        hypotheses=_INVERTIBLE,
        dimensions=(2, 3),
    ),
    Claim(
        name="adjugate/cofactors",
        title="differential of the matrix of cofactors",
        statement=(
            r"\mathrm{d} \operatorname{cof} X = \bigl[\operatorname{tr}(X^{-1} \mathrm{d}X) \operatorname{adj} X"
            r" - \operatorname{adj}(X)\, \mathrm{d}X\, X^{-1}\bigr]^\top"
        ),
        function=lambda x: _adjugate(x).T,
        derivative=lambda x, dx: _adjugate_differential(x, dx).T,
        arguments=(_square,),
        wrt=(0,),
        kind="differential",
        source=beyond(69),
        hypotheses=_INVERTIBLE,
        dimensions=(2, 3),
    ),
    Claim(
        name="vec_hessian/determinant",
        title="Hessian of det X in vec X",
        statement=(
            r"\nabla^2_{\operatorname{vec} X} \det X = \det(X) \bigl[\operatorname{vec}(X^{-\top})"
            r" \operatorname{vec}(X^{-\top})^\top - K (X^{-\top} \otimes X^{-1})\bigr]"
        ),
        function=_determinant,
        derivative=_determinant_hessian,
        arguments=(_square,),
        wrt=(0,),
        kind="hessian",
        source=beyond(69),
        hypotheses=_INVERTIBLE,
        dimensions=(2, 3),
    ),
)

_LEMMA = (
    identity(
        "determinant_lemma/update",
        "log(abs(det(A + U*B*V)))",
        "(B*V*inv(A + U*B*V))'",
        "U",
        title="gradient of ln|det(A + U B V)| in U",
        shapes=_UPDATE,
        source=beyond(70),
        hypotheses=("A + U B V invertible",),
    ),
    identity(
        "determinant_lemma/outer",
        "log(det(I + W*W'))",
        "2*inv(I + W*W')*W",
        "W",
        title="gradient of ln det(I + W W') by the large inverse",
        shapes={"W": ("n", "d")},
        source=beyond(70),
        hypotheses=_FREE,
    ),
    identity(
        "determinant_lemma/inner",
        "log(det(I + W*W'))",
        "2*W*inv(I + W'*W)",
        "W",
        title="gradient of ln det(I + W W') by the small inverse",
        shapes={"W": ("n", "d")},
        source=beyond(70),
        hypotheses=_FREE,
    ),
    identity(
        "determinant_lemma/vector",
        "log(1 + x'*inv(A)*x)",
        "2*inv(A)*x/(1 + x'*inv(A)*x)",
        "x",
        title="gradient of ln(1 + x' A^-1 x)",
        domains={"A": PositiveDefinite()},
        source=beyond(70),
        hypotheses=("A symmetric positive definite",),
        dimensions=(2, 3),
    ),
)

_DESIGNS = (
    identity(
        "log_det_form/symmetric",
        "log(abs(det(X'*A*X)))",
        "2*A*X*inv(X'*A*X)",
        "X",
        title="gradient of ln|det(X' A X)|, A symmetric",
        shapes={"X": ("n", "d")},
        domains={"A": Symmetric()},
        source=beyond(71),
        hypotheses=("A symmetric", "X' A X invertible"),
    ),
    identity(
        "design/d_optimal",
        "log(det(F'*diag(w)*F))",
        "diagonal(F*inv(F'*diag(w)*F)*F')",
        "w",
        title="gradient of ln det(F' diag(w) F) in the weights",
        shapes=_DESIGN,
        domains={"w": Positive()},
        source=beyond(71),
        hypotheses=("F of full column rank", "w positive"),
    ),
    identity(
        "design/a_optimal",
        "-tr(inv(F'*diag(w)*F))",
        "diagonal(F*inv(F'*diag(w)*F)*inv(F'*diag(w)*F)*F')",
        "w",
        title="gradient of -tr((F' diag(w) F)^-1) in the weights",
        shapes=_DESIGN,
        domains={"w": Positive()},
        source=beyond(71),
        hypotheses=("F of full column rank", "w positive"),
    ),
)

CLAIMS = (*_HADAMARD, *_ADJUGATES, *_LEMMA, *_DESIGNS)
