"""`gdiff check`, command by command: what a person types, and what it says."""

import itertools
import random
import re
import subprocess
import sys

import numpy as np
import pytest

from gdiff.check import check, parse_at, parse_shapes
from gdiff.derivation import ReadError, parse
from gdiff.derivation.terms import gradient_terms, pieces
from gdiff.domains import Positive, PositiveDefinite
from gdiff.printed import parse_numbers, read_numbers

GAUSSIAN = "-1/2*log(det(S)) - 1/2*x'*inv(S)*x"
WITH_MEAN = "-1/2*log(det(S)) - 1/2*(x-mu)'*inv(S)*(x-mu)"
BY_PRECISION = "1/2*log(det(P)) - 1/2*(x-mu)'*P*(x-mu)"
WISHART = "(n-p-1)/2*log(det(W)) - 1/2*tr(inv(V)*W) - n/2*log(det(V))"
STUDENT = "-(nu+d)/2*log(1 + (x-mu)'*inv(S)*(x-mu)/nu) - 1/2*log(det(S))"
MATRIX_NORMAL = "-1/2*tr(inv(V)*(X-M)'*inv(U)*(X-M)) - n/2*log(det(V)) - p/2*log(det(U))"

A = "-1/2*(inv(S) - inv(S)*x*x'*inv(S))"
B = "-1/2*(2*inv(S) - had(inv(S),I) - 2*inv(S)*x*x'*inv(S) + had(inv(S)*x*x'*inv(S), I))"
FROM_A = "-(inv(S) - inv(S)*x*x'*inv(S)) + 1/2*diag(inv(S) - inv(S)*x*x'*inv(S))"
LATEX = r"-\frac12\log|\Sigma| - \frac12 x^\top \Sigma^{-1} x"
LATEX_A = r"-\frac12 \left(\Sigma^{-1} - \Sigma^{-1} \mathbf{x} \mathbf{x}^\top \Sigma^{-1}\right)"
LATEX_B = (
    r"-\frac{1}{2}\left(2\Sigma^{-1} - \Sigma^{-1}\circ I - 2\Sigma^{-1}\mathbf{x}\mathbf{x}^{\top}\Sigma^{-1} "
    r"+ (\Sigma^{-1}\mathbf{x}\mathbf{x}^\top\Sigma^{-1})\circ I\right)"
)

S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
X = np.array([1.0, -2.0, 1.5])
P = np.linalg.inv(S)
TRUE_A = -(P - P @ np.outer(X, X) @ P) / 2
TRUE_B = 2 * TRUE_A - TRUE_A * np.eye(3)
AT = {"S": "4 1 .5; 1 3 .2; .5 .2 2", "x": "1 -2 1.5"}


# --- the three answers of the question that started this ------------------------------------------------------------

ANSWERS = [
    (GAUSSIAN, A, "S", "full"),
    (GAUSSIAN, B, "S", "symmetric"),
    (GAUSSIAN, FROM_A, "S", "symmetric"),
    (WITH_MEAN, A.replace("x", "(x-mu)"), "S", "full"),
    (WITH_MEAN, B.replace("x", "(x-mu)"), "S", "symmetric"),
    (LATEX, LATEX_A, r"\Sigma", "full"),
    (LATEX, LATEX_B, "Σ", "symmetric"),
]


@pytest.mark.parametrize(("expression", "claim", "wrt", "convention"), ANSWERS)
@pytest.mark.parametrize("declared", [True, False])
def test_the_three_answers_hold_each_in_its_convention(expression, claim, wrt, convention, declared):
    checked = check(expression, claim, wrt=wrt, symmetric=[wrt] if declared else [])
    assert checked.exit_status == 0
    assert checked.verdict.convention == convention
    assert checked.verdict.hypotheses == (() if declared else (f"{checked.wrt} symmetric",))
    assert ("partial" in checked.text) or convention == "symmetric"


# --- which term is missing ------------------------------------------------------------------------------------------

