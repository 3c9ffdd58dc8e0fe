"""Distributions made of Gaussians: the multivariate t, and mixtures.

D is the duplication matrix; P = S^-1, and r is the residual x - mu.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln, logsumexp

from gdiff.claim import Argument, Claim
from gdiff.domains import Positive, PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import beyond, log_det, log_likelihood, through_vech
from gdiff.identities.quadrature import nodes
from gdiff.symmetric.coordinates import duplication_matrix, vec, vech

_nu = Argument("nu", Positive(), ())
_point = Argument("x", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_s = Argument("S", PositiveDefinite(), ("d", "d"))
_dmu = Argument("dmu", Vector(), ("d",))
_ds = Argument("dS", Symmetric(), ("d", "d"))
_STUDENT = ("S positive definite", "nu positive")
_WEIGHT = r"\quad w = \frac{\nu + d}{\nu + q},\; q = r^\top P r"


def _student(v, mu, s, nu):
    d, r = len(mu), v - mu
    constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - d / 2 * jnp.log(nu * math.pi)
    return constant - log_det(s) / 2 - (nu + d) / 2 * jnp.log1p(r @ jnp.linalg.solve(s, r) / nu)


def _weighted(v, mu, s, nu):
    """P, P r, q and w."""
    p, r = jnp.linalg.inv(s), v - mu
    q = r @ p @ r
    return p, p @ r, q, (nu + len(mu)) / (nu + q)


def _student_mean(v, mu, s, nu):
    _, pr, _, w = _weighted(v, mu, s, nu)
    return w * pr


def _student_scale(v, mu, s, nu):
    p, pr, _, w = _weighted(v, mu, s, nu)
    return (w * jnp.outer(pr, pr) - p) / 2


def _student_degrees(v, mu, s, nu):
    d, (_, _, q, _) = len(mu), _weighted(v, mu, s, nu)
    gammas = digamma((nu + d) / 2) - digamma(nu / 2) - d / nu
    return (gammas - jnp.log(1 + q / nu) + (nu + d) * q / (nu * (nu + q))) / 2


def _student_hessian(v, mu, s, nu):
    p, pr, q, w = _weighted(v, mu, s, nu)
    return -w * p + 2 * w / (nu + q) * jnp.outer(pr, pr)


def _student_nodes(s, nu):
    """Points of x - mu and weights, exact for the second moments of scores.

    x - mu = sqrt(nu b / (1 - b)) L u, b of Beta(d/2, nu/2) and u uniform on the sphere; the moments are polynomials, of
    degree 2 in b and 4 in u: two Gauss nodes for b, and Gauss-Hermite nodes projected on the sphere for u.
    """
    d = len(s)
    z, w = nodes(jnp.eye(d))
    length = jnp.sqrt(jnp.sum(z**2, axis=1))
    w, u = w * length**4 / (d * (d + 2)), z / jnp.where(length == 0, 1, length)[:, None]
    a, b = d / 2, nu / 2
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    shift = (b - a) / ((a + b) * (a + b + 2))  # half the skewness times the standard deviation
    spread = jnp.sqrt(variance + shift**2)
    beta = mean + shift + jnp.stack([-spread, spread])
    share = (1 + jnp.stack([1.0, -1.0]) * shift / spread) / 2
    radius = jnp.sqrt(nu * beta / (1 - beta))
    points = radius[:, None, None] * (u @ jnp.linalg.cholesky(s).T)
    return points.reshape(-1, d), (share[:, None] * w).reshape(-1)


def _student_information(mu, s, nu, dmu, ds):
    """E[score score'] in (mu, vech S), times a step."""
    _, theta = through_vech(_student, mu, s)
    _, step = through_vech(_student, dmu, ds)
    resid, w = _student_nodes(s, nu)

    def product(v):
        score = jax.grad(through_vech(lambda m, c: _student(v, m, c, nu), mu, s)[0])(theta)
        return score * (score @ step)

    return w @ jax.vmap(product)(mu + resid)


def _student_fisher(mu, s, nu, dmu, ds):
    n, d, p = len(mu), duplication_matrix(len(mu)), jnp.linalg.inv(s)
    share = (nu + n) / (nu + n + 2)
    of_scale = d.T @ (share * jnp.kron(p, p) - jnp.outer(vec(p), vec(p)) / (nu + n + 2)) @ d / 2
    return jnp.concatenate([share * p @ dmu, of_scale @ vech(ds)])


_STUDENTS = (
    Claim(
        name="student/location",
        title="score of the location of the multivariate t",
        statement=rf"\frac{{\partial l}}{{\partial \mu}} = w P r, {_WEIGHT}",
        function=_student,
        derivative=_student_mean,
        arguments=(_point, _mu, _s, _nu),
        wrt=(1,),
        source=beyond(36),
        hypotheses=_STUDENT,
    ),
    Claim(
        name="student/scale",
        title="score of the scale matrix of the multivariate t",
        statement=rf"\nabla_S\, l = \tfrac12 (w P r r^\top P - P), {_WEIGHT}",
        function=_student,
        derivative=_student_scale,
        arguments=(_point, _mu, _s, _nu),
        wrt=(2,),
        convention="full",
        source=beyond(36),
        hypotheses=_STUDENT,
    ),
    Claim(
        name="student/degrees",
        title="score of the degrees of freedom of the multivariate t",
        statement=(
            r"\frac{\partial l}{\partial \nu} = \tfrac12 \Bigl[\psi\bigl(\tfrac{\nu + d}{2}\bigr)"
            r" - \psi\bigl(\tfrac{\nu}{2}\bigr) - \frac{d}{\nu} - \log\Bigl(1 + \frac{q}{\nu}\Bigr)"
            r" + \frac{(\nu + d) q}{\nu (\nu + q)}\Bigr], \quad q = r^\top P r"
        ),
        function=_student,
        derivative=_student_degrees,
        arguments=(_point, _mu, _s, _nu),
        wrt=(3,),
        source=beyond(36),
        hypotheses=_STUDENT,
    ),
    Claim(
        name="student/hessian",
        title="Hessian of the multivariate t in its location",
        statement=(
            r"\frac{\partial^2 l}{\partial \mu\, \partial \mu^\top}"
            rf" = -w P + \frac{{2 w}}{{\nu + q}} P r r^\top P, {_WEIGHT}"
        ),
        function=_student,
        derivative=_student_hessian,
        arguments=(_point, _mu, _s, _nu),
        wrt=(1,),
        kind="hessian",
        source=beyond(36),
        hypotheses=_STUDENT,
    ),
    Claim(
        name="student/fisher",
        title="Fisher information of the multivariate t in (mu, vech S), times a step",
        statement=(
            r"E[s s^\top]\, v = \operatorname{diag}\Bigl(\tfrac{\nu + d}{\nu + d + 2} P,\;"
            r" \tfrac12 D^\top \bigl[\tfrac{\nu + d}{\nu + d + 2} P \otimes P"
            r" - \tfrac{1}{\nu + d + 2} \operatorname{vec} P (\operatorname{vec} P)^\top\bigr] D\Bigr)\, v"
        ),
        function=_student_information,
        derivative=_student_fisher,
        arguments=(_mu, _s, _nu, _dmu, _ds),
        wrt=(),
        kind="value",
        source=beyond(37),
        hypotheses=_STUDENT,
    ),
)


@dataclass(frozen=True)
class _Moderate(PositiveDefinite):
    """Well conditioned ones: where every share but one is 0 to rounding, there is nothing to see."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        return super().sample(rng, shape, condition=min(condition, 10.0), scale=max(scale, 1.0))


_COMPONENTS = 3
_shares = Argument("pi", Positive(), (_COMPONENTS,))
_means = Argument("M", Vector(), (_COMPONENTS, "d"))
_covs = Argument("S", _Moderate(), (_COMPONENTS, "d", "d"))
_MIXTURE = ("shares positive", "covariances positive definite")


def _log_terms(x, shares, means, covs):
    return jnp.log(shares) + jnp.stack([log_likelihood(x, m, s) for m, s in zip(means, covs, strict=True)])


def _mixture(x, shares, means, covs):
    return logsumexp(_log_terms(x, shares, means, covs))


def _posterior(x, shares, means, covs):
    """gamma_k = 1 / sum_j pi_j N_j / (pi_k N_k): what is differentiated does not cancel."""
    terms = _log_terms(x, shares, means, covs)
    return 1 / jnp.sum(jnp.exp(terms[None, :] - terms[:, None]), axis=1)


def _responsibilities(x, shares, means, covs):
    """gamma."""
    terms = jnp.exp(_log_terms(x, shares, means, covs) - _mixture(x, shares, means, covs))
    return terms / jnp.sum(terms)


def _slopes(x, means, covs):
    """-P_k r_k, one a row, and P_k."""
    p = jnp.linalg.inv(covs)
    return -jnp.einsum("kij,kj->ki", p, x - means), p


def _mixture_gradient(x, shares, means, covs):
    slopes, _ = _slopes(x, means, covs)
    return _responsibilities(x, shares, means, covs) @ slopes


def _mixture_hessian(x, shares, means, covs):
    gamma, (slopes, p) = _responsibilities(x, shares, means, covs), _slopes(x, means, covs)
    g = gamma @ slopes
    return jnp.einsum("k,kij->ij", gamma, slopes[:, :, None] * slopes[:, None, :] - p) - jnp.outer(g, g)


def _responsibilities_jacobian(x, shares, means, covs):
    """gamma_k (-P_k r_k - g), as sum_j gamma_k gamma_j (P_j r_j - P_k r_k): where one share is 1 nothing cancels."""
    gamma, (slopes, _) = _responsibilities(x, shares, means, covs), _slopes(x, means, covs)
    return gamma[:, None] * jnp.einsum("j,kji->ki", gamma, slopes[:, None] - slopes)


_log_mixture_arguments = (_point, _shares, _means, _covs)
_LOG_MIXTURE = r"\log \sum_k \pi_k N(x \mid \mu_k, S_k)"
_MIXTURES = (
    Claim(
        name="mixture/gradient",
        title="gradient of the log-density of a mixture in x",
        statement=rf"\frac{{\partial}}{{\partial x}} {_LOG_MIXTURE} = g = -\sum_k \gamma_k P_k r_k",
        function=_mixture,
        derivative=_mixture_gradient,
        arguments=_log_mixture_arguments,
        wrt=(0,),
        source=beyond(38),
        hypotheses=_MIXTURE,
    ),
    Claim(
        name="mixture/hessian",
        title="Hessian of the log-density of a mixture in x",
        statement=(
            rf"\frac{{\partial^2}}{{\partial x\, \partial x^\top}} {_LOG_MIXTURE}"
            r" = \sum_k \gamma_k (P_k r_k r_k^\top P_k - P_k) - g g^\top, \quad g = -\sum_k \gamma_k P_k r_k"
        ),
        function=_mixture,
        derivative=_mixture_hessian,
        arguments=_log_mixture_arguments,
        wrt=(0,),
        kind="hessian",
        source=beyond(38),
        hypotheses=_MIXTURE,
    ),
    Claim(
        name="mixture/responsibilities",
        title="Jacobian of the responsibilities in x",
        statement=(
            r"\frac{\partial \gamma_k}{\partial x} = \gamma_k (-P_k r_k - g), \quad g = -\sum_k \gamma_k P_k r_k,"
            r" \; \gamma_k = \frac{\pi_k N(x \mid \mu_k, S_k)}{\sum_j \pi_j N(x \mid \mu_j, S_j)}"
        ),
        function=_posterior,
        derivative=_responsibilities_jacobian,
        arguments=_log_mixture_arguments,
        wrt=(0,),
        kind="jacobian",
        source=beyond(38),
        hypotheses=_MIXTURE,
    ),
)

CLAIMS: tuple[Claim, ...] = (*_STUDENTS, *_MIXTURES)
