"""P8: inverse Fisher information and natural gradient, against forming the k x k system and solving it."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import reference
from benchmarks.cases import OURS, PEER, Case, jitted
from gdiff import closed_form, symmetric
from gdiff.closed_form import Score


def by_autodiff(cov: Any) -> Any:
    """The Fisher information of one observation in (mean, vech Sigma): minus jax.hessian of E log N."""
    d = len(cov)

    def expected(theta: Any) -> Any:
        mean, factor = theta[:d], jnp.linalg.cholesky(symmetric.unvech(theta[d:]))
        second = cov + mean[:, None] * mean[None, :]  # E (x - mean)(x - mean)', the truth at mean 0
        inner = jax.scipy.linalg.cho_solve((factor, True), second)
        return -jnp.sum(jnp.log(jnp.diagonal(factor))) - jnp.trace(inner) / 2

    return -jax.hessian(expected)(jnp.concatenate([jnp.zeros(d), symmetric.vech(cov)]))


def by_kronecker(cov: Any) -> Any:
    """The same from gdiff's closed form, so that the system alone is solved the long way."""
    return closed_form.fisher_information(cov).matrix()


def _step(form: Any) -> Any:
    def step(g: Any, a: Any, cov: Any) -> Any:
        d = len(g)
        step = jnp.linalg.solve(form(cov), Score(g, a).to("symmetric").vector())
        return step[:d], symmetric.unvech(step[d:])

    return step


def _ours_step(g: Any, a: Any, cov: Any) -> Any:
    step = closed_form.natural_gradient(Score(g, a), cov)
    return step.mean, step.cov


def covariance_of_estimates(cov: np.ndarray) -> np.ndarray:
    """Sigma, and S_ik S_jl + S_il S_jk, entry by entry."""
    d = len(cov)
    columns, rows = np.triu_indices(d)
    block = cov[np.ix_(rows, rows)] * cov[np.ix_(columns, columns)]
    block += cov[np.ix_(rows, columns)] * cov[np.ix_(columns, rows)]
    return np.block([[cov, np.zeros((d, len(rows)))], [np.zeros((len(rows), d)), block]])


def cases(d: int = 50) -> Iterator[Case]:
    """The step, then the matrix."""
    rng = np.random.default_rng(d)
    cov = reference.covariances(rng, d=d)
    g, a = rng.normal(size=d), rng.normal(size=(d, d))
    a = a + a.T
    bound = d * reference.bound(cov)
    size = d + symmetric.vech_size(d)
    yield Case(
        "P8",
        f"natural gradient, d = {d}",
        {
            OURS: jitted(_ours_step, g, a, cov),
            PEER: jitted(_step(by_autodiff), g, a, cov),
            "formed by Kronecker": jitted(_step(by_kronecker), g, a, cov),
        },
        (cov @ g, 2 * cov @ a @ cov),
        bound,
        goal=1000,
        predicted=20_000,
    )
    yield Case(
        "P8",
        f"inverse Fisher information, d = {d}",
        {
            OURS: jitted(lambda cov: closed_form.inverse_fisher_information(cov).matrix(), cov),
            PEER: jitted(lambda cov: jnp.linalg.inv(by_autodiff(cov)), cov),
            "formed by Kronecker": jitted(lambda cov: jnp.linalg.inv(by_kronecker(cov)), cov),
            "fill": jitted(lambda x: jnp.full((size, size), x), 1.5, limit=True),
        },
        covariance_of_estimates(cov),
        bound,
        goal=1000,
        predicted=1500,
    )
