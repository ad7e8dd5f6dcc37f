"""DSSE envelopes: what is in one counts only if a pinned key signed it.

The signature is checked over the bytes that were sent, before anything looks into them. `keyid` is a hint that nobody
signed, so it is not looked at: every pinned key is tried. Without a pinned key nothing holds.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, parsed, strict_json
from greenroom_server.releases.formats.limits import DEFAULT, Limits
from greenroom_server.releases.formats.refusals import BadSignature, Oversized, Unreadable
from greenroom_server.releases.formats.values import shown

if TYPE_CHECKING:
    from greenroom_server.releases.formats.public_keys import PublicKey

_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A producer's public key, and the name under which a signature by it is recorded. Made by `pinned_key`."""

    name: str
    key: "PublicKey"


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
    # 7 MiB of memory, which servers without signed evidence go without.
    from greenroom_server.releases.formats.public_keys import Unusable, public_key

    try:
        return PinnedKey(name, public_key(pem))
    except Unusable as why:
        raise BadSignature(f"the key `{shown(name)}` is {why}", field="key") from None


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
    from greenroom_server.releases.formats.public_keys import holds  # loaded since the first key was made

    holding = (pinned for pinned in keys for signature in signatures if holds(pinned.key, signature, signed))
    return next(holding, None)


def _decoded(text: str, field: str) -> bytes:
    """Base64 of both alphabets, padded or not; nothing else is passed over."""
    try:
        plain = text.encode("ascii").translate(_URL_SAFE).rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Unreadable("this is not base64", field=field) from None