Q = "(x - mu)'*inv(S)*(x - mu)"
DROPPED = [
    (WITH_MEAN, "-1/2*inv(S)", "S", "1/2*inv(S)*(x-mu)*(x-mu)'*inv(S)"),
    (WITH_MEAN, "1/2*inv(S)*(x-mu)*(x-mu)'*inv(S)", "S", "-1/2*inv(S)"),
    (WITH_MEAN, "inv(S)*x", "mu", "-inv(S)*mu"),
    (BY_PRECISION, "1/2*inv(P)", "P", "-1/2*(x-mu)*(x-mu)'"),
    (WISHART, "-1/2*inv(V)", "W", "1/2*(n-p-1)*inv(W)"),
    (WISHART, "1/2*inv(V)*W*inv(V)", "V", "-1/2*n*inv(V)"),
    (STUDENT, "-1/2*inv(S)", "S", f"1/2*(nu + d)*inv(S)*(x-mu)*(x-mu)'*inv(S)/(nu + {Q})"),
    (STUDENT, f"(nu+d)*inv(S)*x/(nu + {Q})", "mu", f"-(nu + d)*inv(S)*mu/(nu + {Q})"),
    (STUDENT, f"-1/2*log(1 + {Q}/nu)", "nu", f"1/2*(nu + d)*({Q})/nu/(nu + {Q})"),
    (MATRIX_NORMAL, "inv(U)*X*inv(V)", "M", "-inv(U)*M*inv(V)"),
    (MATRIX_NORMAL, "-p/2*inv(U)", "U", "1/2*inv(U)*(X-M)*inv(V)*(X-M)'*inv(U)"),
    (MATRIX_NORMAL, "1/2*inv(V)*(X-M)'*inv(U)*(X-M)*inv(V)", "V", "-1/2*n*inv(V)"),
]
SYMMETRIC = {WITH_MEAN: "S", STUDENT: "S", BY_PRECISION: "P", WISHART: "WV", MATRIX_NORMAL: "UV"}


@pytest.mark.parametrize(("expression", "claim", "wrt", "term"), DROPPED)
def test_a_dropped_term_is_named(expression, claim, wrt, term):
    checked = check(expression, claim, wrt=wrt, symmetric=tuple(SYMMETRIC[expression]))
    found = re.search(r"missing (.*); with it the formula holds", checked.text)
    assert checked.exit_status == 1
    assert found
    assert parse(found[1].removeprefix("+ "), symmetric=SYMMETRIC[expression]) == parse(term)


def test_a_dropped_term_is_named_without_a_declaration():
    checked = check(WITH_MEAN, "1/2*inv(S)*(x-mu)*(x-mu)'*inv(S)", wrt="S")
    assert "missing - 1/2*inv(S);" in checked.text
    assert checked.forgotten == ("`-1/2*log(det(S))` depends on S too.",)


# --- the messages ---------------------------------------------------------------------------------------------------

MESSAGES = [
    (A, 0, "Entry [2,1]: yours -0.109161, the partial -0.218322."),
    (A, 0, "`to_symmetric(A)` = 2A - A∘I for standard errors and paired finite differences."),
    (B, 0, "Entry [2,1]: yours -0.218322, the Frobenius gradient has -0.109161."),
    ("-inv(S) + 1/2*inv(S)*x*x'*inv(S)", 1, "you have -1*inv(S), the derivative has -1/2*inv(S); the other term is"),
    ("-1/2*inv(S)", 1, "You are missing + 1/2*inv(S)*x*x'*inv(S); with it the formula holds at 12 fresh points."),
    ("-1/2*inv(S)", 1, "depends on S too."),
    ("1/2*(inv(S) - inv(S)*x*x'*inv(S))", 1, "Every entry is -1 times the derivative"),
]


@pytest.mark.parametrize(("claim", "status", "message"), MESSAGES)
def test_messages_at_the_point_of_the_example(claim, status, message):
    checked = check(GAUSSIAN, claim, wrt="S", symmetric="S", at=AT)
    assert checked.exit_status == status
    assert message in checked.text


def test_a_transpose_is_told_apart():
    checked = check("log(det(X))", "inv(X)", wrt="X")
    assert checked.exit_status == 0
    assert "Holds if X symmetric" in checked.text
    assert "`inv(X)'` holds" in checked.text
    assert "--symmetric X" in checked.text


def test_the_order_of_a_half_vector_is_told():
    by_rows = TRUE_B[np.tril_indices(3)]
    for symmetric in ((), ("S",)):
        checked = check(GAUSSIAN, wrt="S", symmetric=symmetric, at=AT, claim_file=by_rows)
        assert checked.exit_status == 1
        assert "row by row" in checked.text
        assert "Entries 3 and 4 are swapped." in checked.text


