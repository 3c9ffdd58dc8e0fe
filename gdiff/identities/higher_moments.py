"""Cubic and quartic moments, of Gaussians and of independent coordinates.

Expectations are exact sums: over products of three points for independent coordinates, over Gauss-Hermite nodes for
Gaussians.
"""

import itertools
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import General, Symmetric, Vector
from gdiff.identities.notation import cookbook
from gdiff.identities.quadrature import gaussian_moment

_MATRICES = {name: Argument(name, General(), ("d", "d")) for name in "AB"}
_WIDE = {name: Argument(name, General(), ("m", "d")) for name in "ABCD"}
_VECTORS = {name: Argument(name, Vector(), ("d",)) for name in "abcd"}
_LONG = {name: Argument(name, Vector(), ("m",)) for name in "abcd"}
_POINTS = Argument("t", Vector(), (3,))
_m = Argument("m", Vector(), ("d",))


@dataclass(frozen=True)
class _Even(Vector):
    """Three points that are symmetric about zero: no third moment."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """-a, 0, a."""
        return np.array([-1.0, 0.0, 1.0]) * np.max(np.abs(super().sample(rng, shape, condition=condition, scale=scale)))


def _independent(t, c):
    """Every x whose coordinates are c_i + (t_j - mean t), all as likely, and the central moments of a coordinate."""
    e = t - jnp.mean(t)
    grid = np.array(list(itertools.product(range(3), repeat=len(c))))
    return c + e[grid], [jnp.mean(e**k) for k in (2, 3, 4)]


def _variance_of_form(t, c, a):
    x, _ = _independent(t, c)
    forms = jnp.einsum("ni,ij,nj->n", x, a, x)
    return jnp.mean((forms - jnp.mean(forms)) ** 2)


def _variance_formula(t, c, a):
    _, (mu2, mu3, mu4) = _independent(t, c)
    diagonal = jnp.diag(a)
    return (
        2 * mu2**2 * jnp.trace(a @ a)
        + 4 * mu2 * c @ a @ a @ c
        + 4 * mu3 * c @ a @ diagonal
        + (mu4 - 3 * mu2**2) * diagonal @ diagonal
    )


def _cubic(t, m, b):
    x, _ = _independent(t, m)
    return jnp.einsum("ni,nj,nk,j->ik", x, x, x, b) / len(x)


def _cubic_formula(m, cov, b):
    second = cov + jnp.outer(m, m)
    return jnp.outer(m, b) @ second + jnp.outer(second @ b, m) + b @ m * (cov - jnp.outer(m, m))


def _cubic_independent(t, m, b):
    mu2 = _independent(t, m)[1][0]
    return _cubic_formula(m, mu2 * jnp.eye(len(m)), b)


def _raw(m, s):
    return s + jnp.outer(m, m)


def _tr(x):
    return jnp.trace(x)


def _affine_quartic_matrix(m, s, A, B, C, D, a, b, c, d):
    u, v, w, z = A @ m + a, B @ m + b, C @ m + c, D @ m + d
    return (
        (A @ s @ B.T + jnp.outer(u, v)) @ (C @ s @ D.T + jnp.outer(w, z))
        + (A @ s @ C.T + jnp.outer(u, w)) @ (B @ s @ D.T + jnp.outer(v, z))
        + v @ w * (A @ s @ D.T - jnp.outer(u, z))
        + _tr(B @ s @ C.T) * (A @ s @ D.T + jnp.outer(u, z))
    )


def _affine_quartic_scalar(m, s, A, B, C, D, a, b, c, d):
    u, v, w, z = A @ m + a, B @ m + b, C @ m + c, D @ m + d
    return (
        _tr(A @ s @ (C.T @ D + D.T @ C) @ s @ B.T)
        + (u @ B + v @ A) @ s @ (C.T @ z + D.T @ w)
        + (_tr(A @ s @ B.T) + u @ v) * (_tr(C @ s @ D.T) + w @ z)
    )


_AFFINE = (*_WIDE.values(), *_LONG.values())

CLAIMS = (
    Claim(
        name="moment/variance_of_form_independent",
        title="variance of x'Ax, independent coordinates with common central moments",
        statement=(
            r"\operatorname{Var}(x^\top A x) = 2\mu_2^2 \operatorname{tr}(A^2) + 4\mu_2 c^\top A^2 c"
            r" + 4\mu_3 c^\top A a + (\mu_4 - 3\mu_2^2) a^\top a, \quad a = \operatorname{diag}(A)"
        ),
        function=_variance_of_form,
        derivative=_variance_formula,
        arguments=(_POINTS, Argument("c", Vector(), ("d",)), Argument("A", Symmetric(), ("d", "d"))),
        wrt=(),
        kind="value",
        source=cookbook(319),
        hypotheses=("A symmetric; means c_i, common central moments mu_2, mu_3, mu_4",),
    ),
    Claim(
        name="moment/cubic_printed",
        title="E[x b'x x'], independent coordinates",
        statement=(
            r"E[x b^\top x x^\top] = m b^\top (M + m m^\top) + (M + m m^\top) b m^\top + b^\top m (M - m m^\top)"
        ),
        function=_cubic,
        derivative=_cubic_independent,
        arguments=(_POINTS, _m, _VECTORS["b"]),
        wrt=(),
        kind="value",
        source=cookbook(383),
        hypotheses=("independent coordinates, mean m and covariance M",),
        holds_if=(Hypothesis("no third central moments", (Argument("t", _Even(), (3,)),)),),
        expected="refuted",
        instead="moment/cubic_independent",
        note="the term diag(b o v3) of the third central moments v3 is missing",
    ),
    Claim(
        name="moment/cubic_independent",
        title="E[x b'x x'], independent coordinates",
        statement=(
            r"E[x b^\top x x^\top] = m b^\top (M + m m^\top) + (M + m m^\top) b m^\top + b^\top m (M - m m^\top)"
            r" + \operatorname{diag}(b \circ v_3)"
        ),
        function=_cubic,
        derivative=lambda t, m, b: _cubic_independent(t, m, b) + jnp.diag(b * _independent(t, m)[1][1]),
        arguments=(_POINTS, _m, _VECTORS["b"]),
        wrt=(),
        kind="value",
        source=cookbook(383),
        hypotheses=("independent coordinates, mean m, covariance M, third central moments v3",),
    ),
    gaussian_moment(
        "cubic",
        cookbook(383),
        "E[x b'x x'], x Gaussian",
        r"E[x b^\top x x^\top] = m b^\top (\Sigma + m m^\top) + (\Sigma + m m^\top) b m^\top"
        r" + b^\top m (\Sigma - m m^\top)",
        lambda x, b: jnp.outer(x, x) * (b @ x),
        _cubic_formula,
        _VECTORS["b"],
    ),
    gaussian_moment(
        "quartic_matrix",
        cookbook(place="8.2.4"),
        "E[xx'xx']",
        r"E[x x^\top x x^\top] = 2 (\Sigma + m m^\top)^2 + m^\top m (\Sigma - m m^\top)"
        r" + \operatorname{tr}(\Sigma) (\Sigma + m m^\top)",
        lambda x: jnp.outer(x, x) * (x @ x),
        lambda m, s: 2 * _raw(m, s) @ _raw(m, s) + m @ m * (s - jnp.outer(m, m)) + _tr(s) * _raw(m, s),
    ),
    gaussian_moment(
        "quartic_weighted",
        cookbook(place="8.2.4"),
        "E[xx'A xx']",
        r"E[x x^\top A x x^\top] = (\Sigma + m m^\top)(A + A^\top)(\Sigma + m m^\top)"
        r" + m^\top A m (\Sigma - m m^\top) + \operatorname{tr}(A \Sigma) (\Sigma + m m^\top)",
        lambda x, A: jnp.outer(x, x) * (x @ A @ x),
        lambda m, s, A: (
            _raw(m, s) @ (A + A.T) @ _raw(m, s) + m @ A @ m * (s - jnp.outer(m, m)) + _tr(A @ s) * _raw(m, s)
        ),
        _MATRICES["A"],
    ),
    gaussian_moment(
        "quartic_norm",
        cookbook(place="8.2.4"),
        "E[x'x x'x]",
        r"E[x^\top x x^\top x] = 2 \operatorname{tr}(\Sigma^2) + 4 m^\top \Sigma m"
        r" + (\operatorname{tr}(\Sigma) + m^\top m)^2",
        lambda x: (x @ x) ** 2,
        lambda m, s: 2 * _tr(s @ s) + 4 * m @ s @ m + (_tr(s) + m @ m) ** 2,
    ),
    gaussian_moment(
        "quartic_forms",
        cookbook(place="8.2.4"),
        "E[x'Ax x'Bx]",
        r"E[x^\top A x x^\top B x] = \operatorname{tr}[A \Sigma (B + B^\top) \Sigma]"
        r" + m^\top (A + A^\top) \Sigma (B + B^\top) m"
        r" + (\operatorname{tr}(A\Sigma) + m^\top A m)(\operatorname{tr}(B\Sigma) + m^\top B m)",
        lambda x, A, B: (x @ A @ x) * (x @ B @ x),
        lambda m, s, A, B: (
            _tr(A @ s @ (B + B.T) @ s)
            + m @ (A + A.T) @ s @ (B + B.T) @ m
            + (_tr(A @ s) + m @ A @ m) * (_tr(B @ s) + m @ B @ m)
        ),
        _MATRICES["A"],
        _MATRICES["B"],
    ),
    gaussian_moment(
        "quartic_vectors",
        cookbook(place="8.2.4"),
        "E[a'x b'x c'x d'x]",
        r"E[a^\top x b^\top x c^\top x d^\top x] = (a^\top R b)(c^\top R d) + (a^\top R c)(b^\top R d)"
        r" + (a^\top R d)(b^\top R c) - 2 a^\top m \, b^\top m \, c^\top m \, d^\top m, \quad R = \Sigma + m m^\top",
        lambda x, a, b, c, d: (a @ x) * (b @ x) * (c @ x) * (d @ x),
        lambda m, s, a, b, c, d: (
            lambda r: (
                (a @ r @ b) * (c @ r @ d)
                + (a @ r @ c) * (b @ r @ d)
                + (a @ r @ d) * (b @ r @ c)
                - 2 * (a @ m) * (b @ m) * (c @ m) * (d @ m)
            )
        )(_raw(m, s)),
        *_VECTORS.values(),
    ),
    gaussian_moment(
        "quartic_affine_matrix",
        cookbook(place="8.2.4"),
        "E[(Ax + a)(Bx + b)'(Cx + c)(Dx + d)']",
        r"E[uv^\top wz^\top] = [A\Sigma B^\top + \bar u \bar v^\top][C\Sigma D^\top + \bar w \bar z^\top]"
        r" + [A\Sigma C^\top + \bar u \bar w^\top][B\Sigma D^\top + \bar v \bar z^\top]"
        r" + \bar v^\top \bar w [A\Sigma D^\top - \bar u \bar z^\top]"
        r" + \operatorname{tr}(B\Sigma C^\top) [A\Sigma D^\top + \bar u \bar z^\top],"
        r" \quad u = Ax + a, \bar u = Am + a",
        lambda x, A, B, C, D, a, b, c, d: jnp.outer(A @ x + a, D @ x + d) * ((B @ x + b) @ (C @ x + c)),
        _affine_quartic_matrix,
        *_AFFINE,
    ),
    gaussian_moment(
        "quartic_affine_scalar",
        cookbook(place="8.2.4"),
        "E[(Ax + a)'(Bx + b)(Cx + c)'(Dx + d)]",
        r"E[u^\top v w^\top z] = \operatorname{tr}[A\Sigma(C^\top D + D^\top C)\Sigma B^\top]"
        r" + [\bar u^\top B + \bar v^\top A] \Sigma [C^\top \bar z + D^\top \bar w]"
        r" + [\operatorname{tr}(A\Sigma B^\top) + \bar u^\top \bar v]"
        r" [\operatorname{tr}(C\Sigma D^\top) + \bar w^\top \bar z], \quad u = Ax + a, \bar u = Am + a",
        lambda x, A, B, C, D, a, b, c, d: ((A @ x + a) @ (B @ x + b)) * ((C @ x + c) @ (D @ x + d)),
        _affine_quartic_scalar,
        *_AFFINE,
    ),
)
