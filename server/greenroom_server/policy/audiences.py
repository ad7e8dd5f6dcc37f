"""Which audience takes in which: who approved that everybody gets a feature has approved that a quarter does."""

import re
from typing import Final

EVERYBODY: Final = "all"
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%")


def takes_in(approved: str | None, asked: str | None) -> bool:
    """Whether an approval for one audience is good for another: it is the same, everybody, or no larger a share."""
    if approved in (asked, EVERYBODY):
        return True
    most, wanted = _share_of(approved), _share_of(asked)
    return most is not None and wanted is not None and wanted <= most


def _share_of(audience: str | None) -> int | None:
    """In thousandths of a percent."""
    found = _SHARE.fullmatch(audience or "")
    if found is None:
        return None
    whole, _, part = found[1].partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0") or "0")
