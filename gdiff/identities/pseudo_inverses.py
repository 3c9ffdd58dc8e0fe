"""Pseudo-inverses at constant rank, projectors and least squares, and the equations of Sylvester and Lyapunov.

A matrix of low rank is X = F G, F of full column rank and G of full row rank: its pseudo-inverse G^+ F^+ needs no
cut-off, and every step of F and G keeps the rank. Where the rank changes a pseudo-inverse jumps: no derivative there.
"""

import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import General
from gdiff.identities.notation import beyond
from gdiff.written import identity

_tall = Argument("X", General(), ("n", "d"))
_wide = Argument("X", General(), ("d", "n"))
_square = Argument("X", General(), ("d", "d"))
_left = Argument("F", General(), ("n", "p"))
_right = Argument("G", General(), ("p", "d"))
_a = Argument("A", General(), ("d", "d"))
_b = Argument("B", General(), ("m", "m"))
_c = Argument("C", General(), ("d", "m"))
_q = Argument("Q", General(), ("d", "d"))
_weight = Argument("W", General(), ("d", "m"))
_square_weight = Argument("W", General(), ("d", "d"))

_COLUMN_RANK = ("X of full column rank",)
_SYLVESTER = ("A and -B have no eigenvalue in common",)
_LYAPUNOV = ("no two eigenvalues of A have the product 1",)
_FORMULA = (
    r"\mathrm{d}X^+ = -X^+ \mathrm{d}X\, X^+ + X^+ X^{+\top} \mathrm{d}X^\top (I - X X^+)"
    r" + (I - X^+ X)\, \mathrm{d}X^\top X^{+\top} X^+"
)


def _of_full_rank(x):
    """X^+ of full column rank, a block of the inverse of [[I, X], [X', 0]]; of full row rank, that of X' transposed."""
    n, d = x.shape
    if n < d:
        return _of_full_rank(x.T).T
    return jnp.linalg.inv(jnp.block([[jnp.eye(n), x], [x.T, jnp.zeros((d, d))]]))[n:, :n]


def _of_product(f, g):
    """(F G)^+ = G^+ F^+."""
    return _of_full_rank(g) @ _of_full_rank(f)


def _textbook(x):
    """(X'X)^-1 X', or X' (XX')^-1 of wide X."""
    tall = x.shape[0] >= x.shape[1]
    return jnp.linalg.inv(x.T @ x) @ x.T if tall else x.T @ jnp.linalg.inv(x @ x.T)


def _golub_pereyra(x, p, dx):
    """The differential, p = X^+."""
    left, right = jnp.eye(x.shape[0]) - x @ p, jnp.eye(x.shape[1]) - p @ x
    return -p @ dx @ p + p @ p.T @ dx.T @ left + right @ dx.T @ p.T @ p


def _of_low_rank(f, g, df, dg):
    x = f @ g
    return _golub_pereyra(x, jnp.linalg.pinv(x), df @ g + f @ dg)


def _solved(a, b, c):
    """X of A X + X B = C, by columns: (I (x) A + B' (x) I) vec X = vec C."""
    system = jnp.kron(jnp.eye(len(b)), a) + jnp.kron(b.T, jnp.eye(len(a)))
    return jnp.linalg.solve(system, c.T.reshape(-1)).reshape(len(b), len(a)).T


def _sylvester(a, b, c):
    """The same, by rows."""
    system = jnp.einsum("ik,jl->ijkl", a, jnp.eye(len(b))) + jnp.einsum("ik,lj->ijkl", jnp.eye(len(a)), b)
    return jnp.linalg.solve(system.reshape(c.size, c.size), c.reshape(-1)).reshape(c.shape)


def _sylvester_differential(a, b, c, da, db, dc):
    x = _sylvester(a, b, c)
    return _sylvester(a, b, dc - da @ x - x @ db)


def _sylvester_adjoint(w, a, b, c):
    x, y = _sylvester(a, b, c), _sylvester(a.T, b.T, w)
    return -y @ x.T, -x.T @ y, y


def _lyapunov_solved(a, q):
    """X of X = A X A' + Q, by columns: (I - A (x) A) vec X = vec Q."""
    system = jnp.eye(a.size) - jnp.kron(a, a)
    return jnp.linalg.solve(system, q.T.reshape(-1)).reshape(q.shape).T


def _lyapunov(a, q):
    """The same, by rows."""
    eye = jnp.eye(len(a))
    system = jnp.einsum("ik,jl->ijkl", eye, eye) - jnp.einsum("ik,jl->ijkl", a, a)
    return jnp.linalg.solve(system.reshape(a.size, a.size), q.reshape(-1)).reshape(q.shape)


def _lyapunov_adjoint(w, a, q):
    x, y = _lyapunov(a, q), _lyapunov(a.T, w)
    return y @ a @ x.T + y.T @ a @ x, y


