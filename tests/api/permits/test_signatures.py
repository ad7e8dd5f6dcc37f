"""What is signed, verified by somebody who knows `cryptography` and the specifications, and nothing of ours."""

import base64
import hashlib
import json
from datetime import datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from tests.api.permits.conftest import Permitting, glass_for
from tests.api.releases.conftest import digest_of, done, moments_ago
from tests.api.store import statement

from greenroom_server.permits.tables import PermitKeyRow
from greenroom_server.sealing import Sealer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def opened(envelope: dict[str, Any], pem: str) -> dict[str, Any]:
    """The statement, after the signature was checked as DSSE v1 has it; raises InvalidSignature."""
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, Ed25519PublicKey)
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
    encoded = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    (signature,) = envelope["signatures"]
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signature["keyid"] == hashlib.sha256(der).hexdigest()
    key.verify(base64.b64decode(signature["sig"], validate=True), encoded)
    made: dict[str, Any] = json.loads(payload)
    return made


async def keys_of(permitting: Permitting) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = done(await permitting.pipeline.get(permitting.keys))["items"]
    return items


async def test_an_allow_is_signed_as_passed(permitting: Permitting) -> None:
    """A VSA v1 about the digest, for this place and action, by this policy."""
    await permitting.ready()
    permit = await permitting.issued()
    (key,) = await keys_of(permitting)

    made = opened(permit["attestation"], key["public_key"])

    project = permitting.project.rpartition("/")[2]
    predicate = made["predicate"]
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert [one["digest"] for one in made["subject"]] == [{"sha256": digest_of(1).removeprefix("sha256:")}]
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["resourceUri"] == f"greenroom://{project}/web/production?action=deploy"
    assert predicate["policy"]["digest"] == {"sha256": permit["policy"]["digest"].removeprefix("sha256:")}
    assert predicate["verifier"]["id"] == done(await permitting.pipeline.get(permitting.keys))["verifier"]
    assert predicate["greenroom_permit"] == f"{permitting.permits}/{permit['id']}"
    assert datetime.fromisoformat(predicate["greenroom_expiresAt"]) == datetime.fromisoformat(permit["expires_at"])
    assert not any(level.startswith("SLSA_") for level in predicate["verifiedLevels"])
    assert (await permitting.read(permit))["attestation"] == permit["attestation"]


async def test_mutated_bytes_do_not_hold(permitting: Permitting) -> None:
    """Whichever byte of payload or signature changes, the signature is none."""
    await permitting.ready()
    envelope = (await permitting.issued())["attestation"]
    pem = (await keys_of(permitting))[0]["public_key"]
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])

    for at in range(len(payload)):
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(InvalidSignature):
            opened({**envelope, "payload": base64.b64encode(changed).decode()}, pem)
    for at in range(len(signature)):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        forged = [{**envelope["signatures"][0], "sig": base64.b64encode(changed).decode()}]
        with pytest.raises(InvalidSignature):
            opened({**envelope, "signatures": forged}, pem)


async def test_the_place_and_the_action_are_signed(permitting: Permitting) -> None:
    """A permit for a slot, or for a rollback, says so."""
    await permitting.ready()
    await permitting.releases.deployed(1, live=True)
    await permitting.deciding.green(2)
    await permitting.releases.deployed(2, live=True)
    permit = await permitting.issued(1, action="rollback", slot="green")

    made = opened(permit["attestation"], (await keys_of(permitting))[0]["public_key"])

    assert made["predicate"]["resourceUri"].endswith("/web/production/green?action=rollback")


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_denial_is_signed_as_failed_if_asked_for(permitting: Permitting, wanted: bool) -> None:
    """It names no permit, since there is none."""
    await permitting.ready()
    counts = {"total": 3, "failed": 3}
    await permitting.releases.checked(
        1, suite="unit", outcome="fail", counts=counts, run={"id": "later"}, finished_at=moments_ago(seconds=1)
    )

    answer = (await permitting.ask(1, attest_denial=wanted)).json()

    assert answer["decision"]["decision"] == "deny"
    if not wanted:
        assert answer["attestation"] is None
        return
    predicate = opened(answer["attestation"], (await keys_of(permitting))[0]["public_key"])["predicate"]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert "greenroom_permit" not in predicate


