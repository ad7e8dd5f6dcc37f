"""What an envelope holds counts only if a pinned key signed these very bytes, whatever the envelope says of itself."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.releases.formats.rig import refusing

from greenroom_server.releases.formats.dsse import PinnedKey, Verified, pinned_key, pre_authentication_encoding, verify
from greenroom_server.releases.formats.limits import Limits

PAYLOAD: Final = b'{"_type": "https://in-toto.io/Statement/v1"}'
KIND: Final = "application/vnd.in-toto+json"
ED25519: Final = Ed25519PrivateKey.generate()
P256: Final = ec.generate_private_key(ec.SECP256R1())
P384: Final = ec.generate_private_key(ec.SECP384R1())
STRANGER: Final = Ed25519PrivateKey.generate()

Signer = Callable[[bytes], bytes]


def pem_of(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def pin(name: str, key: Any) -> PinnedKey:
    return pinned_key(name, pem_of(key))


def raw_of(der: bytes, size: int) -> bytes:
    return b"".join(part.to_bytes(size) for part in utils.decode_dss_signature(der))


def by_p256(data: bytes) -> bytes:
    return P256.sign(data, ec.ECDSA(SHA256()))


def by_p384(data: bytes) -> bytes:
    return P384.sign(data, ec.ECDSA(SHA384()))


def envelope(sign: Signer = ED25519.sign, **changed: Any) -> dict[str, Any]:
    signature = sign(pre_authentication_encoding(KIND, PAYLOAD))
    made = {
        "payloadType": KIND,
        "payload": base64.b64encode(PAYLOAD).decode(),
        "signatures": [{"keyid": "a hint", "sig": base64.b64encode(signature).decode()}],
    }
    return made | changed


def check(made: dict[str, Any], *keys: PinnedKey, **options: Any) -> Verified:
    return verify(json.dumps(made).encode(), keys or (pin("ci", ED25519),), payload_type=KIND, **options)


@pytest.mark.parametrize(
    ("sign", "key"),
    [
        (ED25519.sign, ED25519),
        (by_p256, P256),
        (lambda data: raw_of(by_p256(data), 32), P256),
        (by_p384, P384),
        (lambda data: raw_of(by_p384(data), 48), P384),
    ],
    ids=["ed25519", "p256 der", "p256 raw", "p384 der", "p384 raw"],
)
def test_a_pinned_key_is_recognised(sign: Signer, key: Any) -> None:
    """Ed25519 and both ways of writing ECDSA signatures are read, and the key's name is what is recorded."""
    assert check(envelope(sign), pin("other", STRANGER), pin("ci", key)) == Verified(PAYLOAD, KIND, "ci")