_PSEUDO_INVERSES = (
    Claim(
        name="pseudo_inverse/tall",
        title="differential of the pseudo-inverse, full column rank",
        statement=_FORMULA,
        function=_of_full_rank,
        derivative=lambda x, dx: _golub_pereyra(x, _textbook(x), dx),
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(55),
        hypotheses=_COLUMN_RANK,
    ),
    Claim(
        name="pseudo_inverse/wide",
        title="differential of the pseudo-inverse, full row rank",
        statement=_FORMULA,
        function=_of_full_rank,
        derivative=lambda x, dx: _golub_pereyra(x, _textbook(x), dx),
        arguments=(_wide,),
        wrt=(0,),
        kind="differential",
        source=beyond(55),
        hypotheses=("X of full row rank",),
    ),
    Claim(
        name="pseudo_inverse/deficient",
        title="differential of the pseudo-inverse at constant rank",
        statement=_FORMULA + r", \quad X = F G, \quad \mathrm{d}X = \mathrm{d}F\, G + F\, \mathrm{d}G",
        function=_of_product,
        derivative=_of_low_rank,
        arguments=(_left, _right),
        wrt=(0, 1),
        kind="differential",
        source=beyond(55),
        hypotheses=("the rank of X is constant",),
        dimensions=(2, 3),
        note="where the rank changes X^+ jumps, and has no derivative",
    ),
    Claim(
        name="pseudo_inverse/first_term",
        title="differential of the pseudo-inverse as that of an inverse",
        statement=r"\mathrm{d}X^+ = -X^+ \mathrm{d}X\, X^+",
        function=_of_full_rank,
        derivative=lambda x, dx: -_textbook(x) @ dx @ _textbook(x),
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(55),
        hypotheses=_COLUMN_RANK,
        holds_if=(Hypothesis("X square and invertible", (_square,)),),
        expected="refuted",
        instead="pseudo_inverse/tall",
    ),
)

_LEAST_SQUARES = (
    identity(
        "projector/differential",
        "X*inv(X'*X)*X'",
        "(I - X*inv(X'*X)*X')*dX*inv(X'*X)*X' + ((I - X*inv(X'*X)*X')*dX*inv(X'*X)*X')'",
        "X",
        kind="differential",
        title="differential of the projector X X^+",
        shapes={"X": ("n", "d")},
        source=beyond(56),
        hypotheses=_COLUMN_RANK,
    ),
    identity(
        "least_squares/coefficients",
        "inv(X'*X)*X'*y",
        "-inv(X'*X)*X'*dX*inv(X'*X)*X'*y + inv(X'*X)*dX'*(y - X*inv(X'*X)*X'*y)",
        "X",
        kind="differential",
        title="differential of the least squares coefficients X^+ y",
        shapes={"X": ("n", "d"), "y": ("n",)},
        source=beyond(56),
        hypotheses=_COLUMN_RANK,
    ),
    identity(
        "least_squares/residual",
        "(y - X*inv(X'*X)*X'*y)'*(y - X*inv(X'*X)*X'*y)",
        "-2*(y - X*inv(X'*X)*X'*y)*(inv(X'*X)*X'*y)'",
        "X",
        title="gradient of the residual sum of squares",
        shapes={"X": ("n", "d"), "y": ("n",)},
        source=beyond(56),
        hypotheses=_COLUMN_RANK,
    ),
)

_EQUATIONS = (
    Claim(
        name="sylvester/differential",
        title="differential of X in A X + X B = C",
        statement=r"A\, \mathrm{d}X + \mathrm{d}X\, B = \mathrm{d}C - \mathrm{d}A\, X - X\, \mathrm{d}B",
        function=_solved,
        derivative=_sylvester_differential,
        arguments=(_a, _b, _c),
        wrt=(0, 1, 2),
        kind="differential",
        source=beyond(66),
        hypotheses=_SYLVESTER,
    ),
    Claim(
        name="sylvester/adjoint",
        title="gradient of <W, X> in A, B and C of A X + X B = C",
        statement=(
            r"\nabla_{A, B, C} \operatorname{tr}(W^\top X) = (-Y X^\top, -X^\top Y, Y), \quad A^\top Y + Y B^\top = W"
        ),
        function=lambda w, a, b, c: jnp.sum(w * _solved(a, b, c)),
        derivative=_sylvester_adjoint,
        arguments=(_weight, _a, _b, _c),
        wrt=(1, 2, 3),
        source=beyond(66),
        hypotheses=_SYLVESTER,
    ),
    Claim(
        name="lyapunov/adjoint",
        title="gradient of <W, X> in A and Q of X = A X A' + Q",
        statement=(
            r"\nabla_{A, Q} \operatorname{tr}(W^\top X) = (Y A X^\top + Y^\top A X, Y), \quad Y = A^\top Y A + W"
        ),
        function=lambda w, a, q: jnp.sum(w * _lyapunov_solved(a, q)),
        derivative=_lyapunov_adjoint,
        arguments=(_square_weight, _a, _q),
        wrt=(1, 2),
        source=beyond(66),
        hypotheses=_LYAPUNOV,
    ),
)

CLAIMS = (*_PSEUDO_INVERSES, *_LEAST_SQUARES, *_EQUATIONS)
