import contextlib
import random
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from gdiff.derivation import Expression, ReadError, parse, parse_together

FORMULAS = [
    "log(det(S)) + x'*inv(S)*x",
    "-1/2*(2*inv(S) - had(inv(S), I) - 2*inv(S)*x*x'*inv(S))",
    r"-\frac12 \left( 2\Sigma^{-1} - \Sigma^{-1}\circ I - 2\Sigma^{-1}xx^\top\Sigma^{-1} \right)",
    r"-\frac{1}{2}\log|\Sigma| - \frac{1}{2}(\mathbf{x}-\mu)^\top\Sigma^{-1}(\mathbf{x}-\mu)",
    "sum(log(ones + exp(X %*% b)))",
    "nu/2*logdet(V) + tr(solve(V, W))",
    "vech(S) + kron(A, B)*vec(C)",
    "t(solve(S)) @ x ** 2 / ||y||",
]
SOUP = [
    *"()[]{}|‖'^*/+-,.;=_ \\$\"#:@%&~<>?!0123456789abnxyzASTIμΣλ⁻¹ᵀ²∘⊗⊙√\x00\n\té",
    "inv(", "log", "det", "tr(", "||", "|S|", "\\frac", "\\left", "\\right", "\\Sigma", "^\\top", "^{-1}",
    "\\mathbf{x}",
    "1e-3", "1/2", "x'", ".*", ".^", "./", "%*%", "**", "kron(", "eye(", "ones", "vech(", "diag(", "solve(", "lambda",
    "__import__", "os.system('x')", "lambda: 0", "exec(", "import", "S_1", "x_{12}", "\\operatorname{tr}", "I", "pi",
]  # fmt: skip


def mutated(formula, generator):
    characters = list(formula)
    for _ in range(generator.randint(1, 3)):
        at = generator.randrange(len(characters))
        match generator.randrange(4):
            case 0:
                del characters[at : at + generator.randint(1, 3)]
            case 1:
                characters.insert(at, generator.choice(SOUP))
            case 2:
                characters[at] = generator.choice(SOUP)
            case _:
                characters = characters[at:] + characters[:at]
        characters = characters or ["x"]
    return "".join(characters)


def fuzzed(generator):
    kind = generator.randrange(10)
    if kind == 0:
        return "".join(chr(generator.randrange(1, 0x2FFF)) for _ in range(generator.randint(0, 40)))
    if kind == 1:
        return generator.choice(SOUP) * generator.randint(1, 500)
    if kind < 6:
        return "".join(generator.choice(SOUP) for _ in range(generator.randint(1, 25)))
    return mutated(generator.choice(FORMULAS), generator)


def test_any_text_is_an_expression_or_an_error_that_points():
    generator = random.Random(0)
    read, start = 0, time.perf_counter()
    for _ in range(10_000):
        text = fuzzed(generator)
        try:
            expression = parse(text)
        except ReadError as error:
            assert 0 <= error.position <= len(text)  # noqa: PT017
            assert len(str(error)) < 3000  # noqa: PT017
        else:
            assert isinstance(expression.text, str)
            read += 1
    assert read > 300
    assert time.perf_counter() - start < 30


def test_texts_that_were_read_print_and_read_back():
    generator = random.Random(1)
    for _ in range(1000):
        try:
            expression = parse(mutated(generator.choice(FORMULAS), generator))
        except ReadError:
            continue
        assert parse(expression.text, shapes=expression.shapes) == expression
        assert parse(expression.latex(), shapes=expression.shapes) == expression


def test_long_texts_are_answered_soon():
    start = time.perf_counter()
    for text in ["x*" * 1999 + "x", "|" * 4000, "(" * 4000, "x" + "^2" * 1999, "a" * 4000, "+".join("abhxyzAS" * 240)]:
        with contextlib.suppress(ReadError):
            parse(text)
    assert time.perf_counter() - start < 10


def test_expressions_of_the_greatest_depth_print_and_evaluate():
    expression = parse("exp(-(" * 48 + "x'*x" + "))" * 48)
    assert expression.latex().count("exp") == 48
    assert expression.function()(x=[1.0, 2.0]).shape == ()


