"""Factors of a matrix: Cholesky, QR and LU, forwards and backwards, and the volumes that symmetric maps change.

Each factor is written twice: entry by entry, or through another factor, where it is differentiated, and by the library
where the formula uses it.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, LowerTriangular, PositiveDefinite
from gdiff.identities.notation import beyond
from gdiff.symmetric.coordinates import unvech, vech

_definite = Argument("A", PositiveDefinite(), ("d", "d"))
_bar = Argument("B", General(), ("d", "d"))
_s = Argument("S", PositiveDefinite(), ("d", "d"))
_a = Argument("A", General(), ("d", "d"))
_factor = Argument("L", LowerTriangular(), ("d", "d"))
_tall = Argument("X", General(), ("n", "d"))
_square = Argument("X", General(), ("d", "d"))

_DEFINITE = ("A symmetric positive definite",)
_PHI = r", \quad \Phi(M)_{ij} = M_{ij} \; (i > j), \; \tfrac12 M_{ii} \; (i = j), \; 0 \; (i < j)"
_QR = ("X of full column rank", "R with a positive diagonal")
_LU = ("X square, its leading minors not 0", "L with a unit diagonal")


def _cholesky(a):
    """L of A = L L', entry by entry, from the lower triangle of A."""
    d = len(a)
    l: dict[tuple[int, int], jnp.ndarray] = {}
    for i in range(d):
        for j in range(i + 1):
            rest = a[i, j] - sum(l[i, k] * l[j, k] for k in range(j))
            l[i, j] = jnp.sqrt(rest) if i == j else rest / l[j, j]
    return jnp.stack([jnp.stack([l.get((i, j), jnp.zeros(())) for j in range(d)]) for i in range(d)])


def _phi(m):
    """The lower triangle, its diagonal halved."""
    return jnp.tril(m) - jnp.diag(jnp.diagonal(m)) / 2


def _cholesky_differential(a, da):
    factor = jnp.linalg.cholesky(a)
    inverse = jnp.linalg.inv(factor)
    return factor @ _phi(inverse @ da @ inverse.T)


def _cholesky_adjoint(bar, a):
    """sym[L^-T Phi(L' Lbar) L^-1]."""
    factor = jnp.linalg.cholesky(a)
    inverse = jnp.linalg.inv(factor)
    g = inverse.T @ _phi(factor.T @ bar) @ inverse
    return (g + g.T) / 2


def _cholesky_adjoint_distinct(bar, a):
    """2 Abar - Abar o I."""
    g = _cholesky_adjoint(bar, a)
    return 2 * g - jnp.diag(jnp.diagonal(g))


def _volume(f, s):
    """|det| of the Jacobian of vech f(S) in vech S, by autodiff."""
    return jnp.abs(jnp.linalg.det(jax.jacfwd(lambda v: vech(f(unvech(v))))(vech(s))))


def _cholesky_volume(factor):
    """The same of L -> vech L L' in the lower triangle of L."""
    columns, rows = jnp.triu_indices(len(factor))

    def product(v):
        lower = jnp.zeros_like(factor).at[rows, columns].set(v)
        return vech(lower @ lower.T)

    return jnp.abs(jnp.linalg.det(jax.jacfwd(product)(factor[rows, columns])))


def _qr(x):
    """Q and R, the diagonal of R positive."""
    q, r = jnp.linalg.qr(x)
    signs = jnp.sign(jnp.diagonal(r))
    return q * signs, signs[:, None] * r


def _r_by_cholesky(x):
    return jnp.linalg.cholesky(x.T @ x).T


def _qr_differentials(x, dx):
    q, r = _qr(x)
    b = q.T @ dx @ jnp.linalg.inv(r)
    omega = jnp.tril(b, -1) - jnp.tril(b, -1).T
    dq = q @ omega + (dx - q @ (q.T @ dx)) @ jnp.linalg.inv(r)
    return dq, (b - omega) @ r


def _elimination(x):
    """L and U of X = L U, by Gauss's elimination without exchanges."""
    d = len(x)
    rows, lower = [x[i] for i in range(d)], jnp.eye(d)
    for j in range(d):
        for i in range(j + 1, d):
            ratio = rows[i][j] / rows[j][j]
            rows[i] = rows[i] - ratio * rows[j]
            lower = lower.at[i, j].set(ratio)
    return lower, jnp.triu(jnp.stack(rows))


def _lower_by_blocks(x):
    """L, a row at a time: what is left of its diagonal is X[i, :i] X[:i, :i]^-1 L[:i, :i]."""
    d = len(x)
    lower = jnp.eye(d)
    for i in range(1, d):
        lower = lower.at[i, :i].set(jnp.linalg.solve(x[:i, :i].T, x[i, :i]) @ lower[:i, :i])
    return lower


def _lu_differentials(x, dx):
    lower = _lower_by_blocks(x)
    upper = jnp.linalg.solve(lower, x)
    b = jnp.linalg.solve(lower, dx) @ jnp.linalg.inv(upper)
    return lower @ jnp.tril(b, -1), jnp.triu(b) @ upper


