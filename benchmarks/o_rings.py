"""A long MCMC run, kept as the reference for the Laplace approximation of a logistic regression on real data.

`python -m benchmarks.o_rings > tests/data/o_rings_nuts.json` (needs the extra `bench`; some minutes). The model is that
of `notebooks/laplace_check.ipynb` and of `tests/test_laplace_approximation.py`: whether any of six O-rings was
distressed, on standardised temperature and pressure, coefficients N(0, 3^2) a priori.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

DATA = Path(__file__).parents[1] / "notebooks" / "o_rings.csv"
CHAINS, WARMUP, DRAWS, SEED = 8, 2_000, 250_000, 0


def design() -> tuple[np.ndarray, np.ndarray]:
    """(1, standardised temperature, standardised pressure), and whether there was distress."""
    temperature, pressure, distressed = np.loadtxt(DATA, delimiter=",", skiprows=1).T
    columns = [(c - c.mean()) / c.std() for c in (temperature, pressure)]
    return np.column_stack([np.ones_like(temperature), *columns]), (distressed > 0).astype(float)


def main() -> None:
    """Run, and print the JSON of means, sds and what they are worth."""
    jax.config.update("jax_enable_x64", True)
    x, y = design()

    def model() -> None:
        slopes = numpyro.sample("slopes", dist.Normal(0, 3).expand([x.shape[1]]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ slopes), obs=y)

    mcmc = MCMC(
        NUTS(model, target_accept_prob=0.9),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(SEED))
    draws = np.asarray(mcmc.get_samples(group_by_chain=True)["slopes"])
    squares = (draws - draws.mean((0, 1))) ** 2
    worth = effective_sample_size(squares)
    record = {
        "sampler": f"numpyro {numpyro.__version__} NUTS, {CHAINS} chains x {DRAWS} draws after {WARMUP}, seed {SEED}",
        "mean": draws.mean((0, 1)).tolist(),
        "sd": draws.std((0, 1)).tolist(),
        "relative_error_of_sd": (squares.std((0, 1)) / squares.mean((0, 1)) / 2 / np.sqrt(worth)).tolist(),
        "split_r_hat": split_gelman_rubin(draws).tolist(),
    }
    json.dump(record, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
