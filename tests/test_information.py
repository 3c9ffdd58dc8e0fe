"""Named information matrices: errors, priors, what is fixed, and pictures."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gdiff import Information, Status
from tests.oracle import covariance

NAMES = ("w", "h", "b[0]", "b[1]")
COV = covariance(np.random.default_rng(7), 4, 30.0, scales=1.0)
VALUES = jnp.array([-1.0, 0.7, 0.02, 3.0])


def information():
    return Information(NAMES, VALUES, jnp.asarray(np.linalg.inv(COV)))


def test_errors_of_parameters_unknown_and_known():
    found = information()
    np.testing.assert_allclose(found.covariance, COV, rtol=1e-10)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(COV)), rtol=1e-10)
    for i in range(4):  # of one given the others: the Schur complement in the covariance
        others = [j for j in range(4) if j != i]
        given = COV[i, i] - COV[i, others] @ np.linalg.solve(COV[np.ix_(others, others)], COV[others, i])
        np.testing.assert_allclose(found.conditional_errors[i], np.sqrt(given), rtol=1e-9)
    sd = np.sqrt(np.diag(COV))
    np.testing.assert_allclose(found.correlation, COV / np.outer(sd, sd), rtol=1e-9, atol=1e-12)


def test_fixed_and_marginal_parameters():
    found = information()
    fixed = found.fixing("b")
    assert fixed.names == ("w", "h")
    np.testing.assert_allclose(np.linalg.inv(fixed.covariance), np.linalg.inv(COV)[:2, :2], rtol=1e-9)
    marginal = found.marginal("h", "b[1]")
    assert marginal.names == ("h", "b[1]")
    np.testing.assert_allclose(marginal.covariance, COV[np.ix_([1, 3], [1, 3])], rtol=1e-9)
    np.testing.assert_allclose(found.marginal(*NAMES).covariance, COV, rtol=1e-9)


def test_priors_and_experiments_add():
    found = information()
    by_name = found.with_prior({"w": 0.1, "b": 2.0})
    by_matrix = found.with_prior(np.diag([100.0, 0.0, 0.25, 0.25]))
    np.testing.assert_allclose(by_name.matrix, np.linalg.inv(COV) + np.diag([100.0, 0.0, 0.25, 0.25]), rtol=1e-12)
    np.testing.assert_allclose(by_name.matrix, by_matrix.matrix, rtol=1e-12)
    np.testing.assert_allclose((found + found).errors, found.errors / np.sqrt(2), rtol=1e-12)


def test_an_ellipse_has_its_probability():
    found = information()
    for level in (0.5, 0.954):
        border = np.asarray(found.ellipse("h", "b[0]", level)) - np.array([0.7, 0.02])
        block = COV[1:3, 1:3]
        radius = np.einsum("ni,ij,nj->n", border, np.linalg.inv(block), border)
        np.testing.assert_allclose(radius, scipy.stats.chi2.ppf(level, 2), rtol=1e-8)


def test_what_is_not_identified_is_named_in_its_own_units():
    """a + 1000 b alone has information; with conditional errors 1 and 1/1000, none is along their difference."""
    v = np.array([1.0, 1000.0, 0.0])
    found = Information(("a", "b", "c"), jnp.zeros(3), jnp.asarray(np.outer(v, v) + np.diag([0.0, 0.0, 1.0])))
    assert Status(int(found.status)) is Status.FLAT_DIRECTION
    assert np.isnan(found.covariance).all()
    assert found.explain().splitlines()[-1] == "  along 0.71 a - 0.71 b, in units of their conditional errors"
    assert "flat direction" in str(found)
    prior = found.with_prior({"a": 2.0})
    assert Status(int(prior.status)) is Status.OK
    np.testing.assert_allclose(prior.errors[0], 2.0, rtol=1e-6)
    scaled = Information(("a", "b"), jnp.zeros(2), jnp.diag(jnp.array([1e-20, 1e20])))
    assert Status(int(scaled.status)) is Status.OK  # units are not information
    assert Status(int(Information(("a",), jnp.zeros(1), jnp.full((1, 1), jnp.nan)).status)) is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: information().fixing("q"), "fixing: got 'q', wanted one of the parameters w, h"),
        (lambda: information().ellipse("b", "w"), r"got 'b', wanted one of b\[0\], b\[1\]"),
        (lambda: information().ellipse("h", "w", 1.5), "level: got 1.5"),
        (lambda: information().with_prior({"w": 0.0}), "prior: got a standard deviation of 0.0 for 'w'"),
        (lambda: information().with_prior(np.eye(3)), r"prior: got shape \(3, 3\)"),
        (lambda: information() + information().fixing("w"), "wanted the same parameters"),
        (lambda: Information(("a",), jnp.zeros(2), jnp.eye(2)), r"wanted \(1,\) and \(1, 1\)"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_picture_has_an_ellipse_for_each_pair():
    from matplotlib import pyplot

    figure = information().plot("w", "h", "b[1]", label="alone")
    information().with_prior({"w": 0.1}).plot("w", "h", "b[1]", figure=figure, color="C1", label="with a prior")
    axes = np.array(figure.axes).reshape(3, 3)
    drawn = [[len(ax.lines) for ax in row] for row in axes]
    assert drawn == [[2, 0, 0], [6, 2, 0], [6, 6, 2]]  # two borders and a centre for each of two
    assert [text.get_text() for text in axes[0, 0].get_legend().get_texts()] == ["alone", "with a prior"]
    pyplot.close(figure)
