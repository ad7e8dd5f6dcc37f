"""What is reported, row by row, as it goes over the wire. Pure: ids are made of a time and of chance that are given.

A row is written once, and sent again and kept on disk as the same bytes: so it keeps its id.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["counts", "exposures", "events"]
KINDS: Final[tuple[Kind, ...]] = ("counts", "exposures", "events")

# The limits of the server, in characters.
MAX_FLAG: Final = 200
MAX_NAME: Final = 200
MAX_VARIANT: Final = 100
MAX_KEY: Final = 1000
MAX_LABEL: Final = 200

ID_BITS: Final = 74
"""How much chance an id takes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS: Final = 60_000
_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Row(NamedTuple):
    """One row, and the list of the report that it belongs into."""

    kind: Kind
    data: bytes


class Served(NamedTuple):
    """What a flag gave and why, as counts tell it apart."""

    flag: str
    variant: str | None
    reason: str


def count_row(row_id: str, served: Served, minute_ms: int, count: int) -> Row:
    """How often this was served within the minute."""
    flag, variant, reason = served
    minute = moment_text(minute_ms // _MINUTE_MS * _MINUTE_MS)
    return _row("counts", id=row_id, flag=flag, variant=variant, reason=reason, minute=minute, count=count)


def exposure_row(row_id: str, flag: str, variant: str, key: str, at_ms: int) -> Row:
    """The subject was served the variant."""
    return _row("exposures", id=row_id, flag=flag, variant=variant, targeting_key=key, at=moment_text(at_ms))


def outcome_row(row_id: str, name: str, value: float | None, key: str, at_ms: int) -> Row:
    """The subject did something."""
    return _row("events", id=row_id, name=name, value=value, targeting_key=key, at=moment_text(at_ms))


def report_body(instance: Mapping[str, Any], rows: Iterable[Row], dropped: int) -> bytes:
    """The document of a report."""
    parts: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
    for kind, data in rows:
        parts[kind].append(data)
    lists = b"".join(b',"%b":[%b]' % (kind.encode(), b",".join(found)) for kind, found in parts.items() if found)
    return b'{"instance":%b%b,"dropped":%d}' % (_write(instance).encode(), lists, dropped)


def id_of(at_ms: int, chance: int) -> str:
    """A UUID of version 7, of a time and `ID_BITS` of chance."""
    high, low = chance >> 62 & 0xFFF, chance & 0x3FFF_FFFF_FFFF_FFFF
    number = (at_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moment_text(at_ms: int) -> str:
    """RFC 3339 with milliseconds, in UTC."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def is_tellable(text: object, most: int) -> bool:
    """Whether the server takes this text: not empty, not too long, and nothing in it that JSON readers refuse."""
    if not isinstance(text, str) or not 0 < len(text) <= most or "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def hidden_key(key: str, secret: str | bytes | None = None) -> str:
    """What is reported instead of a targeting key that is private: SHA-256, keyed (HMAC) if there is a secret.

    Without one, whoever can guess a key can find out whether it was the one.
    """
    data = key.encode(errors="surrogatepass")
    if secret is None:
        return hashlib.sha256(data).hexdigest()
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, data, hashlib.sha256).hexdigest()


def _row(kind: Kind, **members: Any) -> Row:
    return Row(kind, _write(members).encode(errors="replace"))
