"""Signatures of permits: Ed25519 over DSSE envelopes. Loads `cryptography` when something is first signed."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any, Final

import orjson

from greenroom_server.releases.formats.dsse import pre_authentication_encoding

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key as base64 of its 32 bytes, and its public half as PEM and by its name."""

    key_id: str
    private_key: str
    public_key: str


def new_key() -> SigningKey:
    """A key that nobody else has. Its id is the SHA-256 of the public key's DER, as hexadecimal digits."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(hashlib.sha256(der).hexdigest(), base64.b64encode(key.private_bytes_raw()).decode(), pem.decode())


def envelope_of(statement: dict[str, Any], key_id: str, private_key: str) -> bytes:
    """The statement in a DSSE v1 envelope with one signature."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    payload = orjson.dumps(statement)
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return orjson.dumps(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )
