"""What is wrong with a document, and where: findings, and the places that report them.

A place is a position in the document. Its JSON Pointer is only written out when something is found there, so that
reading a good document costs next to nothing.
"""

from dataclasses import dataclass
from typing import Final

from greenroom.evaluation import limits


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a JSON Pointer relative to the document, and the reason.

    `limit` and `maximum` name the published limit that was passed, if it is one.
    """

    pointer: str
    detail: str
    limit: str | None = None
    maximum: int | None = None


class Place:
    """A position in a document that is being read; reports findings into one list shared by the whole document."""

    __slots__ = ("_key", "_parent", "found")

    def __init__(self, found: list[Finding], parent: "Place | None" = None, key: str | int = "") -> None:
        self.found: Final = found
        self._parent: Final = parent
        self._key: Final = key

    def at(self, key: str | int) -> "Place":
        """The place of a member or element below this one."""
        return Place(self.found, self, key)

    def report(self, detail: str, limit: str | None = None, maximum: int | None = None) -> None:
        """Note a finding here; past `MAX_FINDINGS` it is dropped."""
        if len(self.found) < limits.MAX_FINDINGS:
            self.found.append(Finding(self.pointer, detail, limit, maximum))

    @property
    def pointer(self) -> str:
        """The JSON Pointer of this place (RFC 6901)."""
        parts: list[str] = []
        place: Place | None = self
        while place is not None and place._parent is not None:
            parts.append(str(place._key).replace("~", "~0").replace("/", "~1"))
            place = place._parent
        return "".join("/" + part for part in reversed(parts))


def shown(value: object) -> str:
    """A user's value as it may stand in a message: in backticks, short, and never failing."""
    try:
        text = value if isinstance(value, str) else repr(value)
        text = text.encode("utf-8", "backslashreplace").decode()
    except Exception:
        text = type(value).__name__
    return f"`{text if len(text) <= 80 else text[:77] + '...'}`"
