"""Eigenvalues and eigenvectors: non-symmetric, of second order, in clusters, and of a pair of matrices.

Eigenvectors have their signs fixed: the largest entry is positive. The function and the formula come to them in
different ways: powers and null spaces, characteristic polynomials, Cholesky factors and symmetric square roots.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import Complex, Positive, PositiveDefinite, RepeatedSpectrum, Symmetric, Vector
from gdiff.identities.notation import beyond
from gdiff.symmetric.coordinates import duplication_matrix, vec

_positive = Argument("A", Positive(), ("d", "d"))
_complex = Argument("A", Complex(), ("d", "d"))
_symmetric = Argument("A", Symmetric(), ("d", "d"))
_repeated = Argument("A", RepeatedSpectrum(), ("d", "d"))
_metric = Argument("B", PositiveDefinite(), ("d", "d"))
_step = Argument("E", Symmetric(), ("d", "d"))
_weights = Argument("w", Vector(), ("d",))

_PERRON = ("A x = l x, y' A = l y'", "l real and simple: the largest eigenvalue of a matrix of positive entries")
_SIMPLE = ("A symmetric", "distinct eigenvalues")
_CLUSTER = ("A symmetric", "l repeated, V_c an orthonormal basis of its eigenspace")
_PAIR = ("A symmetric", "B positive definite", "distinct eigenvalues")


def _perron_root(a):
    """The largest eigenvalue of a matrix of positive entries: the ratio of its powers 1025 and 1024."""
    power = a
    for _ in range(10):
        power = power @ power
        power = power / jnp.sum(power)
    return jnp.sum(a @ power) / jnp.sum(power)


def _perron_vectors(a):
    """l, and x and y of A x = l x and y' A = l y': null vectors of A - l I on either side."""
    root = jnp.max(jnp.linalg.eigvals(a).real)
    u, _, vt = jnp.linalg.svd(a - root * jnp.eye(len(a)))
    return root, vt[-1], u[:, -1]


def _perron_gradient(a):
    _, x, y = _perron_vectors(a)
    return jnp.outer(y, x) / (y @ x)


def _perron_differential(a, da):
    _, x, y = _perron_vectors(a)
    return y @ da @ x / (y @ x)


def _right_alone(a):
    _, x, _ = _perron_vectors(a)
    return jnp.outer(x, x) / (x @ x)


def _rightmost(a):
    """The eigenvalue of the largest real part."""
    values = jnp.linalg.eigvals(a)
    return values[jnp.argmax(values.real)]


def _rightmost_derivative(a):
    """conj(y) x' / (y^H x): the columns of W and the rows y^H of its inverse, A W = W diag(l)."""
    values, w = jnp.linalg.eig(a)
    i = jnp.argmax(values.real)
    return jnp.outer(jnp.linalg.inv(w)[i], w[:, i])  # y^H x = 1, and the row is y^H


def _second_differential(a, e):
    """2 sum_{j != i} (v_j' E v_i)^2 / (l_i - l_j), for every i."""
    values, v = jnp.linalg.eigh(a)
    return 2 * jnp.sum((v.T @ e @ v) ** 2 * _inverse_gaps(values), axis=1)


def _inverse_gaps(values):
    """1 / (l_i - l_j), 0 on the diagonal."""
    eye = jnp.eye(len(values))
    return (1 - eye) / (values[:, None] - values + eye)


def _second_along(a, e):
    """The second derivative of every eigenvalue of A + t E at t = 0, by autodiff."""

    def slope(t):
        return jax.jvp(lambda s: jnp.linalg.eigvalsh(a + s * e), (t,), (jnp.ones_like(t),))[1]

    return jax.jvp(slope, (jnp.zeros(()),), (jnp.ones(()),))[1]


def _hessian(w, a):
    """sum_i w_i sum_{j != i} 2 m m' / (l_i - l_j), m = vec sym(v_j v_i')."""
    values, v = jnp.linalg.eigh(a)
    products = jnp.einsum("ai,bj->ijab", v, v)
    m = vec((products + products.mT) / 2)
    return jnp.einsum("ij,ija,ijb->ab", 2 * w[:, None] * _inverse_gaps(values), m, m)


def _hessian_distinct(w, a):
    d = duplication_matrix(len(a))
    return d.T @ _hessian(w, a) @ d


def _determinant(m):
    """By expansion along the first row: a polynomial, which autodiff can take twice at singular matrices."""
    if len(m) == 1:
        return m[0, 0]
    return sum((-1) ** j * m[0, j] * _determinant(jnp.delete(m[1:], j, axis=1)) for j in range(len(m)))


