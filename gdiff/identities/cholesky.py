"""The Gaussian log-density in the Cholesky factor of the covariance, and in that of a free log-diagonal.

Here l = log N(x | mu, Sigma), Sigma = L L', r = x - mu, P = Sigma^-1 and G = (P r r' P - P)/2; D is the duplication
matrix, E the elimination matrix, K the commutation matrix. A Hessian in vech L is laid out in vec coordinates, with
zeros for the entries above the diagonal.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import LowerTriangular, Vector
from gdiff.identities.notation import beyond, factor, log_likelihood, mean, x
from gdiff.identities.quadrature import expectation, information
from gdiff.symmetric.coordinates import commutation_matrix, duplication_matrix, elimination_matrix, vech
from gdiff.written import identity

_LOWER = ("L lower triangular, positive diagonal",)
_FREE = ("L lower triangular, L_ii = exp(t_i), the other entries free",)
_step = Argument("T", LowerTriangular(), ("d", "d"))
_theta = Argument("theta", Vector(), ("k",))
_IN_FACTOR = "-1/2*log(det(2*pi*L*L')) - 1/2*(x - mu)'*inv(L*L')*(x - mu)"


def _half_congruence(s):
    """1/2 D' (S kron S) D."""
    d = duplication_matrix(len(s))
    return d.T @ jnp.kron(s, s) @ d / 2


def _in_factor(v, mu, f):
    return log_likelihood(v, mu, f @ f.T)


def _places(d):
    """Rows and columns of the entries in vech: column by column."""
    columns, rows = np.triu_indices(d)
    return rows, columns


def _from_entries(theta, d, diagonal=None):
    """L of its entries; `diagonal` says what L_ii is."""
    rows, columns = _places(d)
    entries = theta if diagonal is None else jnp.where(rows == columns, diagonal(theta), theta)
    return jnp.zeros((d, d)).at[rows, columns].set(entries)


def _entries(m):
    return m[_places(len(m))]


def _vech_of_covariance(theta, d, diagonal=None):
    f = _from_entries(theta, d, diagonal)
    return _entries(f @ f.T)


def _information_of_factor(f, step):
    """E[score score'] in vech L, times a step."""
    d = len(f)

    def log_density(v, t):
        return _in_factor(v, 0.0, _from_entries(t, d))

    return information(log_density, _entries(f), _entries(step), 0.0, f @ f.T)


def _expected_hessian(f, step):
    """-E[Hessian] in vech L, times a step."""
    d = len(f)

    def product(v):
        score = jax.grad(lambda t: _in_factor(v, 0.0, _from_entries(t, d)))
        return -jax.jvp(score, (_entries(f),), (_entries(step),))[1]

    return expectation(product, 0.0, f @ f.T)


def _jacobian(f):
    """J = d vech(L L') / d vech L = E (I + K) (L kron I) E'."""
    d = len(f)
    e = elimination_matrix(d)
    return e @ (jnp.eye(d * d) + commutation_matrix(d, d)) @ jnp.kron(f, jnp.eye(d)) @ e.T


def _fisher(f):
    """J' [1/2 D' (P kron P) D] J."""
    j = _jacobian(f)
    return j.T @ _half_congruence(jnp.linalg.inv(f @ f.T)) @ j


def _precision_and_q(v, mu, f):
    p = jnp.linalg.inv(f @ f.T)
    return p, jnp.outer(p @ (v - mu), p @ (v - mu))


def _twice_g(v, mu, f):
    """P r r' P - P."""
    p, q = _precision_and_q(v, mu, f)
    return q - p


def _through_covariance(v, mu, f):
    """J' H J, H the Hessian in vech Sigma."""
    p, q = _precision_and_q(v, mu, f)
    d, j = duplication_matrix(len(f)), _jacobian(f)
    return j.T @ d.T @ (jnp.kron(p, p) / 2 - jnp.kron(p, q)) @ d @ j


def _curvature(v, mu, f):
    """sum_k g_k d2 vech(Sigma)_k = E (I kron 2 G) E'."""
    p, q = _precision_and_q(v, mu, f)
    e = elimination_matrix(len(f))
    return e @ jnp.kron(jnp.eye(len(f)), q - p) @ e.T


def _in_vec(h, d):
    """A Hessian in vech L, laid out in vec coordinates."""
    e = elimination_matrix(d)
    return e.T @ h @ e


def _hessian_form(v, mu, f, step):
    """The second derivative of l along a step in L, in closed form."""
    p, q = _precision_and_q(v, mu, f)
    ds = step @ f.T + f @ step.T
    in_covariance = jnp.trace(p @ ds @ p @ ds) / 2 - jnp.trace(p @ ds @ q @ ds)
    return in_covariance + jnp.trace((q - p) @ step @ step.T)


def _second_derivative_along(v, mu, f, step):
    return jax.grad(jax.grad(lambda t: _in_factor(v, mu, f + t * step)))(0.0)


def _information_along(f, step):
    """E[(dl/dt)^2] along a step in L."""
    return expectation(lambda v: jax.grad(lambda t: _in_factor(v, 0.0, f + t * step))(0.0) ** 2, 0.0, f @ f.T)