def test_neither_jax_nor_sympy_is_needed_to_read():
    code = (
        "import sys, types, pathlib; package = types.ModuleType('gdiff'); import importlib.util as u;"
        "package.__path__ = list(u.find_spec('gdiff').submodule_search_locations); sys.modules['gdiff'] = package;"
        'from gdiff.derivation import parse; parse("log|S| + x\'*inv(S)*x");'
        "assert not {'jax', 'sympy', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("texts", "wrt", "printed"),
    [
        (["log|S|", "2 S^-1 - diag(S^-1)"], "S", "2*inv(S) - ddiag(inv(S))"),
        ([r"\log|\Sigma|", r"2\Sigma^{-1} - \Sigma^{-1}\circ I"], "Σ", "2*inv(Sigma) - had(inv(Sigma), I)"),
        (
            [
                r"-\frac12\ln|\boldsymbol\Sigma|-\tfrac{1}{2}(\mathbf{x}-\mu)^{\mathsf{T}}\Sigma^{-1}(\mathbf{x}-\mu)",
                r"\Sigma^{-1}\left(\mathbf{x} - \mu\right)",
            ],
            "mu",
            "inv(Sigma)*(x - mu)",
        ),
        (
            [r"\log|\Sigma| + x^\top\Sigma^{-1}x", r"\Sigma^{-1}\left[I - xx^\top\Sigma^{-1}\right]"],
            "Sigma",
            "inv(Sigma)*(I - x*x'*inv(Sigma))",
        ),
        (
            ["(nu-p-1)/2*logdet(X) - tr(solve(V) %*% X)/2", "(nu-p-1)/2*X^-1 - V^-1/2"],
            "X",
            "1/2*(nu - p - 1)*inv(X) - 1/2*inv(V)",
        ),
        (["||y - X b||^2 + lambda b'b", "-2X'(y - X b) + 2 lambda b"], "b", "-2*X'*(y - X*b) + 2*lambda*b"),
        (["tr(V^-1 (X-M)' U^-1 (X-M))", "2 U^-1 (X-M) V^-1"], "X", "2*inv(U)*(X - M)*inv(V)"),
        (["w'*A*w/(w'*B*w)", "2*(A*w - w'*A*w/(w'*B*w)*B*w)/(w'*B*w)"], "w", "2*(A*w - w'*A*w/(w'*B*w)*B*w)/(w'*B*w)"),
        (
            ["np.log(np.linalg.det(S)) + x.T @ np.linalg.inv(S) @ x", "inv(S).T - S.inv() @ x @ x.T @ S.inv()"],
            "S",
            "inv(S)' - inv(S)*x*x'*inv(S)",
        ),
    ],
)
def test_formulas_of_text_books_r_and_numpy_are_read(texts, wrt, printed):
    expression, claim = parse_together(texts, wrt=wrt)
    assert expression.shape == ()
    assert claim.text == printed
    assert claim.shape == claim.shapes[{"Σ": "Sigma"}.get(wrt, wrt)]


def test_terms_carry_their_numbers():
    terms = parse("a - 1/2*(b - 2*c) + 3").terms()
    assert [(c, t.text) for c, t in terms] == [
        (1, "a"),
        (Fraction(-1, 2), "b"),
        (1, "c"),
        (3, "1"),
    ]


def test_scalar_parts_are_found_within_products():
    texts = [part.text for part in parse("2*inv(S)*x*(x'*A*x) + nu*x'*x*y").scalars()]
    assert texts == ["x'*A*x", "x'*x", "nu"]


def test_terms_combine_to_an_expression_of_the_same_names():
    (gradient,) = parse_together(["inv(S) - inv(S)*x*x'*inv(S)"], symmetric=["S"])
    made = gradient.combine([(1, "inv(S)"), (Fraction(-1, 2), "had(inv(S), I)"), (2, gradient)])
    assert made.text == "inv(S) - 1/2*had(inv(S), I) + 2*(inv(S) - inv(S)*x*x'*inv(S))"
    assert made.shapes == gradient.shapes
    assert gradient.combine([(2, "I")]).shape == ("d", "d")
    assert gradient.combine([]).shape == ("d", "d")


def test_an_expression_shows_itself():
    expression = parse("x'*S*x")
    assert str(expression) == "x'*S*x"
    assert expression._repr_latex_() == r"$\displaystyle x^\top S x$"
    assert isinstance(expression, Expression)


def test_numbers_that_brackets_multiply_are_bounded():
    with pytest.raises(ReadError, match="out of bounds"):
        parse("1e200*(1e200*x)")


def test_text_is_text():
    with pytest.raises(TypeError, match="want text"):
        parse(3)