def _slopes(a, e):
    """The derivatives m of the two smallest eigenvalues l, equal, of A + h E: det(A + h E - (l + h m) I) = O(h^3)."""
    eye, value = jnp.eye(len(a)), jnp.mean(jnp.linalg.eigvalsh(a)[:2])

    def coefficient(m):
        def slope(h):
            return jax.jvp(lambda t: _determinant(a - value * eye + t * (e - m * eye)), (h,), (jnp.ones(()),))[1]

        return jax.jvp(slope, (jnp.zeros(()),), (jnp.ones(()),))[1] / 2

    at = [coefficient(m) for m in (-1.0, 0.0, 1.0)]
    square, linear, constant = (at[0] + at[2]) / 2 - at[1], (at[2] - at[0]) / 2, at[1]
    middle = -linear / (2 * square)
    half = jnp.sqrt(middle**2 - constant / square)
    return jnp.stack([middle - half, middle + half])


def _eigenspace(a):
    """V_c, of the two smallest eigenvalues."""
    return jnp.linalg.eigh(a)[1][:, :2]


def _signed(v):
    """Columns, the largest entry of each made positive."""
    return v * jnp.sign(jnp.take_along_axis(v, jnp.argmax(jnp.abs(v), axis=0)[None], axis=0))


def _pair(a, b):
    """l and V of A V = B V diag(l), V' B V = I, through B = C C'."""
    inverse = jnp.linalg.inv(jnp.linalg.cholesky(b))
    values, z = jnp.linalg.eigh(inverse @ a @ inverse.T)
    return values, _signed(inverse.T @ z)


def _pair_by_whitening(a, b):
    """The same, through the eigenvectors of B."""
    size, q = jnp.linalg.eigh(b)
    white = q / jnp.sqrt(size)
    values, z = jnp.linalg.eigh(white.T @ a @ white)
    return values, _signed(white @ z)


def _pair_values_differential(a, b, da, db):
    """v_i' (dA - l_i dB) v_i."""
    values, v = _pair_by_whitening(a, b)
    return jnp.einsum("ki,kl,li->i", v, da, v) - values * jnp.einsum("ki,kl,li->i", v, db, v)


def _pair_vectors_differential(a, b, da, db):
    """-(1/2) (v_i' dB v_i) v_i + sum_{j != i} v_j (v_j' (dA - l_i dB) v_i) / (l_i - l_j)."""
    values, v = _pair_by_whitening(a, b)
    m = v.T @ da @ v - (v.T @ db @ v) * values
    return v @ (m * _inverse_gaps(values).T) - v * jnp.einsum("ki,kl,li->i", v, db, v) / 2


_NON_SYMMETRIC = (
    Claim(
        name="eigenvalue/differential",
        title="differential of a simple eigenvalue of a non-symmetric matrix",
        statement=r"\mathrm{d}\lambda = \frac{y^\top \mathrm{d}A\, x}{y^\top x}",
        function=_perron_root,
        derivative=_perron_differential,
        arguments=(_positive,),
        wrt=(0,),
        kind="differential",
        source=beyond(60),
        hypotheses=_PERRON,
    ),
    Claim(
        name="eigenvalue/gradient",
        title="gradient of a simple real eigenvalue of a non-symmetric matrix",
        statement=r"\frac{\partial \lambda}{\partial A} = \frac{y x^\top}{y^\top x}",
        function=_perron_root,
        derivative=_perron_gradient,
        arguments=(_positive,),
        wrt=(0,),
        source=beyond(60),
        hypotheses=_PERRON,
    ),
    Claim(
        name="eigenvalue/right_vector_alone",
        title="gradient of a real eigenvalue from its right eigenvector alone",
        statement=r"\frac{\partial \lambda}{\partial A} = \frac{x x^\top}{x^\top x}",
        function=_perron_root,
        derivative=_right_alone,
        arguments=(_positive,),
        wrt=(0,),
        source=beyond(60),
        hypotheses=_PERRON[:1],
        holds_if=(
            Hypothesis("A symmetric positive definite", (Argument("A", PositiveDefinite(), ("d", "d")),), "full"),
        ),
        expected="refuted",
        instead="eigenvalue/gradient",
        dimensions=(2, 3),
    ),
    Claim(
        name="eigenvalue/complex",
        title="derivative of a simple eigenvalue of a complex matrix",
        statement=(
            r"\frac{\partial \lambda}{\partial A} = \frac{y^* x^\top}{y^H x},"
            r" \quad A x = \lambda x, \quad y^H A = \lambda y^H"
        ),
        function=_rightmost,
        derivative=_rightmost_derivative,
        arguments=(_complex,),
        wrt=(0,),
        source=beyond(60),
        hypotheses=("l simple",),
        dimensions=(3,),
    ),
)

