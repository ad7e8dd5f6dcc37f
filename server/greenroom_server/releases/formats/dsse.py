"""DSSE envelopes: what is in one counts only if a pinned key signed it.

The signature is checked over the bytes that were sent, before anything looks into them. `keyid` is a hint that nobody
signed, so it is not looked at: every pinned key is tried. Without a pinned key nothing holds.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, parsed, strict_json
from greenroom_server.releases.formats.limits import DEFAULT, Limits
from greenroom_server.releases.formats.refusals import BadSignature, Oversized, Unreadable
from greenroom_server.releases.formats.values import shown

_HASHES: Final = {"secp256r1": SHA256, "secp384r1": SHA384}
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A producer's public key, and the name under which a signature by it is recorded. Made by `pinned_key`."""

    name: str
    key: Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Verified:
    """What was signed, byte for byte, and by whom."""

    payload: bytes
    payload_type: str
    verified_by: str


class _Signature(Foreign):
    sig: str


class _Envelope(Foreign):
    payload_type: Annotated[str, Field(alias="payloadType", min_length=1, max_length=200)]
    payload: str
    signatures: Many[_Signature]


def pinned_key(name: str, pem: str) -> PinnedKey:
    """A key as PEM (SubjectPublicKeyInfo): Ed25519, or ECDSA on P-256 or P-384. Raises `BadSignature` for all others.

    Call it when a key is pinned, so that a wrong one is refused then, and again for each use.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadSignature(f"the key `{shown(name)}` is no public key in PEM", field="key") from None
    if isinstance(key, Ed25519PublicKey):
        return PinnedKey(name, key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return PinnedKey(name, key)
    raise BadSignature(f"the key `{shown(name)}` is neither Ed25519 nor ECDSA on P-256 or P-384", field="key")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSE v1 PAE."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify(
    data: bytes, keys: Iterable[PinnedKey], *, payload_type: str | None = None, limits: Limits = DEFAULT
) -> Verified:
    """What the envelope holds; raises `BadSignature` unless one of `keys` signed it as `payload_type`."""
    pinned = tuple(keys)
    if not pinned:
        raise BadSignature("no key is pinned for this producer, so no signature can hold")
    if len(data) > limits.envelope_bytes:
        raise Oversized("envelope_bytes", limits.envelope_bytes)
    envelope = parsed(_Envelope, strict_json(data, limits))
    if len(envelope.signatures) > limits.signatures:
        raise Oversized("signatures", limits.signatures, field="/signatures")
    payload = _decoded(envelope.payload, "/payload")
    signed = pre_authentication_encoding(envelope.payload_type, payload)
    signatures = [_decoded(one.sig, f"/signatures/{index}/sig") for index, one in enumerate(envelope.signatures)]
    signer = _signer_of(signed, signatures, pinned)
    if signer is None:
        raise BadSignature("none of the signatures is by a pinned key", field="/signatures")
    if payload_type is not None and envelope.payload_type != payload_type:
        raise BadSignature(
            f"`{shown(envelope.payload_type)}` was signed, which is not `{payload_type}`", field="/payloadType"
        )
    return Verified(payload, envelope.payload_type, signer.name)


def _signer_of(signed: bytes, signatures: Sequence[bytes], keys: Sequence[PinnedKey]) -> PinnedKey | None:
    holding = (pinned for pinned in keys for signature in signatures if _holds(pinned, signature, signed))
    return next(holding, None)


def _holds(pinned: PinnedKey, signature: bytes, signed: bytes) -> bool:
    key = pinned.key
    if isinstance(key, Ed25519PublicKey):
        return _verifies_ed25519(key, signature, signed)
    return any(_verifies_ecdsa(key, der, signed) for der in _as_der(signature, key))


def _verifies_ed25519(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _verifies_ecdsa(key: ec.EllipticCurvePublicKey, der: bytes, signed: bytes) -> bool:
    try:
        key.verify(der, signed, ec.ECDSA(_HASHES[key.curve.name]()))
    except InvalidSignature:
        return False
    return True


def _as_der(signature: bytes, key: ec.EllipticCurvePublicKey) -> list[bytes]:
    """An ECDSA signature is written as DER, or raw as r and s of the curve's size; a raw one has that very length."""
    half = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * half:
        return [signature]
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    return [utils.encode_dss_signature(r, s), signature]


def _decoded(text: str, field: str) -> bytes:
    """Base64 of both alphabets, padded or not; nothing else is passed over."""
    try:
        plain = text.encode("ascii").translate(_URL_SAFE).rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Unreadable("this is not base64", field=field) from None
