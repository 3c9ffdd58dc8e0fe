"""The Gaussian as an exponential family: natural and expectation parameters, natural gradients.

Here h = P mu and Theta = -P/2 are the natural parameters, m = mu and M = Sigma + mu mu' the expectation parameters, and
A is the log-normaliser, with |det|: its derivatives hold for every invertible Theta, definite or not.
"""

import math

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import General, PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import beyond, log_likelihood, mean, precision, through_vech, x
from gdiff.identities.quadrature import expectation, information
from gdiff.symmetric.coordinates import commutation_matrix, duplication_matrix, unvech, vech

_PD = ("Sigma positive definite",)
_INVERTIBLE = ("Theta symmetric and invertible",)
_MOMENTS = r"\quad \Sigma = -\tfrac12 \Theta^{-1},\; \mu = \Sigma h"
_x = Argument("x", Vector(), ("d",))
_h = Argument("h", Vector(), ("d",))
_natural = Argument("Theta", Symmetric(), ("d", "d"))
_mu = Argument("mu", Vector(), ("d",))
_cov = Argument("S", PositiveDefinite(), ("d", "d"))
_g = Argument("g", Vector(), ("d",))
_gradient = Argument("G", General(), ("d", "d"))


def _log_normaliser(h, theta):
    """A(h, Theta) = -1/4 h' Theta^-1 h - 1/2 ln |det(-2 Theta)| + n/2 ln 2 pi."""
    log_det = jnp.linalg.slogdet(-2 * theta)[1]
    return -h @ jnp.linalg.solve(theta, h) / 4 - log_det / 2 + len(h) * math.log(2 * math.pi) / 2


def _log_density(v, h, theta):
    return h @ v + v @ theta @ v - _log_normaliser(h, theta)


def _moments(h, theta):
    """mu and Sigma."""
    s = -jnp.linalg.inv(theta) / 2
    return s @ h, s


def _second_moment(h, theta):
    mu, s = _moments(h, theta)
    return s + jnp.outer(mu, mu)


def _covariance_of_statistics(mu, s):
    """Cov[(x, vec x x')]."""

    def statistics(v):
        return jnp.concatenate([v, jnp.outer(v, v).reshape(-1)])  # symmetric: by rows as by columns

    about = expectation(statistics, mu, s)
    return expectation(lambda v: jnp.outer(statistics(v) - about, statistics(v) - about), mu, s)


def _hessian(mu, s):
    """[[S, mu' kron S + S kron mu'], [., (I + K)(S kron S + S kron mu mu' + mu mu' kron S)]]."""
    row = mu[None, :]
    m = jnp.outer(mu, mu)
    cross = jnp.kron(row, s) + jnp.kron(s, row)
    twice_n = jnp.eye(s.size) + commutation_matrix(len(mu), len(mu))
    return jnp.block([[s, cross], [cross.T, twice_n @ (jnp.kron(s, s) + jnp.kron(s, m) + jnp.kron(m, s))]])


def _in_vech(matrix, d):
    """From (h, vec Theta) to (h, vech Theta)."""
    q = jax.scipy.linalg.block_diag(jnp.eye(d), duplication_matrix(d))
    return q.T @ matrix @ q


def _score(v, mu, s):
    """d l / d mu = P r and d l / d Sigma = (P r r' P - P)/2."""
    p = jnp.linalg.inv(s)
    g = p @ (v - mu)
    return g, (jnp.outer(g, g) - p) / 2


def _expectation_gradient(v, mu, s):
    """d l / dm and d l / dM of l(m, M - m m')."""
    g, a = _score(v, mu, s)
    return g - 2 * a @ mu, a


def _in_expectation(v, m, second):
    return log_likelihood(v, m, second - jnp.outer(m, m))


def _gradient_in(position):
    """d l / dm or d l / dM by autodiff, at the (m, M) of (mu, Sigma)."""
    return lambda v, mu, s: jax.grad(_in_expectation, position)(v, mu, s + jnp.outer(mu, mu))


def _natural_gradient(v, mu, p):
    """The inverse information in (h, vech Theta) times the gradient of l there, both by autodiff and quadrature."""
    d, s = len(mu), jnp.linalg.inv(p)
    g, theta = through_vech(lambda h, t: log_likelihood(v, *_moments(h, t)), p @ mu, -p / 2)
    statistics = _in_vech(_covariance_of_statistics(mu, s), d)
    return jnp.linalg.solve(statistics, jax.grad(g)(theta))


def _natural_gradient_claim(v, mu, p):
    of_mean, of_second = _expectation_gradient(v, mu, jnp.linalg.inv(p))
    return jnp.concatenate([of_mean, vech(of_second)])


def _information_times(mu, s, step):
    """E[score score'] in (mu, vech Sigma), times a step."""
    theta = through_vech(log_likelihood, mu, s)[1]

    def log_density(v, t):
        return through_vech(lambda m, c: log_likelihood(v, m, c), mu, s)[0](t)

    return information(log_density, theta, step, mu, s)


