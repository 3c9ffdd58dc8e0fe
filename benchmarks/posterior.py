"""P10: one step of NUTS in a numpyro model with a Gaussian process' marginal likelihood, ours or numpyro's."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, Case, Side, WrongError
from gdiff import multivariate_normal

PEER = "numpyro"
DEPTH = 3  # of a trajectory that does not turn back, for steps this short: 7 of them
STEP = 0.01


def moments(theta: Any, places: np.ndarray) -> Any:
    """Level, and a squared-exponential kernel with noise: theta (4,) -> (mean, cov)."""
    level, amplitude, length, noise = theta
    apart = (places[:, None] - places[None, :]) * jnp.exp(-length)
    cov = jnp.exp(2 * amplitude - apart**2 / 2) + jnp.exp(2 * noise) * jnp.eye(len(places))
    return level * jnp.ones(len(places)), cov


def expected_potential(theta: np.ndarray, places: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Minus the log-posterior under standard normal priors, and its gradient, by NumPy from derivatives written out."""
    level, amplitude, length, noise = theta
    squares = (places[:, None] - places[None, :]) ** 2 * np.exp(-2 * length)
    smooth = np.exp(2 * amplitude - squares / 2)
    white = np.exp(2 * noise) * np.eye(len(places))
    value, (mean, cov) = reference.log_density(y, np.full(len(places), level), smooth + white)
    along = [np.sum(mean), *(np.sum(cov * step) for step in (2 * smooth, smooth * squares, 2 * white))]
    prior = -np.sum(theta**2) / 2 - len(theta) / 2 * np.log(2 * np.pi)
    return -(value + prior), theta - np.array(along)


def step(model: Callable, theta: np.ndarray, y: np.ndarray) -> Side:
    """One step from theta, its seven gradients included; what must be right is the potential and its gradient there."""
    infer = peers.package("numpyro.infer")

    @cache
    def compiled() -> Callable:
        fixed = {"adapt_step_size": False, "adapt_mass_matrix": False}
        kernel = infer.NUTS(model, step_size=STEP, max_tree_depth=DEPTH, **fixed)
        state = kernel.init(jax.random.key(0), 0, {"theta": jnp.asarray(theta)}, (y,), {})
        call = partial(jax.jit(lambda state: kernel.sample(state, (y,), {})), state)
        if (gradients := int(call().num_steps)) != 2**DEPTH - 1:
            raise WrongError(f"P10: a trajectory of {gradients} steps, wanted {2**DEPTH - 1}.")
        return call

    def potential(theta: Any) -> Any:
        return infer.util.potential_energy(model, (y,), {}, {"theta": theta})

    return Side(lambda: compiled()(), partial(jax.jit(jax.value_and_grad(potential)), theta))


def cases(sizes: tuple[int, ...] = (500,)) -> Iterator[Case]:
    """Each number of observations; none where numpyro is not installed."""
    if not (numpyro := peers.package("numpyro")):
        return
    normal = peers.package("numpyro.distributions")

    def ours(y: Any, mean: Any, cov: Any) -> None:
        numpyro.factor("y", multivariate_normal.logpdf(y, mean, cov))

    def theirs(y: Any, mean: Any, cov: Any) -> None:
        numpyro.sample("y", normal.MultivariateNormal(mean, covariance_matrix=cov), obs=y)

    def model(observe: Callable, places: np.ndarray, y: Any) -> None:
        observe(y, *moments(numpyro.sample("theta", normal.Normal(0, 1).expand([4]).to_event(1)), places))

    for d in sizes:
        rng = np.random.default_rng(d)
        places, theta = np.sort(rng.uniform(0, 10, d)), np.array([0.3, 0.1, -0.2, -0.7])
        mean, cov = map(np.asarray, moments(theta, places))
        y = rng.multivariate_normal(mean, cov)
        yield Case(
            "P10",
            f"one NUTS step, Gaussian process, d = {d}",
            {OURS: step(partial(model, ours, places), theta, y), PEER: step(partial(model, theirs, places), theta, y)},
            expected_potential(theta, places, y),
            reference.bound(cov),
            peer=PEER,
            goal=2 if d == 500 else None,
            predicted=1.6,
            seconds=12.0,
        )
