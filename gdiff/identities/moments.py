"""Moments of linear and quadratic forms, under any distribution and under Gaussians.

Expectations are exact sums: over the rows of a sample for any distribution, over Gauss-Hermite nodes for Gaussians.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Scalar, Symmetric, Vector
from gdiff.identities.notation import cookbook
from gdiff.identities.quadrature import COVARIANCE as _S
from gdiff.identities.quadrature import MEAN as _m
from gdiff.identities.quadrature import expectation, gaussian_moment

_ROWS = Argument("X", General(), ("n", "d"))
_MATRICES = {name: Argument(name, General(), ("d", "d")) for name in "ABCD"}
_WIDE = {name: Argument(name, General(), ("m", "d")) for name in "ABCD"}
_VECTORS = {name: Argument(name, Vector(), ("d",)) for name in "abcd"}
_LONG = {name: Argument(name, Vector(), ("m",)) for name in "abcd"}
_SYMMETRIC = {name: Argument(name, Symmetric(), ("d", "d")) for name in "AB"}
_sigma = Argument("s", Scalar(), ())


def _mean_and_covariance(rows):
    mean = rows.mean(axis=0)
    return mean, (rows - mean).T @ (rows - mean) / len(rows)


def _second(number, title, statement, g, formula, *arguments):
    """E g(x, ...) for x any row of a sample, each as likely, against a formula of its mean and covariance."""

    def function(rows, *rest):
        return jnp.mean(jax.vmap(lambda x: g(x, *rest))(rows), axis=0)

    return Claim(
        name=f"moment/any_{number}",
        title=title,
        statement=statement,
        function=function,
        derivative=lambda rows, *rest: formula(*_mean_and_covariance(rows), *rest),
        arguments=(_ROWS, *arguments),
        wrt=(),
        kind="value",
        source=cookbook(number),
        hypotheses=("any distribution with mean m and covariance M",),
        dimensions=(1, 2),
    )


def _tr(x):
    return jnp.trace(x)


CLAIMS = (
    _second(
        320,
        "E[(Ax + a)(Bx + b)']",
        r"E[(Ax+a)(Bx+b)^\top] = A M B^\top + (Am+a)(Bm+b)^\top",
        lambda x, A, B, a, b: jnp.outer(A @ x + a, B @ x + b),
        lambda m, M, A, B, a, b: A @ M @ B.T + jnp.outer(A @ m + a, B @ m + b),
        *(_WIDE[k] for k in "AB"),
        *(_LONG[k] for k in "ab"),
    ),
    _second(321, "E[xx']", r"E[x x^\top] = M + m m^\top", lambda x: jnp.outer(x, x), lambda m, M: M + jnp.outer(m, m)),
    _second(
        322,
        "E[x a'x]",
        r"E[x a^\top x] = (M + m m^\top) a",
        lambda x, a: x * (a @ x),
        lambda m, M, a: (M + jnp.outer(m, m)) @ a,
        _VECTORS["a"],
    ),
    _second(
        323,
        "E[x'a x']",
        r"E[x^\top a x^\top] = a^\top (M + m m^\top)",
        lambda x, a: (x @ a) * x,
        lambda m, M, a: a @ (M + jnp.outer(m, m)),
        _VECTORS["a"],
    ),
    _second(
        324,
        "E[(Ax)(Ax)']",
        r"E[(Ax)(Ax)^\top] = A (M + m m^\top) A^\top",
        lambda x, A: jnp.outer(A @ x, A @ x),
        lambda m, M, A: A @ (M + jnp.outer(m, m)) @ A.T,
        _WIDE["A"],
    ),
    _second(
        325,
        "E[(x + a)(x + a)']",
        r"E[(x+a)(x+a)^\top] = M + (m+a)(m+a)^\top",
        lambda x, a: jnp.outer(x + a, x + a),
        lambda m, M, a: M + jnp.outer(m + a, m + a),
        _VECTORS["a"],
    ),
    _second(
        326,
        "E[(Ax + a)'(Bx + b)]",
        r"E[(Ax+a)^\top (Bx+b)] = \operatorname{tr}(A M B^\top) + (Am+a)^\top (Bm+b)",
        lambda x, A, B, a, b: (A @ x + a) @ (B @ x + b),
        lambda m, M, A, B, a, b: _tr(A @ M @ B.T) + (A @ m + a) @ (B @ m + b),
        *(_WIDE[k] for k in "AB"),
        *(_LONG[k] for k in "ab"),
    ),
    _second(
        327, "E[x'x]", r"E[x^\top x] = \operatorname{tr}(M) + m^\top m", lambda x: x @ x, lambda m, M: _tr(M) + m @ m
    ),
    _second(
        328,
        "E[x'Ax]",
        r"E[x^\top A x] = \operatorname{tr}(A M) + m^\top A m",
        lambda x, A: x @ A @ x,
        lambda m, M, A: _tr(A @ M) + m @ A @ m,
        _MATRICES["A"],
    ),
    _second(
        329,
        "E[(Ax)'(Ax)]",
        r"E[(Ax)^\top (Ax)] = \operatorname{tr}(A M A^\top) + (Am)^\top (Am)",
        lambda x, A: (A @ x) @ (A @ x),
        lambda m, M, A: _tr(A @ M @ A.T) + (A @ m) @ (A @ m),
        _WIDE["A"],
    ),
    _second(
        330,
        "E[(x + a)'(x + a)]",
        r"E[(x+a)^\top (x+a)] = \operatorname{tr}(M) + (m+a)^\top (m+a)",
        lambda x, a: (x + a) @ (x + a),
        lambda m, M, a: _tr(M) + (m + a) @ (m + a),
        _VECTORS["a"],
    ),
    gaussian_moment("mean", cookbook(372), "mean", r"E[x] = m", lambda x: x, lambda m, s: 1 * m),  # noqa: ARG005
    gaussian_moment(
        "covariance",
        cookbook(373),
        "covariance",
        r"\operatorname{Cov}(x, x) = \Sigma = E[x x^\top] - m m^\top",
        lambda x: jnp.outer(x, x),
        lambda m, s: s + jnp.outer(m, m),
    ),
    gaussian_moment(
        "linear_mean",
        cookbook(374),
        "mean of Ax",
        r"E[Ax] = A E[x]",
        lambda x, A: A @ x,
        lambda m, s, A: A @ m,  # noqa: ARG005
        _WIDE["A"],
    ),
    gaussian_moment(
        "linear_covariance",
        cookbook(375, 376),
        "covariance of Ax and Bx",
        r"\operatorname{Cov}[Ax, Bx] = A \operatorname{Var}[x] B^\top",
        lambda x, A, B: jnp.outer(A @ x, B @ x),
        lambda m, s, A, B: A @ s @ B.T + jnp.outer(A @ m, B @ m),
        _WIDE["A"],
        _WIDE["B"],
    ),
    gaussian_moment(
        "raw_second",
        cookbook(377),
        "E[xx'], x Gaussian",
        r"E[x x^\top] = \Sigma + m m^\top",
        lambda x: jnp.outer(x, x),
        lambda m, s: s + jnp.outer(m, m),
    ),
    gaussian_moment(
        "form_mean",
        cookbook(378),
        "E[x'Ax], x Gaussian",
        r"E[x^\top A x] = \operatorname{tr}(A \Sigma) + m^\top A m",
        lambda x, A: x @ A @ x,
        lambda m, s, A: _tr(A @ s) + m @ A @ m,
        _MATRICES["A"],
    ),
    gaussian_moment(
        "form_variance",
        cookbook(379),
        "variance of x'Ax",
        r"\operatorname{Var}(x^\top A x) = \operatorname{tr}[A \Sigma (A + A^\top) \Sigma]"
        r" + m^\top (A + A^\top) \Sigma (A + A^\top) m",
        lambda x, A: jnp.stack([x @ A @ x, x @ A @ x]),
        lambda m, s, A: _tr(A @ s @ (A + A.T) @ s) + m @ (A + A.T) @ s @ (A + A.T) @ m,
        _MATRICES["A"],
        about_mean=True,
    ),
    gaussian_moment(
        "form_shifted",
        cookbook(380),
        "E[(x - a)'A(x - a)]",
        r"E[(x - m')^\top A (x - m')] = (m - m')^\top A (m - m') + \operatorname{tr}(A \Sigma)",
        lambda x, A, a: (x - a) @ A @ (x - a),
        lambda m, s, A, a: (m - a) @ A @ (m - a) + _tr(A @ s),
        _MATRICES["A"],
        _VECTORS["a"],
    ),
    Claim(
        name="moment/form_mean_in_mean",
        title="gradient of E[x'Ax] in the mean",
        statement=r"\frac{\partial E[x^\top A x]}{\partial m} = (A + A^\top) m",
        function=lambda m, s, A: expectation(lambda x: x @ A @ x, m, s),
        derivative=lambda m, s, A: (A + A.T) @ m,  # noqa: ARG005
        arguments=(_m, _S, _MATRICES["A"]),
        wrt=(0,),
        source=cookbook(378),
        hypotheses=("x ~ N(m, S), A any square matrix",),
    ),
    Claim(
        name="moment/form_mean_in_covariance",
        title="gradient of E[x'Ax] in the covariance",
        statement=r"\nabla_\Sigma E[x^\top A x] = \tfrac12 (A + A^\top)",
        function=lambda m, s, A: expectation(lambda x: x @ A @ x, m, s),
        derivative=lambda m, s, A: (A + A.T) / 2,  # noqa: ARG005
        arguments=(_m, _S, _MATRICES["A"]),
        wrt=(1,),
        source=cookbook(378),
        convention="full",
        hypotheses=("x ~ N(m, S), A any square matrix",),
        note="A' where the entries of S are taken as free; of a symmetric S, its symmetric part",
    ),
    Claim(
        name="moment/form_variance_isotropic",
        title="variance of x'Ax, covariance s^2 I",
        statement=(r"\operatorname{Var}(x^\top A x) = 2\sigma^4 \operatorname{tr}(A^2) + 4\sigma^2 m^\top A^2 m"),
        function=lambda m, s, A: (
            expectation(lambda x: (x @ A @ x) ** 2, m, s**2 * jnp.eye(len(m)))
            - expectation(lambda x: x @ A @ x, m, s**2 * jnp.eye(len(m))) ** 2
        ),
        derivative=lambda m, s, A: 2 * s**4 * _tr(A @ A) + 4 * s**2 * m @ A @ A @ m,
        arguments=(_m, _sigma, _SYMMETRIC["A"]),
        wrt=(),
        kind="value",
        source=cookbook(381),
        hypotheses=("x ~ N(m, s^2 I), A symmetric",),
        dimensions=(1, 2),
    ),
    Claim(
        name="moment/forms_covariance_isotropic",
        title="covariance of x'Ax and x'Bx, x ~ N(0, s^2 I)",
        statement=r"\operatorname{Cov}(x^\top A x, x^\top B x) = 2\sigma^4 \operatorname{tr}(A B)",
        function=lambda s, A, B: (
            expectation(lambda x: (x @ A @ x) * (x @ B @ x), 0.0, s**2 * jnp.eye(len(A)))
            - expectation(lambda x: x @ A @ x, 0.0, s**2 * jnp.eye(len(A)))
            * expectation(lambda x: x @ B @ x, 0.0, s**2 * jnp.eye(len(A)))
        ),
        derivative=lambda s, A, B: 2 * s**4 * _tr(A @ B),
        arguments=(_sigma, _SYMMETRIC["A"], _SYMMETRIC["B"]),
        wrt=(),
        kind="value",
        source=cookbook(382),
        hypotheses=("x ~ N(0, s^2 I), A and B symmetric",),
        dimensions=(1, 2),
    ),
)