def _preconditioned(mu, s, g, gradient):
    """The information times (Sigma g, 2 Sigma sym(G) Sigma): the gradient again, in (mu, vech Sigma)."""
    step = s @ (gradient + gradient.T) @ s
    return _information_times(mu, s, jnp.concatenate([s @ g, vech(step)]))


def _in_distinct_entries(_mu, _s, g, gradient):
    """(g, D' vec G)."""
    return jnp.concatenate([g, duplication_matrix(len(g)).T @ gradient.T.reshape(-1)])


def _riemannian(s, gradient):
    """R symmetric with tr(P R P E) = tr(G' E) for every symmetric E: by solving for its entries."""
    d, p = len(s), jnp.linalg.inv(s)
    basis = [unvech(e) for e in jnp.eye(d * (d + 1) // 2)]
    metric = jnp.stack([jnp.stack([jnp.trace(p @ a @ p @ b) for b in basis]) for a in basis])
    right = jnp.stack([jnp.sum(gradient * e) for e in basis])
    return jnp.tensordot(jnp.linalg.solve(metric, right), jnp.stack(basis), axes=1)


CLAIMS = (
    Claim(
        name="natural/log_density",
        title="log-density in natural parameters",
        statement=(
            r"\log N(x \mid \mu, \Sigma) = h^\top x + x^\top \Theta x - A(h, \Theta),"
            r" \quad A = -\tfrac14 h^\top \Theta^{-1} h - \tfrac12 \log\det(-2\Theta) + \tfrac{n}{2} \log 2\pi,"
            r" \quad h = P\mu,\; \Theta = -\tfrac12 P"
        ),
        function=lambda v, mu, p: log_likelihood(v, mu, jnp.linalg.inv(p)),
        derivative=lambda v, mu, p: _log_density(v, p @ mu, -p / 2),
        arguments=(x, mean, precision),
        wrt=(),
        kind="value",
        source=beyond(11),
        hypotheses=("P positive definite",),
    ),
    Claim(
        name="natural/normaliser_linear",
        title="gradient of the log-normaliser in h: the mean",
        statement=rf"\frac{{\partial A}}{{\partial h}} = \mu, {_MOMENTS}",
        function=_log_normaliser,
        derivative=lambda h, t: _moments(h, t)[0],
        arguments=(_h, _natural),
        wrt=(0,),
        source=beyond(11),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/normaliser_quadratic",
        title="gradient of the log-normaliser in Theta: the second moment",
        statement=rf"\nabla_\Theta A = \Sigma + \mu \mu^\top, {_MOMENTS}",
        function=_log_normaliser,
        derivative=_second_moment,
        arguments=(_h, _natural),
        wrt=(1,),
        convention="full",
        source=beyond(11),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/score_linear",
        title="score of h",
        statement=rf"\frac{{\partial l}}{{\partial h}} = x - \mu, {_MOMENTS}",
        function=_log_density,
        derivative=lambda v, h, t: v - _moments(h, t)[0],
        arguments=(_x, _h, _natural),
        wrt=(1,),
        source=beyond(11),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/score_quadratic",
        title="score of Theta",
        statement=rf"\nabla_\Theta\, l = x x^\top - (\Sigma + \mu \mu^\top), {_MOMENTS}",
        function=_log_density,
        derivative=lambda v, h, t: jnp.outer(v, v) - _second_moment(h, t),
        arguments=(_x, _h, _natural),
        wrt=(2,),
        convention="full",
        source=beyond(11),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/covariance_of_statistics",
        title="covariance of x and vec x x'",
        statement=(
            r"\operatorname{Cov}\bigl[(x, \operatorname{vec} x x^\top)\bigr] = \begin{pmatrix} \Sigma &"
            r" \mu^\top \otimes \Sigma + \Sigma \otimes \mu^\top \\ \cdot & (I + K)(\Sigma \otimes \Sigma"
            r" + \Sigma \otimes \mu\mu^\top + \mu\mu^\top \otimes \Sigma) \end{pmatrix}"
        ),
        function=_covariance_of_statistics,
        derivative=_hessian,
        arguments=(_mu, _cov),
        wrt=(),
        kind="value",
        source=beyond(12),
        hypotheses=_PD,
        dimensions=(1, 2),
    ),
    Claim(
        name="natural/hessian",
        title="Hessian of the log-normaliser on symmetric steps",
        statement=(
            r"N \nabla^2_{(h, \operatorname{vec} \Theta)} A\, N = \begin{pmatrix} \Sigma &"
            r" \mu^\top \otimes \Sigma + \Sigma \otimes \mu^\top \\ \cdot & (I + K)(\Sigma \otimes \Sigma"
            r" + \Sigma \otimes \mu\mu^\top + \mu\mu^\top \otimes \Sigma) \end{pmatrix}"
        ),
        function=_log_normaliser,
        derivative=lambda h, t: _hessian(*_moments(h, t)),
        arguments=(_h, _natural),
        wrt=(0, 1),
        kind="hessian",
        convention="full",
        source=beyond(12),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/hessian_symmetric",
        title="Hessian of the log-normaliser in (h, vech Theta): the Fisher information",
        statement=(
            r"\nabla^2_{(h, \operatorname{vech} \Theta)} A = \begin{pmatrix} \Sigma &"
            r" (\mu^\top \otimes \Sigma + \Sigma \otimes \mu^\top) D \\ \cdot & D^\top (I + K)(\Sigma \otimes \Sigma"
            r" + \Sigma \otimes \mu\mu^\top + \mu\mu^\top \otimes \Sigma) D \end{pmatrix}"
        ),
        function=_log_normaliser,
        derivative=lambda h, t: _in_vech(_hessian(*_moments(h, t)), len(h)),
        arguments=(_h, _natural),
        wrt=(0, 1),
        kind="hessian",
        convention="symmetric",
        source=beyond(12),
        hypotheses=_INVERTIBLE,
    ),
    Claim(
        name="natural/hessian_free",
        title="Hessian of the log-normaliser in vec Theta, entries free",
        statement=(
            r"\nabla^2_{\operatorname{vec} \Theta} A"
            r" = (I + K)(\Sigma \otimes \Sigma + \Sigma \otimes \mu\mu^\top + \mu\mu^\top \otimes \Sigma)"
        ),
        function=_log_normaliser,
        derivative=lambda h, t: _hessian(*_moments(h, t))[len(h) :, len(h) :],
        arguments=(_h, Argument("Theta", General(), ("d", "d"))),
        wrt=(1,),
        kind="hessian",
        source=beyond(12),
        hypotheses=("Theta invertible",),
        holds_if=(Hypothesis("Theta symmetric, steps too", (_natural,), "full"),),
        expected="refuted",
        instead="natural/hessian",
        note="the block is the covariance of vec x x', invariant under N; with entries free it is another matrix",
        dimensions=(2,),
    ),
    Claim(
        name="expectation/mean",
        title="gradient in the first expectation parameter",
        statement=(
            r"\frac{\partial f}{\partial m} = \frac{\partial f}{\partial \mu}"
            r" - 2 \frac{\partial f}{\partial \Sigma} \mu, \quad m = \mu,\; M = \Sigma + \mu\mu^\top"
        ),
        function=_gradient_in(1),
        derivative=lambda v, mu, s: _expectation_gradient(v, mu, s)[0],
        arguments=(_x, _mu, _cov),
        wrt=(),
        kind="value",
        source=beyond(13),
        hypotheses=("Sigma positive definite", "the gradient in Sigma symmetric"),
    ),
    Claim(
        name="expectation/second_moment",
        title="gradient in the second expectation parameter",
        statement=r"\frac{\partial f}{\partial M} = \frac{\partial f}{\partial \Sigma}, \quad M = \Sigma + \mu\mu^\top",
        function=_gradient_in(2),
        derivative=lambda v, mu, s: _expectation_gradient(v, mu, s)[1],
        arguments=(_x, _mu, _cov),
        wrt=(),
        kind="value",
        source=beyond(13),
        hypotheses=_PD,
    ),
    Claim(
        name="expectation/natural_gradient",
        title="the natural gradient in (h, Theta) is the gradient in (m, M)",
        statement=(
            r"I(h, \Theta)^{-1} \nabla_{(h, \operatorname{vech} \Theta)} f"
            r" = \Bigl(\frac{\partial f}{\partial m}, \operatorname{vech} \frac{\partial f}{\partial M}\Bigr)"
        ),
        function=_natural_gradient,
        derivative=_natural_gradient_claim,
        arguments=(_x, _mu, Argument("P", PositiveDefinite(), ("d", "d"))),
        wrt=(),
        kind="value",
        source=beyond(13),
        hypotheses=("P positive definite",),
    ),
    Claim(
        name="natural_gradient/information",
        title="the Fisher information of the natural gradient is the gradient",
        statement=(
            r"I(\mu, \operatorname{vech} \Sigma)\,"
            r" \bigl(\Sigma g, \operatorname{vech}(2 \Sigma \operatorname{sym}(G) \Sigma)\bigr)"
            r" = (g, D^\top \operatorname{vec} G)"
        ),
        function=_preconditioned,
        derivative=_in_distinct_entries,
        arguments=(_mu, _cov, _g, _gradient),
        wrt=(),
        kind="value",
        source=beyond(14),
        hypotheses=_PD,
    ),
    Claim(
        name="natural_gradient/riemannian",
        title="Riemannian gradient of the trace metric of the positive definite matrices",
        statement=(
            r"\operatorname{grad} f = \Sigma \operatorname{sym}(G) \Sigma,"
            r" \quad \langle R, E \rangle_\Sigma = \operatorname{tr}(P R P E)"
        ),
        function=_riemannian,
        derivative=lambda s, g: s @ (g + g.T) @ s / 2,
        arguments=(_cov, _gradient),
        wrt=(),
        kind="value",
        source=beyond(14),
        hypotheses=_PD,
    ),
)