def _information_form(f, step):
    a = jnp.linalg.solve(f, step)
    return jnp.sum((a + a.T) ** 2) / 2


def _score_of_factor(v, mu, f):
    """tril(L^-T (z z' - I)), z = L^-1 r."""
    z = jnp.linalg.solve(f, v - mu)
    return jnp.tril(jnp.linalg.solve(f.T, jnp.outer(z, z) - jnp.eye(len(z))))


def _in_log_factor(v, mu, theta):
    return _in_factor(v, mu, _from_entries(theta, len(mu), jnp.exp))


def _exponentiated(theta, d):
    """L, and by entry of theta what d theta is multiplied by: L_ii on the diagonal, 1 off it."""
    e = elimination_matrix(d)
    raw = (e.T @ theta).reshape(d, d).T
    diagonal = jnp.diag(jnp.exp(jnp.diag(raw)))
    f = jnp.tril(raw, -1) + diagonal
    return f, vech(jnp.tril(jnp.ones((d, d)), -1) + diagonal)


def _score_of_log_factor(v, mu, theta):
    f, scale = _exponentiated(theta, len(mu))
    return scale * vech(_score_of_factor(v, mu, f))


def _hessian_of_log_factor(v, mu, theta):
    f, scale = _exponentiated(theta, len(mu))
    h = _through_covariance(v, mu, f) + _curvature(v, mu, f)
    on_diagonal = vech(jnp.diag(jnp.diag(f * _score_of_factor(v, mu, f))))
    return scale[:, None] * h * scale + jnp.diag(on_diagonal)


def _log_volume(theta):
    """ln |det d vech(Sigma) / d theta|."""
    d = (math.isqrt(8 * len(theta) + 1) - 1) // 2
    jacobian = jax.jacfwd(lambda t: _vech_of_covariance(t, d, jnp.exp))(theta)
    return jnp.linalg.slogdet(jacobian)[1]


def _log_volume_claim(theta):
    d = (math.isqrt(8 * len(theta) + 1) - 1) // 2
    t = jnp.diag((elimination_matrix(d).T @ theta).reshape(d, d))
    return d * math.log(2) + jnp.sum((d + 1 - jnp.arange(d)) * t)


