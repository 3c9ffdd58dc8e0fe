"""The `catalogue` object: every identity, by name, by source, or by a word in it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gdiff.claim import Claim
from gdiff.identities import CHAPTERS


class Catalogue:
    """An immutable collection of claims, in chapters.

    `catalogue["log_det/full"]` is the entry of that name; `catalogue["cookbook:57"]` those of that equation (one entry,
    or a tuple of several); iteration goes through all in order.

    >>> catalogue["log_det/general"].equations
    (57,)
    """

    def __init__(self, chapters: Mapping[str, Iterable[Claim]]) -> None:
        self.chapters = {name: tuple(claims) for name, claims in chapters.items()}
        self._by_name: dict[str, Claim] = {}
        for claim in self:
            if claim.name in self._by_name:
                raise ValueError(f"two identities are called {claim.name!r}.")
            self._by_name[claim.name] = claim

    def __iter__(self) -> Iterator[Claim]:
        for claims in self.chapters.values():
            yield from claims

    def __len__(self) -> int:
        return sum(map(len, self.chapters.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, key: str) -> Any:
        found = self.find(key)
        if not found:
            raise KeyError(self._unknown(key))
        return found[0] if len(found) == 1 else found

    def find(self, key: str) -> tuple[Claim, ...]:
        """All entries that a key names: a name, a chapter, a prefix of names, a source, or a source's equation."""
        if key in self._by_name:
            return (self._by_name[key],)
        if key in self.chapters:
            return self.chapters[key]
        work, _, where = key.partition(":")
        number = where.removeprefix("B") if work == "beyond" else where
        if number.isdigit():
            return tuple(c for c in self if any(s.work == work and int(number) in s.equations for s in c.sources))
        if where:
            return tuple(c for c in self if any(s.work == work and s.place == where for s in c.sources))
        return tuple(c for c in self if any(s.work == key for s in c.sources) or c.name.startswith(key + "/"))

    def search(self, text: str) -> tuple[Claim, ...]:
        """Entries with all the words of `text` in their name, title, statement or source."""
        words = text.lower().split()
        return tuple(c for c in self if all(word in _searchable(c) for word in words))

    def _unknown(self, key: str) -> str:
        import difflib

        near = difflib.get_close_matches(key, [*self._by_name, *self.chapters], n=3, cutoff=0.4)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        return f"no identity, chapter or source is called {key!r}.{hint} `gdiff list` shows them all."


def _searchable(claim: Claim) -> str:
    return " ".join([claim.name, claim.title, claim.statement, *map(str, claim.sources), *claim.hypotheses]).lower()


catalogue = Catalogue(CHAPTERS)
