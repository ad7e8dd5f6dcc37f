"""`Idempotency-Key`: a repeated POST has one effect and one answer (IETF draft httpapi-idempotency-key-header)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greenroom_server.errors import FieldError, IdempotencyMismatch, Invalid
from greenroom_server.web.call import Call
from greenroom_server.web.kit import StoredReply
from greenroom_server.web.reply import Encoded

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "idempotency-replayed"

_KEY: Final = re.compile(r'"(?P<quoted>[\x21-\x7e]{1,255})"|(?P<bare>[\x21\x23-\x7e][\x21-\x7e]{0,254})')


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The key as sent, where it counts, and a digest of what was asked."""

    scope: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ReplyToStore:
    """A `StoredReply`, on its way to the store."""

    fingerprint: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def idempotency_key_of(call: Call) -> IdempotencyKey | None:
    """The request's key, quoted or bare; raises `Invalid` if it is not 1 to 255 visible ASCII characters."""
    sent = call.request.headers.getlist(HEADER)
    if not sent:
        return None
    found = _KEY.fullmatch(sent[0].strip())
    if len(sent) > 1 or found is None:
        detail = f"`{HEADER}` must be 1 to 255 visible ASCII characters"
        raise Invalid(detail, errors=[FieldError(HEADER, detail)])
    key = found["quoted"] or found["bare"]
    scope = call.request.scope
    place = f"{scope['method']} {scope['path']}"
    asked = hashlib.sha256(place.encode())
    for part in (scope["query_string"], call.body):
        asked.update(len(part).to_bytes(8, "big") + part)
    return IdempotencyKey(f"{call.principal.token_id} {place}", key, asked.hexdigest())


def to_store(reply: Encoded, key: IdempotencyKey) -> ReplyToStore:
    return ReplyToStore(key.fingerprint, reply.status, reply.headers, reply.stored_body)


def replay(stored: StoredReply, key: IdempotencyKey) -> Encoded:
    """The stored answer, marked as such; raises `IdempotencyMismatch` if the request was another one."""
    if stored.fingerprint != key.fingerprint:
        raise IdempotencyMismatch
    return Encoded(stored.status, {**stored.headers, REPLAYED: "true"}, bytes(stored.body))