_CHOLESKY = (
    Claim(
        name="cholesky_factor/differential",
        title="differential of the Cholesky factor",
        statement=r"\mathrm{d}L = L\, \Phi(L^{-1} \mathrm{d}A\, L^{-\top})" + _PHI,
        function=_cholesky,
        derivative=_cholesky_differential,
        arguments=(_definite,),
        wrt=(0,),
        kind="differential",
        source=beyond(51),
        hypotheses=_DEFINITE,
    ),
    Claim(
        name="cholesky_factor/adjoint",
        title="gradient of <B, L> in A = L L'",
        statement=r"\nabla_A \operatorname{tr}(B^\top L) = \operatorname{sym}[L^{-\top} \Phi(L^\top B) L^{-1}]" + _PHI,
        function=lambda b, a: jnp.sum(b * _cholesky(a)),
        derivative=_cholesky_adjoint,
        arguments=(_bar, _definite),
        wrt=(1,),
        convention="full",
        source=beyond(51),
        hypotheses=_DEFINITE,
    ),
    Claim(
        name="cholesky_factor/adjoint_symmetric",
        title="gradient of <B, L> in the distinct entries of A = L L'",
        statement=(
            r"\frac{\partial \operatorname{tr}(B^\top L)}{\partial A} = 2 G - G \circ I,"
            r" \quad G = \operatorname{sym}[L^{-\top} \Phi(L^\top B) L^{-1}]"
        ),
        function=lambda b, a: jnp.sum(b * _cholesky(a)),
        derivative=_cholesky_adjoint_distinct,
        arguments=(_bar, _definite),
        wrt=(1,),
        convention="symmetric",
        source=beyond(51),
        hypotheses=_DEFINITE,
    ),
)

_VOLUMES = (
    Claim(
        name="volume/inverse",
        title="Jacobian determinant of S -> S^-1 in vech S",
        statement=(
            r"\left|\frac{\partial \operatorname{vech} S^{-1}}{\partial \operatorname{vech} S}\right|"
            r" = \det(S)^{-(d+1)}"
        ),
        function=lambda s: _volume(jnp.linalg.inv, s),
        derivative=lambda s: jnp.linalg.det(s) ** -(len(s) + 1),
        arguments=(_s,),
        wrt=(),
        kind="value",
        source=beyond(54),
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="volume/congruence",
        title="Jacobian determinant of S -> A S A' in vech S",
        statement=(
            r"\left|\frac{\partial \operatorname{vech} A S A^\top}{\partial \operatorname{vech} S}\right|"
            r" = |\det A|^{d+1}"
        ),
        function=lambda a, s: _volume(lambda m: a @ m @ a.T, s),
        derivative=lambda a, s: jnp.abs(jnp.linalg.det(a)) ** (len(s) + 1),
        arguments=(_a, _s),
        wrt=(),
        kind="value",
        source=beyond(54),
        hypotheses=("S symmetric", "A square"),
    ),
    Claim(
        name="volume/cholesky",
        title="Jacobian determinant of L -> L L' in vech L",
        statement=(
            r"\left|\frac{\partial \operatorname{vech} L L^\top}{\partial \operatorname{vech} L}\right|"
            r" = 2^d \prod_i L_{ii}^{d - i + 1}"
        ),
        function=_cholesky_volume,
        derivative=lambda l: 2.0 ** len(l) * jnp.prod(jnp.diagonal(l) ** jnp.arange(len(l), 0, -1)),
        arguments=(_factor,),
        wrt=(),
        kind="value",
        source=beyond(54),
        hypotheses=("L lower triangular, positive diagonal",),
    ),
)

_QR_AND_LU = (
    Claim(
        name="qr/orthogonal_factor",
        title="differential of Q, X = Q R",
        statement=(
            r"\mathrm{d}Q = Q \Omega + (I - Q Q^\top)\, \mathrm{d}X R^{-1}, \quad B = Q^\top \mathrm{d}X R^{-1},"
            r" \quad \Omega = \operatorname{tril}_{-1}(B) - \operatorname{tril}_{-1}(B)^\top"
        ),
        function=lambda x: x @ jnp.linalg.inv(_r_by_cholesky(x)),
        derivative=lambda x, dx: _qr_differentials(x, dx)[0],
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(65),
        hypotheses=_QR,
    ),
    Claim(
        name="qr/triangular_factor",
        title="differential of R, X = Q R",
        statement=(
            r"\mathrm{d}R = (B - \Omega) R, \quad B = Q^\top \mathrm{d}X R^{-1},"
            r" \quad \Omega = \operatorname{tril}_{-1}(B) - \operatorname{tril}_{-1}(B)^\top"
        ),
        function=_r_by_cholesky,
        derivative=lambda x, dx: _qr_differentials(x, dx)[1],
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(65),
        hypotheses=_QR,
    ),
    Claim(
        name="lu/lower_factor",
        title="differential of L, X = L U",
        statement=r"\mathrm{d}L = L \operatorname{tril}_{-1}(B), \quad B = L^{-1} \mathrm{d}X U^{-1}",
        function=lambda x: _elimination(x)[0],
        derivative=lambda x, dx: _lu_differentials(x, dx)[0],
        arguments=(_square,),
        wrt=(0,),
        kind="differential",
        source=beyond(65),
        hypotheses=_LU,
        dimensions=(2, 3),
    ),
    Claim(
        name="lu/upper_factor",
        title="differential of U, X = L U",
        statement=r"\mathrm{d}U = \operatorname{triu}(B) U, \quad B = L^{-1} \mathrm{d}X U^{-1}",
        function=lambda x: _elimination(x)[1],
        derivative=lambda x, dx: _lu_differentials(x, dx)[1],
        arguments=(_square,),
        wrt=(0,),
        kind="differential",
        source=beyond(65),
        hypotheses=_LU,
    ),
)

CLAIMS = (*_CHOLESKY, *_VOLUMES, *_QR_AND_LU)
