"""Functions of symmetric matrices, F(A) = V f(w) V' with A = V diag(w) V', that differentiate at equal eigenvalues too.

The derivative of `eigh` divides by w_i - w_j, that of F does not: in the basis V it is DF(A)[E]_ij = f[w_i, w_j] E_ij,
with divided differences of f that go to f' (Daleckii and Krein; Bhatia, Matrix Analysis, V.3.3). So the value of F goes
through `eigh`, and its derivatives through a second algorithm for F, of products alone, that no spectrum disturbs.
Matrices are (d, d) and exactly symmetric.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from math import factorial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdiff.linalg import diagonal, eigh, inner, inverse, matmul
from gdiff.symmetric.coordinates import symmetrize


class Function(NamedTuple):
    """An increasing function: of a number, its inverse, f[x, y], and the same function of a matrix by products."""

    value: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    divided_difference: Callable[[Array, Array], Array]
    by_products: Callable[[Array], Array]


# Halved so often, |A| < 2^15 is at most 1/2. Each halving is undone by one step, and those beyond the count by none.
HALVINGS = 16


def _halvings(a: Array) -> Array:
    """The least n with |A| / 2^n <= 1/2 in the largest row sum, which bounds the eigenvalues."""
    size = jnp.max(jnp.sum(jnp.abs(lax.stop_gradient(a)), axis=1), initial=0)
    return jnp.clip(jnp.ceil(jnp.log2(2 * size)), 0, HALVINGS)


def _repeated(step: Callable[[Array], Array], count: Array, x: Array) -> Array:
    """step(step(...(x))), `count` times; the steps beyond are of 0, which does not overflow."""

    def maybe(x: Array, n: Array) -> tuple[Array, None]:
        return jnp.where(n < count, step(jnp.where(n < count, x, 0)), x), None

    return lax.scan(maybe, x, jnp.arange(HALVINGS, dtype=count.dtype))[0]


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """c_0 I + c_1 X + c_2 X^2 + ..."""
    eye = jnp.eye(len(x), dtype=x.dtype)

    def horner(total: Array, c: Array) -> tuple[Array, None]:
        return c * eye + matmul(x, total), None

    return lax.scan(horner, jnp.zeros_like(x), jnp.asarray(coefficients[::-1], x.dtype))[0]


def _exp_by_products(a: Array) -> Array:
    """exp(A) = e^m exp((A - m I) / 2^n)^(2^n), m the mean eigenvalue; Taylor to 1e-17 within (Higham 2008, 10.3)."""
    mean = lax.stop_gradient(jnp.trace(a)) / max(len(a), 1)
    centred = a - mean * jnp.eye(len(a), dtype=a.dtype)
    n = _halvings(centred)
    start = _polynomial([1 / factorial(i) for i in range(15)], centred * jnp.exp2(-n))
    return jnp.exp(mean) * _repeated(lambda x: matmul(x, x), n, start)


def _logistic_by_products(a: Array) -> Array:
    """(I + tanh(A/2)) / 2: tanh(X/2) = sum_n 2 (4^n - 1) b_n X^(2n-1), tanh(2X) = 2 tanh(X) (I + tanh(X)^2)^-1."""
    eye, n = jnp.eye(len(a), dtype=a.dtype), _halvings(a)

    def doubled(t: Array) -> Array:
        return symmetrize(matmul(2 * t, inverse(eye + symmetrize(matmul(t, t))).precision))

    x = a * jnp.exp2(-n)
    odd = _polynomial([2 * (4.0**i - 1) * b for i, b in enumerate(_coth_series(), start=1)], matmul(x, x))
    return (eye + _repeated(doubled, n, symmetrize(matmul(x, odd)))) / 2


def _exp_divided_difference(x: Array, y: Array) -> Array:
    """(e^x - e^y) / (x - y) = e^((x + y)/2) sinh((x - y)/2) / ((x - y)/2)."""
    return jnp.exp((x + y) / 2 + _log_sinhc(x - y, 0))


def _logistic_divided_difference(x: Array, y: Array) -> Array:
    """The same of p = 1 / (1 + e^-x): sinh((x - y)/2) / ((x - y)/2) over 4 cosh(x/2) cosh(y/2)."""
    return jnp.exp(_log_sinhc(x - y, 0) - _log_cosh(x) - _log_cosh(y))


EXP = Function(jnp.exp, jnp.log, _exp_divided_difference, _exp_by_products)
LOGISTIC = Function(
    lax.logistic, lambda p: jnp.log(p) - jnp.log1p(-p), _logistic_divided_difference, _logistic_by_products
)


def _turn(v: Array, m: Array) -> Array:
    """V M V', exactly symmetric."""
    return symmetrize(matmul(matmul(v, m), v.mT))


def _turn_back(v: Array, m: Array) -> Array:
    """V' M V."""
    return matmul(matmul(v.mT, m), v)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def spectral(f: Function, a: Array) -> Array:
    """F(A) = V f(w) V', differentiable to every order."""
    w, v = eigh(a)
    return symmetrize(matmul(v * f.value(w), v.mT))


def _differential(f: Function, a: Array, e: Array) -> Array:
    """DF(A)[E]."""
    return symmetrize(jax.jvp(f.by_products, (a,), (e,))[1])


