"""Signatures as Standard Webhooks has them (symmetric, `v1`). Pure but for `mint`, which takes random bytes."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
_BYTES: Final = 32


def mint() -> str:
    """A new secret, as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature. The key is what the secret's base64 stands for; raises ValueError if it is none."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers_of(live_secrets: Iterable[str], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of one try: the id stays the same with every try, time and signatures are fresh."""
    timestamp = int(now.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in live_secrets),
    }
