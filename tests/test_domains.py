import numpy as np
import pytest

from gdiff.domains import (
    Circulant,
    Correlation,
    DefinitePart,
    Diagonal,
    General,
    Hermitian,
    LowerTriangular,
    Positive,
    PositiveDefinite,
    RepeatedSpectrum,
    Scalar,
    Singular,
    SingularSymmetric,
    Skew,
    Symmetric,
    SymmetricToeplitz,
    Toeplitz,
    Vector,
    default_domain,
)
from gdiff.tolerance import agree, difference_step, question, tolerance

SQUARE = [Symmetric(), PositiveDefinite(), LowerTriangular(), Diagonal(), Correlation(), General()]
CASES = [(d, (n, n)) for d in SQUARE for n in (1, 2, 3, 5)] + [
    (Scalar(), ()),
    (Positive(), ()),
    (Positive(), (3,)),
    (Vector(), (4,)),
    (General(), (4, 2)),
    (General(), (2, 4)),
    (General(), (3,)),
    (PositiveDefinite(), (2, 3, 3)),
    (LowerTriangular(), (2, 3, 3)),
]
IDS = [f"{type(d).__name__}{s}" for d, s in CASES]
PATTERNS = [Skew(), Toeplitz(), SymmetricToeplitz(), Circulant(), DefinitePart(), Singular(), SingularSymmetric()]
EVERY = CASES + [(d, (n, n)) for d in (*PATTERNS, RepeatedSpectrum()) for n in (1, 2, 3, 4)]
EVERY_ID = [f"{type(d).__name__}{s}" for d, s in EVERY]


@pytest.mark.parametrize(("domain", "shape"), EVERY, ids=EVERY_ID)
def test_samples_lie_in_the_domain(domain, shape):
    for condition in (1.0, 10.0, 1e6):
        point = domain.sample(np.random.default_rng(0), shape, condition=condition)
        assert np.shape(point) == shape
        assert domain.contains(point)


@pytest.mark.parametrize(("domain", "shape"), CASES, ids=IDS)
def test_degenerate_points_lie_in_the_domain(domain, shape):
    points = domain.degenerate(shape)
    assert points or len(shape) > 2
    for point in points.values():
        assert np.shape(point) == shape
        assert domain.contains(point)
        assert np.all(np.isfinite(domain.tangent_basis(point)))


@pytest.mark.parametrize(("domain", "shape"), EVERY, ids=EVERY_ID)
def test_tangent_and_normal_directions_span_everything(domain, shape):
    point = np.asarray(domain.sample(np.random.default_rng(1), shape))
    tangent, normal = domain.tangent_basis(point), domain.normal_basis(point)
    together = np.concatenate([e.reshape(len(e), point.size) for e in (tangent, normal)])
    assert together.shape == (point.size, point.size)
    assert np.linalg.matrix_rank(together) == point.size


@pytest.mark.parametrize(("domain", "shape"), EVERY, ids=EVERY_ID)
def test_projection_is_the_identity_on_tangents_and_orthogonal(domain, shape):
    rng = np.random.default_rng(2)
    point = np.asarray(domain.sample(rng, shape))
    for direction in domain.tangent_basis(point):
        assert agree(domain.project(direction), direction)
    g = rng.normal(size=shape)
    rest = g - domain.project(g)
    for direction in domain.tangent_basis(point):
        size = np.linalg.norm(g) * np.linalg.norm(direction) * max(point.size, 1)
        assert abs(np.sum(rest * direction)) <= tolerance("float64", conditioning=size)


@pytest.mark.parametrize(("domain", "shape"), EVERY, ids=EVERY_ID)
@pytest.mark.parametrize("condition", [10.0, 1e6])
def test_steps_of_finite_differences_never_leave_the_domain(domain, shape, condition):
    point = np.asarray(domain.sample(np.random.default_rng(3), shape, condition=condition))
    for direction in domain.tangent_basis(point):
        for step in (-3, 3):
            assert domain.contains(point + step * difference_step() * direction)


@pytest.mark.parametrize(("domain", "shape"), CASES, ids=IDS)
def test_rounding_the_inputs_stays_in_the_domain_and_moves_them(domain, shape):
    rng = np.random.default_rng(4)
    point = np.asarray(domain.sample(rng, shape))
    moved = domain.perturb(rng, point, 1e-3)
    assert domain.contains(moved)
    fixed = isinstance(domain, Correlation) and shape == (1, 1)
    assert fixed or np.any(moved != point)
    assert np.all(np.abs(moved - point) <= 1e-2 * np.max(np.abs(point)))


def test_positive_definite_samples_have_the_condition_number_asked_for():
    for d in (2, 5):
        s = PositiveDefinite().sample(np.random.default_rng(0), (d, d), condition=1e4)
        assert np.array_equal(s, s.T)
        assert agree(np.linalg.cond(s), 1e4)


def test_general_samples_are_far_from_symmetric_and_do_not_commute():
    rng = np.random.default_rng(0)
    x, y = (General().sample(rng, (3, 3)) for _ in range(2))
    assert np.linalg.norm(x - x.T) > 0.1 * np.linalg.norm(x)
    assert np.linalg.norm(x @ y - y @ x) > 0.1 * np.linalg.norm(x @ y)


