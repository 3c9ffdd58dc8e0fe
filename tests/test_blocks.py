"""Score, Blocks and Tangent: layout, conventions that cannot be mixed, inverse and solve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import closed_form, symmetric
from gdiff.blocks import Blocks, JointBlocks, KroneckerBlocks, PairProducts, Score, joint_pairs, joint_square
from tests.oracle import assert_close, bound, covariance, scaled_condition

A = np.array([[1.0, 2.0], [2.0, 3.0]])


def test_a_score_is_a_vector_in_the_coordinates_of_its_convention():
    full = Score(jnp.array([7.0, 8.0]), jnp.array(A))
    assert full.convention == "full"
    assert full.vector().tolist() == [7.0, 8.0, 1.0, 2.0, 2.0, 3.0]
    assert full.to("symmetric").vector().tolist() == [7.0, 8.0, 1.0, 4.0, 3.0]
    assert full.to("symmetric").to("full").cov.tolist() == A.tolist()
    assert full.to("full") is full


def test_conventions_do_not_mix_in_a_tree_map():
    full = Score(jnp.zeros(2), jnp.array(A))
    with pytest.raises(ValueError, match="symmetric"):
        jax.tree.map(jnp.add, full, full.to("symmetric"))
    assert jax.tree.map(jnp.add, full, full).cov.tolist() == (2 * A).tolist()


@pytest.mark.parametrize("make", [lambda: Score(jnp.zeros(1), jnp.eye(1), "B"), lambda: Blocks(A, A, A, "half")])
def test_an_unknown_convention_says_which_there_are(make):
    with pytest.raises(ValueError, match="'full' .*'symmetric'"):
        make()


def test_matrix_puts_the_blocks_together():
    blocks = Blocks(jnp.array([[1.0]]), jnp.array([[2.0]]), jnp.array([[3.0]]))
    assert blocks.convention == "symmetric"
    assert blocks.matrix().tolist() == [[1.0, 2.0], [2.0, 3.0]]


def test_pytrees_keep_their_class_and_convention_through_jit_and_vmap():
    cov = np.stack([np.eye(2), 4 * np.eye(2)])
    got = jax.jit(jax.vmap(lambda s: closed_form.fisher_information(s, 3, "full")))(cov)
    assert isinstance(got, KroneckerBlocks)
    assert got.convention == "full"
    assert got.mean.tolist() == [[[3.0, 0.0], [0.0, 3.0]], [[0.75, 0.0], [0.0, 0.75]]]


@pytest.mark.parametrize("convention", ["full", "symmetric"])
def test_products_of_pairs_are_the_matrices_that_they_name(convention):
    rng = np.random.default_rng(0)
    d = 3
    x, y = (m @ m.T for m in rng.normal(size=(2, d, d)))
    pair = np.kron(x, y) + np.kron(y, x)
    duplication = np.asarray(symmetric.duplication_matrix(d))
    n = (np.eye(d * d) + np.asarray(symmetric.commutation_matrix(d, d))) / 2
    ends = {"full": n, "symmetric": duplication}[convention]
    assert_close(PairProducts(jnp.asarray(x), jnp.asarray(y), convention).array(), ends.T @ pair @ ends, bound(x))


@pytest.mark.parametrize("convention", ["full", "symmetric"])
@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("d", [1, 3])
def test_joint_square_is_the_information_and_its_dual_the_inverse(d, convention, dual):
    a, n = np.random.default_rng(d).normal(size=(d, d)), 5.0
    x = a @ a.T
    duplication = np.asarray(symmetric.duplication_matrix(d))
    onto = duplication @ np.linalg.pinv(duplication)
    ends = onto if convention == "full" else np.linalg.pinv(duplication).T if dual else duplication
    blocks = JointBlocks(joint_square(jnp.asarray(x), jnp.asarray(n), convention, dual).array(), convention)
    assert_close(blocks.mean, n * x, bound(x))
    assert not np.any(blocks.cross)
    assert_close(blocks.cov, (2 * n if dual else n / 2) * ends.T @ np.kron(x, x) @ ends, bound(x))


@pytest.mark.parametrize("convention", ["full", "symmetric"])
@pytest.mark.parametrize("d", [1, 3])
def test_joint_pairs_are_the_blocks_that_they_name(d, convention):
    rng = np.random.default_rng(d)
    x, y = (m @ m.T for m in rng.normal(size=(2, d, d)))
    g, n = rng.normal(size=d), 5.0
    duplication = np.asarray(symmetric.duplication_matrix(d))
    ends = duplication if convention == "symmetric" else duplication @ np.linalg.pinv(duplication)
    blocks = JointBlocks(joint_pairs(*map(jnp.asarray, (x, y, g)), jnp.asarray(n), convention).array(), convention)
    limit = bound(x)
    assert_close(blocks.mean, n * x, limit)
    assert_close(blocks.cross, np.kron(g[None, :], x) @ ends, limit)
    assert_close(blocks.cov, ends.T @ (np.kron(x, y) + np.kron(y, x)) @ ends, limit)


@pytest.mark.parametrize("convention", ["full", "symmetric"])
def test_blocks_cut_out_of_one_matrix_are_the_blocks(convention):
    joint = closed_form.observed_information(np.eye(2), np.zeros(2), np.eye(2), convention)
    assert isinstance(joint, JointBlocks)
    separate = Blocks(joint.mean, joint.cross, joint.cov, convention)
    assert np.array_equal(separate.matrix(), joint.matrix())
    negated = jax.tree.map(jnp.negative, closed_form.hessian(np.eye(2), np.zeros(2), np.eye(2), convention))
    assert type(negated) is JointBlocks
    assert np.array_equal(negated.cross, joint.cross)
    batched = jax.vmap(lambda b: b)(jax.tree.map(lambda leaf: leaf[None], joint))
    assert batched.cross.shape == (1, *joint.cross.shape)


def test_a_hessian_takes_no_memory_beside_its_own():
    d = 20
    compiled = (
        jax.jit(lambda *a: closed_form.hessian(*a).matrix()).lower(np.ones((1, d)), np.ones(d), np.eye(d)).compile()
    )
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < memory.output_size_in_bytes


def information(convention):
    """An observed information at a point where it is invertible, its matrix, and the score there."""
    rng = np.random.default_rng(1)
    cov = covariance(rng, 2, 4.0, scales=0.0)
    data = rng.multivariate_normal(np.zeros(2), cov, size=20)
    blocks, full, b = jax.jit(
        lambda data, mean, cov: (
            closed_form.observed_information(data, mean, cov, convention),
            closed_form.score(data, mean, cov, "full"),
            closed_form.score(data, mean, cov, "symmetric"),
        )
    )(data, np.full(2, 0.25), cov)
    return blocks, full, b


def test_inverse_in_vech_coordinates_is_the_inverse_of_the_matrix():
    blocks, _, _ = information("symmetric")
    m = np.asarray(blocks.matrix())
    assert_close(jax.jit(Blocks.inverse)(blocks).matrix(), np.linalg.inv(m), bound(m))


def test_inverse_in_vec_coordinates_is_the_moore_penrose_inverse():
    blocks, _, _ = information("full")
    m, inverse = np.asarray(blocks.matrix()), np.asarray(jax.jit(Blocks.inverse)(blocks).matrix())
    limit = bound(np.asarray(information("symmetric")[0].matrix()))
    assert_close(m @ inverse @ m, m, limit)
    assert_close(inverse @ m @ inverse, inverse, limit)
    assert_close(m @ inverse, (m @ inverse).T, limit)


def test_solve_takes_the_score_in_either_convention_and_is_the_newton_step():
    full_blocks, a, b = information("full")
    blocks, _, _ = information("symmetric")
    m = np.asarray(blocks.matrix())
    want = np.linalg.solve(m, np.concatenate([b.mean, symmetric.vech(b.cov)]))
    solve = jax.jit(lambda blocks, score: blocks.solve(score))
    for information_matrix in (blocks, full_blocks):
        for score in (a, b):
            step = solve(information_matrix, score)
            assert_close(step.mean, want[:2], bound(m))
            assert_close(symmetric.vech(step.cov), want[2:], bound(m))
            assert np.array_equal(step.cov, step.cov.T)


@pytest.mark.parametrize("convention", ["full", "symmetric"])
def test_closed_forms_of_the_fisher_information_equal_the_general_ones(convention):
    cov = covariance(np.random.default_rng(2), 3, 10.0, scales=0.0)
    data = np.random.default_rng(3).normal(size=(2, 3))

    def both(data, cov):
        closed = closed_form.fisher_information(cov, 5, convention)
        general = Blocks(closed.mean, closed.cross, closed.cov, convention)
        inverses = closed.inverse(), closed_form.inverse_fisher_information(cov, 5, convention)
        scores = [closed_form.score(data, jnp.zeros(3), cov, c) for c in ("full", "symmetric")]
        steps = [step(s) for s in scores for step in (closed.solve, lambda s: closed_form.natural_gradient(s, cov, 5))]
        return (inverses, general.inverse()), (steps, general.solve(scores[0]))

    (inverses, inverse), (steps, step) = jax.jit(both)(data, cov)
    limit = bound(cov) * scaled_condition(cov)
    for got in inverses:
        assert_close(got.matrix(), np.asarray(inverse.matrix()), limit)
    for got in steps:
        assert_close(got.mean, step.mean, limit)
        assert_close(got.cov, step.cov, limit)


def test_a_singular_information_raises_and_is_not_finite_when_traced():
    blocks = closed_form.fisher_information(np.eye(1), 0)
    general = Blocks(blocks.mean, blocks.cross, blocks.cov)
    score = Score(jnp.ones(1), jnp.ones((1, 1)))
    for call in (general.inverse, lambda: general.solve(score)):
        with pytest.raises(ValueError, match="singular"):
            call()
    traced = jax.jit(lambda b, s: (b.inverse().matrix(), b.solve(s).cov))(general, score)
    assert not any(np.isfinite(leaf).any() for leaf in traced)
