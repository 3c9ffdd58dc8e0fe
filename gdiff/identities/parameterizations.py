"""The Gaussian log-density in other parameters: the precision, its Cholesky factor, modified Cholesky, the logarithm.

Here l = log N(x | mu, Sigma), r = x - mu, P = Sigma^-1 and G = (P r r' P - P)/2.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import General, LowerTriangular, Positive, PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import beyond, log_likelihood, mean, precision, through_vech, x
from gdiff.identities.quadrature import expectation, information
from gdiff.symmetric.coordinates import duplication_matrix, vech
from gdiff.written import identity


@dataclass(frozen=True)
class _Logarithm(Symmetric):
    """Symmetric matrices of moderate size: their exponentials are well conditioned."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        return super().sample(rng, shape, condition=min(condition, 3.0), scale=min(scale, 1.0))


_PD = ("P positive definite",)
_LOWER_C = ("C lower triangular, positive diagonal",)
_dmu = Argument("dmu", Vector(), ("d",))
_dp = Argument("dP", Symmetric(), ("d", "d"))
_c = Argument("C", LowerTriangular(), ("d", "d"), "factor")

_UNIT = ("T unit lower triangular", "d positive")
_t = Argument("T", General(), ("d", "d"))
_d = Argument("d", Positive(), ("d",))
_dt = Argument("dT", General(), ("d", "d"))
_dd = Argument("dd", Vector(), ("d",))
_z = Argument("Z", _Logarithm(), ("d", "d"))
_x = Argument("x", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_general = Argument("A", General(), ("d", "d"))

_IN_PRECISION = "1/2*log(det(P/(2*pi))) - 1/2*(x - mu)'*P*(x - mu)"
_IN_PRECISION_FACTOR = "1/2*log(det(C*C'/(2*pi))) - 1/2*(x - mu)'*C*C'*(x - mu)"


def _in_precision(v, mu, p):
    r = v - mu
    return jnp.linalg.slogdet(p / (2 * math.pi))[1] / 2 - r @ p @ r / 2


def _information_of_precision(mu, p, dmu, dp):
    """E[score score'] in (mu, vech P), times a step."""
    _, theta = through_vech(_in_precision, mu, p)
    _, step = through_vech(_in_precision, dmu, dp)

    def log_density(v, t):
        return through_vech(lambda m, q: _in_precision(v, m, q), mu, p)[0](t)

    return information(log_density, theta, step, mu, jnp.linalg.inv(p))


def _half_congruence(s):
    """1/2 D' (S kron S) D."""
    d = duplication_matrix(len(s))
    return d.T @ jnp.kron(s, s) @ d / 2


def _in_precision_factor(v, mu, c):
    return _in_precision(v, mu, c @ c.T)


def _unit_lower(t):
    """The strict lower triangle of an array, with ones on the diagonal: its other entries do not count."""
    return jnp.eye(len(t)) + jnp.tril(t, -1)


def _covariance_of_modified(t, d):
    inverse = jnp.linalg.inv(_unit_lower(t))
    return inverse @ jnp.diag(d) @ inverse.T


def _in_modified(v, mu, t, d):
    return log_likelihood(v, mu, _covariance_of_modified(t, d))


def _innovations(v, mu, t):
    """T r."""
    return _unit_lower(t) @ (v - mu)


def _information_of_modified(t, d, dt, dd):
    """E[score score'] in (the strict lower triangle of T by rows, d), times a step: its part in T."""
    n = len(d)
    places = np.tril_indices(n, -1)

    def log_density(v, theta):
        factor = jnp.zeros((n, n)).at[places].set(theta[n:])
        return _in_modified(v, jnp.zeros(n), factor, theta[:n])

    theta, step = jnp.concatenate([d, t[places]]), jnp.concatenate([dd, dt[places]])
    return information(log_density, theta, step, 0.0, _covariance_of_modified(t, d))[n:]


def _information_of_modified_claim(t, d, dt, _):
    s = _covariance_of_modified(t, d)
    return jnp.concatenate([s[:i, :i] / d[i] @ dt[i, :i] for i in range(len(d))])


def _information_of_innovations(t, d):
    def product(v):
        score = jax.grad(_in_modified, 3)(v, jnp.zeros_like(d), t, d)
        return jnp.outer(score, score)

    return expectation(product, 0.0, _covariance_of_modified(t, d))


def _exp(z):
    """expm: a Taylor polynomial of Z / 4, squared twice."""
    term = total = jnp.eye(len(z))
    for k in range(1, 17):
        term = term @ z / (4 * k)
        total = total + term
    for _ in range(2):
        total = total @ total
    return total


def _exp_by_spectrum(z):
    values, vectors = jnp.linalg.eigh(z)
    return vectors * jnp.exp(values) @ vectors.T


def _pulled_back(z, g):
    """V [Phi o (V' sym(G) V)] V', Phi the divided differences of exp."""
    values, v = jnp.linalg.eigh(z)
    gap = values[:, None] - values
    phi = jnp.exp(values) * jnp.where(gap == 0, 1, jnp.expm1(gap) / jnp.where(gap == 0, 1, gap))
    return v @ (phi * (v.T @ (g + g.T) @ v / 2)) @ v.T


def _in_log(v, mu, z):
    return -(jnp.trace(z) + (v - mu) @ _exp(-z) @ (v - mu)) / 2


def _score_of_log(v, mu, z):
    p = _exp_by_spectrum(-z)
    return _pulled_back(z, (jnp.outer(p @ (v - mu), p @ (v - mu)) - p) / 2)


CLAIMS = (
    identity(
        "precision/mean",
        _IN_PRECISION,
        "P*(x - mu)",
        "mu",
        title="score of the mean, in the precision",
        domains={"P": PositiveDefinite()},
        source=beyond(5),
        hypotheses=_PD,
    ),
    identity(
        "precision/score",
        _IN_PRECISION,
        "1/2*(inv(P) - (x - mu)*(x - mu)')",
        "P",
        title="score of the precision",
        domains={"P": PositiveDefinite()},
        convention="full",
        source=beyond(5),
        hypotheses=_PD,
    ),
    Claim(
        name="precision/hessian",
        title="Hessian in vech P: there is no data in it",
        statement=r"\nabla^2_{\operatorname{vech} P}\, l = -\tfrac12 D^\top (\Sigma \otimes \Sigma) D",
        function=_in_precision,
        derivative=lambda _v, _mu, p: -_half_congruence(jnp.linalg.inv(p)),
        arguments=(x, mean, precision),
        wrt=(2,),
        kind="hessian",
        convention="symmetric",
        source=beyond(5),
        hypotheses=_PD,
    ),
    identity(
        "precision/cross_general",
        "P*(x - mu)",
        "kron((x - mu)', I_d)",
        "P",
        kind="jacobian",
        title="the score of the mean, in vec P, entries free",
        shapes={"P": ("d", "d")},
        source=beyond(5),
        hypotheses=("P square, entries independent",),
    ),
    Claim(
        name="precision/cross",
        title="Hessian, cross block of the mean and vech P",
        statement=r"\frac{\partial^2 l}{\partial \mu\, \partial \operatorname{vech}(P)^\top} = (r^\top \otimes I) D",
        function=lambda v, mu, p: jax.grad(_in_precision, 1)(v, mu, p),
        derivative=lambda v, mu, _p: jnp.kron(v - mu, jnp.eye(len(mu))) @ duplication_matrix(len(mu)),
        arguments=(x, mean, precision),
        wrt=(2,),
        kind="jacobian",
        convention="symmetric",
        source=beyond(5),
        hypotheses=_PD,
    ),
    Claim(
        name="precision/fisher",
        title="Fisher information in (mu, vech P), times a step",
        statement=r"E[s s^\top]\, v = \operatorname{diag}\bigl(P, \tfrac12 D^\top (\Sigma \otimes \Sigma) D\bigr)\, v",
        function=_information_of_precision,
        derivative=lambda _, p, dmu, dp: jnp.concatenate([p @ dmu, _half_congruence(jnp.linalg.inv(p)) @ vech(dp)]),
        arguments=(mean, precision, _dmu, _dp),
        wrt=(),
        kind="value",
        source=beyond(5),
        hypotheses=_PD,
    ),
    Claim(
        name="precision_cholesky/score",
        title="score of the Cholesky factor of the precision",
        statement=r"\frac{\partial l}{\partial C} = \operatorname{tril}(C^{-\top} - r r^\top C), \quad P = C C^\top",
        function=_in_precision_factor,
        derivative=lambda v, mu, c: jnp.tril(jnp.linalg.inv(c).T - jnp.outer(v - mu, v - mu) @ c),
        arguments=(x, mean, _c),
        wrt=(2,),
        source=beyond(10),
        hypotheses=_LOWER_C,
    ),
    Claim(
        name="precision_cholesky/diagonal",
        title="score of the Cholesky factor of the precision, by its diagonal",
        statement=(
            r"\frac{\partial l}{\partial C} = \operatorname{diag}(1 / C_{ii}) - \operatorname{tril}(r r^\top C),"
            r" \quad P = C C^\top"
        ),
        function=_in_precision_factor,
        derivative=lambda v, mu, c: jnp.diag(1 / jnp.diag(c)) - jnp.tril(jnp.outer(v - mu, v - mu) @ c),
        arguments=(x, mean, _c),
        wrt=(2,),
        source=beyond(10),
        hypotheses=_LOWER_C,
    ),
    identity(
        "precision_cholesky/mean",
        _IN_PRECISION_FACTOR,
        "C*C'*(x - mu)",
        "mu",
        title="score of the mean, in the Cholesky factor of the precision",
        shapes={"C": ("d", "d")},
        domains={"C": LowerTriangular()},
        source=beyond(10),
        hypotheses=_LOWER_C,
    ),
    Claim(
        name="modified_cholesky/factor",
        title="score of the regression coefficients of modified Cholesky",
        statement=(
            r"\frac{\partial l}{\partial T_{ij}} = -(T r)_i\, r_j / d_i, \quad i > j,"
            r" \quad T \Sigma T^\top = \operatorname{diag}(d)"
        ),
        function=_in_modified,
        derivative=lambda v, mu, t, d: -jnp.tril(jnp.outer(_innovations(v, mu, t) / d, v - mu), -1),
        arguments=(x, mean, _t, _d),
        wrt=(2,),
        source=beyond(22),
        hypotheses=_UNIT,
        dimensions=(2, 3),
    ),
    Claim(
        name="modified_cholesky/variances",
        title="score of the innovation variances of modified Cholesky",
        statement=(
            r"\frac{\partial l}{\partial d_i} = \tfrac12 \bigl((T r)_i^2 / d_i^2 - 1 / d_i\bigr),"
            r" \quad T \Sigma T^\top = \operatorname{diag}(d)"
        ),
        function=_in_modified,
        derivative=lambda v, mu, t, d: (_innovations(v, mu, t) ** 2 / d**2 - 1 / d) / 2,
        arguments=(x, mean, _t, _d),
        wrt=(3,),
        source=beyond(22),
        hypotheses=_UNIT,
    ),
    Claim(
        name="modified_cholesky/density",
        title="log-density by modified Cholesky",
        statement=(
            r"l = -\tfrac{n}{2} \log 2\pi - \tfrac12 \sum_i \log d_i - \tfrac12 \sum_i (T r)_i^2 / d_i,"
            r" \quad T \Sigma T^\top = \operatorname{diag}(d)"
        ),
        function=_in_modified,
        derivative=lambda v, mu, t, d: -jnp.sum(jnp.log(2 * math.pi * d) + _innovations(v, mu, t) ** 2 / d) / 2,
        arguments=(x, mean, _t, _d),
        wrt=(),
        kind="value",
        source=beyond(22),
        hypotheses=_UNIT,
    ),
    Claim(
        name="modified_cholesky/fisher_factor",
        title="Fisher information of a row of T, times a step",
        statement=(
            r"E[s_i s_j^\top] = \delta_{ij}\, \Sigma_{<i,<i} / d_i, \quad s_i = \partial l / \partial T_{i, <i},"
            r" \quad E\Bigl[s_i \frac{\partial l}{\partial d_j}\Bigr] = 0"
        ),
        function=_information_of_modified,
        derivative=_information_of_modified_claim,
        arguments=(_t, _d, _dt, _dd),
        wrt=(),
        kind="value",
        source=beyond(22),
        hypotheses=_UNIT,
        dimensions=(2, 3),
    ),
    Claim(
        name="modified_cholesky/fisher_variances",
        title="Fisher information of the innovation variances",
        statement=(
            r"E\Bigl[\frac{\partial l}{\partial d}\, \frac{\partial l}{\partial d^\top}\Bigr]"
            r" = \operatorname{diag}\bigl(1 / (2 d_i^2)\bigr)"
        ),
        function=_information_of_innovations,
        derivative=lambda _, d: jnp.diag(1 / (2 * d**2)),
        arguments=(_t, _d),
        wrt=(),
        kind="value",
        source=beyond(22),
        hypotheses=_UNIT,
    ),
    Claim(
        name="matrix_log/log_det",
        title="gradient of the determinant, and of its logarithm tr Z, in the matrix logarithm",
        statement=r"\nabla_Z \det e^Z = \det e^Z\, \nabla_Z \log \det e^Z = e^{\operatorname{tr} Z} I",
        function=lambda z: jnp.linalg.det(_exp(z)),
        derivative=lambda z: jnp.exp(jnp.trace(z)) * jnp.eye(len(z)),
        arguments=(_z,),
        wrt=(0,),
        convention="full",
        source=beyond(42),
        hypotheses=("Z symmetric",),
    ),
    Claim(
        name="matrix_log/chain",
        title="gradient of any function of Sigma in its matrix logarithm",
        statement=(
            r"\nabla_Z f(e^Z) = V [\Phi \circ (V^\top \operatorname{sym}(G) V)] V^\top,"
            r" \quad Z = V \operatorname{diag}(z) V^\top,"
            r" \quad \Phi_{ij} = \frac{e^{z_i} - e^{z_j}}{z_i - z_j}, \quad \Phi_{ii} = e^{z_i}"
        ),
        function=lambda z, a: jnp.sum(jnp.sin(a * _exp(z))),
        derivative=lambda z, a: _pulled_back(z, a * jnp.cos(a * _exp_by_spectrum(z))),
        arguments=(_z, _general),
        wrt=(0,),
        convention="full",
        source=beyond(42),
        hypotheses=("Z symmetric", "G the gradient of f, entries free"),
    ),
    Claim(
        name="matrix_log/score",
        title="score of the matrix logarithm",
        statement=(
            r"\nabla_Z \bigl[-\tfrac12 \operatorname{tr} Z - \tfrac12 r^\top e^{-Z} r\bigr]"
            r" = V [\Phi \circ (V^\top G V)] V^\top"
        ),
        function=_in_log,
        derivative=_score_of_log,
        arguments=(_x, _mu, _z),
        wrt=(2,),
        convention="full",
        source=beyond(42),
        hypotheses=("Z symmetric",),
    ),
    Claim(
        name="matrix_log/density",
        title="log-density in the matrix logarithm",
        statement=(
            r"\log N(x \mid \mu, e^Z)"
            r" = -\tfrac{n}{2} \log 2\pi - \tfrac12 \operatorname{tr} Z - \tfrac12 r^\top e^{-Z} r"
        ),
        function=lambda v, mu, z: log_likelihood(v, mu, _exp_by_spectrum(z)),
        derivative=lambda v, mu, z: _in_log(v, mu, z) - len(v) * math.log(2 * math.pi) / 2,
        arguments=(_x, _mu, _z),
        wrt=(),
        kind="value",
        source=beyond(42),
        hypotheses=("Z symmetric",),
    ),
)
