"""A place in a list of tokens: looking ahead, opening and closing brackets, and refusing with a message."""

from __future__ import annotations

from typing import NoReturn

from gdiff.derivation.errors import ReadError
from gdiff.derivation.tokens import Token

CLOSERS = {"(": ")", "[": "]", "{": "}", "|(": ")|", "‖(": ")‖", "|": "|", "‖": "‖", "||": "||"}


class Cursor:
    """Where a parser stands, and which brackets are open there."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.index = 0
        self.brackets: list[str] = []

    @property
    def token(self) -> Token:
        """The token here."""
        return self.tokens[self.index]

    def ahead(self, count: int) -> Token:
        """Look ahead, no further than the end."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Step over the token here."""
        token = self.token
        self.index += 1
        return token

    def refuse(self, problem: str, expected: str = "", advice: str = "", at: int | None = None) -> NoReturn:
        """Raise the error that points here."""
        raise ReadError(self.text, self.token.at if at is None else at, problem, expected, advice)

    def got(self) -> str:
        """Say what stands here."""
        return "the text ends here" if self.token.kind == "end" else f"got `{self.token.text}`"

    def closes(self) -> bool:
        """Whether the bar here closes: it does if the innermost open bracket is a bar."""
        innermost = self.brackets[-1] if self.brackets else ""
        if innermost == "||":
            return self.double_bar()
        return innermost in ("|", "‖") and self.token.kind == innermost

    def double_bar(self) -> bool:
        """Whether `||` stands here, a norm."""
        return self.token.kind == self.ahead(1).kind == "|" and not self.ahead(1).spaced

    def starts_operand(self) -> bool:
        """Whether an operand starts here, so that a product is meant."""
        kind = self.token.kind
        return kind in ("number", "name", "frac", "(", "[", "{", "|(", "‖(") or (
            kind in ("|", "‖") and not self.closes()
        )

    def open(self, kind: str) -> Token:
        """Step over an opening bracket."""
        self.brackets.append(kind)
        opening = self.advance()
        self.index += kind == "||"
        return opening

    def close(self, opening: Token, kind: str) -> None:
        """Step over the bracket that closes, or say which one is open."""
        closer = CLOSERS[kind]
        found = self.double_bar() if kind == "||" else self.token.kind == closer
        if not found:
            shown = {")|": r"\right|", ")‖": r"\right\|"}.get(closer, closer)
            line = f"The bracket `{opening.text}` at character {opening.at + 1} is open."
            self.refuse(self.got(), f"`{shown}` or an operator", line)
        self.brackets.pop()
        self.index += 2 if kind == "||" else 1
