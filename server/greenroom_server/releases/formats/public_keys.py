"""The public keys that envelopes are checked by, and whether a signature by one holds."""

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PublicKey: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey
_HASHES: Final = {"secp256r1": SHA256, "secp384r1": SHA384}


class Unusable(ValueError):
    """What is wrong with a key, to follow on "it is"."""


def public_key(pem: str) -> PublicKey:
    """Ed25519, or ECDSA on P-256 or P-384. Raises `Unusable` for all others."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable("no public key in PEM") from None
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return key
    raise Unusable("neither Ed25519 nor ECDSA on P-256 or P-384")


def holds(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether the signature is one of these bytes by the key's owner."""
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
