"""What the sides must compute, by NumPy in float64 from explicit inverses, and the made-up inputs."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def covariances(rng: np.random.Generator, *shape: int, d: int) -> Floats:
    """Random covariances (*shape, d, d) of condition number about 10, whatever d is."""
    a = rng.normal(size=(*shape, d, d)) / np.sqrt(d)
    return a @ a.mT + 0.5 * np.eye(d)


def bound(cov: Floats, dtype: str = "float64") -> float:
    """32 d kS u: four times the forward error of one factorisation, kS the scaled condition number."""
    s = np.asarray(cov, np.float64).reshape(-1, *cov.shape[-2:])[:1000]
    root = np.sqrt(np.diagonal(s, axis1=-2, axis2=-1))
    scaled = s / (root[:, :, None] * root[:, None, :])
    return float(32 * cov.shape[-1] * np.max(np.linalg.cond(scaled)) * np.finfo(dtype).eps / 2)


def log_density(x: Floats, mean: Floats, cov: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """log N and its gradient in (mean, cov), item by item of a batch."""
    x, mean, cov = (np.asarray(a, np.float64) for a in (x, mean, cov))
    p, r = np.linalg.inv(cov), x - mean
    y = np.einsum("...ij,...j->...i", p, r)
    _, log_det = np.linalg.slogdet(cov)
    value = -(np.sum(r * y, axis=-1) + log_det + r.shape[-1] * np.log(2 * np.pi)) / 2
    return value, (y, (y[..., :, None] * y[..., None, :] - (p + p.mT) / 2) / 2)


def log_likelihood(data: Floats, mean: Floats, cov: Floats) -> tuple[float, tuple[Floats, Floats]]:
    """sum_i log N(x_i) and its gradient in (mean, cov)."""
    n, p = len(data), np.linalg.inv(cov)
    r = data - mean
    t = r.T @ r
    _, log_det = np.linalg.slogdet(cov)
    value = -(np.sum(p * t) + n * (log_det + len(mean) * np.log(2 * np.pi))) / 2
    gradient = (p @ t @ p - n * p) / 2
    return float(value), (p @ r.sum(axis=0), (gradient + gradient.T) / 2)


def duplication(d: int) -> Floats:
    """D, (d*d, k): column-stacked vec from the column-stacked lower triangle."""
    columns, rows = np.triu_indices(d)
    result = np.zeros((d * d, len(rows)))
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        result[j * d + i, k] = result[i * d + j, k] = 1
    return result


def hessian(data: Floats, mean: Floats, cov: Floats) -> Floats:
    """The Hessian of the log-likelihood in (mean, vech Sigma), with explicit Kronecker products."""
    d, n, p, r = len(mean), len(data), np.linalg.inv(cov), data - mean
    g = p @ r.sum(axis=0)
    c = (p @ (r.T @ r) @ p - n * p) / 2 + n / 4 * p
    dup = duplication(d)
    cross = -np.kron(g[None, :], p) @ dup
    return np.block([[-n * p, cross], [cross.T, -dup.T @ (np.kron(p, c) + np.kron(c, p)) @ dup]])