def test_whitened_directions_are_of_length_one_whatever_the_conditioning():
    for condition in (1.0, 1e8):
        s = PositiveDefinite().sample(np.random.default_rng(0), (3, 3), condition=condition)
        inverse = np.linalg.inv(np.linalg.cholesky(s))
        for direction in PositiveDefinite().tangent_basis(s):
            error = abs(np.linalg.norm(inverse @ direction @ inverse.T) - 1)
            assert error <= tolerance("float64", conditioning=10 * condition)


@pytest.mark.parametrize(
    ("domain", "array"),
    [
        (PositiveDefinite(), np.diag([1.0, -1.0])),
        (PositiveDefinite(), np.array([[1.0, 0.1], [0.2, 1.0]])),
        (PositiveDefinite(), np.full((2, 2), np.nan)),
        (Symmetric(), np.array([[1.0, 0.1], [0.2, 1.0]])),
        (Symmetric(), np.ones((2, 3))),
        (LowerTriangular(), np.ones((2, 2))),
        (LowerTriangular(), np.diag([1.0, -1.0])),
        (Diagonal(), np.ones((2, 2))),
        (Correlation(), np.diag([1.0, 2.0])),
        (Positive(), np.array([1.0, 0.0])),
        (Vector(), np.array([np.inf])),
    ],
)
def test_what_is_outside_is_not_contained(domain, array):
    assert not domain.contains(array)


def test_the_default_is_by_rank():
    assert default_domain(()) == Scalar()
    assert default_domain((3,)) == Vector()
    assert default_domain((3, 3)) == General()


def test_matrices_must_be_square():
    with pytest.raises(ValueError, match="square"):
        PositiveDefinite().sample(np.random.default_rng(0), (2, 3))


def test_domains_are_equal_by_value():
    assert PositiveDefinite() == PositiveDefinite()
    assert PositiveDefinite() != Symmetric()


def test_a_factor_is_that_of_a_matrix_of_the_condition_number_asked_for():
    lower = LowerTriangular().sample(np.random.default_rng(0), (3, 3), condition=1e4)
    assert agree(np.linalg.cond(lower @ lower.T), 1e4)


def test_a_factor_is_perturbed_as_the_rounding_of_its_product_does():
    rng = np.random.default_rng(0)
    lower = LowerTriangular().sample(rng, (3, 3), condition=1e8)
    moved = LowerTriangular().perturb(rng, lower, question())
    product = lower @ lower.T
    scale = np.sqrt(np.outer(np.diag(product), np.diag(product)))
    change = np.max(np.abs(moved @ moved.T - product) / scale)
    assert question() / 100 < change < 10 * question()
    assert np.array_equal(moved, np.tril(moved))


def test_patterns_are_what_their_names_say():
    rng = np.random.default_rng(6)
    t, s, c = (d.sample(rng, (4, 4)) for d in (Toeplitz(), SymmetricToeplitz(), Circulant()))
    for k in range(-3, 4):
        assert len(set(np.diag(t, k))) == 1
    assert np.array_equal(s, s.T)
    assert len({*s.reshape(-1)}) == 4
    assert np.array_equal(np.roll(c, (1, 1), (0, 1)), c)
    assert not Toeplitz().contains(rng.normal(size=(4, 4)))
    gradient = rng.normal(size=(4, 4))
    assert np.allclose(np.diag(Toeplitz().project(gradient), 1), np.mean(np.diag(gradient, 1)))


def test_singular_matrices_are_one_short_of_full_rank():
    for domain, shape in ((Singular(), (4, 4)), (Singular(), (5, 3)), (SingularSymmetric(), (3, 3))):
        point = domain.sample(np.random.default_rng(7), shape, condition=100.0)
        assert np.linalg.matrix_rank(point) == min(shape) - 1


def test_a_repeated_spectrum_has_two_equal_eigenvalues():
    values = np.linalg.eigvalsh(RepeatedSpectrum().sample(np.random.default_rng(8), (4, 4), condition=100.0))
    assert agree(values[0], values[1])
    assert values[2] > 2 * values[1]


def test_a_definite_part_is_definite_and_the_matrix_is_not_symmetric():
    point = DefinitePart().sample(np.random.default_rng(9), (3, 3))
    assert np.linalg.eigvalsh(point + point.T).min() > 0
    assert not agree(point, point.T)
    assert not DefinitePart().contains(-point)


def test_a_hermitian_matrix_has_a_symmetric_and_a_skew_part():
    point = Hermitian().sample(np.random.default_rng(10), (3, 3))
    assert np.array_equal(point, point.conj().T)
    assert np.array_equal(Hermitian().project(point), point)
    together = np.concatenate([Hermitian().tangent_basis(point), Hermitian().normal_basis(point)])
    assert np.linalg.matrix_rank(np.concatenate([together.real, together.imag], axis=1).reshape(18, 18)) == 18


def test_many_draws_are_each_moved_on_their_own():
    rng = np.random.default_rng(11)
    for domain, shape in EVERY:
        point = np.asarray(domain.sample(rng, shape))
        moved = domain.perturb(rng, point, 1e-9, (4,))
        assert moved.shape == (4, *shape)
        assert np.allclose(moved, point, atol=1e-7)
        free = point.size and not (isinstance(domain, Skew | Correlation) and point.size == 1)
        assert not free or len({m.tobytes() for m in moved}) == 4
