"""Mixtures of Gaussians, whitening and entropy."""

import math

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Positive, PositiveDefinite, Vector
from gdiff.identities.notation import cookbook, log_likelihood
from gdiff.identities.quadrature import expectation
from gdiff.written import identity

_s = Argument("s", Vector(), ("d",))
_x = Argument("x", Vector(), ("d",))
_m = Argument("m", Vector(), ("d",))
_S = Argument("S", PositiveDefinite(), ("d", "d"))
_WEIGHTS = Argument("rho", Positive(), (2,))
_MEANS = Argument("mu", General(), (2, "d"))
_S1, _S2 = (Argument(name, PositiveDefinite(), ("d", "d")) for name in ("S1", "S2"))
_MIXTURE = (_s, _WEIGHTS, _MEANS, _S1, _S2)
_PD = ("Sigma positive definite",)


def _log_terms(s, rho, mu, s1, s2):
    """log(rho_k N_s(mu_k, S_k))."""
    return jnp.log(rho) + jnp.stack([log_likelihood(s, mu[0], s1), log_likelihood(s, mu[1], s2)])


def _log_mixture(*args):
    return jax.scipy.special.logsumexp(_log_terms(*args))


def _responsibilities(*args):
    """gamma_k = rho_k N_k / sum_j rho_j N_j."""
    return jax.nn.softmax(_log_terms(*args))


def _in_covariance(s, rho, mu, s1, s2):
    p, r = jnp.linalg.inv(s1), s - mu[0]
    return _responsibilities(s, rho, mu, s1, s2)[0] * (-p + p @ jnp.outer(r, r) @ p) / 2


def _in_means(s, rho, mu, s1, s2):
    gamma = _responsibilities(s, rho, mu, s1, s2)
    return jnp.stack([gamma[0] * jnp.linalg.inv(s1) @ (s - mu[0]), gamma[1] * jnp.linalg.inv(s2) @ (s - mu[1])])


def _mixture_moments(rho, mu, s1, s2):
    """Mean and covariance of the mixture with weights rho / sum rho, by quadrature under each component."""
    rho = rho / jnp.sum(rho)
    parts = list(zip(rho, mu, (s1, s2), strict=True))
    mean = sum(w * expectation(lambda x: x, m, s) for w, m, s in parts)
    second = sum(w * expectation(lambda x: jnp.outer(x - mean, x - mean), m, s) for w, m, s in parts)
    return jnp.concatenate([mean[:, None], second], axis=1)


def _mixture_formulas(rho, mu, s1, s2):
    """(384): sum_k rho_k m_k, and (385): a double sum."""
    rho = rho / jnp.sum(rho)
    covs = (s1, s2)
    cov = sum(
        rho[k] * rho[j] * (covs[k] + jnp.outer(mu[k], mu[k]) - jnp.outer(mu[k], mu[j])) for k in (0, 1) for j in (0, 1)
    )
    return jnp.concatenate([(rho @ mu)[:, None], cov], axis=1)


def _root(s, power=0.5):
    values, v = jnp.linalg.eigh(s)
    return (v * values**power) @ v.T


def _squared_length_moments(m, s):
    """E and Var of (x - m)'S^-1(x - m)."""

    def q(x):
        return (x - m) @ jnp.linalg.solve(s, x - m)

    first = expectation(q, m, s)
    return jnp.stack([first, expectation(lambda x: (q(x) - first) ** 2, m, s)])


def _entropy(m, s):
    """-E ln N(x; m, S), a quadratic in x."""
    return -expectation(lambda x: log_likelihood(x, m, s), m, s)


def _claim(name, title, statement, function, derivative, arguments, source, wrt=(), kind="value", **how):
    return Claim(name, title, statement, function, derivative, arguments, wrt, source, kind=kind, **how)


def _mixture(name, title, statement, derivative, wrt, equations, convention=None, **how):
    return _claim(
        f"mixture/{name}",
        title,
        statement,
        _log_mixture,
        derivative,
        _MIXTURE,
        cookbook(*equations),
        (wrt,),
        "gradient",
        convention=convention,
        hypotheses=("weights and covariances unconstrained, Sigma_k positive definite",),
        **how,
    )


