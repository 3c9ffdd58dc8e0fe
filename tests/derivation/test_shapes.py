import pytest

from gdiff.derivation import ReadError, parse, parse_together


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("log(det(S)) + x'*inv(S)*x", {"S": ("d", "d"), "x": ("d",)}),
        ("n/2*logdet(S) + x'*inv(S)*x", {"n": (), "S": ("d", "d"), "x": ("d",)}),
        ("N/2*logdet(S) + tr(inv(S)*A)", {"N": (), "S": ("d", "d"), "A": ("d", "d")}),
        ("(y - X*b)'*(y - X*b)", {"y": ("n",), "X": ("n", "p"), "b": ("p",)}),
        ("a'*S*a", {"a": ("d",), "S": ("d", "d")}),
        ("tr(A*X*B)", {"A": ("n", "p"), "X": ("p", "m"), "B": ("m", "n")}),
        ("(X - mu)'*inv(S)*(X - mu)", {"X": ("d",), "mu": ("d",), "S": ("d", "d")}),
        ("vech(S) + v", {"S": ("d", "d"), "v": ("d*(d+1)/2",)}),
        ("vec(A) + v", {"A": ("n", "p"), "v": ("n*p",)}),
        ("nu*Σ_1 + λ*I", {"nu": (), "Sigma_1": ("d", "d"), "lambda": ()}),
        ("tr(A*dS) + tr(S)", {"A": ("d", "d"), "dS": ("d", "d"), "S": ("d", "d")}),
        ("x^2 + nu", {"x": (), "nu": ()}),
        ("resid'*cov*resid", {"resid": ("d",), "cov": ("d", "d")}),
        ("eye(3)*x", {"x": (3,)}),
        ("ones(m, n)*x", {"x": ("n",)}),
    ],
)
def test_shapes_go_by_letter_unless_the_expression_says_otherwise(text, shapes):
    assert parse(text).shapes == shapes


def test_a_declared_shape_comes_first():
    expression = parse("x'*S*x", shapes={"x": (3, 1)})
    assert expression.shapes == {"x": (3,), "S": (3, 3)}
    assert parse("a*x", shapes={"a": ("m", "n")}).shapes == {"a": ("m", "n"), "x": ("n",)}
    assert parse("Sx*x", shapes={"Sx": (3, 2)}).shapes == {"Sx": (3, 2), "x": (2,)}
    assert parse("σ*x", shapes={"σ": (2, 2)}).shapes == {"sigma": (2, 2), "x": (2,)}
    assert parse("x + y", shapes={"x": 4}).shapes == {"x": (4,), "y": (4,)}


def test_names_read_against_their_letter_are_remarked_on():
    assert parse("n*logdet(S) + 1").notes == ("`n` is read as a scalar: nothing else fits",)
    assert parse("logdet(S)").notes == ()


def test_a_number_is_added_to_every_entry_of_a_vector_where_nothing_else_fits():
    expression = parse("sum(log(1 + exp(X*b)))", shapes={"b": ("p",)})
    assert expression.text == "sum(log(ones(n) + exp(X*b)))"
    assert expression.notes == ("a number added to a vector is added to every entry",)
    assert parse(expression.text) == expression
    assert parse("x + 1").notes == ("`x` is read as a scalar: nothing else fits",)
    with pytest.raises(ReadError, match="A number is added to a matrix as"):
        parse("S + 1")


def test_the_identity_may_be_one_number():
    assert parse_together(["tr(S)", "I"], shapes={"S": (1, 1)}, wrt="S")[1].shape == ()
    assert parse("S + I").shapes == {"S": ("d", "d")}


def test_the_matrix_product_is_remarked_on_once_and_only_between_matrices():
    (note,) = parse("A*B + A*B").notes
    assert "matrix product" in note
    assert parse("A B + A @ B").notes == ()
    assert parse("2*A*x").notes == ()


def test_at_dimension_one_a_matrix_is_a_number():
    expression = parse("log(det(S)) + x'*inv(S)*x + tr(S) + sum(vech(S))", shapes={"S": (1, 1), "x": ()})
    assert expression.text == "log(S) + x/S*x + S + S"


def test_bars_are_what_their_content_makes_them():
    assert parse("|S| + |a| + |x|").text == "det(S) + abs(a) + norm(x)"


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("log(det(S)) + S", 12, r"`\+` between the scalar `log\(det\(S\)\)` and the d x d matrix `S`"),
        ("inv(S) - x'*inv(S)*x", 7, "the d x d matrix `inv"),
        ("S*x' + A", 1, "between the n x p matrix `S` and the 1 x m matrix `x'`"),
        ("inv(S)*x'*inv(S)*x", 6, "Shapes as read: S: n x n, x: p"),
        ("S + 1", 2, r"`2\*I`"),
        ("x^2 + x'*x", 1, "a power of the vector `x`"),
        ("S^(1/2)", 1, "whole powers"),
        ("a^S", 2, "an exponent"),
        ("tr(x*y')*x + diag(inv(S)*x)", 11, "the vector"),
        ("A∘B*D", 3, r"Use brackets: \(A∘B\)\*C"),
        ("A∘B*C'", 3, r"Use brackets: \(A∘B\)\*C"),
        ("A∘B + tr(A)", 4, "do not fit"),
        ("vech(x*y')*S'*x", 10, "do not fit"),
        ("a.^S", 3, "an exponent"),
    ],
)
def test_a_contradiction_points_at_the_operator_and_states_both_shapes(text, position, says):
    with pytest.raises(ReadError, match=says) as caught:
        parse(text)
    assert caught.value.position == position


def test_declared_sizes_that_contradict_each_other_are_an_error():
    with pytest.raises(ReadError, match="the 3 x 3 matrix `S` and the vector `x` of length 4"):
        parse("S*x", shapes={"S": (3, 3), "x": (4, 1)})


@pytest.mark.parametrize("shape", [(0,), (1, 2, 3), (1.5,), (True, 2)])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(ValueError, match="the shape of `x`"):
        parse("x", shapes={"x": shape})


def test_a_claim_takes_the_shape_of_what_it_is_a_derivative_by():
    value, claim = parse_together(["x'*S*x", "0"], wrt="S")
    assert claim.text == "zeros(d, d)"
    value, claim = parse_together(["n/2*logdet(S)", "n/2*inv(S)"], wrt="S")
    assert value.shape == ()
    assert claim.shapes["n"] == ()
    value, claim = parse_together(["-1/2*x'*x", "-I"], wrt="x")
    assert claim.shape == ("d", "d")
    value, claim = parse_together(["x'*S*x", "vech(x*x')"], wrt="S")
    assert claim.shape == ("d*(d+1)/2",)
    value, claim = parse_together(["x'*S*x", "2*x'*S"], wrt="x")
    assert claim.shape == (1, "d")
    value, claim = parse_together(["a'*x", "x"], wrt="a")
    assert claim.shapes == {"a": ("d",), "x": ("d",)}


def test_a_jacobian_is_read_when_the_expression_is_no_scalar():
    value, claim = parse_together(["A*x", "A"], wrt="x")
    assert value.shape == ("n",)
    assert claim.shape == ("n", "p")


def test_an_error_in_the_claim_shows_the_claim():
    with pytest.raises(ReadError) as caught:
        parse_together(["logdet(S)", "inv(S) + 1"], wrt="S")
    assert caught.value.text == "inv(S) + 1"


def test_symmetric_means_square():
    expression = parse("A*x", symmetric=["A"])
    assert expression.shapes == {"A": ("d", "d"), "x": ("d",)}
    assert expression.describe_shapes() == "A: d x d (symmetric), x: d"
