"""Functions of a matrix, each written in a way of its own: no chapter, but what chapters apply autodiff to.

Exponentials and square roots without eigenvectors, which can be differentiated at repeated eigenvalues; logarithms and
roots of general matrices by quadrature and by Newton's iteration for the sign; functions of symmetric matrices through
their eigenvectors.
"""

import jax
import jax.numpy as jnp
import numpy as np

_SQUARINGS = 8


def exponential(a):
    """exp A by products alone: a Taylor polynomial of A / 2^k, squared k times, no more than the size of A asks."""
    eye = jnp.eye(len(a))
    k = jnp.ceil(jnp.log2(jax.lax.stop_gradient(jnp.sqrt(jnp.sum(a * a)))))
    k = jnp.clip(k, 0, _SQUARINGS)
    small, out = a / 2**k, eye
    for n in range(17, 0, -1):
        out = eye + small @ out / n
    for n in range(_SQUARINGS):
        out = jnp.where(n < k, out @ out, out)
    return out


def _turn(a):
    """exp [[0, -A], [A, 0]] = [[cos A, -sin A], [sin A, cos A]]."""
    return exponential(jnp.block([[jnp.zeros_like(a), -a], [a, jnp.zeros_like(a)]]))


def sine(a):
    """sin A."""
    return _turn(a)[len(a) :, : len(a)]


def cosine(a):
    """cos A."""
    return _turn(a)[: len(a), : len(a)]


def square_root(a):
    """The principal square root by Denman and Beavers' iteration in product form, scaled to determinant one."""
    eye, size = jnp.eye(len(a)), jnp.exp(jnp.linalg.slogdet(a)[1] / len(a))
    root = product = a / size
    for _ in range(9):
        inverse = jnp.linalg.inv(product)
        root, product = root @ (eye + inverse) / 2, (2 * eye + product + inverse) / 4
    return root * jnp.sqrt(size)


def of_symmetric(f):
    """The function A -> V f(lambda) V', to be differentiated at simple eigenvalues only."""

    def evaluate(a):
        values, v = jnp.linalg.eigh(a)
        return (v * f(values)) @ v.T

    return evaluate


def root_of_general(a):
    """The principal square root S, from the sign of [[0, A], [I, 0]], which is [[0, S], [S^-1, 0]], by Newton."""
    d = len(a)
    size = jnp.exp(jnp.linalg.slogdet(a)[1] / d)
    sign = jnp.block([[jnp.zeros_like(a), a / size], [jnp.eye(d), jnp.zeros_like(a)]])
    for _ in range(9):
        sign = (sign + jnp.linalg.inv(sign)) / 2
    return sign[:d, d:] * jnp.sqrt(size)


def logarithm_of_general(a):
    """ln A, the integral of (A - I) (A + s I)^-1 / (1 + s) over positive s, s = exp(pi/2 sinh v)."""
    eye, v, step = jnp.eye(len(a)), *np.linspace(-4, 4, 161, retstep=True)
    size = jnp.exp(jnp.linalg.slogdet(a)[1] / len(a))
    s = np.exp(np.pi / 2 * np.sinh(v))
    weights = step * np.pi / 2 * np.cosh(v) * s / (1 + s)
    inverses = jnp.linalg.inv(a / size + s[:, None, None] * eye)
    return (a / size - eye) @ jnp.tensordot(weights, inverses, axes=1) + jnp.log(size) * eye