# --- numbers --------------------------------------------------------------------------------------------------------


def _as_r_prints(matrix):
    width = 12
    head = "     " + "".join(f"[,{j + 1}]".rjust(width) for j in range(matrix.shape[1]))
    rows = [f"[{i + 1},] " + "".join(f"{v:.7f}".rjust(width) for v in row) for i, row in enumerate(matrix)]
    return "\n".join([head, *rows])


def _inline(matrix, decimals):
    return "; ".join(" ".join(f"{v:.{decimals}f}" for v in row) for row in matrix)


@pytest.mark.parametrize(("matrix", "convention"), [(TRUE_A, "full"), (TRUE_B, "symmetric")])
def test_a_matrix_that_r_printed_is_judged_to_its_digits(tmp_path, matrix, convention):
    paths = {name: tmp_path / f"{name}.csv" for name in ("S", "x", "claim", "wrong")}
    np.savetxt(paths["S"], S, delimiter=",", fmt="%g")
    np.savetxt(paths["x"], X, fmt="%g")
    paths["claim"].write_text(_as_r_prints(matrix))
    wrong = matrix.copy()
    wrong[1, 1] += 1e-5
    paths["wrong"].write_text(_as_r_prints(wrong))
    at = {"S": paths["S"], "x": paths["x"]}
    checked = check(GAUSSIAN, wrt="S", symmetric="S", at=at, claim_file=paths["claim"])
    assert checked.exit_status == 0
    assert checked.verdict.convention == convention
    assert check(GAUSSIAN, wrt="S", symmetric="S", at=at, claim_file=paths["wrong"]).exit_status == 1


@pytest.mark.parametrize("claim", [TRUE_B.T[np.triu_indices(3)], TRUE_A.reshape(-1), TRUE_A])
def test_numbers_in_vech_and_vec_order_are_accepted(claim):
    checked = check(GAUSSIAN, wrt="S", symmetric="S", at={"S": S, "x": X}, claim_file=claim)
    assert checked.exit_status == 0


def test_a_point_that_was_printed_in_seven_digits_makes_the_bound_wider():
    scaled = S / 3 + 1e-3 * np.pi * (S > 3.5)
    x = X / 7
    p = np.linalg.inv(scaled)
    gradient = -(p - p @ np.outer(x, x) @ p) / 2
    at = {"S": parse_numbers(_as_r_prints(scaled)).array, "x": x}
    rounded = {
        "S": "; ".join(" ".join(f"{v:.6f}" for v in row) for row in scaled),
        "x": " ".join(f"{v:.7f}" for v in x),
    }
    claim = "; ".join(" ".join(f"{v:.7f}" for v in row) for row in gradient)
    assert check(GAUSSIAN, wrt="S", symmetric="S", at=rounded, claim_file=claim).exit_status == 0
    assert check(GAUSSIAN, wrt="S", symmetric="S", at=at, claim_file=claim.replace("0.1", "0.2")).exit_status == 1


