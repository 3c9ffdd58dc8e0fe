"""The Gaussian density: normalisation, marginals, conditionals, linear maps, squared forms, products, entropy.

Integrals are exact: of an exponential of a quadratic by the determinant of a block matrix or a Cholesky factor, and
expectations by Gauss-Hermite quadrature.
"""

import math
from typing import Any

import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import DefinitePart, General, PositiveDefinite, Vector
from gdiff.identities.notation import cookbook, density, log_det, log_likelihood
from gdiff.identities.quadrature import nodes
from gdiff.written import identity

_PD = ("Sigma positive definite",)
_x = Argument("x", Vector(), ("d",))
_m = Argument("m", Vector(), ("d",))
_S = Argument("S", PositiveDefinite(), ("d", "d"))
_m1, _m2 = Argument("m1", Vector(), ("d",)), Argument("m2", Vector(), ("d",))
_S1, _S2 = (Argument(name, PositiveDefinite(), ("d", "d")) for name in ("S1", "S2"))
_JOINT = (
    Argument("x", Vector(), ("n",)),
    Argument("mu", Vector(), ("n",)),
    Argument("S", PositiveDefinite(), ("n", "n")),
)
_FORMS: dict[str, Any] = {"domains": {"A": PositiveDefinite()}, "hypotheses": ["A symmetric and invertible"]}
_SQUARES = "-1/2*(x - m_1)'*inv(S_1)*(x - m_1) - 1/2*(x - m_2)'*inv(S_2)*(x - m_2)"
_COMPLETED = (
    "-1/2*(x - inv(inv(S_1) + inv(S_2))*(inv(S_1)*m_1 + inv(S_2)*m_2))'*(inv(S_1) + inv(S_2))"
    "*(x - inv(inv(S_1) + inv(S_2))*(inv(S_1)*m_1 + inv(S_2)*m_2))"
    " + 1/2*(m_1'*inv(S_1) + m_2'*inv(S_2))*inv(inv(S_1) + inv(S_2))*(inv(S_1)*m_1 + inv(S_2)*m_2)"
    " - 1/2*(m_1'*inv(S_1)*m_1 + m_2'*inv(S_2)*m_2)"
)
_TRACES = "-1/2*tr((X - M_1)'*inv(S_1)*(X - M_1)) - 1/2*tr((X - M_2)'*inv(S_2)*(X - M_2))"
_COMPLETED_TRACES = (
    "-1/2*tr((X - inv(inv(S_1) + inv(S_2))*(inv(S_1)*M_1 + inv(S_2)*M_2))'*(inv(S_1) + inv(S_2))"
    "*(X - inv(inv(S_1) + inv(S_2))*(inv(S_1)*M_1 + inv(S_2)*M_2)))"
    " + 1/2*tr((inv(S_1)*M_1 + inv(S_2)*M_2)'*inv(inv(S_1) + inv(S_2))*(inv(S_1)*M_1 + inv(S_2)*M_2))"
    " - 1/2*tr(M_1'*inv(S_1)*M_1 + M_2'*inv(S_2)*M_2)"
)
_TWO = {"S_1": PositiveDefinite(), "S_2": PositiveDefinite()}


def _log_integral(a, c):
    """log of the integral of exp(-x'Ax/2 + c'x): sym(A) = LL', x = L^-T z, one coordinate of z at a time."""
    w = jnp.linalg.inv(jnp.linalg.cholesky((a + a.T) / 2))
    shift = w @ c
    return jnp.sum(shift**2) / 2 + jnp.sum(jnp.log(jnp.diag(w))) + len(c) / 2 * math.log(2 * math.pi)


def _log_root_det(m):
    """log sqrt det(2 pi M)."""
    return (log_det(m) + len(m) * math.log(2 * math.pi)) / 2


def _halves(x, mu, s):
    """x_a, x_b, mu_a, mu_b, S_a, S_c = cov(x_a, x_b) and S_b: the first coordinate, and the rest."""
    return x[:1], x[1:], mu[:1], mu[1:], s[:1, :1], s[:1, 1:], s[1:, 1:]


def _conditional(x, mu, s):
    """log N(x_a | mu_a + S_c S_b^-1 (x_b - mu_b), S_a - S_c S_b^-1 S_c')."""
    xa, xb, ma, mb, sa, sc, sb = _halves(x, mu, s)
    k = sc @ jnp.linalg.inv(sb)
    return log_likelihood(xa, ma + k @ (xb - mb), sa - k @ sc.T)


