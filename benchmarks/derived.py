"""P12: the Gaussian score as `gdiff.derive` derives and compiles it, against the hand-written closed form."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import gdiff
from benchmarks import reference
from benchmarks.cases import OURS, Case, jitted
from gdiff import closed_form

LOG_DENSITY = "-1/2*(log(det(S)) + (x - mu)'*inv(S)*(x - mu))"
CLOSED_FORM = "closed form"


def cases(sizes: tuple[int, ...] = (3, 30, 100, 300)) -> Iterator[Case]:
    """One observation at each dimension; both sides return the score in the mean and in the covariance."""
    assumed = {"S": "positive_definite"}
    by_mean, by_cov = (gdiff.derive(LOG_DENSITY, name, assume=assumed).function() for name in ("mu", "S"))

    def derived(x: Any, mu: Any, cov: Any) -> Any:
        return by_mean(x=x, mu=mu, S=cov), by_cov(x=x, mu=mu, S=cov)

    def by_hand(x: Any, mu: Any, cov: Any) -> Any:
        score = closed_form.score(x, mu, cov)
        return score.mean, score.cov

    for d in sizes:
        rng = np.random.default_rng(d)
        cov, x, mu = reference.covariances(rng, d=d), rng.normal(size=d), rng.normal(size=d)
        precision = np.linalg.inv(cov)
        u = precision @ (x - mu)
        yield Case(
            "P12",
            f"derived score, d = {d}",
            {OURS: jitted(derived, x, mu, cov), CLOSED_FORM: jitted(by_hand, x, mu, cov)},
            (u, (np.outer(u, u) - precision) / 2),
            d * reference.bound(cov),
            peer=CLOSED_FORM,
            goal=0.5,
            predicted=1.0,
        )
