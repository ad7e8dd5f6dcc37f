"""What tools write and send: statements, signed or not, and events."""

import base64
from typing import Any, Final
from uuid import uuid4

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.api.releases.conftest import commit_of, digest_of, moments_ago

STATEMENT: Final = "application/vnd.in-toto+json"


def statement(predicate_type: str, predicate: Any, number: int) -> bytes:
    return orjson.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest_of(number).removeprefix("sha256:")}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def provenance(number: int) -> bytes:
    definition = {
        "buildType": "https://ci.shop.example/build",
        "externalParameters": {},
        "resolvedDependencies": [{"digest": {"gitCommit": commit_of(number)}}],
    }
    predicate = {"buildDefinition": definition, "runDetails": {"builder": {"id": "ci://main"}}}
    return statement("https://slsa.dev/provenance/v1", predicate, number)


def signed(data: bytes, key: Ed25519PrivateKey) -> bytes:
    encoded = b"DSSEv1 %d %b %d %b" % (len(STATEMENT), STATEMENT.encode(), len(data), data)
    signature = base64.b64encode(key.sign(encoded)).decode()
    payload = base64.b64encode(data).decode()
    return orjson.dumps({"payloadType": STATEMENT, "payload": payload, "signatures": [{"sig": signature}]})


def public_half(key: Ed25519PrivateKey) -> str:
    """As an administrator pins it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def artifact(number: int) -> str:
    return f"pkg:oci/web@sha256%3A{digest_of(number).removeprefix('sha256:')}"


def event(name: str, subject: str, content: Any, *, version: str = "0.2.0", **told: Any) -> dict[str, Any]:
    """A CDEvent in a CloudEvent, both under the same new id."""
    shared = {"id": str(uuid4()), "source": "/ci", "type": f"dev.cdevents.{name}.{version}"}
    data: dict[str, Any] = {
        "context": {**shared, "version": "0.4.1", "timestamp": moments_ago(minutes=1)},
        "subject": {"id": subject, "source": "/ci", "type": name.partition(".")[0], "content": content},
    }
    if told:
        data |= {"customData": {"greenroom": told}, "customDataContentType": "application/json"}
    return {**shared, "specversion": "1.0", "datacontenttype": "application/json", "data": data}