CLAIMS = (
    Claim(
        name="cholesky/chain",
        title="score of the Cholesky factor from that of the covariance",
        statement=r"\frac{\partial l}{\partial L} = \operatorname{tril}(2 G L)",
        function=_in_factor,
        derivative=lambda v, mu, f: jnp.tril(_twice_g(v, mu, f) @ f),
        arguments=(x, mean, factor),
        wrt=(2,),
        source=beyond(6),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/whitened",
        title="score of the Cholesky factor from the whitened residual",
        statement=(
            r"\frac{\partial l}{\partial L} = \operatorname{tril}\bigl(L^{-\top} (z z^\top - I)\bigr),"
            r" \quad z = L^{-1} r"
        ),
        function=_in_factor,
        derivative=_score_of_factor,
        arguments=(x, mean, factor),
        wrt=(2,),
        source=beyond(6),
        hypotheses=_LOWER,
    ),
    identity(
        "cholesky/mean",
        _IN_FACTOR,
        "inv(L')*inv(L)*(x - mu)",
        "mu",
        title="score of the mean, in the Cholesky factor",
        domains={"L": LowerTriangular()},
        source=beyond(6),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/jacobian",
        title="Jacobian of vech(L L') in vech L",
        statement=(
            r"J = \frac{\partial \operatorname{vech}(L L^\top)}{\partial \operatorname{vech}(L)^\top}"
            r" = E (I + K)(L \otimes I) E^\top"
        ),
        function=lambda f: _entries(f @ f.T),
        derivative=lambda f: _jacobian(f) @ elimination_matrix(len(f)),
        arguments=(factor,),
        wrt=(0,),
        kind="jacobian",
        source=beyond(7),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/fisher",
        title="Fisher information in vech L, times a step",
        statement=r"E[s s^\top]\, v = J^\top \bigl[\tfrac12 D^\top (P \otimes P) D\bigr] J\, v",
        function=_information_of_factor,
        derivative=lambda f, step: _fisher(f) @ vech(step),
        arguments=(factor, _step),
        wrt=(),
        kind="value",
        source=beyond(7),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/fisher_form",
        title="Fisher information in L as a quadratic form",
        statement=r"E[(\mathrm{d} l)^2] = \tfrac12 \|A + A^\top\|_F^2, \quad A = L^{-1} \mathrm{d} L",
        function=_information_along,
        derivative=_information_form,
        arguments=(factor, _step),
        wrt=(),
        kind="value",
        source=beyond(7),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/volume",
        title="determinant of the Jacobian of vech(L L')",
        statement=r"\det J = 2^n \prod_i L_{ii}^{n - i + 1}",
        function=lambda f: jnp.linalg.det(jax.jacfwd(lambda t: _vech_of_covariance(t, len(f)))(_entries(f))),
        derivative=lambda f: 2 ** len(f) * jnp.prod(jnp.diag(f) ** (len(f) - jnp.arange(len(f)))),
        arguments=(factor,),
        wrt=(),
        kind="value",
        source=beyond(7),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/hessian",
        title="Hessian in vech L",
        statement=(
            r"\nabla^2_{\operatorname{vech} L}\, l = J^\top \bigl[\nabla^2_{\operatorname{vech} \Sigma}\, l\bigr] J"
            r" + \sum_k g_k \nabla^2 \operatorname{vech}(\Sigma)_k,"
            r" \quad \sum_k g_k \nabla^2 \operatorname{vech}(\Sigma)_k = E (I \otimes 2G) E^\top"
        ),
        function=_in_factor,
        derivative=lambda v, mu, f: _in_vec(_through_covariance(v, mu, f) + _curvature(v, mu, f), len(mu)),
        arguments=(x, mean, factor),
        wrt=(2,),
        kind="hessian",
        source=beyond(8),
        hypotheses=_LOWER,
        dimensions=(1, 2),
    ),
    Claim(
        name="cholesky/hessian_congruence",
        title="Hessian in vech L as if the map to Sigma were linear",
        statement=(
            r"\nabla^2_{\operatorname{vech} L}\, l = J^\top \bigl[\nabla^2_{\operatorname{vech} \Sigma}\, l\bigr] J"
        ),
        function=_in_factor,
        derivative=lambda v, mu, f: _in_vec(_through_covariance(v, mu, f), len(mu)),
        arguments=(x, mean, factor),
        wrt=(2,),
        kind="hessian",
        source=beyond(8),
        hypotheses=_LOWER,
        dimensions=(2,),
        expected="refuted",
        instead="cholesky/hessian",
        note="the map from L to Sigma is not linear, and its second derivative meets the score",
    ),
    Claim(
        name="cholesky/hessian_form",
        title="second derivative along a step in L",
        statement=(
            r"\mathrm{d}^2 l = \tfrac12 \operatorname{tr}(P\, \mathrm{d}\Sigma\, P\, \mathrm{d}\Sigma)"
            r" - \operatorname{tr}(P\, \mathrm{d}\Sigma\, P r r^\top P\, \mathrm{d}\Sigma)"
            r" + \operatorname{tr}\bigl((P r r^\top P - P)\, \mathrm{d} L\, \mathrm{d} L^\top\bigr),"
            r" \quad \mathrm{d}\Sigma = \mathrm{d} L\, L^\top + L\, \mathrm{d} L^\top"
        ),
        function=_second_derivative_along,
        derivative=_hessian_form,
        arguments=(x, mean, factor, _step),
        wrt=(),
        kind="value",
        source=beyond(8),
        hypotheses=_LOWER,
    ),
    Claim(
        name="cholesky/expected_hessian",
        title="the second part of the Hessian in vech L has expectation zero",
        statement=(
            r"-E[\nabla^2_{\operatorname{vech} L}\, l]\, v = J^\top \bigl[\tfrac12 D^\top (P \otimes P) D\bigr] J\, v"
        ),
        function=_expected_hessian,
        derivative=lambda f, step: _fisher(f) @ vech(step),
        arguments=(factor, _step),
        wrt=(),
        kind="value",
        source=beyond(8),
        hypotheses=_LOWER,
    ),
    Claim(
        name="log_cholesky/score",
        title="score of the log-Cholesky parameters",
        statement=(
            r"\frac{\partial l}{\partial t_i} = L_{ii} \Bigl(\frac{\partial l}{\partial L}\Bigr)_{ii},"
            r" \quad \frac{\partial l}{\partial L_{ij}} = \Bigl(\frac{\partial l}{\partial L}\Bigr)_{ij}, \quad i > j"
        ),
        function=_in_log_factor,
        derivative=_score_of_log_factor,
        arguments=(x, mean, _theta),
        wrt=(2,),
        source=beyond(9),
        hypotheses=_FREE,
    ),
    Claim(
        name="log_cholesky/hessian",
        title="Hessian in the log-Cholesky parameters",
        statement=(
            r"\nabla^2 l = C\, [\nabla^2_{\operatorname{vech} L}\, l]\, C"
            r" + \operatorname{diag}\Bigl(L_{ii} \Bigl(\frac{\partial l}{\partial L}\Bigr)_{ii}\Bigr),"
            r" \quad C = \operatorname{diag}(L_{ii} \text{ or } 1)"
        ),
        function=_in_log_factor,
        derivative=_hessian_of_log_factor,
        arguments=(x, mean, _theta),
        wrt=(2,),
        kind="hessian",
        source=beyond(9),
        hypotheses=_FREE,
    ),
    Claim(
        name="log_cholesky/volume",
        title="log-determinant of the Jacobian of vech Sigma in the log-Cholesky parameters",
        statement=(
            r"\log \left|\det \frac{\partial \operatorname{vech} \Sigma}{\partial \theta^\top}\right|"
            r" = n \log 2 + \sum_i (n - i + 2)\, t_i"
        ),
        function=_log_volume,
        derivative=_log_volume_claim,
        arguments=(_theta,),
        wrt=(),
        kind="value",
        source=beyond(9),
        hypotheses=_FREE,
    ),
)
