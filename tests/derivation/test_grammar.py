import pytest

from gdiff.derivation.errors import ReadError
from gdiff.derivation.grammar import read
from gdiff.derivation.tree import children

SAME = [
    ["x'", "x.T", "t(x)", "transpose(x)", "x^T", "x^{T}", r"x^\top", r"x^{\top}", r"\mathbf{x}^\top", "xᵀ", "x′", "x⊤"],
    ["inv(S)", "S^-1", "S^{-1}", "S**-1", "S^(-1)", "solve(S)", "S⁻¹", "np.linalg.inv(S)", r"\mathbf{S}^{-1}"],
    ["inv(S)*x", "S^-1 x", "solve(S, x)", r"S^{-1}\mathbf x", "S⁻¹·x", "solve(S) %*% x", "inv(S) @ x"],
    ["inv(S)'", "S^-1'", "S^-T", "S^{-T}", r"S^{-\top}", "S⁻ᵀ", "S⁻¹ᵀ", "t(solve(S))"],
    ["log(det(S))", "logdet(S)", "log det(S)", "log det S", "ln(det(S))", "log(determinant(S))"],
    ["log|S|", r"\log|S|", r"\log\left|S\right|", r"\log \lvert S \rvert", "ln|S|", "log(|S|)"],
    ["tr(S)", "trace(S)", "tr S", r"\operatorname{tr}(S)", r"\mathrm{tr} S", r"\text{tr}\left(S\right)", "tr[S]"],
    ["had(A, B)", "A.*B", "A∘B", r"A \circ B", r"A \odot B", "A ⊙ B", "hadamard(A, B)"],
    ["kron(A, B)", "A⊗B", r"A \otimes B", "A %x% B"],
    ["1/2*S", "0.5 S", r"\frac12 S", r"\frac{1}{2}S", r"\tfrac12 S", "S/2", "1/2 S", "5e-1*S", "(1/2) S"],
    ["2*S", "2 S", "2S", "S*2", "2(S)", r"2 \cdot S", "1 S*2"],
    ["-x^2", "-(x^2)", "-x**2", "-1*x^2", "-x²", "- - -x^2"],
    ["Sigma", "Σ", r"\Sigma", r"\boldsymbol{\Sigma}", r"$\Sigma$"],
    ["lambda*mu", "λ μ", r"\lambda \mu", r"\lambda\mu"],
    ["norm(x)", "||x||", r"\|x\|", r"\lVert x \rVert", r"\left\|x\right\|", "‖x‖"],
    ["x*x'", "outer(x, x)", "outer(x)", r"\mathbf{x}\mathbf{x}^\top", r"x x^\top"],
    ["sqrt(a)", r"\sqrt{a}", "√(a)", r"\sqrt a"],
    ["a/b*c", "a/b c"],
    ["a^b^c", "a^(b^c)", "a^{b^c}"],
    ["I", "eye", "identity()"],
    ["exp(-a/2)", "e^(-a/2)", "e^{-a/2}", r"e^{-\frac{a}{2}}"],
    ["1/2*n*a", r"\frac{n}{2} a", "n/2*a"],
    ["ones'*x", "1'x", r"\mathbf{1}^\top x"],
    ["1/nu", "nu^-1", r"\frac{1}{\nu}", "inv(nu)"],
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_every_spelling_is_the_same_tree(spellings):
    first = read(spellings[0]).node
    for spelling in spellings[1:]:
        assert read(spelling).node == first, spelling


@pytest.mark.parametrize(
    ("text", "bracketed"),
    [
        ("x'*S^-1*x", "(x')*(S^(-1))*x"),
        ("2A - diag(A)", "(2*A) - (diag(A))"),
        ("1/2*tr(A)", "(1/2)*(tr(A))"),
        ("A B∘C", "(A*B)∘C"),
        ("S^-1/2", "(S^-1)/2"),
        ("-x'*x", "(-1)*x'*x"),
        ("a - b - c", "a + (-b) + (-c)"),
        ("log|S| + |x|", "(log(|S|)) + (|x|)"),
        ("|A||B|", "(|A|)*(|B|)"),
        ("|A| |B|", "(|A|)*(|B|)"),
        ("| (2|A|) |", "|(2*(|A|))|"),
        ("log|S|^2", "log((|S|)^2)"),
        ("log(a)^2", "(log(a))^2"),
        ("||x|| ||y||", "(||x||)*(||y||)"),
        ("a*-b", "-a*b"),
        ("2^-1 x", "(1/2)*x"),
    ],
)
def test_precedence_is_what_people_mean(text, bracketed):
    assert read(text).node == read(bracketed).node


def test_a_fraction_read_from_left_to_right_is_remarked_on():
    assert read("1/2 (A)").notes == ()
    assert read("1/2*nu*x").notes == ()
    assert "only a divides" in read("1/a x").notes[0]
    assert "only 2 divides" in read("1/2x").notes[0]


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "empty"),
        ("   ", 3, "empty"),
        ("log(det(S", 9, "expected `\\)`.*\n.*\n.*\nThe bracket `\\(` at character 8"),
        ("S)", 1, "closes a bracket that was not opened"),
        ("(S]", 2, "got `]`; expected `\\)`"),
        ("|S", 2, "expected `|`"),
        ("x + * y", 4, "nothing before it"),
        ("x +", 3, "the text ends here; expected a name"),
        ("'x", 0, "a transpose with nothing before it"),
        ("foo(S)", 0, "unknown function `foo`"),
        ("lodget(S)", 0, "did you mean `logdet`"),
        ("x' Simga", 3, "did you mean `Sigma`"),
        ("x'Sx", 2, r"write `S\*x`"),
        ("S*xx'", 2, r"write `x\*x`"),
        ("import os", 0, "unknown name `import`"),
        ("S[1,2]", 1, "entries and lists are not read"),
        ("[1, 2]", 0, "entries and lists are not read"),
        ("a, b", 1, "a comma outside a function"),
        ("tr(A, B)", 0, "with 2 arguments; expected 1"),
        ("had(A)", 0, "with 1 arguments; expected 2"),
        ("solve()", 0, "with 0 arguments; expected 1 to 2"),
        ("tr A B", 3, "brackets: tr"),
        ("log 2 pi", 4, "brackets: log"),
        ("tr", 2, "the argument of `tr`"),
        ("2 3", 2, "the number 3 directly after"),
        ("1/0", 2, "division by zero"),
        ("0^-1", 0, "division by zero"),
        (r"\frac{1}{0}", 9, "division by zero"),
        ("A*B⊗C", 3, "two ways"),
        ("x^65", 2, "between -64 and 64"),
        ("x^-100", 3, "between -64 and 64"),
        ("(9^64)^64", 6, "1e300"),
        ("f(x)", 0, r"`f\(x\)` is not a function"),
        ("2'*x", 1, "the transpose of a number"),
        ("eye(0)", 4, "not a size"),
        ("sqrt[3](x)", 4, "other orders"),
    ],
)
def test_a_mistake_is_pointed_at_and_explained(text, position, says):
    with pytest.raises(ReadError, match=says) as caught:
        read(text)
    error = caught.value
    assert error.position == position
    line, caret = str(error).splitlines()[1:3]
    assert caret.index("^") - 2 == position
    assert line[2:] == text


def test_declared_names_are_names():
    assert read("Sx", {"Sx"}).node == read(" Sx ", {"Sx"}).node
    assert read("cov2*x", {"cov2"}).node


@pytest.mark.parametrize("text", ["(" * 101 + "x" + ")" * 101, "-(" * 600 + "x", "log " * 900 + "x", "x" + "^x" * 900])
def test_nesting_is_bounded(text):
    with pytest.raises(ReadError, match="nested too deeply"):
        read(text)


def test_nesting_to_the_bound_and_long_sums_are_read():
    assert read("(" * 99 + "x" + ")" * 99).node == read("x").node
    assert len(children(read(" + ".join(["x"] * 1000)).node)) == 1000
    assert len(children(read("*".join(["a"] * 1900)).node)) == 1900
    assert read("x" + "'" * 3001).node == read("x'").node


def test_the_caret_of_a_long_text_stands_under_its_character():
    with pytest.raises(ReadError) as caught:
        read("x + " * 500 + "?" + " + x" * 300)
    line, caret = str(caught.value).splitlines()[1:3]
    assert line[caret.index("^")] == "?"
    assert len(line) < 80
