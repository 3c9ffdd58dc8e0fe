"""Models of covariance: factor analysis and the matrix normal.

Here l = log N(x | mu, Sigma), r = x - mu, P = Sigma^-1 and G = (P r r' P - P)/2; R = X - M is n x p.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import block_diag

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Positive, PositiveDefinite, Skew, Symmetric, Vector
from gdiff.identities.notation import beyond, log_det, log_likelihood
from gdiff.identities.quadrature import expectation
from gdiff.symmetric.coordinates import duplication_matrix, vec, vech
from gdiff.written import identity

_FACTORS = ("Sigma = W W' + diag(psi), psi positive",)
_x = Argument("x", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_loadings = Argument("W", General(), ("d", "m"))
_psi = Argument("psi", Positive(), ("d",))
_dw = Argument("dW", General(), ("d", "m"))
_dpsi = Argument("dpsi", Vector(), ("d",))
_skew = Argument("O", Skew(), ("m", "m"))


def _of_factors(w, psi):
    return w @ w.T + jnp.diag(psi)


def _factor_density(v, mu, w, psi):
    return log_likelihood(v, mu, _of_factors(w, psi))


def _factor_score(v, mu, w, psi):
    """G."""
    p = jnp.linalg.inv(_of_factors(w, psi))
    return (jnp.outer(p @ (v - mu), p @ (v - mu)) - p) / 2


def _by_whitening(v, mu, w, psi):
    """P r r' P W - P W, P W = B and P = diag(1/psi) - B W' diag(1/psi)."""
    b = jnp.linalg.solve(jnp.eye(w.shape[1]) + w.T @ (w / psi[:, None]), (w / psi[:, None]).T).T
    p = jnp.diag(1 / psi) - b @ w.T / psi
    pr = p @ (v - mu)
    return jnp.outer(pr, pr @ w) - b


def _factor_information(w, psi, dw, dpsi):
    """E[(dl)^2] along a step in (W, psi)."""

    def squared(v):
        along = jax.grad(lambda t: _factor_density(v, 0.0, w + t * dw, psi + t * dpsi))(0.0)
        return along**2

    return expectation(squared, 0.0, _of_factors(w, psi))


def _factor_form(w, psi, dw, dpsi):
    """1/2 tr(P dSigma P dSigma), dSigma = dW W' + W dW' + diag(dpsi)."""
    step = jnp.linalg.solve(_of_factors(w, psi), dw @ w.T + w @ dw.T + jnp.diag(dpsi))
    return jnp.trace(step @ step) / 2


_B = "inv(diag(psi))*W*inv(I + W'*inv(diag(psi))*W)"
_FACTOR_SHAPES = {"W": ("d", "m"), "psi": ("d",)}

_FACTOR_ANALYSIS = (
    Claim(
        name="factor_analysis/loadings",
        title="score of the loadings",
        statement=r"\frac{\partial l}{\partial W} = 2 G W, \quad \Sigma = W W^\top + \operatorname{diag}(\psi)",
        function=_factor_density,
        derivative=lambda v, mu, w, psi: 2 * _factor_score(v, mu, w, psi) @ w,
        arguments=(_x, _mu, _loadings, _psi),
        wrt=(2,),
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    Claim(
        name="factor_analysis/loadings_small",
        title="score of the loadings without an inverse of size n",
        statement=(
            r"\frac{\partial l}{\partial W} = P r r^\top B - B, \quad B = P W ="
            r" \psi^{-1} W (I + W^\top \psi^{-1} W)^{-1}, \quad P = \psi^{-1} - B W^\top \psi^{-1}"
        ),
        function=_factor_density,
        derivative=_by_whitening,
        arguments=(_x, _mu, _loadings, _psi),
        wrt=(2,),
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    Claim(
        name="factor_analysis/uniquenesses",
        title="score of the uniquenesses",
        statement=r"\frac{\partial l}{\partial \psi} = \operatorname{diag}(G)",
        function=_factor_density,
        derivative=lambda v, mu, w, psi: jnp.diag(_factor_score(v, mu, w, psi)),
        arguments=(_x, _mu, _loadings, _psi),
        wrt=(3,),
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    identity(
        "factor_analysis/whitened_loadings",
        "inv(W*W' + diag(psi))*W",
        _B,
        kind="value",
        title="P W by the inverse of a small matrix",
        shapes=_FACTOR_SHAPES,
        domains={"psi": Positive()},
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    identity(
        "factor_analysis/precision",
        "inv(W*W' + diag(psi))",
        f"inv(diag(psi)) - {_B}*W'*inv(diag(psi))",
        kind="value",
        title="the precision by the inverse of a small matrix",
        shapes=_FACTOR_SHAPES,
        domains={"psi": Positive()},
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    Claim(
        name="factor_analysis/fisher",
        title="Fisher information in (W, psi) as a quadratic form",
        statement=(
            r"E[(\mathrm{d} l)^2] = \tfrac12 \operatorname{tr}(P\, \mathrm{d}\Sigma\, P\, \mathrm{d}\Sigma),"
            r" \quad \mathrm{d}\Sigma = \mathrm{d}W\, W^\top + W\, \mathrm{d}W^\top"
            r" + \operatorname{diag}(\mathrm{d}\psi)"
        ),
        function=_factor_information,
        derivative=_factor_form,
        arguments=(_loadings, _psi, _dw, _dpsi),
        wrt=(),
        kind="value",
        source=beyond(17),
        hypotheses=_FACTORS,
    ),
    Claim(
        name="factor_analysis/rotation",
        title="a rotation of W is a null direction of the Fisher information",
        statement=(
            r"E\bigl[(\mathrm{d} l)^2\bigr] \text{ along } (\mathrm{d}W + W \Omega, \mathrm{d}\psi)"
            r" = \tfrac12 \operatorname{tr}(P\, \mathrm{d}\Sigma\, P\, \mathrm{d}\Sigma), \quad \Omega^\top = -\Omega"
        ),
        function=lambda w, psi, dw, dpsi, skew: _factor_information(w, psi, dw + w @ skew, dpsi),
        derivative=lambda w, psi, dw, dpsi, _: _factor_form(w, psi, dw, dpsi),
        arguments=(_loadings, _psi, _dw, _dpsi, _skew),
        wrt=(),
        kind="value",
        source=beyond(17),
        hypotheses=(*_FACTORS, "Omega skew"),
    ),
)

_MATRIX_NORMAL = ("U and V positive definite", "Cov(vec X) = V kron U")
_data = Argument("X", General(), ("m", "d"))
_mean = Argument("M", General(), ("m", "d"))
_rows = Argument("U", PositiveDefinite(), ("m", "m"))
_columns = Argument("V", PositiveDefinite(), ("d", "d"))
_step = (
    Argument("dM", General(), ("m", "d")),
    Argument("dU", Symmetric(), ("m", "m")),
    Argument("dV", Symmetric(), ("d", "d")),
)


def _matrix_density(x, m, u, v):
    """log N(vec X | vec M, V kron U)."""
    return log_likelihood(vec(x), vec(m), jnp.kron(v, u))


def _row_score(r, u, v):
    """1/2 (U R V R' U - p U), p the columns of R, U and V inverse already."""
    return (u @ r @ v @ r.T @ u - r.shape[1] * u) / 2


def _matrix_information(u, v, dm, du, dv):
    """-E[Hessian] in (vec M, vech U, vech V), times a step: E log N(X) at (M, U', V') for X ~ MN(0, U, V)."""
    s = jnp.kron(v, u)

    def expected(m, a, b):
        moved = jnp.kron(b, a)
        return -(jnp.trace(jnp.linalg.solve(moved, s + jnp.outer(vec(m), vec(m)))) + log_det(moved)) / 2

    gradient = jax.grad(expected, (0, 1, 2))
    _, (g, a, b) = jax.jvp(gradient, (jnp.zeros_like(dm), u, v), (dm, du, dv))
    return -jnp.concatenate([vec(g), _distinct(a), _distinct(b)])


def _distinct(g):
    """vech(G + G' - diag(G)), entry by entry."""
    return jnp.stack([g[i, j] + g[j, i] * (i != j) for j in range(len(g)) for i in range(j, len(g))])


def _matrix_fisher(u, v, dm, du, dv):
    n, p = dm.shape
    iu, iv = jnp.linalg.inv(u), jnp.linalg.inv(v)
    du_, dv_ = duplication_matrix(n), duplication_matrix(p)
    uu = p / 2 * du_.T @ jnp.kron(iu, iu) @ du_
    vv = n / 2 * dv_.T @ jnp.kron(iv, iv) @ dv_
    uv = jnp.outer(du_.T @ vec(iu), dv_.T @ vec(iv)) / 2
    matrix = block_diag(jnp.kron(iv, iu), jnp.block([[uu, uv], [uv.T, vv]]))
    return matrix @ jnp.concatenate([vec(dm), vech(du), vech(dv)])


_MATRIX_FISHER = (
    r"\operatorname{diag}\left(V^{-1} \otimes U^{-1}, \begin{pmatrix}"
    r" \tfrac{p}{2} D^\top (U^{-1} \otimes U^{-1}) D &"
    r" \tfrac12 D^\top \operatorname{vec}(U^{-1}) \operatorname{vec}(V^{-1})^\top D \\ \cdot &"
    r" \tfrac{n}{2} D^\top (V^{-1} \otimes V^{-1}) D \end{pmatrix}\right)"
)

_MATRIX_NORMALS = (
    Claim(
        name="matrix_normal/mean",
        title="score of the mean",
        statement=r"\frac{\partial l}{\partial M} = U^{-1} R V^{-1}, \quad R = X - M",
        function=_matrix_density,
        derivative=lambda x, m, u, v: jnp.linalg.inv(u) @ (x - m) @ jnp.linalg.inv(v),
        arguments=(_data, _mean, _rows, _columns),
        wrt=(1,),
        source=beyond(18),
        hypotheses=_MATRIX_NORMAL,
    ),
    Claim(
        name="matrix_normal/rows",
        title="score of the covariance of the rows",
        statement=(
            r"\nabla_U\, l = \tfrac12 (U^{-1} R V^{-1} R^\top U^{-1} - p\, U^{-1}),"
            r" \quad R = X - M \in R^{n \times p}"
        ),
        function=_matrix_density,
        derivative=lambda x, m, u, v: _row_score(x - m, jnp.linalg.inv(u), jnp.linalg.inv(v)),
        arguments=(_data, _mean, _rows, _columns),
        wrt=(2,),
        convention="full",
        source=beyond(18),
        hypotheses=_MATRIX_NORMAL,
    ),
    Claim(
        name="matrix_normal/columns",
        title="score of the covariance of the columns",
        statement=(
            r"\nabla_V\, l = \tfrac12 (V^{-1} R^\top U^{-1} R V^{-1} - n V^{-1}),"
            r" \quad R = X - M \in R^{n \times p}"
        ),
        function=_matrix_density,
        derivative=lambda x, m, u, v: _row_score((x - m).T, jnp.linalg.inv(v), jnp.linalg.inv(u)),
        arguments=(_data, _mean, _rows, _columns),
        wrt=(3,),
        convention="full",
        source=beyond(18),
        hypotheses=_MATRIX_NORMAL,
    ),
    Claim(
        name="matrix_normal/fisher",
        title="Fisher information in (vec M, vech U, vech V), times a step",
        statement=rf"-E[\nabla^2 l]\, v = {_MATRIX_FISHER}\, v",
        function=_matrix_information,
        derivative=_matrix_fisher,
        arguments=(_rows, _columns, *_step),
        wrt=(),
        kind="value",
        source=beyond(19),
        hypotheses=_MATRIX_NORMAL,
    ),
    Claim(
        name="matrix_normal/scale",
        title="the Fisher information is singular along (U, -V)",
        statement=rf"-E[\nabla^2 l]\, (v + c\, (0, U, -V)) = {_MATRIX_FISHER}\, v",
        function=lambda u, v, dm, du, dv, c: _matrix_information(u, v, dm, du + c * u, dv - c * v),
        derivative=lambda u, v, dm, du, dv, _: _matrix_fisher(u, v, dm, du, dv),
        arguments=(_rows, _columns, *_step, Argument("c", Vector(), ())),
        wrt=(),
        kind="value",
        source=beyond(19),
        hypotheses=_MATRIX_NORMAL,
    ),
)

CLAIMS: tuple[Claim, ...] = (*_FACTOR_ANALYSIS, *_MATRIX_NORMALS)
