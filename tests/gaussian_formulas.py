"""True formulas of Gaussian, Wishart, Student t and matrix normal models, which the verifier's tests mutate.

Each is (name, f, derivative, argument shapes, domains, argnums, convention, order), written plainly from the textbooks:
they are inputs of the tests, and owe nothing to `gdiff.closed_form`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from gdiff.domains import Domain, General, LowerTriangular, Positive, PositiveDefinite, Vector


@dataclass(frozen=True)
class Formula:
    name: str
    f: Callable[..., Any]
    derivative: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    domains: tuple[Domain, ...]
    argnums: int
    convention: str | None = None
    order: int = 1

    def point(self, seed: int, condition: float) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(seed)
        return tuple(d.sample(rng, s, condition=condition) for d, s in zip(self.domains, self.shapes, strict=True))


def _logdet(s):
    return jnp.linalg.slogdet(s)[1]


def _normal(x, mu, S):
    r = x - mu
    return -0.5 * (_logdet(S) + r @ jnp.linalg.solve(S, r))


def _a(x, mu, S):
    P = jnp.linalg.inv(S)
    r = x - mu
    return -0.5 * (P - P @ jnp.outer(r, r) @ P)


def _b(a):
    return 2 * a - a * jnp.eye(a.shape[0])


def _n(d):
    k = jnp.eye(d * d).reshape(d, d, d, d)
    return (k + k.transpose(1, 0, 2, 3)).reshape(d * d, d * d) / 2


def _minus_precision(x, mu, S):  # noqa: ARG001
    return -jnp.linalg.inv(S)


def _hessian(x, mu, S):
    P = jnp.linalg.inv(S)
    r = x - mu
    Q = P @ jnp.outer(r, r) @ P
    N = _n(len(x))
    return N @ (0.5 * jnp.kron(P, P) - 0.5 * (jnp.kron(P, Q) + jnp.kron(Q, P))) @ N


def _batch(X, mu, S):
    R = X - mu
    return -0.5 * (R.shape[0] * _logdet(S) + jnp.sum((R @ jnp.linalg.inv(S)) * R))


def _batch_gradient(X, mu, S):
    P, R = jnp.linalg.inv(S), X - mu
    return -0.5 * (R.shape[0] * P - P @ R.T @ R @ P)


def _wishart(W, V, nu):
    d = W.shape[0]
    return 0.5 * (nu - d - 1) * _logdet(W) - 0.5 * jnp.trace(jnp.linalg.solve(V, W)) - 0.5 * nu * _logdet(V)


def _wishart_w(W, V, nu):
    return 0.5 * (nu - W.shape[0] - 1) * jnp.linalg.inv(W) - 0.5 * jnp.linalg.inv(V)


def _wishart_v(W, V, nu):
    U = jnp.linalg.inv(V)
    return 0.5 * U @ W @ U - 0.5 * nu * U


def _student(x, mu, S, nu):
    r = x - mu
    q = r @ jnp.linalg.solve(S, r)
    return -0.5 * _logdet(S) - 0.5 * (nu + len(x)) * jnp.log1p(q / nu)


def _student_mu(x, mu, S, nu):
    r = x - mu
    u = jnp.linalg.inv(S) @ r
    return (nu + len(x)) * u / (nu + r @ u)


def _student_s(x, mu, S, nu):
    r, P = x - mu, jnp.linalg.inv(S)
    u = P @ r
    return -0.5 * P + 0.5 * (nu + len(x)) / (nu + r @ u) * jnp.outer(u, u)


def _matrix_normal(X, M, U, V):
    R = X - M
    n, p = R.shape
    quadratic = jnp.trace(jnp.linalg.inv(V) @ R.T @ jnp.linalg.inv(U) @ R)
    return -0.5 * (quadratic + n * _logdet(V) + p * _logdet(U))


def _matrix_normal_m(X, M, U, V):
    return jnp.linalg.inv(U) @ (X - M) @ jnp.linalg.inv(V)


def _matrix_normal_u(X, M, U, V):
    Ui, R = jnp.linalg.inv(U), X - M
    return 0.5 * Ui @ R @ jnp.linalg.inv(V) @ R.T @ Ui - 0.5 * R.shape[1] * Ui


def _matrix_normal_v(X, M, U, V):
    Vi, R = jnp.linalg.inv(V), X - M
    return 0.5 * Vi @ R.T @ jnp.linalg.inv(U) @ R @ Vi - 0.5 * R.shape[0] * Vi


def _precision(x, mu, P):
    r = x - mu
    return 0.5 * (_logdet(P) - r @ P @ r)


def _cholesky(x, mu, L):
    z = jnp.linalg.solve(L, x - mu)
    return -jnp.sum(jnp.log(jnp.abs(jnp.diag(L)))) - 0.5 * z @ z


def _cholesky_gradient(x, mu, L):
    Li = jnp.linalg.inv(L)
    z = Li @ (x - mu)
    return jnp.tril(Li.T @ jnp.outer(z, z)) - jnp.diag(jnp.diag(Li))


PD, V = PositiveDefinite(), Vector()
_NORMAL = ((3,), (3,), (3, 3))
_MATRIX = ((4, 3), (4, 3), (4, 4), (3, 3))
_MATRIX_DOMAINS = (General(), General(), PD, PD)

FORMULAS: tuple[Formula, ...] = (
    Formula("normal, mean", _normal, lambda x, mu, S: jnp.linalg.inv(S) @ (x - mu), _NORMAL, (V, V, PD), 1),
    Formula("normal, covariance, full", _normal, _a, _NORMAL, (V, V, PD), 2, "full"),
    Formula("normal, covariance, symmetric", _normal, lambda *p: _b(_a(*p)), _NORMAL, (V, V, PD), 2, "symmetric"),
    Formula(
        "normal, precision",
        _precision,
        lambda x, mu, P: 0.5 * (jnp.linalg.inv(P) - jnp.outer(x - mu, x - mu)),
        _NORMAL,
        (V, V, PD),
        2,
        "full",
    ),
    Formula("normal, cholesky", _cholesky, _cholesky_gradient, _NORMAL, (V, V, LowerTriangular()), 2),
    Formula("normal, sample", _batch, _batch_gradient, ((7, 3), (3,), (3, 3)), (General(), V, PD), 2, "full"),
    Formula(
        "normal, density",
        lambda *p: jnp.exp(_normal(*p)),
        lambda *p: _a(*p) * jnp.exp(_normal(*p)),
        _NORMAL,
        (V, V, PD),
        2,
        "full",
    ),
    Formula("wishart, argument", _wishart, _wishart_w, ((3, 3), (3, 3), ()), (PD, PD, Positive()), 0, "full"),
    Formula("wishart, scale", _wishart, _wishart_v, ((3, 3), (3, 3), ()), (PD, PD, Positive()), 1, "full"),
    Formula("student, location", _student, _student_mu, (*_NORMAL, ()), (V, V, PD, Positive()), 1),
    Formula("student, scale", _student, _student_s, (*_NORMAL, ()), (V, V, PD, Positive()), 2, "full"),
    Formula("matrix normal, mean", _matrix_normal, _matrix_normal_m, _MATRIX, _MATRIX_DOMAINS, 1),
    Formula("matrix normal, rows", _matrix_normal, _matrix_normal_u, _MATRIX, _MATRIX_DOMAINS, 2, "full"),
    Formula("matrix normal, columns", _matrix_normal, _matrix_normal_v, _MATRIX, _MATRIX_DOMAINS, 3, "full"),
    Formula("log det, general", _logdet, lambda X: jnp.linalg.inv(X).T, ((3, 3),), (General(),), 0),
    Formula(
        "trace of a product, general",
        lambda X, A: jnp.trace(A @ jnp.linalg.inv(X)),
        lambda X, A: -(jnp.linalg.inv(X) @ A @ jnp.linalg.inv(X)).T,
        ((3, 3), (3, 3)),
        (General(), General()),
        0,
    ),
    Formula("normal, Hessian in the mean", _normal, _minus_precision, _NORMAL, (V, V, PD), 1, None, 2),
    Formula("normal, Hessian in the covariance", _normal, _hessian, _NORMAL, (V, V, PD), 2, "full", 2),
)
