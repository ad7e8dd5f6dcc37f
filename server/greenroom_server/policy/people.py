"""Who is the same person: one human under many names, in any letter case, or behind a bot."""

import unicodedata
from collections.abc import Iterable, Mapping


def normalised_name(name: str) -> str:
    """Without letter case and outer space; of `Ann Lee <ann@example.com>` only the address."""
    text = name.strip()
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1].strip()
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


class People:
    """Names that lead to persons, and which of them have no active account any more."""

    __slots__ = ("_aliases", "_inactive", "_persons")

    def __init__(self, aliases: Mapping[str, str], inactive: Iterable[str] = ()) -> None:
        self._persons: dict[str, str] = {}
        self._aliases = {normalised_name(name): normalised_name(main) for name, main in sorted(aliases.items())}
        self._inactive = frozenset(self.person_of(name) for name in inactive)

    def person_of(self, name: str, on_behalf_of: str | None = None) -> str:
        """The one name of the human: of whom a bot acts for, if it says so. Names that point at each other are one."""
        who = on_behalf_of or name
        person = self._persons.get(who)
        if person is None:
            person = self._persons[who] = self._find(normalised_name(who))
        return person

    def _find(self, person: str) -> str:
        seen = [person]
        while (person := self._aliases.get(person, person)) not in seen:
            seen.append(person)
        return min(seen[seen.index(person) :])

    def persons(self, names: Iterable[str | None]) -> frozenset[str]:
        return frozenset(self.person_of(name) for name in names if name)

    def is_active(self, person: str) -> bool:
        return person not in self._inactive
