"""Batches as an SDK would send them."""

import gzip
import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

PATH: Final = "/api/v1/sdk/exposures"
PACKED: Final = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
INSTANCE: Final[dict[str, Any]] = {"id": "web-1", "sdk": "greenroom-python", "sdk_version": "0.1.0"}
_NUMBERS: Final = itertools.count()


def new_id(at: datetime | None = None) -> str:
    """A UUID of version 7, made now or at `at`."""
    milliseconds = int((at or datetime.now(UTC)).timestamp() * 1000)
    tail = int.from_bytes(os.urandom(10))
    number = milliseconds << 80 | tail
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=number))


def text_of(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def exposure(subject: str = "user-1", *, at: datetime | None = None, **members: Any) -> dict[str, Any]:
    """One subject was served `new-checkout` as `on`."""
    moment = at or datetime.now(UTC)
    known = {"flag": "new-checkout", "variant": "on", "targeting_key": subject, "at": text_of(moment)}
    return {"id": new_id(moment), **known, **members}


def count(number: int, *, minute: datetime | None = None, **members: Any) -> dict[str, Any]:
    """`new-checkout` was evaluated `number` times within a minute."""
    moment = (minute or datetime.now(UTC)).replace(second=0, microsecond=0)
    known = {"flag": "new-checkout", "variant": "on", "reason": "SPLIT", "minute": text_of(moment), "count": number}
    return {"id": new_id(moment), **known, **members}


def event(name: str, subject: str = "user-1", value: float | None = None) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"id": new_id(now), "name": name, "value": value, "targeting_key": subject, "at": text_of(now)}


def batch(instance: str = "web-1", **members: Any) -> dict[str, Any]:
    """A batch of an instance of this name."""
    return {"instance": {**INSTANCE, "id": instance}, **members}


def packed(document: Any) -> bytes:
    return gzip.compress(orjson.dumps(document))


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