CLAIMS = (
    _claim(
        "mixture/moments",
        "mean and covariance of a mixture",
        r"E(x) = \sum_k \rho_k m_k, \quad \operatorname{Cov}(x) ="
        r" \sum_k \sum_{k'} \rho_k \rho_{k'} (\Sigma_k + m_k m_k^\top - m_k m_{k'}^\top)",
        _mixture_moments,
        _mixture_formulas,
        (_WEIGHTS, _MEANS, _S1, _S2),
        cookbook(384, 385),
        hypotheses=("the weights sum to one",),
        dimensions=(1, 2),
    ),
    _claim(
        "whitening/covariance",
        "mean and covariance of z = S^(-1/2) (x - m)",
        r"z = \Sigma^{-1/2} (x - m) \sim N(0, I)",
        lambda m, s: expectation(
            lambda x: jnp.concatenate(
                [jnp.outer(_root(s, -0.5) @ (x - m), _root(s, -0.5) @ (x - m)), (_root(s, -0.5) @ (x - m))[None]]
            ),
            m,
            s,
        ),
        lambda m, s: jnp.concatenate([jnp.eye(len(m)), jnp.zeros((1, len(m)))]),  # noqa: ARG005
        (_m, _S),
        cookbook(386),
        hypotheses=(*_PD, "S^(1/2) the positive definite root"),
        dimensions=(1, 2),
    ),
    _claim(
        "whitening/inverse",
        "x = S^(1/2) z + m",
        r"x = \Sigma^{1/2} z + m \sim N(m, \Sigma)",
        lambda x, m, s: 1 * x,  # noqa: ARG005
        lambda x, m, s: _root(s) @ (_root(s, -0.5) @ (x - m)) + m,
        (_x, _m, _S),
        cookbook(387),
        hypotheses=(*_PD, "S^(1/2) the positive definite root"),
    ),
    _claim(
        "whitening/jacobian",
        "Jacobian of z = S^(-1/2) (x - m) in x",
        r"\frac{\partial z}{\partial x^\top} = \Sigma^{-1/2}",
        lambda x, m, s: jnp.linalg.solve(_root(s), x - m),
        lambda x, m, s: _root(s, -0.5),  # noqa: ARG005
        (_x, _m, _S),
        cookbook(386),
        (0,),
        "jacobian",
        hypotheses=(*_PD, "S^(1/2) the positive definite root"),
    ),
    _claim(
        "whitening/chi_square",
        "mean and variance of (x - m)'S^-1(x - m)",
        r"z = (x - m)^\top \Sigma^{-1} (x - m) \sim \chi^2_n: \quad E z = n, \operatorname{Var} z = 2n",
        _squared_length_moments,
        lambda m, s: jnp.asarray([len(m), 2 * len(s)], dtype=m.dtype),
        (_m, _S),
        cookbook(388),
        hypotheses=_PD,
        dimensions=(1, 2),
    ),
    identity(
        "whitening/squared_length",
        "(x - m)'*inv(S)*(x - m)",
        "-inv(S)*(x - m)*(x - m)'*inv(S)",
        "S",
        source=cookbook(388),
        shapes={"x": ("d",), "m": ("d",)},
        domains={"S": PositiveDefinite()},
        convention="full",
        hypotheses=list(_PD),
    ),
    _claim(
        "entropy/value",
        "entropy of N(m, S)",
        r"H(x) = \ln \sqrt{\det(2\pi\Sigma)} + \tfrac{D}{2}",
        _entropy,
        lambda m, s: jnp.linalg.slogdet(2 * math.pi * s)[1] / 2 + len(m) / 2,
        (_m, _S),
        cookbook(389),
        hypotheses=_PD,
        dimensions=(1, 2),
    ),
    _claim(
        "entropy/full",
        "gradient of the entropy in the covariance",
        r"\nabla_\Sigma H = \tfrac12 \Sigma^{-1}",
        _entropy,
        lambda m, s: jnp.linalg.inv(s) / 2,  # noqa: ARG005
        (_m, _S),
        cookbook(389),
        (1,),
        "gradient",
        convention="full",
        hypotheses=_PD,
        dimensions=(1, 2),
    ),
    _claim(
        "entropy/symmetric",
        "gradient of the entropy in the distinct entries of the covariance",
        r"\frac{\partial H}{\partial \Sigma} = \tfrac12 (2\Sigma^{-1} - \Sigma^{-1} \circ I)",
        _entropy,
        lambda m, s: (2 * jnp.linalg.inv(s) - jnp.linalg.inv(s) * jnp.eye(len(m))) / 2,
        (_m, _S),
        cookbook(389),
        (1,),
        "gradient",
        convention="symmetric",
        hypotheses=_PD,
        dimensions=(1, 2),
    ),
    _mixture(
        "weights",
        "gradient of a log mixture density in the weights",
        r"\frac{\partial \ln p(s)}{\partial \rho_j} = \frac{\gamma_j}{\rho_j},"
        r" \quad \gamma_j = \frac{\rho_j N_s(\mu_j, \Sigma_j)}{\sum_k \rho_k N_s(\mu_k, \Sigma_k)}",
        lambda s, rho, *rest: _responsibilities(s, rho, *rest) / rho,
        1,
        (390, 391, 392),
    ),
    _mixture(
        "means",
        "gradient of a log mixture density in the means",
        r"\frac{\partial \ln p(s)}{\partial \mu_j} = \gamma_j \Sigma_j^{-1} (s - \mu_j)",
        _in_means,
        2,
        (393, 394),
    ),
    _mixture(
        "covariance",
        "gradient of a log mixture density in a covariance",
        r"\nabla_{\Sigma_j} \ln p(s) = \gamma_j \tfrac12"
        r" [-\Sigma_j^{-1} + \Sigma_j^{-1} (s - \mu_j)(s - \mu_j)^\top \Sigma_j^{-1}]",
        _in_covariance,
        3,
        (395, 396),
        expected="convention dependent",
        instead="mixture/covariance_full",
    ),
    _mixture(
        "covariance_full",
        "gradient of a log mixture density in a covariance, the convention named",
        r"\nabla_{\Sigma_j} \ln p(s) = \gamma_j \tfrac12"
        r" [-\Sigma_j^{-1} + \Sigma_j^{-1} (s - \mu_j)(s - \mu_j)^\top \Sigma_j^{-1}]",
        _in_covariance,
        3,
        (395, 396),
        "full",
    ),
)
