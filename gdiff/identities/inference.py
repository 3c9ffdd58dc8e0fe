"""Likelihoods of Gaussian models in their parameters: parametric families, evidence, profiles.

Here l = log N(x | mu, Sigma), r = x - mu and P = Sigma^-1.
"""

import math

import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Positive, Vector
from gdiff.identities.notation import beyond, cov, data, log_det, log_likelihood, mean
from gdiff.identities.quadrature import information

_x = Argument("x", Vector(), ("d",))
_theta = Argument("theta", Vector(), ("d",))
_a = Argument("A", General(), ("d", "d"))
_b = Argument("B", General(), ("d", "d"))
_step = Argument("t", Vector(), ("d",))

_SMOOTH = ("mu and Sigma smooth functions of theta", "Sigma positive definite")


def _model_mean(theta, a):
    """A curve of means: sin(A theta)."""
    return jnp.sin(a @ theta)


def _model_covariance(theta, b):
    """A curve of covariances: I + (B theta)(B theta)' + diag(theta^2)."""
    return jnp.eye(len(b)) + jnp.outer(b @ theta, b @ theta) + jnp.diag(theta**2)


def _model_density(v, theta, a, b):
    return log_likelihood(v, _model_mean(theta, a), _model_covariance(theta, b))


def _moments_and_slopes(theta, a, b):
    """mu, P, and mu_i and Sigma_i, written out; the index of the parameter first."""
    u, unit = b @ theta, jnp.eye(len(theta))
    of_mean = (jnp.cos(a @ theta)[:, None] * a).T
    one_side = jnp.einsum("ai,b->iab", b, u)
    of_cov = one_side + one_side.transpose(0, 2, 1) + 2 * jnp.einsum("i,ia,ib->iab", theta, unit, unit)
    return _model_mean(theta, a), jnp.linalg.inv(_model_covariance(theta, b)), of_mean, of_cov


def _model_score(v, theta, a, b):
    mu, p, of_mean, of_cov = _moments_and_slopes(theta, a, b)
    pr = p @ (v - mu)
    return of_mean @ pr + jnp.einsum("ab,iba->i", jnp.outer(pr, pr) - p, of_cov) / 2


def _slepian_bangs(theta, a, b):
    _, p, of_mean, of_cov = _moments_and_slopes(theta, a, b)
    return of_mean @ p @ of_mean.T + jnp.einsum("ab,ibc,cd,jda->ij", p, of_cov, p, of_cov) / 2


def _model_information(theta, a, b, step):
    """E[score score'] in theta, times a step."""
    return information(
        lambda v, t: _model_density(v, t, a, b), theta, step, _model_mean(theta, a), _model_covariance(theta, b)
    )


_FAMILIES = (
    Claim(
        name="parametric/score",
        title="score of a parametric mean and covariance",
        statement=(
            r"\frac{\partial l}{\partial \theta_i} = \mu_i^\top P r"
            r" + \tfrac12 \operatorname{tr}\bigl[(P r r^\top P - P) \Sigma_i\bigr],"
            r" \quad \mu_i = \partial \mu / \partial \theta_i,\; \Sigma_i = \partial \Sigma / \partial \theta_i"
        ),
        function=_model_density,
        derivative=_model_score,
        arguments=(_x, _theta, _a, _b),
        wrt=(1,),
        source=beyond(23),
        hypotheses=_SMOOTH,
    ),
    Claim(
        name="parametric/fisher",
        title="Fisher information of a parametric mean and covariance (Slepian, Bangs), times a step",
        statement=(
            r"E[s s^\top]\, t = I t, \quad"
            r" I_{ij} = \mu_i^\top P \mu_j + \tfrac12 \operatorname{tr}(P \Sigma_i P \Sigma_j)"
        ),
        function=_model_information,
        derivative=lambda theta, a, b, step: _slepian_bangs(theta, a, b) @ step,
        arguments=(_theta, _a, _b, _step),
        wrt=(),
        kind="value",
        source=beyond(23),
        hypotheses=_SMOOTH,
    ),
)

_y = Argument("y", Vector(), ("n",))
_inputs = Argument("X", General(), ("n", "d"))
_kernel = Argument("theta", Vector(), (3,))
_SMOOTH_KERNEL = ("K a smooth function of theta, positive definite",)


