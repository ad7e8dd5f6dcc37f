"""Conditional requests (RFC 9110): entity tags, `If-Match` for changes, `If-None-Match` for reads."""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from greenroom_server.errors import FieldError, Invalid, PreconditionFailed, PreconditionRequired

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
_ONE_TAG: Final = re.compile(_TAG)


def etag_of(version: int | str) -> str:
    """The entity tag of a versioned thing."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The header `If-Match`; `tags` is empty for `*`."""

    tags: tuple[str, ...]

    @classmethod
    def parse(cls, header: str) -> "IfMatch":
        """Reads the header; raises `Invalid` if it is not a list of entity tags."""
        return cls(_tags_of(header, "If-Match"))

    def matches(self, etag: str) -> bool:
        """Strong comparison: a weak tag never matches."""
        return not self.tags or (etag in self.tags and not etag.startswith("W/"))


class _HasIfMatch(Protocol):
    @property
    def if_match(self) -> IfMatch | None: ...


def require_if_match(call: _HasIfMatch, current_etag: str) -> None:
    """Lets a change go on if it was made from the current version.

    Call it inside the transaction that holds the row's lock, so that of two writers only one gets by.
    """
    if call.if_match is None:
        raise PreconditionRequired
    if not call.if_match.matches(current_etag):
        raise PreconditionFailed


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Does the client have this version already? Weak comparison; a header that makes no sense matches nothing."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in _ONE_TAG.findall(if_none_match)}


def _tags_of(header: str, name: str) -> tuple[str, ...]:
    if header.strip() == "*":
        return ()
    if _TAGS.fullmatch(header) is None:
        detail = f'`{name}` must be `*` or a list of entity tags such as `"17"`'
        raise Invalid(detail, errors=[FieldError(name, detail)])
    return tuple(_ONE_TAG.findall(header))
