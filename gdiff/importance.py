"""Importance weights: what a Gaussian approximation of a density gets wrong, measured on the density itself.

Draws come from a mixture, half N(m, S) and half the multivariate Cauchy about m with the same S. The Gaussian half
keeps the weights of a good approximation near 1, none above 2; the Cauchy half looks where no Gaussian would, and finds
tails and other modes (a defensive mixture: Hesterberg 1995; Owen and Zhou 2000). The points are scrambled Sobol points.
Weights are smoothed by a generalised Pareto fit to their tail, whose shape k says what they are worth (Vehtari,
Simpson, Gelman, Yao and Gabry 2024, arXiv 1507.02646).
"""

import math
from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdiff import linalg

# Draws weighed at once. One by one on CPUs, where batches of LAPACK calls can deadlock jaxlib 0.10 on two cores, and
# where a density that is dear gains nothing; one that is cheap (23 rows, 3 parameters) takes 8 ms for 16,384 draws.
_BATCH = {"cpu": None, "gpu": 256, "tpu": 256}

GOOD_K = 0.7  # Vehtari et al., section 3.3: beyond it, no practical number of draws is enough


@lru_cache(maxsize=8)
def proposal(d: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised draws e (draws, d) of the mixture, and their log-density log q(e) (draws,), in float64."""
    from scipy.special import gammaln, ndtri  # SciPy comes with JAX, and costs a tenth of a second
    from scipy.stats import qmc

    sobol = qmc.Sobol(d + 1, seed=seed).random_base2(max(draws - 1, 1).bit_length())[:draws]
    uniform = np.clip(sobol, 2.0**-53, 1 - 2.0**-53)
    e = ndtri(uniform[:, :d])
    heavy = uniform[:, d] < 0.5
    # of the Cauchy half, a Gaussian over the root of an independent chi-square with one degree of freedom
    e = np.where(heavy[:, None], e / np.abs(ndtri(uniform[:, d:])), e)
    square = np.sum(e**2, axis=1)
    gaussian = -square / 2 - d / 2 * math.log(2 * math.pi)
    half = (d + 1) / 2
    cauchy = gammaln(half) - half * math.log(math.pi) - half * np.log1p(square)
    return e, np.logaddexp(gaussian, cauchy) - math.log(2)


def log_ratios(
    f: Callable[[Array], Array], mode: Array, root: Array, log_det_root: Array, draws: int, seed: int
) -> tuple[Array, Array]:
    """Points x = m + R e (draws, d), S = R R', and log p(x) - log q(x); -inf where p is not finite."""
    e, log_q = (jnp.asarray(a, mode.dtype) for a in proposal(len(mode), draws, seed))
    x = mode + linalg.matmul(e, root.T)
    log_p = lax.map(f, x, batch_size=_BATCH.get(jax.default_backend()))
    return x, jnp.where(jnp.isfinite(log_p), log_p, -jnp.inf) - (log_q - log_det_root)


def pareto_shape(excess: Array) -> tuple[Array, Array]:
    """Shape k and scale of a generalised Pareto distribution, from values above its threshold, ascending.

    Zhang and Stephens (2009), a profile posterior mean, with the weak prior on k of Vehtari et al., appendix G. k is
    infinite where the values are all alike.
    """
    n = excess.shape[-1]
    grid = 30 + int(math.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    spacing = 1 - jnp.sqrt(grid / (jnp.arange(1, grid + 1, dtype=excess.dtype) - 0.5))
    b = 1 / excess[-1] + spacing / (3 * quartile)
    k = jnp.mean(jnp.log1p(-b[:, None] * excess), axis=1)
    log_likelihood = n * (jnp.log(-b / k) - k - 1)
    weight = jax.nn.softmax(jnp.where(jnp.isfinite(log_likelihood), log_likelihood, -jnp.inf))
    mean_b = jnp.sum(jnp.where(weight > 0, weight * b, 0))
    k = jnp.mean(jnp.log1p(-mean_b * excess))
    scale = -k / mean_b
    return (n * k + 5) / (n + 10), scale


def smooth(log_ratio: Array) -> tuple[Array, Array]:
    """Normalised log-weights with a Pareto-smoothed tail, and the tail's shape k (Vehtari et al., algorithm 1)."""
    n = len(log_ratio)
    tail = min(n // 5, math.ceil(3 * math.sqrt(n)))
    order = jnp.argsort(log_ratio)
    ascending = log_ratio[order] - jnp.max(log_ratio)
    threshold = ascending[-tail - 1]
    excess = jnp.exp(ascending[-tail:]) - jnp.exp(threshold)
    k, scale = pareto_shape(excess)
    spread = excess[-1] > excess[0]
    middle = (jnp.arange(tail, dtype=log_ratio.dtype) + 0.5) / tail
    quantile = scale * jnp.expm1(-k * jnp.log1p(-middle)) / jnp.where(k == 0, 1, k)
    smoothed = jnp.minimum(jnp.log(quantile + jnp.exp(threshold)), 0)
    new = jnp.where(spread & jnp.isfinite(k), smoothed, ascending[-tail:])
    weights = jnp.zeros_like(log_ratio).at[order].set(ascending.at[-tail:].set(new))
    return jax.nn.log_softmax(weights), jnp.where(spread, k, -jnp.inf)
