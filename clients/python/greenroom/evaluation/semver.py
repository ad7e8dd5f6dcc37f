"""SemVer 2.0 precedence, as keys that compare like tuples.

A missing minor or patch counts as 0 (`2`, `2.1`); build metadata is ignored; a leading `v`, leading zeros and blanks
make a version unusable.
"""

import re
from functools import lru_cache
from typing import TypeAlias

Version: TypeAlias = tuple[int | tuple[tuple[int, int | str], ...], ...]

MAX_VERSION_LENGTH = 256

_NUMBER = r"(0|[1-9][0-9]*)"
_PART = r"[0-9A-Za-z-]+"
_VERSION = re.compile(
    rf"{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_PART}(?:\.{_PART})*))?(?:\+{_PART}(?:\.{_PART})*)?"
)


@lru_cache(maxsize=1024)
def parse_version(text: str) -> Version | None:
    """The key of a version, or None for anything else.

    `(major, minor, patch, 1)` of a release sorts after `(major, minor, patch, 0, identifiers)` of its pre-releases.
    """
    match = _VERSION.fullmatch(text) if len(text) <= MAX_VERSION_LENGTH else None
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    core = (int(major), int(minor or 0), int(patch or 0))
    if prerelease is None:
        return (*core, 1)
    identifiers = []
    for part in prerelease.split("."):
        if not part.isdecimal():
            identifiers.append((1, part))
        elif len(part) > 1 and part[0] == "0":
            return None
        else:
            identifiers.append((0, int(part)))
    return (*core, 0, tuple(identifiers))