def _conditional_score(x, mu, s):
    """K' Shat_a^-1 (x_a - muhat_a), K = S_c S_b^-1."""
    xa, xb, ma, mb, sa, sc, sb = _halves(x, mu, s)
    k = sc @ jnp.linalg.inv(sb)
    return k.T @ jnp.linalg.inv(sa - k @ sc.T) @ (xa - ma - k @ (xb - mb))


def _ratio_to_marginal(x, mu, s):
    """log p(x) - log p(x_b)."""
    return log_likelihood(x, mu, s) - log_likelihood(x[1:], mu[1:], s[1:, 1:])


def _score_in_second(x, mu, s):
    """The derivative of log p(x) - log p(x_b) with respect to x_b."""
    return -(jnp.linalg.solve(s, x - mu)[1:]) + jnp.linalg.solve(s[1:, 1:], x[1:] - mu[1:])


def _marginal_by_integration(x, mu, s):
    """The integral of p(x_a, x_b) over x_b: exp of a quadratic in x_b, of precision P_bb and linear term P_ba."""
    p = jnp.linalg.inv(s)
    u = x[:1] - mu[:1]
    return _log_integral(p[1:, 1:], -p[1:, :1] @ u) - u @ p[:1, :1] @ u / 2 - _log_root_det(s)


def _moments_of_sum(a, b, c, mx, my, sx, sy):
    """Mean and covariance of Ax + By + c for independent x and y, by quadrature."""
    zx, wx = nodes(sx)
    zy, wy = nodes(sy)
    points = ((mx + zx) @ a.T)[:, None] + ((my + zy) @ b.T)[None] + c
    weights = wx[:, None] * wy[None]
    mean = jnp.einsum("ij,ijk->k", weights, points)
    about = points - mean
    return jnp.concatenate([mean[:, None], jnp.einsum("ij,ijk,ijl->kl", weights, about, about)], axis=1)


def _product_scale(m1, m2, s1, s2):
    """log of N_x(m1, S1) N_x(m2, S2) / N_x(m_c, S_c) at x = 0."""
    p1, p2 = jnp.linalg.inv(s1), jnp.linalg.inv(s2)
    sc = jnp.linalg.inv(p1 + p2)
    mc = sc @ (p1 @ m1 + p2 @ m2)
    zero = jnp.zeros_like(m1)
    return log_likelihood(zero, m1, s1) + log_likelihood(zero, m2, s2) - log_likelihood(zero, mc, sc)


def _precision_of_sum(s1, s2):
    return jnp.linalg.inv(s1 + s2)


