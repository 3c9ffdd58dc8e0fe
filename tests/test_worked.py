"""A derivation of one's own: every mistake is found at the line where it is made, and named."""

import pytest
import sympy as sp

import gdiff
from gdiff.worked import read_steps

RIGHT = """
# the score of a Gaussian in its covariance, without its factor
wrt S
symmetric S
f = log|S| + x' S^-1 x
df = d log|S| + x' d(S^-1) x                       # sum, product rule
d(S^-1) = -S^-1 dS S^-1                            # from S S^-1 = I
df = tr(S^-1 dS) - x' S^-1 dS S^-1 x               # log-determinant
df = tr((S^-1 - S^-1 x x' S^-1) dS)                # the trace is cyclic
df/dS = S^-1 - S^-1 x x' S^-1                      # read off
df/dS = 2 S^-1 - S^-1∘I - 2 S^-1 x x' S^-1 + (S^-1 x x' S^-1)∘I    # entries move in pairs
"""


def test_a_right_derivation_holds_line_by_line():
    review = read_steps(RIGHT).check()
    assert review.holds
    assert review.first is None
    assert review.exit_status == 0
    assert len(review.lines) == 7
    assert "Every line follows" in review.text
    assert review.result.convention == "symmetric"


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (1, "x' d(S^-1) x", "2 x' d(S^-1) x", "the quadratic-form term"),
        (2, "= -S^-1 dS S^-1", "= S^-1 dS S^-1", "gdiff has d(S^-1) = -S^-1 dS S^-1"),
        (2, "= -S^-1 dS S^-1", "= -S^-2 dS", "the two sides differ"),
        (3, "tr(S^-1 dS) - x'", "tr(dS) - x'", ""),
        (3, "tr(S^-1 dS) - x'", "tr(S^-1 dS) + x'", "minus what it should be"),
        (4, "(S^-1 - S^-1 x x' S^-1) dS", "(S^-1 - x x') dS", ""),
        (5, "df/dS = S^-1 - S^-1 x x' S^-1   ", "df/dS = S^-1", "missing"),
        (6, "2 S^-1 - S^-1∘I - 2", "2 S^-1 - 2", ""),
    ],
)
def test_a_mistake_is_found_at_its_line(line, old, new, message):
    assert old in RIGHT
    review = read_steps(RIGHT.replace(old, new, 1)).check()
    assert review.first == line, review.text
    assert not review.holds
    assert review.exit_status == 1
    assert message in review.lines[line].message
    assert f"Line {line} is the first that does not follow" in review.text


def test_an_expression_of_sympy_and_a_word_with_a_blank_begin_one_too():
    S = sp.MatrixSymbol("S", 3, 3)
    worked = gdiff.Derivation.start(sp.log(sp.Determinant(S)), S, assume={S: "positive definite"})
    assert worked.step("tr(inv(S)*dS)").step("inv(S)").check().holds


def test_in_python_step_by_step():
    worked = (
        gdiff.Derivation.start("x'*A*x", "x")
        .step("dx'*A*x + x'*A*dx", by="product rule")
        .step("x'*(A' + A)*dx", by="a number is its own transpose")
        .step("(A + A')*x", by="read off")
    )
    assert worked.check().holds
    assert worked.step("2*A*x", by="A is symmetric").check().first == 4


def test_the_last_line_is_the_derivative_in_a_convention_not_only_in_its_symmetric_part():
    lines = "wrt S\nsymmetric S\nx'*S*y\ndf = x' dS y\ndf/dS = x*y'"
    assert read_steps(lines).check().first == 2
    assert read_steps(f"{lines}\ndf/dS = 1/2*(x*y' + y*x')").check().holds


def test_the_variable_is_the_one_that_has_a_differential():
    assert gdiff.Derivation.start("x'*x").step("2*x'*dx").check().wrt == "x"
    with pytest.raises(ValueError, match="which variable moves"):
        gdiff.Derivation.start("x'*x").step("2*x").check()


def test_a_triangular_factor_and_shapes_are_declared_in_the_file():
    text = "wrt L\nassume L lower_triangular\nshape x 3,1\nx'*L*L'*x\ndf = 2*x'*L*dL'*x\ndf/dL = 2*tril(x*x'*L)"
    assert read_steps(text).check().holds
    assert read_steps(text.replace("2*tril(", "tril(")).check().first == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no expression"),
        ("wrt S\nlog|S|", "no steps"),
        ("wrt S T\nlog|S|\ntr(inv(S)*dS)", "wrt S"),
        ("log|S|\nsymmetric S\ntr(inv(S)*dS)", "line 2: `symmetric` stands after"),
        ("wrt T\nlog|S|\ntr(inv(S)*dS)", "the expression has no `T`"),
        ("wrt S\nlog|S|\ntr(inv(S)*dS", "line 3"),
        ("wrt x\nA*x\nA*dx", "not a scalar"),
        ("assume L\nlog|L|\ntr(inv(L)*dL)", "assume L lower_triangular"),
    ],
)
def test_bad_input_is_an_error_that_says_what_to_do(text, message):
    with pytest.raises(ValueError, match=message):
        read_steps(text).check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrt x\nf = x'*A*x\ndf = 2*x'*A*dx\ndf/dx = 2*A*x", "it holds if A symmetric; if so, write `symmetric A`"),
        (
            "wrt b\n(y - X*b)'*(y - X*b)\ndf/db = -2*(y - X*b)'*X",
            "you have 1 x p, b and its derivative are p; its transpose",
        ),
        ("wrt X\ntr(A*X)\ndf/dX = A", "its transpose has the right shape"),
    ],
)
def test_the_common_slips_are_explained(text, message):
    review = read_steps(text).check()
    assert not review.holds
    assert any(message in line.message for line in review.lines), review.text


def test_the_expression_may_have_a_name_and_headers_colons():
    text = "Wrt: x\nL = x'*A*x\ndL = dx'*A*x + x'*A*dx\ndL/dx = (A + A')*x\r\n"
    assert read_steps(text).check().holds
    latex = r"wrt x\nf = x'*A*x\ndf &= dx'*A*x + x'*A*dx = x'*(A + A')*dx\n\frac{\partial f}{\partial x} = (A + A')*x"
    assert read_steps(latex.replace(r"\n", "\n")).check().holds
    assert read_steps(latex.replace(r"\n", "\n").replace("+ x'*A*dx", "- x'*A*dx")).check().first == 1
    assert gdiff.Derivation.start("tr(X'*X)", "X").step("2*X").check().holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrt x\nf = x'x\ndf/dy = 2x", "line 3: a derivative by `y`"),
        ("wrt b\n(y - X*b)'*(y - X*b)\ndf = -2*r'*X*db", "line 3: `r` is not in the expression"),
        ("wrt x\nx'x\nd2f = 2*dx'*dx", "line 3: second differentials"),
        ("wrt x\nassume Q orthogonal\nx'x\n2*x'*dx", "the expression has no `Q`"),
        ("wrt b\n(y - X*b)'*(y - X*b)\ndf = -2*(y - X*b)*X*db", "line 3"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_line(text, message):
    with pytest.raises(ValueError, match=message):
        read_steps(text).check()