@spectral.defjvp
def _spectral_jvp(f: Function, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    return spectral(f, a), _differential(f, a, symmetrize(da))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def spectral_inverse(f: Function, s: Array) -> Array:
    """A with F(A) = S, differentiable to every order."""
    w, v = eigh(s)
    return symmetrize(matmul(v * f.inverse(w), v.mT))


@spectral_inverse.defjvp
def _spectral_inverse_jvp(f: Function, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """DF(A)[dA] = dS, solved in the basis V; JAX differentiates what is solved, and not how."""
    (s,), (ds,) = primals, tangents
    a = spectral_inverse(f, s)
    w, v = eigh(lax.stop_gradient(s))
    z = f.inverse(w)
    rises = f.divided_difference(z[:, None], z)
    da = lax.custom_linear_solve(
        lambda e: _differential(f, a, e),
        symmetrize(ds),
        lambda _, e: _turn(v, _turn_back(v, e) / rises),
        symmetric=True,
    )
    return a, da


# Two functions of the eigenvalues that the logarithms of Jacobians are made of.


def _log_cosh(t: Array) -> Array:
    """log(2 cosh(t/2))."""
    return jnp.logaddexp(t / 2, -t / 2)


@jax.custom_jvp
def trace_log_cosh(a: Array) -> Array:
    """sum_i log(2 cosh(w_i / 2)), whose gradient is logistic(A) - I/2."""
    w, _ = eigh(a)
    return jnp.sum(_log_cosh(w))


@trace_log_cosh.defjvp
def _trace_log_cosh_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    return trace_log_cosh(a), inner(spectral(LOGISTIC, a) - jnp.eye(len(a), dtype=a.dtype) / 2, da)


@cache
def _coth_series(terms: int = 12) -> tuple[float, ...]:
    """b_1, b_2, ... of (t/2) coth(t/2) = 1 + sum_n b_n t^2n: cosh(t/2) over sinh(t/2) / (t/2)."""
    cosh = [Fraction(1, 4**n * factorial(2 * n)) for n in range(terms + 1)]
    sinhc = [Fraction(1, 4**n * factorial(2 * n + 1)) for n in range(terms + 1)]
    b: list[Fraction] = []
    for n in range(terms + 1):
        b.append(cosh[n] - sum((sinhc[i] * b[n - i] for i in range(1, n + 1)), Fraction(0)))
    return tuple(map(float, b[1:]))


def _log_sinhc(t: Array, order: int) -> Array:
    """q(t) = log(sinh(t/2) / (t/2)), q'(t) = coth(t/2)/2 - 1/t, or q''(t) = 1/t^2 - 1/(4 sinh(t/2)^2)."""
    near = jnp.abs(t) <= 1
    small, large = jnp.where(near, t, 0), jnp.where(near, 1, t)
    series = jnp.zeros_like(t)
    for n, b in reversed(list(enumerate(_coth_series(), start=1))):
        series = series * small**2 + b * (1 / (2 * n), 1.0, 2.0 * n - 1)[order]
    if order == 0:
        size = jnp.abs(large)
        return jnp.where(near, series * small**2, size / 2 + jnp.log1p(-jnp.exp(-size)) - jnp.log(size))
    if order == 1:
        return jnp.where(near, series * small, 1 / (2 * jnp.tanh(large / 2)) - 1 / large)
    return jnp.where(near, series, 1 / large**2 - 1 / (4 * jnp.sinh(large / 2) ** 2))


def _log_sinhc_rise(s: Array, t: Array) -> Array:
    """The divided difference q'[s, t]; near, the mean of q'' from s to t by Gauss and Legendre, right to 1e-16."""
    gap = s - t
    near = jnp.abs(gap) <= 1
    mean = jnp.zeros_like(gap)
    for node, weight in zip(*np.polynomial.legendre.leggauss(6), strict=True):
        mean = mean + float(weight / 2) * _log_sinhc(t + float((1 + node) / 2) * gap, 2)
    return jnp.where(near, mean, (_log_sinhc(s, 1) - _log_sinhc(t, 1)) / jnp.where(near, 1, gap))


@jax.custom_jvp
def log_sinhc_gaps(a: Array) -> Array:
    """sum_{i<j} q(w_i - w_j), q(t) = log(sinh(t/2) / (t/2)): how the volume grows as eigenvalues part."""
    w, _ = eigh(a)
    return jnp.sum(_log_sinhc(w[:, None] - w, 0)) / 2


@log_sinhc_gaps.defjvp
def _log_sinhc_gaps_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    return log_sinhc_gaps(a), inner(_log_sinhc_gaps_gradient(a), da)


@jax.custom_jvp
def _log_sinhc_gaps_gradient(a: Array) -> Array:
    """V diag(g) V', g_i = sum_j q'(w_i - w_j)."""
    w, v = eigh(a)
    return symmetrize(matmul(v * jnp.sum(_log_sinhc(w[:, None] - w, 1), axis=1), v.mT))


@_log_sinhc_gaps_gradient.defjvp
def _log_sinhc_gaps_gradient_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """In the basis V: sum_l q'[w_i - w_l, w_j - w_l] E_ij, and on the diagonal - sum_j q''(w_i - w_j) E_jj.

    The third derivative is that of these terms through `eigh`, NaN at equal eigenvalues.
    """
    (a,), (da,) = primals, tangents
    w, v = eigh(a)
    e = _turn_back(v, da)
    gaps = w[:, None] - w
    rise = jnp.sum(_log_sinhc_rise(gaps[:, None, :], gaps[None, :, :]), axis=-1)
    moved = -jnp.sum(_log_sinhc(gaps, 2) * diagonal(e), axis=-1)
    return _log_sinhc_gaps_gradient(a), _turn(v, rise * e + jnp.diag(moved))