def _gram(theta, inputs):
    """exp(theta_1 - exp(theta_2) |x_i - x_j|^2) + exp(theta_3) I."""
    squares = jnp.sum((inputs[:, None] - inputs) ** 2, axis=-1)
    return jnp.exp(theta[0] - jnp.exp(theta[1]) * squares) + jnp.exp(theta[2]) * jnp.eye(len(inputs))


def _evidence(y, theta, inputs):
    return log_likelihood(y, jnp.zeros_like(y), _gram(theta, inputs))


def _gram_slopes(theta, inputs):
    """K_i and K_ij, written out."""
    squares = jnp.sum((inputs[:, None] - inputs) ** 2, axis=-1)
    signal, noise = jnp.exp(theta[0] - jnp.exp(theta[1]) * squares), jnp.exp(theta[2]) * jnp.eye(len(inputs))
    rate = jnp.exp(theta[1]) * squares
    zero = jnp.zeros_like(noise)
    first = jnp.stack([signal, -rate * signal, noise])
    second = jnp.stack(
        [
            jnp.stack([signal, -rate * signal, zero]),
            jnp.stack([-rate * signal, (rate**2 - rate) * signal, zero]),
            jnp.stack([zero, zero, noise]),
        ]
    )
    return first, second


def _evidence_gradient(y, theta, inputs):
    p, (first, _) = jnp.linalg.inv(_gram(theta, inputs)), _gram_slopes(theta, inputs)
    alpha = p @ y
    return jnp.einsum("ab,iba->i", jnp.outer(alpha, alpha) - p, first) / 2


def _evidence_hessian(y, theta, inputs):
    p, (first, second) = jnp.linalg.inv(_gram(theta, inputs)), _gram_slopes(theta, inputs)
    alpha = p @ y
    curvature = jnp.einsum("ab,ijba->ij", jnp.outer(alpha, alpha) - p, second) / 2
    spread = jnp.einsum("ab,ibc,cd,jda->ij", p, first, p, first) / 2
    return curvature + spread - jnp.einsum("a,iab,bc,jcd,d->ij", alpha, first, p, first, alpha)


_F = Argument("F", General(), ("n", "d"))
_al = Argument("alpha", Positive(), ())
_be = Argument("beta", Positive(), ())


def _regression_evidence(y, f, alpha, beta):
    return log_likelihood(y, jnp.zeros_like(y), jnp.eye(len(y)) / beta + f @ f.T / alpha)


def _posterior(y, f, alpha, beta):
    """A^-1 and m = beta A^-1 F' y, A = alpha I + beta F' F."""
    inverse = jnp.linalg.inv(alpha * jnp.eye(f.shape[1]) + beta * f.T @ f)
    return inverse, beta * inverse @ f.T @ y


def _prior_slope(y, f, alpha, beta):
    inverse, m = _posterior(y, f, alpha, beta)
    return (len(m) / alpha - m @ m - jnp.trace(inverse)) / 2


def _noise_slope(y, f, alpha, beta):
    inverse, m = _posterior(y, f, alpha, beta)
    return (len(y) / beta - (y - f @ m) @ (y - f @ m) - jnp.trace(inverse @ f.T @ f)) / 2


_REGRESSION = ("alpha and beta positive", "A = alpha I + beta F' F, m = beta A^-1 F' y")
_EVIDENCE = (
    Claim(
        name="gaussian_process/evidence",
        title="gradient of the evidence in the parameters of the kernel",
        statement=(
            r"\frac{\partial}{\partial \theta_i} \log N(y \mid 0, K)"
            r" = \tfrac12 \operatorname{tr}\bigl[(\alpha \alpha^\top - K^{-1}) K_i\bigr], \quad \alpha = K^{-1} y"
        ),
        function=_evidence,
        derivative=_evidence_gradient,
        arguments=(_y, _kernel, _inputs),
        wrt=(1,),
        source=beyond(24),
        hypotheses=_SMOOTH_KERNEL,
    ),
    Claim(
        name="gaussian_process/hessian",
        title="Hessian of the evidence in the parameters of the kernel",
        statement=(
            r"\frac{\partial^2}{\partial \theta_i \partial \theta_j} \log N(y \mid 0, K)"
            r" = \tfrac12 \operatorname{tr}\bigl[(\alpha \alpha^\top - K^{-1}) K_{ij}\bigr]"
            r" + \tfrac12 \operatorname{tr}(K^{-1} K_i K^{-1} K_j) - \alpha^\top K_i K^{-1} K_j \alpha"
        ),
        function=_evidence,
        derivative=_evidence_hessian,
        arguments=(_y, _kernel, _inputs),
        wrt=(1,),
        kind="hessian",
        source=beyond(24),
        hypotheses=_SMOOTH_KERNEL,
    ),
    Claim(
        name="linear_regression/prior_precision",
        title="gradient of the evidence in the precision of the prior",
        statement=(
            r"\frac{\partial}{\partial \alpha} \log N(y \mid 0, \beta^{-1} I + \alpha^{-1} F F^\top)"
            r" = \tfrac12 \Bigl(\frac{M}{\alpha} - m^\top m - \operatorname{tr} A^{-1}\Bigr)"
        ),
        function=_regression_evidence,
        derivative=_prior_slope,
        arguments=(_y, _F, _al, _be),
        wrt=(2,),
        source=beyond(41),
        hypotheses=_REGRESSION,
    ),
    Claim(
        name="linear_regression/noise_precision",
        title="gradient of the evidence in the precision of the noise",
        statement=(
            r"\frac{\partial}{\partial \beta} \log N(y \mid 0, \beta^{-1} I + \alpha^{-1} F F^\top)"
            r" = \tfrac12 \Bigl(\frac{N}{\beta} - \|y - F m\|^2 - \operatorname{tr}(A^{-1} F^\top F)\Bigr)"
        ),
        function=_regression_evidence,
        derivative=_noise_slope,
        arguments=(_y, _F, _al, _be),
        wrt=(3,),
        source=beyond(41),
        hypotheses=_REGRESSION,
    ),
)


