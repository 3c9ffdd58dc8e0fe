"""Errors of the reader, which point at the character and say what to do, and of derivatives without a formula."""

from __future__ import annotations

from collections.abc import Iterable

_WINDOW = 72  # characters of a long line that are shown around the caret


class ReadError(ValueError):
    """A text that is not an expression.

    `.position` is the index of the character in `.text`, `.expected` says in words what would have been read there.
    """

    def __init__(self, text: str, position: int, problem: str, expected: str = "", advice: str = "") -> None:
        self.text = text
        self.position = min(max(position, 0), len(text))
        self.problem = problem
        self.expected = expected
        self.advice = advice
        line, column = _line(text, self.position)
        parts = [problem + (f"; expected {expected}" if expected else ""), f"  {line}", f"  {' ' * column}^", advice]
        super().__init__("\n".join(part for part in parts if part))

    def __reduce__(self) -> tuple[type, tuple[str, int, str, str, str]]:
        """Pickle by the arguments, as an error that crosses processes must."""
        return type(self), (self.text, self.position, self.problem, self.expected, self.advice)


class Unsupported(ValueError):
    """A derivative that the notation has no words for; the message names the operation."""


class DerivationError(RuntimeError):
    """A line of a derivation that does not hold: a mistake in a rule of gdiff, which is not returned."""


def _line(text: str, position: int) -> tuple[str, int]:
    """Cut out the line around a position, shortened, with the column of the position in it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line, column = text[start : end if end >= 0 else len(text)], position - start
    first = max(0, column - _WINDOW // 2)
    shown = line[first : first + _WINDOW]
    before, after = ("…" if first else ""), ("…" if first + _WINDOW < len(line) else "")
    shown = "".join(c if c.isprintable() else " " for c in shown)
    return before + shown + after, column - first + len(before)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, or nothing."""
    from difflib import get_close_matches  # only a mistake pays for the import

    nearest = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{nearest[0]}`?" if nearest else ""