_SYMMETRIC = (
    Claim(
        name="eigenvalue/second_order",
        title="second differential of the eigenvalues of a symmetric matrix",
        statement=r"\mathrm{d}^2 \lambda_i[E, E] = 2 \sum_{j \ne i} \frac{(v_j^\top E v_i)^2}{\lambda_i - \lambda_j}",
        function=_second_along,
        derivative=_second_differential,
        arguments=(_symmetric, _step),
        wrt=(),
        kind="value",
        source=beyond(61),
        hypotheses=_SIMPLE,
        dimensions=(2, 3),
    ),
    Claim(
        name="eigenvalue/hessian",
        title="Hessian of weighted eigenvalues on symmetric steps",
        statement=(
            r"\nabla^2_A \sum_i w_i \lambda_i"
            r" = \sum_i w_i \sum_{j \ne i} \frac{2 m_{ij} m_{ij}^\top}{\lambda_i - \lambda_j},"
            r" \quad m_{ij} = \operatorname{vec} \operatorname{sym}(v_j v_i^\top)"
        ),
        function=lambda w, a: w @ jnp.linalg.eigvalsh(a),
        derivative=_hessian,
        arguments=(_weights, _symmetric),
        wrt=(1,),
        kind="hessian",
        convention="full",
        source=beyond(61),
        hypotheses=_SIMPLE,
        dimensions=(2, 3),
    ),
    Claim(
        name="eigenvalue/hessian_symmetric",
        title="Hessian of weighted eigenvalues in vech A",
        statement=(
            r"\nabla^2_{\operatorname{vech} A} \sum_i w_i \lambda_i"
            r" = \sum_i w_i \sum_{j \ne i} \frac{2 D^\top m_{ij} m_{ij}^\top D}{\lambda_i - \lambda_j},"
            r" \quad m_{ij} = \operatorname{vec} \operatorname{sym}(v_j v_i^\top)"
        ),
        function=lambda w, a: w @ jnp.linalg.eigvalsh(a),
        derivative=_hessian_distinct,
        arguments=(_weights, _symmetric),
        wrt=(1,),
        kind="hessian",
        convention="symmetric",
        source=beyond(61),
        hypotheses=_SIMPLE,
        dimensions=(2, 3),
    ),
    Claim(
        name="eigenvalue_cluster/directions",
        title="directional derivatives of a repeated eigenvalue",
        statement=r"\lim_{h \downarrow 0} \frac{\lambda_c(A + h E) - \lambda}{h} = \operatorname{eig}(V_c^\top E V_c)",
        function=_slopes,
        derivative=lambda a, e: jnp.linalg.eigvalsh(_eigenspace(a).T @ e @ _eigenspace(a)),
        arguments=(_repeated, _step),
        wrt=(),
        kind="value",
        source=beyond(61),
        hypotheses=_CLUSTER,
        dimensions=(2, 3),
    ),
    Claim(
        name="eigenvalue_cluster/sum",
        title="gradient of the sum over a cluster of eigenvalues",
        statement=r"\nabla_A \sum_{i \in c} \lambda_i = V_c V_c^\top",
        function=lambda a: jnp.sum(jnp.linalg.eigvalsh(a)[:2]),
        derivative=lambda a: _eigenspace(a) @ _eigenspace(a).T,
        arguments=(_repeated,),
        wrt=(0,),
        convention="full",
        source=beyond(61),
        hypotheses=_CLUSTER,
        dimensions=(2, 3),
    ),
)

_GENERALISED = (
    Claim(
        name="generalised_eigenvalue/differential",
        title="differential of generalised eigenvalues",
        statement=(
            r"\mathrm{d}\lambda = v^\top (\mathrm{d}A - \lambda\, \mathrm{d}B)\, v,"
            r" \quad A v = \lambda B v, \quad v^\top B v = 1"
        ),
        function=lambda a, b: _pair(a, b)[0],
        derivative=_pair_values_differential,
        arguments=(_symmetric, _metric),
        wrt=(0, 1),
        kind="differential",
        source=beyond(62),
        hypotheses=_PAIR,
    ),
    Claim(
        name="generalised_eigenvector/differential",
        title="differential of generalised eigenvectors",
        statement=(
            r"\mathrm{d}v_i = -\tfrac12 (v_i^\top \mathrm{d}B\, v_i)\, v_i"
            r" + \sum_{j \ne i} v_j"
            r" \frac{v_j^\top (\mathrm{d}A - \lambda_i\, \mathrm{d}B)\, v_i}{\lambda_i - \lambda_j}"
        ),
        function=lambda a, b: _pair(a, b)[1],
        derivative=_pair_vectors_differential,
        arguments=(_symmetric, _metric),
        wrt=(0, 1),
        kind="differential",
        source=beyond(62),
        hypotheses=(*_PAIR, "signs fixed"),
        dimensions=(2, 3),
    ),
)

CLAIMS = (*_NON_SYMMETRIC, *_SYMMETRIC, *_GENERALISED)
