"""Student's t for vectors and matrices, Wishart and inverse Wishart, as the Cookbook prints them.

Densities are held against others by a change of variables, or integrated: what is integrated is a polynomial in nodes
of a Gauss rule, so that the sum is exact.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from gdiff.claim import Argument, Claim
from gdiff.domains import Positive, PositiveDefinite, Vector
from gdiff.identities.notation import cookbook, log_det
from gdiff.identities.quadrature import expectation

_t = Argument("t", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_S = Argument("S", PositiveDefinite(), ("d", "d"))
_M = Argument("M", PositiveDefinite(), ("d", "d"))
_nu = Argument("nu", Positive(), ())
_DEGREES = 7  # of freedom: odd, so that what is integrated over t = tan(phi) is a polynomial in sines and cosines


def _log_student(t, mu, s, nu):
    """(337)."""
    p = len(t)
    r = t - mu
    return (
        gammaln((nu + p) / 2)
        - gammaln(nu / 2)
        - p / 2 * jnp.log(math.pi * nu)
        - log_det(s) / 2
        - (nu + p) / 2 * jnp.log(1 + r @ jnp.linalg.inv(s) @ r / nu)
    )


def _weight(t, mu, s, nu):
    """(nu + P)/(nu + r'S^-1 r)."""
    return (nu + len(t)) / (nu + (t - mu) @ jnp.linalg.inv(s) @ (t - mu))


def _log_matrix_student_printed(t, omega, sigma, nu):
    """(341), with M = 0."""
    p, n = t.shape
    inside = jnp.linalg.inv(omega) + t @ jnp.linalg.inv(sigma) @ t.T
    gammas = sum(gammaln((nu + p - i + 1) / 2) - gammaln((nu - i + 1) / 2) for i in range(1, p + 1))
    constant = gammas - n * p / 2 * math.log(math.pi) + jnp.log(nu)
    return constant - nu / 2 * log_det(omega) - n / 2 * log_det(sigma) - (nu + p) / 2 * log_det(inside)


def _log_matrix_student(t, omega, sigma, nu):
    """With N in place of P in the exponent and in the gamma functions, P of det Sigma, and no factor nu."""
    p, n = t.shape
    inside = jnp.linalg.inv(omega) + t @ jnp.linalg.inv(sigma) @ t.T
    gammas = sum(gammaln((nu + n - i + 1) / 2) - gammaln((nu - i + 1) / 2) for i in range(1, p + 1))
    constant = gammas - n * p / 2 * math.log(math.pi)
    return constant - nu / 2 * log_det(omega) - p / 2 * log_det(sigma) - (nu + n) / 2 * log_det(inside)


def _integral(log_density, shape):
    """Of a density of two numbers, T = K U L' for U on circles of radius tan(phi), where it depends on phi alone."""
    x, w = np.polynomial.legendre.leggauss(24)
    phi, w = (x + 1) * math.pi / 4, w * math.pi / 4
    radius, area = np.tan(phi), 2 * math.pi * np.tan(phi) / np.cos(phi) ** 2
    units = radius[:, None, None] * np.ones(shape) / math.sqrt(2)

    def total(omega, sigma):
        left = jnp.linalg.inv(jnp.linalg.cholesky(omega)).T
        right = jnp.linalg.cholesky(sigma)
        jacobian = jnp.linalg.det(left) ** shape[1] * jnp.linalg.det(right) ** shape[0]
        values = jnp.stack([log_density(left @ u @ right.T, omega, sigma, float(_DEGREES)) for u in units])
        return jacobian * jnp.sum(w * area * jnp.exp(values))

    return total


def _matrix_student(name, log_density, shape, **how):
    p, n = shape
    return Claim(
        name=f"student/{name}",
        title=f"the density of a {p} x {n} matrix integrates to one, nu = {_DEGREES}",
        statement=how.pop("statement"),
        function=_integral(log_density, shape),
        derivative=lambda omega, sigma: jnp.ones((), omega.dtype),  # noqa: ARG005
        arguments=(
            Argument("Omega", PositiveDefinite(), (p, p)),
            Argument("Sigma", PositiveDefinite(), (n, n)),
        ),
        wrt=(),
        kind="value",
        source=cookbook(341),
        hypotheses=("Omega P x P and Sigma N x N positive definite",),
        dimensions=(2,),
        **how,
    )


_PRINTED = (
    r"p(T) = \pi^{-NP/2} \prod_{p=1}^{P} \frac{\Gamma[(\nu+P-p+1)/2]}{\Gamma[(\nu-p+1)/2]}"
    r" \nu \det(\Omega)^{-\nu/2} \det(\Sigma)^{-N/2} \det[\Omega^{-1} + T \Sigma^{-1} T^\top]^{-(\nu+P)/2}"
)
_RIGHT = (
    r"p(T) = \pi^{-NP/2} \prod_{p=1}^{P} \frac{\Gamma[(\nu+N-p+1)/2]}{\Gamma[(\nu-p+1)/2]}"
    r" \det(\Omega)^{-\nu/2} \det(\Sigma)^{-P/2} \det[\Omega^{-1} + T \Sigma^{-1} T^\top]^{-(\nu+N)/2}"
)


def _log_wishart(m, s, nu):
    """(342)."""
    p = len(m)
    constant = nu * p / 2 * math.log(2) + p * (p - 1) / 4 * math.log(math.pi)
    constant = constant + sum(gammaln((nu + 1 - i) / 2) for i in range(1, p + 1))
    return (nu - p - 1) / 2 * log_det(m) - nu / 2 * log_det(s) - jnp.trace(jnp.linalg.inv(s) @ m) / 2 - constant


def _log_inverse_wishart(m, s, nu, power):
    """(344), with this power of det(M)."""
    p = len(m)
    constant = nu * p / 2 * math.log(2) + p * (p - 1) / 4 * math.log(math.pi)
    constant = constant + sum(gammaln((nu + 1 - i) / 2) for i in range(1, p + 1))
    return nu / 2 * log_det(s) - power * log_det(m) - jnp.trace(s @ jnp.linalg.inv(m)) / 2 - constant


def _by_change_of_variables(m, s, excess):
    """log W(M^-1; S^-1, m) for m = P + excess, and the Jacobian det(M)^-(P+1) of M -> M^-1."""
    return _log_wishart(jnp.linalg.inv(m), jnp.linalg.inv(s), excess + len(m)) - (len(m) + 1) * log_det(m)


def _inverse_wishart_mean(s):
    """E M for P = 2, m = 6: M^-1 = L^-T A A' L^-1, S = LL', a11^2 ~ chi2(6), a22^2 ~ chi2(5), a21 ~ N(0, 1)."""
    v, w = np.polynomial.laguerre.laggauss(8)  # a11^2 = 2v, of density v^2 e^-v / 2
    first = np.sum(w * v**2 / 2 / (2 * v))
    a, u = np.polynomial.hermite_e.hermegauss(8)  # a22 of density a^4 e^(-a^2/2)
    second = np.sum(u * a**4 / a**2) / np.sum(u * a**4)
    expected = jnp.asarray(np.diag([first * (1 + second), second]))
    root = jnp.linalg.cholesky(s)
    return root @ expected @ root.T


def _density(name, title, statement, function, derivative, arguments, equations, wrt=(), kind="value", **how):
    return Claim(
        name, title, statement, function, derivative, arguments, wrt, cookbook(*equations), kind=kind,
        hypotheses=("Sigma and M positive definite",), **how,
    )  # fmt: skip


CLAIMS = (
    _density(
        "cauchy/mean",
        "score of the location of a Cauchy vector",
        r"\frac{\partial \ln p}{\partial \mu} = w \Sigma^{-1} r, \quad w = \frac{1 + P}{1 + r^\top \Sigma^{-1} r}",
        lambda t, mu, s: _log_student(t, mu, s, 1.0),
        lambda t, mu, s: _weight(t, mu, s, 1.0) * jnp.linalg.inv(s) @ (t - mu),
        (_t, _mu, _S),
        (335,),
        (1,),
        "gradient",
    ),
    _density(
        "student/mean",
        "score of the location of a Student t vector",
        r"\frac{\partial \ln p}{\partial \mu} = w \Sigma^{-1} r, \quad w = \frac{\nu + P}{\nu + r^\top \Sigma^{-1} r}",
        _log_student,
        lambda t, mu, s, nu: _weight(t, mu, s, nu) * jnp.linalg.inv(s) @ (t - mu),
        (_t, _mu, _S, _nu),
        (337,),
        (1,),
        "gradient",
    ),
    _matrix_student(
        "matrix_printed",
        _log_matrix_student_printed,
        (1, 2),
        statement=_PRINTED,
        expected="refuted",
        instead="student/matrix_row",
    ),  # fmt: skip
    _matrix_student("matrix_row", _log_matrix_student, (1, 2), statement=_RIGHT),
    _matrix_student("matrix_column", _log_matrix_student, (2, 1), statement=_RIGHT),
    _density(
        "wishart/scale",
        "score of the scale of a Wishart matrix",
        r"\nabla_\Sigma \ln p = \tfrac12 (\Sigma^{-1} M \Sigma^{-1} - m \Sigma^{-1})",
        _log_wishart,
        lambda m, s, nu: (jnp.linalg.inv(s) @ m @ jnp.linalg.inv(s) - nu * jnp.linalg.inv(s)) / 2,
        (_M, _S, _nu),
        (342,),
        (1,),
        "gradient",
        convention="full",
    ),
    _density(
        "wishart/matrix",
        "gradient of a Wishart log-density in the matrix",
        r"\nabla_M \ln p = \tfrac12 (m - P - 1) M^{-1} - \tfrac12 \Sigma^{-1}",
        _log_wishart,
        lambda m, s, nu: (nu - len(m) - 1) / 2 * jnp.linalg.inv(m) - jnp.linalg.inv(s) / 2,
        (_M, _S, _nu),
        (342,),
        (0,),
        "gradient",
        convention="full",
    ),
    _density(
        "wishart/mean",
        "mean of a Wishart matrix, m = 4: the sum of m squares",
        r"E(M) = m \Sigma",
        lambda s: 4 * expectation(lambda x: jnp.outer(x, x), 0.0, s),
        lambda s: 4 * s,
        (_S,),
        (343,),
        dimensions=(1, 2),
    ),
    _density(
        "inverse_wishart/density_printed",
        "log-density of an inverse Wishart matrix",
        r"p(M) = \frac{\det(\Sigma)^{m/2} \det(M)^{-(m-P-1)/2}}{2^{mP/2} \Gamma_P(m/2)}"
        r" e^{-\frac12 \operatorname{tr}(\Sigma M^{-1})}",
        _by_change_of_variables,
        lambda m, s, excess: _log_inverse_wishart(m, s, excess + len(m), (excess - 1) / 2),
        (_M, _S, _nu),
        (344,),
        expected="refuted",
        instead="inverse_wishart/density",
    ),
    _density(
        "inverse_wishart/density",
        "log-density of an inverse Wishart matrix",
        r"p(M) = \frac{\det(\Sigma)^{m/2} \det(M)^{-(m+P+1)/2}}{2^{mP/2} \Gamma_P(m/2)}"
        r" e^{-\frac12 \operatorname{tr}(\Sigma M^{-1})}",
        _by_change_of_variables,
        lambda m, s, excess: _log_inverse_wishart(m, s, excess + len(m), (excess + 2 * len(m) + 1) / 2),
        (_M, _S, _nu),
        (344,),
    ),
    _density(
        "inverse_wishart/mean",
        "mean of an inverse Wishart matrix, P = 2, m = 6",
        r"E(M) = \frac{\Sigma}{m - P - 1}",
        _inverse_wishart_mean,
        lambda s: s / (6 - 2 - 1),
        (Argument("S", PositiveDefinite(), (2, 2)),),
        (345,),
        dimensions=(2,),
    ),
)
