import ast
import keyword
import re

import jax
import numpy as np
import pytest

from gdiff.derivation import parse
from gdiff.derivation.compiled import compile_function
from gdiff.derivation.plan import plan
from gdiff.derivation.source import python_source, r_source
from tests.derivation.planned_formulas import FORMULAS, SHAPES, STRUCTURE, arguments

# Functions of base R.
BASE_R = {
    "abs", "backsolve", "c", "cbind", "chol", "chol2inv", "crossprod", "det", "determinant", "diag", "dim", "drop",
    "exp", "forwardsolve", "function", "if", "ifelse", "isTRUE", "kronecker", "length", "log", "lower.tri",
    "matrix", "max", "ncol", "nrow", "outer", "pmax", "prod", "rbind", "rep", "replace", "rowSums", "seq_len",
    "sign", "solve", "sqrt", "sum", "svd", "sweep", "t", "tcrossprod", "upper.tri",
}  # fmt: skip
R_WORDS = {"TRUE", "FALSE", "NaN", "pi", "else", "function", "if", "transpose", "drop", "diag", "nrow", ".Machine"}


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def planned(text, shapes=SHAPES):
    formula = parse(text, shapes=shapes)
    return plan(formula.node, formula.all_shapes, STRUCTURE)


def run(code, name="gradient"):
    space = {}
    exec(code, space)
    return space[name]


@pytest.mark.parametrize("text", FORMULAS)
def test_python_gives_the_numbers_of_the_compiled_function(text):
    made = planned(text)
    given = {name: jax.numpy.asarray(array) for name, array in arguments(2).items() if name in made.arguments}
    got, want = run(python_source(made, formula=text))(**given), compile_function(made)(**given)
    eps = np.finfo(float).eps
    assert np.shape(got) == want.shape
    assert np.all(np.abs(got - want) <= np.sqrt(eps) * np.max(np.abs(want)))


@pytest.mark.parametrize("text", FORMULAS)
def test_python_imports_jax_only_and_what_it_uses(text):
    code = python_source(planned(text))
    tree = ast.parse(code)
    imported = {
        alias.asname or alias.name: alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
    }
    assert set(imported.values()) <= {"jax", "jax.numpy", "jax.scipy.linalg"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(imported) <= used
    assert max(map(len, code.splitlines())) <= 120


@pytest.mark.parametrize("text", [text for text in FORMULAS if "pi" not in text and text != "3/2"])
def test_python_stays_in_the_precision_of_its_arguments(text):
    made = planned(text)
    given = {
        name: jax.numpy.asarray(array, "float32") for name, array in arguments(2).items() if name in made.arguments
    }
    assert jax.eval_shape(run(python_source(made)), **given).dtype == np.float32


def test_python_jits_and_differentiates():
    made = planned("x'*inv(S)*x + logdet(S)")
    given = arguments(3)
    f, g = run(python_source(made)), compile_function(made, made.arguments)
    args = [given[name] for name in made.arguments]
    assert made.arguments == ("x", "S")
    got, want = (jax.jit(jax.grad(h, 1))(*args) for h in (f, g))
    assert np.allclose(got, want, rtol=np.sqrt(np.finfo(float).eps), atol=0)


def functions_of(code):
    """Name, parameters and body of each function at the top level of an R file."""
    for match in re.finditer(r"^(\w+) <- function\(([^)]*)\)(.*?)(?=^\w+ <- function|^#|\Z)", code, re.M | re.S):
        yield match[1], [p.strip() for p in match[2].split(",") if p.strip()], match[3]


@pytest.mark.parametrize("text", FORMULAS)
def test_r_is_balanced_and_knows_every_name(text):
    code = r_source(planned(text), formula=text)
    body = "\n".join(line for line in code.splitlines() if not line.startswith("#"))
    stack = []
    for character in re.sub(r'"[^"]*"', '""', body):
        if character in "([{":
            stack.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}":
            assert stack.pop() == character
    assert not stack
    found = list(functions_of(body))
    helpers = {name for name, _, _ in found}
    assert "gradient" in helpers
    for _, parameters, lines in found:
        known = {*parameters, *R_WORDS}
        for line in re.sub(r'"[^"]*"', '""', lines).splitlines():
            line = re.sub(r"\$\w+|\.Machine\$\S+", "", line)
            target, _, right = line.strip().rpartition(" <- ")
            called = set(re.findall(r"([A-Za-z.][\w.]*)\(", right))
            assert called <= BASE_R | helpers, line
            names = set(
                re.findall(
                    r"(?<![\w.])([A-Za-z.][\w.]*)(?![\w.(])", re.sub(r"(?<![\w.])\d+(\.\d+)?(e-?\d+)?", "0", right)
                )
            )
            assert names <= known, line
            if re.fullmatch(r"[A-Za-z]\w*", target):
                known.add(target)


def test_r_takes_care_of_vectors_of_length_one_and_of_scalars():
    code = r_source(planned("A + diag(x)*(x'*A*y) + diag(x + y)"))
    assert "diag(x)" not in code
    assert re.search(r"diag\((\w+), nrow = length\(\1\)\)", code)
    assert "sum(x * drop(A %*% y))" in code
    assert "x <- c(x)" in code


@pytest.mark.parametrize("write", [python_source, r_source])
def test_the_formula_and_the_shapes_are_said(write):
    code = write(planned("x'*inv(S)*y"), name="form", formula="x'*inv(S)*y")
    assert "x'*inv(S)*y" in code
    assert "x: d, S: d x d (positive definite), y: d. Returns: scalar." in code
    assert "form" in code


def test_names_that_a_language_has_taken_get_an_underscore():
    shapes = {"lambda": (), "c": (), "t": "d", "T": ("d", "d"), "F": ("d", "d")}
    formula = parse("lambda*c*T*t + F*t", shapes=shapes)
    made = plan(formula.node, formula.all_shapes)
    in_python, in_r = python_source(made), r_source(made)
    arguments_of = re.search(r"function\((.*)\) {", in_r)[1].split(", ")
    assert arguments_of == ["lambda", "c_", "T_", "t_", "F_"]
    function = ast.parse(in_python).body[-1]
    assert [argument.arg for argument in function.args.args] == ["lambda_", "c", "T", "t", "F"]
    assert not any(keyword.iskeyword(argument.arg) for argument in function.args.args)


def test_intermediate_names_are_free_ones():
    shapes = {"S": ("d", "d"), "u": "d", "L_S": "d", "inv_S": ("d", "d")}
    formula = parse("inv(S)*u + L_S + (inv(S) + inv_S)*u*(u'*inv(S)*L_S)", shapes=shapes)
    made = plan(formula.node, formula.all_shapes, {"S": "positive_definite"})
    rng = np.random.default_rng(0)
    given = {"S": np.eye(2) * 2, "u": rng.normal(size=2), "L_S": rng.normal(size=2), "inv_S": rng.normal(size=(2, 2))}
    got, want = run(python_source(made))(**given), formula.numpy_function()(**given)
    assert np.allclose(got, want, rtol=np.sqrt(np.finfo(float).eps), atol=0)


@pytest.mark.parametrize("write", [python_source, r_source])
def test_sizes_and_names_that_do_not_work_say_so(write):
    formula = parse("tr(I)")
    with pytest.raises(ValueError, match="no argument has the dimension"):
        write(plan(formula.node, formula.all_shapes))
    with pytest.raises(ValueError, match="as the name of the function"):
        write(planned("x"), name="my function")