@pytest.mark.parametrize(
    ("text", "matrix"),
    [
        ('"","V1","V2"\n"1",0.1,0.2\n"2",1e-3,4\n', [[0.1, 0.2], [0.001, 4]]),
        ("V1 V2\n1 0.1 0.2\n2 3 4", [[0.1, 0.2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        ("[[1. 2.]\n [3. 4.]]", [[1, 2], [3, 4]]),
        ("[[1.0, 2.0], [3.0, 4.0]]", [[1, 2], [3, 4]]),
        ("[1 2; 3 4]", [[1, 2], [3, 4]]),
        ("1,5;2,5\n3;4", [[1.5, 2.5], [3, 4]]),
        ("[1] 1.5 2.5\n[3] 4", [[1.5], [2.5], [4]]),
        ("   [,1] [,2]\n[1,] 1 2\n[2,] 3 4\n   [,3]\n[1,] 5\n[2,] 6", [[1, 2, 5], [3, 4, 6]]),
        ("1\t2\n\n# a remark\n3\t4", [[1, 2], [3, 4]]),
    ],
)
def test_matrices_are_read_as_they_are_printed(text, matrix):
    assert parse_numbers(text).array.tolist() == matrix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n3", "line 2: got 1 numbers, the lines before have 2"),
        ("1,2\n3,NA", "line 2, column 2: got `NA`, want a number"),
        ("1,,2\n3,4,5", "line 1, column 2: got an empty cell"),
        ("", "there are no numbers"),
    ],
)
def test_what_is_no_matrix_is_named(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_numbers(text, "S.csv")


# --- bad input ------------------------------------------------------------------------------------------------------

BAD = [
    ("log(det(S)) +", "inv(S)", {"wrt": "S"}, "the text ends here"),
    (GAUSSIAN, A, {"wrt": "Q"}, "the expression has no `Q`; its names: S, x"),
    (GAUSSIAN, A, {"wrt": "S", "symmetric": ["T"]}, "the expression has no `T`; its names: S, x"),
    (GAUSSIAN, "inv(S)*y*y'*inv(S)", {"wrt": "S"}, "the claim has `y`, which the expression does not"),
    (GAUSSIAN, None, {"wrt": "S"}, "want one claim"),
    (GAUSSIAN, None, {"wrt": "S", "claim_file": "a.csv"}, "--at"),
    (GAUSSIAN, A, {"wrt": "S", "at": {"S": "4 1; 1 3"}}, "--at lacks x"),
    (GAUSSIAN, A, {"wrt": "S", "at": {**AT, "z": "1"}}, "the expression has no `z`"),
    (GAUSSIAN, A, {"wrt": "S", "at": {**AT, "x": "nowhere.csv"}}, "nowhere.csv: there is no such file"),
    (GAUSSIAN, A, {"wrt": "S", "at": {**AT, "x": "1 2"}}, "the shapes do not fit"),
    (
        GAUSSIAN,
        A,
        {"wrt": "S", "symmetric": "S", "at": {**AT, "S": "4 1 1; 0 3 1; 1 1 2"}},
        "entry [2,1] is 0 and [1,2] is 1",
    ),
    (GAUSSIAN, None, {"wrt": "S", "at": AT, "claim_file": "1 2 3 4"}, "wanted (3, 3)"),
    ("tr(S)", "X*S", {"wrt": "S", "shapes": {"X": (2, 2), "S": (3, 3)}}, "shapes do not fit"),
]


@pytest.mark.parametrize(("expression", "claim", "options", "message"), BAD)
def test_bad_input_is_a_value_error_that_says_what_to_do(expression, claim, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check(expression, claim, **options)


def test_options_are_read():
    assert parse_shapes(["x=3,1", "A = n, p", "m="]) == {"x": (3, 1), "A": ("n", "p"), "m": ()}
    assert parse_at(["Σ=S.csv"]) == {"Sigma": "S.csv"}
    for bad in ("x", "=3", "x=3;1"):
        with pytest.raises(ValueError, match="--shape"):
            parse_shapes([bad])
    with pytest.raises(ValueError, match="twice"):
        parse_at(["x=a", "x=b"])


def test_bad_text_is_answered_before_jax_loads():
    code = (
        "import sys, gdiff.check as c\n"
        "try: c.check('log(det(S)) +', 'S', wrt='S')\n"
        "except c.ReadError: print(sorted({'jax', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert issubclass(ReadError, ValueError)


# --- text-book formulas, right and wrong ----------------------------------------------------------------------------

KULLBACK = "1/2*(tr(inv(V)*S) + (m-u)'*inv(V)*(m-u) - d + log(det(V)/det(S)))"
RIDGE = "(y-X*b)'*(y-X*b) + lambda*b'*b"
KALMAN = "(z - H*x)'*inv(R)*(z - H*x) + (x-m)'*inv(P)*(x-m)"
RIGHT = [
    (RIDGE, "-2*X'*(y-X*b) + 2*lambda*b", "b", ()),
    ("x'*A*x/(x'*x)", "2*(A*x - x*(x'*A*x)/(x'*x))/(x'*x)", "x", ("A symmetric",)),
    ("x'*A*x", "(A + A')*x", "x", ()),
    ("tr(A*X*B)", "A'*B'", "X", ()),
    ("log(det(X'*X))", "2*X*inv(X'*X)", "X", ()),
    ("log(det(I + X*X'))", "2*inv(I + X*X')*X", "X", ()),
    ("det(X)", "det(X)*inv(X)'", "X", ()),
    ("norm(X)", "X/norm(X)", "X", ()),
    (KULLBACK, "1/2*(inv(V) - inv(S))", "S", ("V symmetric", "S symmetric")),
    (KALMAN, "-2*H'*inv(R)*(z-H*x) + 2*inv(P)*(x-m)", "x", ("R symmetric", "P symmetric")),
    ("-n/2*log(s) - 1/(2*s)*(y-X*b)'*(y-X*b)", "-n/(2*s) + 1/(2*s^2)*(y-X*b)'*(y-X*b)", "s", ()),
    ("sum(log(ones(n)+exp(X*b))) - y'*X*b", "X'*(had(exp(X*b), (ones(n)+exp(X*b)).^-1) - y)", "b", ()),
    ("x'*S*x", "2*x*x' - diag(x*x')", "S", ("S symmetric",)),
    ("-x'*log(x)", "-log(x) - ones(d)", "x", ()),
    ("log(det(a*S))", "d/a", "a", ()),
    ("norm(a*x)", "norm(x)", "a", ("a positive",)),
    ("X*b", "X", "b", ()),
]
WRONG = [
    (RIDGE, "-2*X'*(y-X*b) + lambda*b", "b", "wrong_coefficient"),
    ("x'*A*x", "A*x", "x", "factor"),
    ("tr(A*X*B)", "B*A", "X", "transpose"),
    ("det(X)", "inv(X)'", "X", "density_not_log"),
    (KULLBACK, "1/2*(inv(V) - inv(V)*S*inv(V))", "V", "missing_term"),
    (KALMAN, "-2*H'*inv(R)*(z-H*x)", "x", "missing_term"),
    ("-n/2*log(s) - 1/(2*s)*(y-X*b)'*(y-X*b)", "-n/(2*s)", "s", "missing_term"),
]


@pytest.mark.parametrize(("expression", "claim", "wrt", "hypotheses"), RIGHT)
def test_right_formulas_hold(expression, claim, wrt, hypotheses):
    checked = check(expression, claim, wrt=wrt)
    assert checked.exit_status == 0
    assert checked.verdict.hypotheses == hypotheses


@pytest.mark.parametrize(("expression", "claim", "wrt", "kind"), WRONG)
def test_wrong_formulas_are_refuted_and_named(expression, claim, wrt, kind):
    checked = check(expression, claim, wrt=wrt)
    assert checked.exit_status == 1
    assert checked.verdict.diagnosis is not None
    assert checked.verdict.diagnosis.kind == kind
    assert checked.derivative
    assert "and your formula holds" not in checked.text


HESSIANS = [
    (WITH_MEAN, "-inv(S)", "mu", 0),
    (WITH_MEAN, "inv(S)", "mu", 1),
    ("x'*A*x", "A + A'", "x", 0),
    ("log(x'*x)", "2*I/(x'*x) - 4*x*x'/(x'*x)^2", "x", 0),
    ("log(x'*x)", "2*I/(x'*x) - 2*x*x'/(x'*x)^2", "x", 1),
    ("log(det(S))", "-kron(inv(S), inv(S))", "S", 1),
]


@pytest.mark.parametrize(("expression", "claim", "wrt", "status"), HESSIANS)
def test_hessians(expression, claim, wrt, status):
    assert check(expression, claim, wrt=wrt, hessian=True).exit_status == status


# --- what is printed is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expression", "claim", "wrt"), [row[:3] for row in (*DROPPED[::3], *WRONG[::3])])
def test_every_formula_that_is_printed_is_read(expression, claim, wrt):
    checked = check(expression, claim, wrt=wrt)
    assert checked.verdict.diagnosis is not None
    evidence = checked.verdict.diagnosis.evidence
    shown = [*evidence.get("true_terms", ()), *evidence.get("claimed_terms", ()), *(f for _, f in checked.derivative)]
    body = "\n".join(line for line in checked.text.splitlines() if not line.startswith("Note"))
    shown += [f for f in re.findall(r"`([^`]+)`", body) if not f.startswith(("--", "to_"))]
    shown += [line.split(" = ")[1].removesuffix(", you say") for line in checked.text.splitlines()[:2]]
    for formula in shown:
        assert parse(formula).text
    assert checked.json()["exit_status"] == checked.exit_status


# --- the vocabulary -------------------------------------------------------------------------------------------------

GRADIENTS = [
    (GAUSSIAN, "S"), (STUDENT, "nu"), (STUDENT, "S"), (MATRIX_NORMAL, "U"), ("x'*A*x/(x'*x)", "x"), ("tr(X^3)", "X"),
    ("tr(inv(X)^2)", "X"), ("exp(-1/2*x'*inv(S)*x)/sqrt(det(S))", "S"), ("sum(X .* A .* X)", "X"), ("norm(X)", "X"),
    ("x'*diag(v)*x", "v"), ("tr(diag(X)*A)", "X"), ("a*x'*S*x*y'*S*y", "S"), ("det(X)^2", "X"), ("sum(sqrt(x))", "x"),
    ("sum(exp(X))", "X"), ("log(det(V)/det(S))", "S"), ("norm(X*b - y)^2", "b"), ("x'*A*x*tr(B*X)", "X"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wrt"), GRADIENTS)
@pytest.mark.parametrize("declared", [True, False])
def test_the_terms_of_a_gradient_add_up_to_it(text, wrt, declared):
    f = parse(text, symmetric=[c for c in "SUV" if declared and c in text])
    rng, pool = np.random.default_rng(0), itertools.count(3)
    sizes: dict[int | str, int] = {}
    point = {}
    for name, shape in f.shapes.items():
        given = tuple(sizes[s] if s in sizes else sizes.setdefault(s, next(pool)) for s in shape)
        square = len(given) == 2 and given[0] == given[1]
        point[name] = np.asarray((PositiveDefinite() if square else Positive()).sample(rng, given))
    gradient = sum(float(c) * term.numpy_function()(**point) for c, term in gradient_terms(f, wrt))
    step = 1e-5 * rng.normal(size=point[wrt].shape)
    if wrt in f.symmetric:
        step = step + step.T
    value = f.numpy_function()
    slope = (value(**{**point, wrt: point[wrt] + step}) - value(**{**point, wrt: point[wrt] - step})) / 2
    assert np.isclose(np.sum(gradient * step), slope, rtol=1e-5)


def test_products_of_sums_are_multiplied_out():
    assert [(int(c), t.text) for c, t in pieces(parse("inv(S)*(x - y)*(x - y)'"))] == [
        (1, "inv(S)*x*x'"), (-1, "inv(S)*x*y'"), (-1, "inv(S)*y*x'"), (1, "inv(S)*y*y'"),
    ]  # fmt: skip


# --- anything -------------------------------------------------------------------------------------------------------


def _scalar(draw, depth):
    inner = depth - 1
    if depth <= 0:
        return draw.choice(["a", "2", "x'*x", "tr(S)", "det(S)"])
    return draw.choice([
        lambda: f"log(det({_matrix(draw, inner)}))", lambda: f"x'*{_matrix(draw, inner)}*x",
        lambda: f"({_scalar(draw, inner)} + {_scalar(draw, inner)})", lambda: f"{_scalar(draw, inner)}/(1 + x'*x)",
        lambda: f"exp({_scalar(draw, inner)})", lambda: f"sqrt({_scalar(draw, inner)})", lambda: "norm(x)",
        lambda: f"({_scalar(draw, inner)})^{draw.choice(['2', '-1'])}", lambda: f"tr({_matrix(draw, inner)}*A)",
    ])()  # fmt: skip


def _matrix(draw, depth):
    inner = depth - 1
    if depth <= 0:
        return draw.choice(["S", "A", "inv(S)", "I", "x*x'", "S'"])
    return draw.choice([
        lambda: f"inv({_matrix(draw, inner)})", lambda: f"({_matrix(draw, inner)} + {_matrix(draw, inner)})",
        lambda: f"{_matrix(draw, inner)}*{_matrix(draw, inner)}", lambda: f"had({_matrix(draw, inner)}, S)",
        lambda: f"diag({_matrix(draw, inner)})", lambda: f"exp({_matrix(draw, inner)})",
    ])()  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_anything_is_a_verdict_or_a_value_error(seed):
    draw = random.Random(seed)
    expression = _scalar(draw, 3)
    claim = draw.choice([_matrix, _scalar])(draw, 2)
    try:
        checked = check(expression, claim, wrt=draw.choice("Sx"), symmetric=draw.choice([(), ("S",)]))
    except ValueError:
        return
    assert checked.exit_status in (0, 1, 3)
    assert checked.text


def test_numbers_are_read_from_a_path_or_as_they_stand(tmp_path):
    (tmp_path / "m.csv").write_text("1,2\n3,4\n")
    assert read_numbers(tmp_path / "m.csv").array.tolist() == read_numbers("1 2; 3 4").array.tolist()


# --- degenerate points -----------------------------------------------------------------------------------------------


def test_degenerate_points_are_tried_on_request():
    checked = check("tr(X'*X)", "2*X*X'*inv(X)'", wrt="X", degenerate=True)
    assert checked.exit_status == 0
    assert "Holds if X not 0 and X not of rank 1." in checked.text
    assert "not of rank 1" not in check("tr(X'*X)", "2*X*X'*inv(X)'", wrt="X").text


# --- differentials ---------------------------------------------------------------------------------------------------

DIFFERENTIALS = [
    ("log(det(S))", "tr(inv(S)*dS)", "S", (), 0, "Holds."),
    ("log|Σ|", "tr(inv(Σ)*dΣ)", "Σ", (), 0, "df = tr(inv(Sigma)*dSigma), you say"),
    (r"\log|\Sigma|", r"\operatorname{tr}(\Sigma^{-1} d \Sigma)", r"\Sigma", (), 0, "Holds."),
    ("inv(S)", "-inv(S)*dS*inv(S)", "S", (), 0, "Holds."),
    ("S*S", "dS*S + S*dS", "S", (), 0, "Holds."),
    ("x'*A*x", "2*x'*A*dx", "x", (), 0, "Holds if A symmetric."),
    ("x'*A*x", "2*x'*A*dx", "x", ("A",), 0, "df = G'*dx"),
    ("inv(S)", "inv(S)*dS*inv(S)", "S", (), 1, "Every entry is -1 times the derivative"),
    ("log(det(S)) + x'*inv(S)*x", "tr(inv(S)*dS)", "S", ("S",), 1, "You are missing - inv(S)*x*x'*inv(S)"),
    ("tr(S*S)", "2*tr(S*dS) + 1", "S", (), 1, "It is not linear in the tangents"),
    ("S*S", "2*S*dS", "S", (), 1, "Refuted"),
]


@pytest.mark.parametrize(("expression", "claim", "wrt", "symmetric", "status", "words"), DIFFERENTIALS)
def test_a_differential_is_read_and_judged(expression, claim, wrt, symmetric, status, words):
    checked = check(expression, claim, wrt=wrt, symmetric=symmetric)
    assert checked.exit_status == status, checked.text
    assert words in checked.text


def test_a_differential_is_no_hessian():
    with pytest.raises(ValueError, match="want a matrix of second derivatives"):
        check("log(det(S))", "tr(inv(S)*dS)", wrt="S", hessian=True)


# --- what public threads ask, as text --------------------------------------------------------------------------------

THREADS = [
    ("log(det(S))", "2*inv(S) - diag(inv(S))", "S", {}, 0, "Holds if S symmetric, in the symmetric convention"),
    (GAUSSIAN, "1/2*(inv(S) - inv(S)*x*x'*inv(S))", "S", {"symmetric": ["S"]}, 1, "Every entry is -1 times"),
    (GAUSSIAN, "inv(S)", "x", {"symmetric": ["S"], "hessian": True}, 1, "Every entry is -1 times"),
    (GAUSSIAN, "-S", "x", {"symmetric": ["S"], "hessian": True}, 1, "covariance for precision"),
    (GAUSSIAN, f"1/2*({A}) + 1/2*diag({A})", "S", {"symmetric": ["S"]}, 1, "off it 1/2 times the derivative"),
    ("-1/2*x'*P*x", "-1/2*x*x'", "P", {"symmetric": ["P"]}, 0, "Not the partial derivative when P_12 and P_21 move"),
    ("-1/2*x'*P*x", "-x*x' + 1/2*diag(x*x')", "P", {"symmetric": ["P"]}, 0, "in the symmetric convention"),
    ("-1/2*x'*P*x", "-1/4*x*x' - 1/4*diag(x*x')", "P", {"symmetric": ["P"]}, 1, "1/2 times the derivative"),
]


@pytest.mark.parametrize(("expression", "claim", "wrt", "options", "status", "words"), THREADS)
def test_what_public_threads_ask_is_judged_and_explained(expression, claim, wrt, options, status, words):
    checked = check(expression, claim, wrt=wrt, **options)
    assert checked.exit_status == status, checked.text
    assert words in checked.text
