"""Break-glass: flags forced on this machine by a signed file or environment variable, with all servers gone.

The text is a JSON object and, after it, its signature: `{"expires_at": …, "flags": {key: {"variant": name}}}` and
`hmac-sha256:<hex>` over the object's very bytes. Whoever cannot sign cannot force anything.
"""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from greenroom.errors import OverridesRefused, Unusable
from greenroom.held import parse_object

MAX_BYTES: Final = 64 * 1024
MIN_KEY_BYTES: Final = 16
_MARK: Final = "hmac-sha256:"
_MEMBERS: Final = frozenset(("flags", "expires_at", "project", "environment", "note"))


@dataclass(frozen=True, slots=True)
class OverridePlaces:
    """Where overrides may be left, and the secret that signs them. A file in its place outranks the variable."""

    key: bytes = field(repr=False)
    file: str | os.PathLike[str] | None = None
    variable: str | None = "GREENROOM_OVERRIDES"

    def read(self) -> str | None:
        """The text that is there; raises OverridesRefused if it cannot be read."""
        if self.file is not None:
            try:
                with Path(self.file).open("rb") as file:
                    data = file.read(MAX_BYTES + 1)
                return _within_limit(data).decode()
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                raise OverridesRefused(f"the file cannot be read: {error}") from error
        text = os.environ.get(self.variable) if self.variable is not None else None
        return text or None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is forced, until when. `flags` has `{"variant": name}` or `{"value": any}` by flag key."""

    flags: Mapping[str, Mapping[str, Any]]
    expires_at: datetime
    project: str | None = None
    environment: str | None = None
    note: str | None = None


def sign_overrides(document: Mapping[str, Any], key: bytes) -> str:
    """The text of a file or variable that forces these flags; raises OverridesRefused if it would be refused."""
    body = json.dumps(document, ensure_ascii=False)
    text = f"{body}\n{_MARK}{_signature(body.encode(), key)}\n"
    read_overrides(text, key)
    return text


def read_overrides(text: str, key: bytes) -> Overrides:
    """Check the signature, then the contents; raises OverridesRefused."""
    body, mark, signature = text.strip().rpartition(_MARK)
    data = _within_limit(body.strip().encode())
    if not mark or not hmac.compare_digest(_signature(data, key).encode(), signature.encode()):
        raise OverridesRefused("the signature is missing or does not agree")
    try:
        document = parse_object(data)
    except Unusable as error:
        raise OverridesRefused(str(error)) from error
    unknown = sorted(document.keys() - _MEMBERS)
    if unknown:
        raise OverridesRefused(f"the member `{unknown[0]}` is unknown")
    return Overrides(
        _flags_of(document.get("flags")),
        _moment_of(document.get("expires_at")),
        *(_text_of(document, name) for name in ("project", "environment", "note")),
    )


def _flags_of(flags: Any) -> Mapping[str, Mapping[str, Any]]:
    if type(flags) is not dict or not flags:
        raise OverridesRefused("`flags` must be an object with at least one flag")
    for key, forced in flags.items():
        if type(forced) is not dict or forced.keys() not in ({"variant"}, {"value"}):
            raise OverridesRefused(f"the flag `{key}` must be forced to a `variant` or to a `value`")
    return flags


def _moment_of(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise OverridesRefused("`expires_at` must say when this ends") from error
    if moment.tzinfo is None:
        raise OverridesRefused("`expires_at` must have a time zone")
    return moment.astimezone(UTC)


def _text_of(document: Mapping[str, Any], name: str) -> str | None:
    text = document.get(name)
    if text is not None and type(text) is not str:
        raise OverridesRefused(f"`{name}` must be text")
    return text


def _signature(data: bytes, key: bytes) -> str:
    if len(key) < MIN_KEY_BYTES:
        raise OverridesRefused(f"the signing key must have at least {MIN_KEY_BYTES} bytes")
    return hmac.new(key, data, "sha256").hexdigest()


def _within_limit(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise OverridesRefused(f"there are more than {MAX_BYTES} bytes")
    return data
