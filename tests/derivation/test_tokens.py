import pytest

from gdiff.derivation.errors import ReadError
from gdiff.derivation.tokens import MAX_LENGTH, tokenize


def kinds(text, declared=()):
    return " ".join(token.kind if token.kind != "name" else token.text for token in tokenize(text, declared)[:-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x'*S", "x ' * S"),
        ("x.T @ S", "x superscript * S"),
        ("A %*% B %x% C", "A * B kron C"),
        ("2.*A", "number .* A"),
        ("2.5*A", "number * A"),
        ("x**2", "x ^ number"),
        ("A.^2", "A .^ number"),
        ("Σ⁻¹ᵀ", "Sigma superscript superscript"),
        ("μ − x", "mu - x"),
        ("𝐱′𝚺", "x ' Sigma"),
        (r"\left|S\right|", "|( S )|"),
        (r"\lVert x\rVert", "‖( x )‖"),
        (r"\mathbf{x}_1^\top", "x_1 ^ top"),
        (r"\hat{\Sigma}_{ij}", "Sigma_hat_ij"),
        (r"\boldsymbol\mu", "mu"),
        (r"\Sigma xx^\top", "Sigma x x ^ top"),
        (r"\operatorname{vec}\Sigma", "vec Sigma"),
        (r"$\varepsilon\,\mathbf{1}$", "epsilon ones"),
        ("np.linalg.inv(S)", "inv ( S )"),
        ("S_xx + x1", "S_xx + x1"),
    ],
)
def test_spellings_of_one_thing_are_one_kind(text, expected):
    assert kinds(text) == expected


def test_letters_run_together_in_latex_are_one_name_if_declared():
    assert kinds(r"\Sigma ab") == "Sigma a b"
    assert kinds(r"\Sigma ab", {"ab"}) == "Sigma ab"


def test_positions_are_those_of_the_text():
    assert [token.at for token in tokenize("2  x'*Σ_1")] == [0, 3, 4, 5, 6, 9]


@pytest.mark.parametrize("text", ["1" * 311, "1e301", "1e-301", "1e999999999999"])
def test_numbers_are_bounded(text):
    with pytest.raises(ReadError, match="out of bounds"):
        tokenize(text)


def test_length_is_bounded():
    tokenize("x" + " " * (MAX_LENGTH - 1))
    with pytest.raises(ReadError, match="at most 4000"):
        tokenize("x" + " " * MAX_LENGTH)


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("a = b", 2, "not an equation"),
        ("a; b", 1, "one expression at a time"),
        ("A % B", 2, "%*%"),
        (r"\sigmma", 0, r"did you mean `\\sigma`"),
        ("x\x00", 1, r"U\+0000"),
        ("x _ y", 2, "subscript"),
        ('"x"', 0, "transpose"),
        (r"\hat{x + y}", 4, "one name"),
    ],
)
def test_what_is_no_token_is_pointed_at(text, position, says):
    with pytest.raises(ReadError, match=says) as caught:
        tokenize(text)
    assert caught.value.position == position