CLAIMS = (
    Claim(
        name="normal/density_gradient",
        title="gradient of the density in x",
        statement=r"\frac{\partial p(x)}{\partial x} = -p(x) \Sigma^{-1} (x - m)",
        function=density,
        derivative=lambda x, m, s: -density(x, m, s) * jnp.linalg.inv(s) @ (x - m),
        arguments=(_x, _m, _S),
        wrt=(0,),
        source=cookbook(346, 347),
        hypotheses=_PD,
    ),
    Claim(
        name="normal/density_hessian",
        title="Hessian of the density in x",
        statement=(
            r"\frac{\partial^2 p}{\partial x \partial x^\top} ="
            r" p(x) (\Sigma^{-1} (x - m)(x - m)^\top \Sigma^{-1} - \Sigma^{-1})"
        ),
        function=density,
        derivative=lambda x, m, s: (
            density(x, m, s) * (jnp.linalg.inv(s) @ jnp.outer(x - m, x - m) @ jnp.linalg.inv(s) - jnp.linalg.inv(s))
        ),
        arguments=(_x, _m, _S),
        wrt=(0,),
        kind="hessian",
        source=cookbook(348),
        hypotheses=_PD,
    ),
    Claim(
        name="normal/integral",
        title="log of the integral of exp(-x'S^-1 x/2 + m'S^-1 x)",
        statement=(
            r"\int e^{-\frac12 x^\top \Sigma^{-1} x + m^\top \Sigma^{-1} x} \mathrm{d}x ="
            r" \sqrt{\det(2\pi\Sigma)} \, e^{\frac12 m^\top \Sigma^{-1} m}"
        ),
        function=lambda m, s: _log_integral(jnp.linalg.inv(s), jnp.linalg.inv(s) @ m),
        derivative=lambda m, s: _log_root_det(s) + m @ jnp.linalg.inv(s) @ m / 2,
        arguments=(_m, _S),
        wrt=(),
        kind="value",
        source=cookbook(place="8.1.1 (a)"),
        hypotheses=_PD,
    ),
    Claim(
        name="normal/integral_printed",
        title="log of the integral of exp(-x'Ax/2 + c'x)",
        statement=(
            r"\int e^{-\frac12 x^\top A x + c^\top x} \mathrm{d}x ="
            r" \sqrt{\det(2\pi A^{-1})} \, e^{\frac12 c^\top A^{-\top} c}"
        ),
        function=_log_integral,
        derivative=lambda a, c: _log_root_det(jnp.linalg.inv(a)) + c @ jnp.linalg.inv(a).T @ c / 2,
        arguments=(Argument("A", DefinitePart(), ("d", "d")), Argument("c", Vector(), ("d",))),
        wrt=(),
        kind="value",
        source=cookbook(place="8.1.1 (b)"),
        hypotheses=("x'Ax > 0 for all x",),
        holds_if=(Hypothesis("A symmetric", (Argument("A", PositiveDefinite(), ("d", "d")),)),),
        expected="refuted",
        instead="normal/integral_general",
        dimensions=(2, 3),
    ),
    Claim(
        name="normal/integral_general",
        title="log of the integral of exp(-x'Ax/2 + c'x), by the symmetric part B of A",
        statement=(
            r"\int e^{-\frac12 x^\top A x + c^\top x} \mathrm{d}x ="
            r" \sqrt{\det(2\pi B^{-1})} \, e^{\frac12 c^\top B^{-1} c}, \quad B = \tfrac12 (A + A^\top)"
        ),
        function=_log_integral,
        derivative=lambda a, c: (lambda b: _log_root_det(jnp.linalg.inv(b)) + c @ jnp.linalg.inv(b) @ c / 2)(
            (a + a.T) / 2
        ),
        arguments=(Argument("A", DefinitePart(), ("d", "d")), Argument("c", Vector(), ("d",))),
        wrt=(),
        kind="value",
        source=cookbook(place="8.1.1 (b)"),
        hypotheses=("x'Ax > 0 for all x",),
    ),
    Claim(
        name="normal/marginal",
        title="log of a marginal density, by integrating the others out",
        statement=r"p(x_a) = N_{x_a}(\mu_a, \Sigma_a), \quad p(x_b) = N_{x_b}(\mu_b, \Sigma_b)",
        function=_marginal_by_integration,
        derivative=lambda x, mu, s: log_likelihood(x[:1], mu[:1], s[:1, :1]),
        arguments=_JOINT,
        wrt=(),
        kind="value",
        source=cookbook(349, 350, 351),
        hypotheses=_PD,
    ),
    Claim(
        name="normal/conditional",
        title="log of a conditional density: the joint over the marginal",
        statement=(
            r"p(x_a | x_b) = N_{x_a}(\mu_a + \Sigma_c \Sigma_b^{-1} (x_b - \mu_b),"
            r" \Sigma_a - \Sigma_c \Sigma_b^{-1} \Sigma_c^\top)"
        ),
        function=_ratio_to_marginal,
        derivative=_conditional,
        arguments=_JOINT,
        wrt=(),
        kind="value",
        source=cookbook(352, 353, 354),
        hypotheses=(*_PD, "Sigma_c the covariance of x_a and x_b"),
    ),
    Claim(
        name="normal/conditional_score",
        title="score of a conditional density in what it is conditioned on",
        statement=(
            r"\frac{\partial \ln p(x_a | x_b)}{\partial x_b} ="
            r" K^\top \hat\Sigma_a^{-1} (x_a - \hat\mu_a), \quad K = \Sigma_c \Sigma_b^{-1}"
        ),
        function=_score_in_second,
        derivative=_conditional_score,
        arguments=_JOINT,
        wrt=(),
        kind="value",
        source=cookbook(353),
        hypotheses=(*_PD, "Sigma_c the covariance of x_a and x_b"),
    ),
    Claim(
        name="normal/linear_combination",
        title="mean and covariance of Ax + By + c",
        statement=(r"A x + B y + c \sim N(A m_x + B m_y + c, A \Sigma_x A^\top + B \Sigma_y B^\top)"),
        function=_moments_of_sum,
        derivative=lambda a, b, c, mx, my, sx, sy: jnp.concatenate(
            [(a @ mx + b @ my + c)[:, None], a @ sx @ a.T + b @ sy @ b.T], axis=1
        ),
        arguments=(
            Argument("A", General(), ("n", "p")),
            Argument("B", General(), ("n", "d")),
            Argument("c", Vector(), ("n",)),
            Argument("m_x", Vector(), ("p",)),
            Argument("m_y", Vector(), ("d",)),
            Argument("S_x", PositiveDefinite(), ("p", "p")),
            Argument("S_y", PositiveDefinite(), ("d", "d")),
        ),
        wrt=(),
        kind="value",
        source=cookbook(355),
        hypotheses=("x and y Gaussian and independent",),
        dimensions=(1, 2),
    ),
    Claim(
        name="normal/rearranged_mean",
        title="log N_Ax(m, S) as a density of x",
        statement=(r"N_{Ax}[m, \Sigma] = \frac{1}{|\det A|} N_x[A^{-1} m, (A^\top \Sigma^{-1} A)^{-1}]"),
        function=lambda x, a, m, s: log_likelihood(a @ x, m, s),
        derivative=lambda x, a, m, s: (
            -log_det(a) + log_likelihood(x, jnp.linalg.inv(a) @ m, jnp.linalg.inv(a.T @ jnp.linalg.inv(s) @ a))
        ),
        arguments=(_x, Argument("A", General(), ("d", "d")), _m, _S),
        wrt=(),
        kind="value",
        source=cookbook(356, 357),
        hypotheses=("A square and invertible",),
    ),
    identity(
        "normal/completed_square",
        "-1/2*x'*A*x + b'*x",
        "-1/2*(x - inv(A)*b)'*A*(x - inv(A)*b) + 1/2*b'*inv(A)*b",
        kind="value",
        source=cookbook(place="8.1.6"),
        shapes={"b": ("d",), "x": ("d",)},
        **_FORMS,
    ),
    identity(
        "normal/completed_square_trace",
        "-1/2*tr(X'*A*X) + tr(B'*X)",
        "-1/2*tr((X - inv(A)*B)'*A*(X - inv(A)*B)) + 1/2*tr(B'*inv(A)*B)",
        kind="value",
        source=cookbook(place="8.1.6"),
        shapes={"X": ("d", "p"), "B": ("d", "p")},
        **_FORMS,
    ),
    identity(
        "normal/sum_of_squares",
        _SQUARES,
        _COMPLETED,
        kind="value",
        source=cookbook(*range(358, 365)),
        title="sum of two squared forms, completed",
        shapes={"x": ("d",), "m_1": ("d",), "m_2": ("d",)},
        domains=_TWO,
        hypotheses=["S_1 and S_2 symmetric"],
    ),
    identity(
        "normal/sum_of_squares_trace",
        _TRACES,
        _COMPLETED_TRACES,
        kind="value",
        source=cookbook(*range(365, 371)),
        title="sum of two squared forms, completed, in trace form",
        shapes={"X": ("d", "p"), "M_1": ("d", "p"), "M_2": ("d", "p")},
        domains=_TWO,
        hypotheses=["S_1 and S_2 symmetric"],
    ),
    Claim(
        name="normal/product",
        title="log of the scale c_c of a product of two densities",
        statement=(
            r"N_x(m_1, \Sigma_1) N_x(m_2, \Sigma_2) = c_c N_x(m_c, \Sigma_c),"
            r" \quad c_c = N_{m_1}(m_2, \Sigma_1 + \Sigma_2)"
        ),
        function=_product_scale,
        derivative=lambda m1, m2, s1, s2: log_likelihood(m1, m2, s1 + s2),
        arguments=(_m1, _m2, _S1, _S2),
        wrt=(),
        kind="value",
        source=cookbook(371),
        hypotheses=("Sigma_1 and Sigma_2 positive definite",),
    ),
    Claim(
        name="normal/product_mean",
        title="gradient of ln c_c in the first mean",
        statement=r"\frac{\partial \ln c_c}{\partial m_1} = -(\Sigma_1 + \Sigma_2)^{-1} (m_1 - m_2)",
        function=_product_scale,
        derivative=lambda m1, m2, s1, s2: -_precision_of_sum(s1, s2) @ (m1 - m2),
        arguments=(_m1, _m2, _S1, _S2),
        wrt=(0,),
        source=cookbook(371),
        hypotheses=("Sigma_1 and Sigma_2 positive definite",),
    ),
    Claim(
        name="normal/product_covariance",
        title="gradient of ln c_c in the first covariance",
        statement=(
            r"\nabla_{\Sigma_1} \ln c_c = \tfrac12 (Q d d^\top Q - Q),"
            r" \quad Q = (\Sigma_1 + \Sigma_2)^{-1}, d = m_1 - m_2"
        ),
        function=_product_scale,
        derivative=lambda m1, m2, s1, s2: (
            (
                _precision_of_sum(s1, s2) @ jnp.outer(m1 - m2, m1 - m2) @ _precision_of_sum(s1, s2)
                - _precision_of_sum(s1, s2)
            )
            / 2
        ),
        arguments=(_m1, _m2, _S1, _S2),
        wrt=(2,),
        source=cookbook(371),
        convention="full",
        hypotheses=("Sigma_1 and Sigma_2 positive definite",),
    ),
)