def test_the_vector_of_the_specification() -> None:
    """DSSE's own example of what is signed, and its ECDSA signature, which is raw."""
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    numbers = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    )
    pem = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made = {
        "payload": "aGVsbG8gd29ybGQ=",
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [
            {"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}
        ],
    }
    verified = verify(json.dumps(made).encode(), [pinned_key("spec", pem)])
    assert (verified.payload, verified.verified_by) == (b"hello world", "spec")


@pytest.mark.parametrize("keys", [[], ()])
def test_nothing_holds_without_a_pinned_key(keys: list[PinnedKey]) -> None:
    """Missing key material is a refusal, never a check that is left out."""
    with refusing("evidence_signature"):
        verify(json.dumps(envelope()).encode(), keys)


@pytest.mark.parametrize(
    "changed",
    [
        {"signatures": []},
        {"signatures": [{"sig": ""}]},
        {"signatures": [{"sig": "AAAA"}]},
        {"signatures": [{"sig": base64.b64encode(bytes(64)).decode()}]},
        {"payload": base64.b64encode(PAYLOAD + b" ").decode()},
        {"payload": ""},
        {"payloadType": "application/json"},
        {"payloadType": KIND + " "},
    ],
)
@pytest.mark.parametrize("key", [ED25519, P256, P384], ids=["ed25519", "p256", "p384"])
def test_what_was_not_signed_is_refused(changed: dict[str, Any], key: Any) -> None:
    """Another payload, another type, another signature or none: whatever kind of key is pinned."""
    signers: dict[Any, Signer] = {ED25519: ED25519.sign, P256: by_p256, P384: by_p384}
    with refusing("evidence_signature"):
        check(envelope(signers[key], **changed), pin("ci", key))


def test_a_key_is_not_found_by_its_id() -> None:
    """A stranger's signature under the id of a pinned key is a stranger's, and an unknown id does no harm."""
    signature = base64.b64encode(STRANGER.sign(pre_authentication_encoding(KIND, PAYLOAD))).decode()
    with refusing("evidence_signature", field="/signatures"):
        check(envelope(signatures=[{"keyid": "ci", "sig": signature}]))
    assert check(envelope(signatures=[{"sig": envelope()["signatures"][0]["sig"]}])).verified_by == "ci"


def test_one_good_signature_is_enough() -> None:
    """Others may have signed too."""
    good = envelope()["signatures"][0]
    strange = envelope(STRANGER.sign)["signatures"][0]
    assert check(envelope(signatures=[strange, good])).verified_by == "ci"


def test_the_signature_is_checked_before_anything_else_is_read() -> None:
    """A payload that is no JSON at all is refused for its signature, or handed over as it was signed."""
    payload = b"\xff{{{"
    signature = ED25519.sign(pre_authentication_encoding(KIND, payload))
    text = base64.b64encode(payload).decode()
    made = envelope(payload=text, signatures=[{"sig": base64.b64encode(signature).decode()}])
    assert check(made).payload == payload
    with refusing("evidence_signature"):
        check(envelope(payload=text))


def test_a_signed_payload_of_another_type_is_refused() -> None:
    """A good signature over something else is not one over a statement."""
    other = "application/vnd.other+json"
    signature = ED25519.sign(pre_authentication_encoding(other, PAYLOAD))
    made = envelope(payloadType=other, signatures=[{"sig": base64.b64encode(signature).decode()}])
    with refusing("evidence_signature", field="/payloadType"):
        check(made)


@given(st.binary(max_size=40))
def test_both_alphabets_of_base64(payload: bytes) -> None:
    """Standard and URL-safe, padded or not, are the same bytes."""
    sign = base64.b64encode(ED25519.sign(pre_authentication_encoding(KIND, payload))).decode()
    for text in (base64.b64encode(payload).decode(), base64.urlsafe_b64encode(payload).decode()):
        for written in (text, text.rstrip("=")):
            safe = sign.replace("+", "-").replace("/", "_")
            assert check(envelope(payload=written, signatures=[{"sig": safe}])).payload == payload


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"payload": "a b="}, "/payload"),
        ({"payload": "é"}, "/payload"),
        ({"payload": "abcde"}, "/payload"),
        ({"signatures": [{"sig": "*"}]}, "/signatures/0/sig"),
        ({"payload": None}, "/payload"),
        ({"payloadType": 7}, "/payloadType"),
        ({"signatures": [{}]}, "/signatures/0/sig"),
        ({"signatures": {}}, "/signatures"),
    ],
)
def test_what_is_no_envelope(changed: dict[str, Any], field: str) -> None:
    """The refusal says where."""
    with refusing("evidence_malformed", field=field):
        check(envelope(**changed))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"payload": "", "payload": ""}', b"\xff", b'{"payloadType": "\\ud800"}', b"NaN"]
)
def test_what_is_no_json(data: bytes) -> None:
    """Ambiguous JSON is refused, members that come twice among it."""
    with refusing("evidence_malformed"):
        verify(data, [pin("ci", ED25519)])


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(envelope_bytes=100), "envelope_bytes"),
        (Limits(signatures=1), "signatures"),
        (Limits(json_nodes=5), "json_nodes"),
        (Limits(json_depth=2), "json_depth"),
        (Limits(total_bytes=100), "total_bytes"),
    ],
)
def test_limits(limits: Limits, limit: str) -> None:
    """Neither the size of an envelope nor the number of signatures to try is the sender's to choose."""
    made = envelope(signatures=[{"sig": "AAAA"}] * 2)
    with refusing("evidence_too_large", limit=limit):
        check(made, limits=limits)


def test_keys_that_cannot_be_pinned() -> None:
    """Other kinds of keys, private keys and no key at all are refused when they are pinned."""
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for key in (rsa_key, ec.generate_private_key(ec.SECP521R1()), ec.generate_private_key(ec.SECP256K1())):
        with refusing("evidence_signature", field="key"):
            pin("ci", key)
    for pem in ("", "none", pem_of(ED25519)[:60], "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n", "é"):
        with refusing("evidence_signature", field="key"):
            pinned_key("ci", pem)