def _second_moment_about(rows, mu):
    """T(mu) = 1/N sum (x_i - mu)(x_i - mu)'."""
    return (rows - mu).T @ (rows - mu) / len(rows)


def _profile_of_covariance(rows, s):
    return log_likelihood(rows, jnp.mean(rows, axis=0), s)


def _profile_of_covariance_gradient(rows, s):
    p = jnp.linalg.inv(s)
    return len(rows) / 2 * (p @ _second_moment_about(rows, jnp.mean(rows, axis=0)) @ p - p)


def _profile_of_mean(rows, mu):
    return log_likelihood(rows, mu, _second_moment_about(rows, mu))


def _profile_of_mean_value(rows, mu):
    n, d = rows.shape
    return -n / 2 * (log_det(_second_moment_about(rows, mu)) + d * (1 + math.log(2 * math.pi)))


def _profile_of_mean_gradient(rows, mu):
    t = _second_moment_about(rows, mu)
    return len(rows) * jnp.linalg.solve(t, jnp.mean(rows, axis=0) - mu)


_MANY = ("the scatter about mu positive definite",)
_PROFILES = (
    Claim(
        name="profile/covariance",
        title="score of the covariance, the mean at its maximum",
        statement=(
            r"\nabla_\Sigma \max_\mu L = \tfrac{N}{2} (P T P - P),"
            r" \quad T = \tfrac1N \sum_i (x_i - \bar x)(x_i - \bar x)^\top"
        ),
        function=_profile_of_covariance,
        derivative=_profile_of_covariance_gradient,
        arguments=(data, cov),
        wrt=(1,),
        convention="full",
        source=beyond(73),
        hypotheses=("Sigma positive definite",),
    ),
    Claim(
        name="profile/log_likelihood",
        title="log-likelihood of the mean, the covariance at its maximum",
        statement=(
            r"\max_\Sigma L = -\tfrac{N}{2} \log\det T(\mu) - \tfrac{N n}{2} (1 + \log 2\pi),"
            r" \quad T(\mu) = \tfrac1N \sum_i (x_i - \mu)(x_i - \mu)^\top"
        ),
        function=_profile_of_mean,
        derivative=_profile_of_mean_value,
        arguments=(data, mean),
        wrt=(),
        kind="value",
        source=beyond(73),
        hypotheses=_MANY,
    ),
    Claim(
        name="profile/mean",
        title="score of the mean, the covariance at its maximum",
        statement=(
            r"\frac{\partial}{\partial \mu} \max_\Sigma L = N\, T(\mu)^{-1} (\bar x - \mu),"
            r" \quad T(\mu) = \tfrac1N \sum_i (x_i - \mu)(x_i - \mu)^\top"
        ),
        function=_profile_of_mean,
        derivative=_profile_of_mean_gradient,
        arguments=(data, mean),
        wrt=(1,),
        source=beyond(73),
        hypotheses=_MANY,
    ),
)

CLAIMS: tuple[Claim, ...] = (*_FAMILIES, *_EVIDENCE, *_PROFILES)
