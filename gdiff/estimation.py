"""Maximum likelihood in closed form: the mean and covariance of a Gaussian, and their standard errors."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff import linalg
from gdiff.arrays import ArrayLike
from gdiff.blocks import Blocks, inverse_kronecker
from gdiff.closed_form import fisher_information
from gdiff.display import Table, number
from gdiff.multivariate_normal import log_likelihood
from gdiff.statistics import SufficientStatistics
from gdiff.symmetric.coordinates import Convention, check_convention, lower_indices
from gdiff.validity import is_traced, positive_definite, raise_if_invalid


@partial(jax.tree_util.register_dataclass, data_fields=["mean", "cov", "count", "log_likelihood"], meta_fields=[])
@dataclass(frozen=True, repr=False)
class Estimate:
    """The maximum likelihood estimate of a mean (d,) and a covariance (d, d) from `count` observations."""

    mean: Array
    cov: Array
    count: Array
    log_likelihood: Array

    @property
    def mean_errors(self) -> Array:
        """sqrt(S_ii / n), (d,)."""
        return jnp.sqrt(linalg.diagonal(self.cov) / self.count)

    @property
    def cov_errors(self) -> Array:
        """sqrt((S_ii S_jj + S_ij^2) / n), (d, d): of an entry S_ij the same in both conventions (MN 15.4)."""
        variances = linalg.diagonal(self.cov)
        return jnp.sqrt((linalg.outer(variances, variances) + self.cov**2) / self.count)

    @property
    def correlation(self) -> Array:
        """S_ij / sqrt(S_ii S_jj), (d, d)."""
        sd = jnp.sqrt(linalg.diagonal(self.cov))
        return self.cov / linalg.outer(sd, sd)

    @property
    def correlation_errors(self) -> Array:
        """(1 - r_ij^2) / sqrt(n), (d, d), by the delta method (Anderson 2003, theorem 4.2.4)."""
        return (1 - self.correlation**2) / jnp.sqrt(self.count)

    def covariance(self, convention: Convention = "symmetric") -> Blocks:
        """The covariance of the estimates, the inverse information: of (mean, vech S), or of (mean, vec S) ("full")."""
        check_convention(convention)
        return inverse_kronecker(self.cov, self.count, convention)

    def information(self, convention: Convention = "symmetric") -> Blocks:
        """The Fisher information at the estimate, which is the observed one there."""
        return fisher_information(self.cov, self.count, convention)

    def table(self, names: tuple[str, ...] | None = None) -> Table:
        """Estimate and standard error, a row for each mean and each distinct entry of the covariance."""
        d = len(self.mean)
        labels = names or tuple(map(str, range(d)))
        if len(labels) != d:
            raise ValueError(f"names: got {len(labels)}, wanted {d}, one for each variable.")
        rows = [
            (f"mean {label}", number(float(m)), number(float(e)), "")
            for label, m, e in zip(labels, self.mean, self.mean_errors, strict=True)
        ]
        errors, r = self.cov_errors, self.correlation
        for i, j in zip(*lower_indices(d), strict=True):
            value, error = number(float(self.cov[i, j])), number(float(errors[i, j]))
            name = f"var {labels[i]}" if i == j else f"cov {labels[i]}, {labels[j]}"
            rows.append((name, value, error, "" if i == j else number(float(r[i, j]), 3)))
        return Table(("parameter", "estimate", "standard error", "correlation"), rows, right=frozenset({1, 2, 3}))

    def __str__(self) -> str:
        if is_traced(self.cov) or np.ndim(self.count):
            return "Estimate(traced)" if is_traced(self.cov) else f"Estimate: a batch {np.shape(self.count)}"
        said = f"{number(float(self.count), 8)} observations, log-likelihood {number(float(self.log_likelihood), 8)}"
        return f"{self.table().text()}\n{said}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()


def maximum_likelihood(data: ArrayLike | SufficientStatistics, weights: ArrayLike | None = None) -> Estimate:
    """The maximum likelihood estimate of a Gaussian: mean xbar and covariance C/n, with their standard errors.

        var(xbar) = S/n,    cov(S_ij, S_kl) = (S_ik S_jl + S_il S_jk)/n

    `data` is (n, d) or `SufficientStatistics`, `weights` (n,) are frequencies. Source: MN 15.3 and 15.4.

    Raises ValueError where the estimate is singular (fewer than d + 1 observations in general position), for weights
    beside statistics, and for data that are not finite; NaN where traced.

    >>> maximum_likelihood([[0.0, 1.0], [2.0, 1.0], [0.0, 4.0], [2.0, 4.0]]).cov.tolist()
    [[1.0, 0.0], [0.0, 2.25]]
    """
    if isinstance(data, SufficientStatistics):
        if weights is not None:
            raise ValueError("weights: got weights beside SufficientStatistics, which already count their rows.")
        sample = data
    else:
        sample = SufficientStatistics.of(data, weights)
    if not is_traced(sample) and not sample.count > 0:
        raise ValueError(f"data: got {float(sample.count):g} observations, wanted at least d + 1.")
    count = jnp.asarray(sample.count, sample.scatter.dtype)
    cov = sample.scatter / count
    status = positive_definite(cov).status
    raise_if_invalid(status, **{"the covariance of the data": cov})
    return Estimate(sample.mean, cov, count, log_likelihood(sample, sample.mean, cov))
