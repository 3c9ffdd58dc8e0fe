"""Text to tokens: one kind for all spellings of an operator, from text-books, R, NumPy, MATLAB and LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from gdiff.derivation.errors import ReadError, did_you_mean
from gdiff.derivation.vocabulary import FUNCTIONS, GREEK, GREEK_COMMANDS, GREEK_VARIANTS, GREEK_WORDS, is_word

MAX_LENGTH = 4000
MAX_DIGITS = 310
MAX_DECIMAL_EXPONENT = 300


@dataclass(frozen=True)
class Token:
    """A piece of the text; `kind` is what it does, `text` how it was written or, for names, the name meant."""

    kind: str
    text: str
    at: int
    spaced: bool = False  # white space before it


_NUMBER = re.compile(r"(?:[0-9]+\.[0-9]+|[0-9]+\.(?![*^/'A-Za-z.])|[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_SUBSCRIPT = re.compile(r"_(?:\{([A-Za-z0-9\\, ]+)\}|\\?([A-Za-z0-9]+))")
_SUBSCRIPT_LATEX = re.compile(r"_(?:\{([A-Za-z0-9\\, ]+)\}|(\\[A-Za-z]+|[A-Za-z0-9]))")
_MODULE = re.compile(r"(?:(?:np|jnp|numpy|jax|torch|scipy|linalg|math)\.)+(?=[a-z])")
_COMMAND = re.compile(r"\\(?:([A-Za-z]+)\*?|(.))", re.DOTALL)
_WRAPPED = re.compile(r"\s*\{\s*(\\?[A-Za-z][A-Za-z0-9_]*|1)\s*\}|\s+([A-Za-z1])")
_SUPERSCRIPTS = {**dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)), "⁻": "-", "⁺": "", "ᵀ": "T"}
_SUPERSCRIPT = re.compile("[⁻⁺]?(?:[⁰¹²³⁴⁵⁶⁷⁸⁹]+|ᵀ)")
_METHODS = re.compile(r"\.(?:(T\b|transpose\(\)|t\(\))|(?:inv|inverse)\(\))")

# Longest first. "*" is the matrix product, ".*" the entrywise one.
_OPERATORS = {
    "%*%": "*", "%x%": "kron", ".**": ".^",
    "**": "^", ".*": ".*", "./": "./", ".^": ".^", "$$": "",
    "+": "+", "-": "-", "−": "-", "–": "-", "*": "*", "@": "*", "·": "*", "⋅": "*", "×": "*", "∗": "*", "/": "/",
    "∘": ".*", "⊙": ".*", "⊗": "kron", "^": "^", "'": "'", "′": "'", "’": "'", "⊤": "top", "|": "|", "‖": "‖", "∥": "‖",
    "(": "(", ")": ")", "[": "[", "]": "]", "{": "{", "}": "}", ",": ",", "√": "name", "$": "", "~": "",
}  # fmt: skip
_COMMANDS = {
    **dict.fromkeys(("top", "intercal"), "top"), "prime": "'",
    **dict.fromkeys(("circ", "odot"), ".*"), **dict.fromkeys(("cdot", "times", "ast"), "*"), "otimes": "kron",
    **dict.fromkeys(("frac", "tfrac", "dfrac", "cfrac"), "frac"),
    "vert": "|", "mid": "|", "lvert": "|(", "rvert": ")|", "Vert": "‖", "|": "‖", "lVert": "‖(", "rVert": ")‖",
    **dict.fromkeys(("{", "lbrace"), "("), **dict.fromkeys(("}", "rbrace"), ")"), "lbrack": "[", "rbrack": "]",
    **dict.fromkeys(("quad", "qquad", "displaystyle", "textstyle", "limits", "nolimits"), ""),
    **dict.fromkeys(",;:!() []>", ""),
}  # fmt: skip
_OPENING = frozenset({"left", "bigl", "Bigl", "biggl", "Biggl"})
_CLOSING = frozenset({"right", "bigr", "Bigr", "biggr", "Biggr"})
_SIZES = _OPENING | _CLOSING | {"big", "Big", "bigg", "Bigg"}
_WRAPPERS = frozenset(
    {"mathbf", "boldsymbol", "bm", "pmb", "mathrm", "text", "textrm", "mathit", "mathsf", "mathcal", "mathbb", "symbf"}
    | {"vec", "operatorname", "mathop"}
)
_ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde", "widetilde": "tilde"}
_ADVICE = {
    "=": "Give one side alone: an expression, not an equation.",
    ";": "Give one expression at a time.",
    "%": "The matrix product of R is `%*%`.",
    "_": "A subscript belongs to a name: x_1, Sigma_{xx}.",
    '"': "A transpose is `'`.",
    "`": "A transpose is `'`.",
    "#": "Comments are not read.",
    ":": "Entries and ranges are not read.",
}


def tokenize(text: str, declared: Collection[str] = ()) -> list[Token]:
    """Cut a text into tokens; the last one is of kind "end".

    A run of letters in LaTeX is a product of single letters, unless it is a known or a declared name.

    >>> [token.text for token in tokenize("2 x' %*% Σ⁻¹")]
    ['2', 'x', "'", '%*%', 'Sigma', '-1', '']
    """
    if len(text) > MAX_LENGTH:
        problem = f"the text has {len(text)} characters"
        raise ReadError(text, MAX_LENGTH, problem, f"at most {MAX_LENGTH}", "Name the parts, or check them in turn.")
    return _Tokenizer(text, declared).run()


class _Tokenizer:
    def __init__(self, text: str, declared: Collection[str]) -> None:
        self.text = text
        self.declared = declared
        self.latex = "\\" in text
        self.tokens: list[Token] = []
        self.position = 0
        self.spaced = False
        self.side = ""  # what \left or \right says of the bar that follows

    def run(self) -> list[Token]:
        while self.position < len(self.text):
            character = self.text[self.position]
            if character.isspace():
                self.position += 1
                self.spaced = True
            elif not (self._number() or self._word() or self._superscript() or self._command() or self._operator()):
                self._letter(character)
        self._emit("end", "", 0)
        return self._with_differentials()

    def _with_differentials(self) -> list[Token]:
        r"""The tokens, with dΣ and d\Sigma one name where Σ is one that the caller named; d Σ is that in LaTeX only."""
        out: list[Token] = []
        for token in self.tokens:
            before = out[-1] if out else None
            joined = token.kind == "name" and token.text in self.declared and (self.latex or not token.spaced)
            if joined and before is not None and (before.kind, before.text) == ("name", "d"):
                out[-1] = Token("name", f"d{token.text}", before.at, before.spaced)
            else:
                out.append(token)
        return out

    def _emit(self, kind: str, text: str, length: int) -> bool:
        if kind in ("|", "‖") and self.side:
            kind = f"{kind}(" if self.side == "open" else f"){kind}"
        if kind:
            self.tokens.append(Token(kind, text, self.position, self.spaced))
        self.side = ""
        self.spaced = not kind
        self.position += length
        return True

    def _number(self) -> bool:
        match = _NUMBER.match(self.text, self.position)
        if not match:
            return False
        mantissa, _, exponent = match[0].lower().partition("e")
        if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DECIMAL_EXPONENT:
            limit = f"at most {MAX_DIGITS} digits and a decimal exponent to {MAX_DECIMAL_EXPONENT}"
            raise ReadError(self.text, self.position, "this number is out of bounds", limit)
        return self._emit("number", match[0], match.end() - match.start())

    def _word(self) -> bool:
        if module := _MODULE.match(self.text, self.position):
            self.position = module.end()
        match = _WORD.match(self.text, self.position)
        if not match:
            return False
        word, start = match[0], match.start()
        whole, end = self._subscripted(word, match.end())
        if self.latex and word.isalpha() and not (is_word(whole, self.declared) or is_word(word, self.declared)):
            for letter in word[:-1]:
                self._emit("name", letter, 1)
            whole, end = self._subscripted(word[-1], match.end())
            start = self.position
        return self._emit("name", whole, end - start)

    def _subscripted(self, word: str, end: int) -> tuple[str, int]:
        """Attach the subscripts that follow."""
        pattern = _SUBSCRIPT_LATEX if self.latex else _SUBSCRIPT
        while match := pattern.match(self.text, end):
            word += "_" + re.sub(r"[\\, ]", "", match[1] or match[2])
            end = match.end()
        return word, end

    def _superscript(self) -> bool:
        if match := _SUPERSCRIPT.match(self.text, self.position):
            return self._emit("superscript", "".join(_SUPERSCRIPTS[c] for c in match[0]), len(match[0]))
        if match := _METHODS.match(self.text, self.position):
            return self._emit("superscript", "T" if match[1] else "-1", len(match[0]))
        return False

    def _command(self) -> bool:
        match = _COMMAND.match(self.text, self.position)
        if not match:
            return False
        name = match[1] or match[2]
        if name in _SIZES:
            self._emit("", "", len(match[0]))
            self.side = "open" if name in _OPENING else "close" if name in _CLOSING else ""
        elif name in _WRAPPERS or name in _ACCENTS:
            self._wrapper(name, match.end())
        elif name in _COMMANDS:
            self._emit(_COMMANDS[name], match[0], len(match[0]))
        else:
            name = {"ell": "l", **GREEK_VARIANTS}.get(name, name)
            if name not in FUNCTIONS and name not in GREEK_WORDS and name not in ("l", "sqrt"):
                known = (*_COMMANDS, *FUNCTIONS, *GREEK_COMMANDS, *_WRAPPERS)
                advice = did_you_mean(name, [word for word in known if len(word) > 1]).replace("`", "`\\", 1)
                raise ReadError(self.text, self.position, f"unknown LaTeX command `{match[0]}`", "", advice)
            name, end = self._subscripted(name, match.end())
            self._emit("name", name, end - self.position)
        return True

    def _wrapper(self, command: str, end: int) -> None:
        r"""Read \mathbf{x}_1 and \hat{\Sigma} as names; around anything else the command is dropped."""
        inner = _WRAPPED.match(self.text, end)
        accent = _ACCENTS.get(command, "")
        if not inner:
            if accent:
                advice = f"Write \\{command}{{x}} around one name."
                raise ReadError(self.text, end, f"`\\{command}` around an expression", "a name in braces", advice)
            self._emit("", "", end - self.position)
            return
        name = (inner[1] or inner[2]).lstrip("\\")
        name = "ones" if name == "1" else GREEK_VARIANTS.get(name, name)
        name, end = self._subscripted(name + (f"_{accent}" if accent else ""), inner.end())
        self._emit("name", name, end - self.position)

    def _operator(self) -> bool:
        for length in (3, 2, 1):
            spelling = self.text[self.position : self.position + length]
            if spelling in _OPERATORS and len(spelling) == length:
                return self._emit(_OPERATORS[spelling], spelling, length)
        return False

    def _letter(self, character: str) -> None:
        """Read a Greek letter, or a letter in one of Unicode's mathematical alphabets; else there is no such token."""
        plain = unicodedata.normalize("NFKC", character)
        name = GREEK.get(plain, plain)
        if name in GREEK_WORDS or _WORD.fullmatch(name):
            name, end = self._subscripted(name, self.position + 1)
            self._emit("name", name, end - self.position)
            return
        shown = character if character.isprintable() else f"character U+{ord(character):04X}"
        advice = _ADVICE.get(character, "")
        expected = "a name, a number or an operator"
        raise ReadError(self.text, self.position, f"`{shown}` is not read here", expected, advice)
