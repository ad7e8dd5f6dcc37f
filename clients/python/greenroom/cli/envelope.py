"""DSSE envelopes of permits, verified without a server: whose signature it is, and what was signed, byte for byte.

Nothing of an envelope is believed before a key that the user named has signed it. `cryptography` is loaded for that.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_bytes

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
VERDICT: Final = "https://slsa.dev/verification_summary/v1"
BREAK_GLASS: Final = "urn:greenroom:break-glass:v1"
MAX_BYTES: Final = 1 << 20


class Distrusted(Exception):
    """It does not show what it should, and why not."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed."""

    kind: str
    digests: frozenset[str]
    predicate: Mapping[str, Any]

    def moment(self, name: str) -> datetime | None:
        """A moment of the predicate; raises Distrusted for one that cannot be read."""
        text = self.predicate.get(name)
        try:
            made = None if text is None else datetime.fromisoformat(str(text))
        except ValueError:
            made = None
        if text is not None and (made is None or made.tzinfo is None):
            raise Distrusted(f"`{name}` is no moment")
        return made


def signed_statement(file: Path, keys: Sequence[Path]) -> Statement:
    """The statement in the envelope; raises Distrusted unless one of the keys signed it."""
    raw = read_bytes(file)
    if len(raw) > MAX_BYTES:
        raise Distrusted(f"it is larger than {MAX_BYTES} bytes")
    public = [_public_key(key) for key in keys]
    try:
        envelope = json.loads(raw)
        kind, payload = str(envelope["payloadType"]), _decoded(envelope["payload"])
        signatures = [_decoded(one["sig"]) for one in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Distrusted("it is no DSSE envelope") from None
    signed = b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)
    if not any(_holds(key, signature, signed) for key in public for signature in signatures):
        raise Distrusted("none of the keys has signed it")
    if kind != PAYLOAD_TYPE:
        raise Distrusted(f"`{kind}` was signed, and no statement")
    return _statement(payload)


def _statement(payload: bytes) -> Statement:
    try:
        made = json.loads(payload)
        if made["_type"] != STATEMENT:
            raise Distrusted("what was signed is no in-toto statement")
        digests = frozenset(f"sha256:{one['digest']['sha256']}" for one in made["subject"])
        predicate = made["predicate"]
        if not isinstance(predicate, dict):
            raise TypeError
        return Statement(str(made["predicateType"]), digests, predicate)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Distrusted("what was signed is no statement about digests") from None


def _public_key(file: Path) -> Any:
    """An Ed25519 key out of PEM; raises UsageError for anything else."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise UsageError(
            "signatures are verified by the package `cryptography`", hint="pip install 'greenroom[cli]'"
        ) from None
    try:
        key = load_pem_public_key(read_bytes(file))
    except ValueError:
        raise UsageError(f"{file} is no public key as PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{file} is no Ed25519 key")
    return key


def _holds(key: Any, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise ValueError("no base64") from None