async def test_break_glass_is_signed_as_failed_with_a_record(permitting: Permitting) -> None:
    """The verdict stays the truth; the record says who, why, and over which rules."""
    await permitting.ready()
    ada = await permitting.releases.person("developer", "incident-commander")
    bo = await permitting.releases.person("developer")
    glass = done(await ada.post(permitting.glasses, json=glass_for()))
    done(await permitting.glass(glass, "confirm", bo))
    await permitting.releases.said("obstacles", {"text": "the lift is stuck"})

    answer = (await permitting.ask(1)).json()
    pem = (await keys_of(permitting))[0]["public_key"]
    verdict, record = opened(answer["attestation"], pem), opened(answer["break_glass_record"], pem)

    assert answer["permit"]["break_glass"] == glass["id"]
    assert verdict["predicate"]["verificationResult"] == "FAILED"
    assert record["predicateType"] == "urn:greenroom:break-glass:v1"
    assert record["subject"] == verdict["subject"]
    assert record["predicate"]["breakGlass"]["ticket"] == "INC-1"
    assert len(record["predicate"]["breakGlass"]["confirmed_by"]) == 1
    assert {one["code"] for one in record["predicate"]["overridden"]} == {"obstacle.open"}
    assert record["predicate"]["greenroom_permit"] == verdict["predicate"]["greenroom_permit"]
    assert (await permitting.read(answer["permit"]))["break_glass_record"] == answer["break_glass_record"]


async def test_a_rotated_key_signs_and_the_old_one_stays_known(permitting: Permitting) -> None:
    """What was signed before holds under the key that signed it."""
    await permitting.ready()
    before = await permitting.issued()
    done(await permitting.pipeline.post(f"{permitting.permits}/{before['id']}/release", json={}))
    refused = await permitting.pipeline.post(f"{permitting.keys}/rotate")

    rotated = done(await permitting.releases.admin.post(f"{permitting.keys}/rotate"))
    after = await permitting.issued()
    newest, oldest = await keys_of(permitting)

    assert refused.status_code == 403
    assert (newest["key_id"], newest["retired_at"]) == (rotated["key_id"], None)
    assert oldest["retired_at"] is not None
    opened(before["attestation"], oldest["public_key"])
    opened(after["attestation"], newest["public_key"])
    with pytest.raises((InvalidSignature, AssertionError)):
        opened(after["attestation"], oldest["public_key"])


async def test_each_project_has_a_key_of_its_own(permitting: Permitting, deciding: Any) -> None:
    """There is none before the first permit, and one can be made before."""
    await permitting.ready()
    assert await keys_of(permitting) == []

    made = done(await permitting.releases.admin.post(f"{permitting.keys}/rotate"))
    await permitting.issued()

    assert [one["key_id"] for one in await keys_of(permitting)] == [made["key_id"]]


async def test_a_key_that_cannot_be_opened_signs_nothing(permitting: Permitting) -> None:
    """Without its signature no permit is issued, and none is reserved; a rotated key signs again."""
    await permitting.ready()
    await permitting.releases.admin.post(f"{permitting.keys}/rotate")
    key_id = (await keys_of(permitting))[0]["key_id"]
    sealed = Sealer([Fernet.generate_key().decode()]).seal("x")
    table = PermitKeyRow.__tablename__
    url = permitting.releases.stage.url
    await statement(url, f"UPDATE {table} SET private_key = '{sealed}' WHERE key_id = '{key_id}'")

    refused = await permitting.ask(1)
    held = done(await permitting.pipeline.get(permitting.permits))["items"]
    done(await permitting.releases.admin.post(f"{permitting.keys}/rotate"))

    assert (refused.status_code, refused.json()["code"]) == (409, "permit_key_sealed")
    assert held == []
    assert (await permitting.ask(1)).status_code == 201
