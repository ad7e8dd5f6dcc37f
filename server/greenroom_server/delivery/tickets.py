"""Stream tokens: they open one event stream in a browser, which cannot send a header along.

Such a token names an environment and the credential it was made for, expires, and is signed with the installation's
secret. It is the same for a whole hour, so that the answers which carry it keep their bytes and their ETag.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from struct import Struct
from typing import Final
from uuid import UUID

BUCKET_S: Final = 3600
_BODY: Final = Struct(">B16s16sQ")
_VERSION: Final = 1
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a stream token says. `expires_at` is in seconds since 1970."""

    environment_id: UUID
    credential_id: UUID
    expires_at: int


class TicketOffice:
    """Makes and checks stream tokens."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._bucket = -1
        self._issued: dict[tuple[UUID, UUID], bytes] = {}

    def issue(self, environment_id: UUID, credential_id: UUID, now_s: float) -> bytes:
        """The token of this hour, good for at least one and at most two hours."""
        bucket = int(now_s) // BUCKET_S
        if bucket != self._bucket or len(self._issued) > _REMEMBERED:
            self._bucket, self._issued = bucket, {}
        known = self._issued.get((environment_id, credential_id))
        if known is not None:
            return known
        body = _BODY.pack(_VERSION, environment_id.bytes, credential_id.bytes, (bucket + 2) * BUCKET_S)
        token = urlsafe_b64encode(body + self._signature(body)).rstrip(b"=")
        self._issued[environment_id, credential_id] = token
        return token

    def check(self, token: str, now_s: float) -> Ticket | None:
        """What the token says, or None if it is not ours, was tampered with, or is over."""
        try:
            data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:
            return None
        body, signature = data[: _BODY.size], data[_BODY.size :]
        if len(body) != _BODY.size or not hmac.compare_digest(signature, self._signature(body)):
            return None
        version, environment_id, credential_id, expires_at = _BODY.unpack(body)
        if version != _VERSION or expires_at <= now_s:
            return None
        return Ticket(UUID(bytes=environment_id), UUID(bytes=credential_id), expires_at)

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"greenroom stream token\0" + body, "sha256")
