"""Evidence in other formats: what the document says, what stands beside it, and whose signature is believed."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.api.contract.client import ContractClient
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, moments_ago
from tests.api.releases.documents import STATEMENT, provenance, public_half, signed, statement

pytestmark = pytest.mark.asyncio(loop_scope="session")

JUNIT = (
    b'<testsuite><testcase classname="cart" name="adds"/>'
    b'<testcase classname="cart" name="breaks"><failure/></testcase></testsuite>'
)


async def sent(client: ContractClient, releases: Releases, data: bytes, media_type: str, **beside: str) -> Any:
    return await client.post(releases.evidence, content=data, params=beside, headers={"Content-Type": media_type})


async def test_a_junit_report_is_counted(releases: Releases) -> None:
    """The sender names kind, suite, run and subject; outcome and counts are the report's."""
    beside = {
        "kind": "test.unit",
        "suite": "unit",
        "digest": digest_of(1),
        "run": "7",
        "finished_at": moments_ago(minutes=1),
    }

    reply = await sent(releases.pipeline, releases, JUNIT, "application/xml", **beside)
    again = await sent(releases.pipeline, releases, JUNIT, "application/xml", **beside)

    found = done(await releases.admin.get(f"{releases.evidence}/{done(reply)['items'][0]['id']}"))
    assert (found["kind"], found["suite"], found["run"]["id"], found["outcome"]) == ("test.unit", "unit", "7", "fail")
    assert (found["counts"]["total"], found["counts"]["failed"]) == (2, 1)
    assert found["attachment_digest"].startswith("sha256:")
    assert (reply.status_code, again.status_code, again.json()["duplicates"]) == (201, 200, 1)


@pytest.mark.parametrize("missing", ["kind", "digest", "run", "finished_at"])
async def test_what_nobody_says_is_missing(releases: Releases, missing: str) -> None:
    """A report says neither what it is about nor when it was; whoever sends it has to."""
    beside = {"kind": "test.unit", "digest": digest_of(1), "run": "7", "finished_at": moments_ago(minutes=1)}
    del beside[missing]

    reply = await sent(releases.pipeline, releases, JUNIT, "application/xml", **beside)

    assert reply.status_code == 400, reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == ["subject" if missing == "digest" else missing]


async def test_our_own_json_says_everything_itself(releases: Releases) -> None:
    """What stands beside it would contradict it, so it is refused."""
    reply = await releases.pipeline.post(f"{releases.evidence}?kind=test.unit", json={})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "kind")


async def test_a_hostile_document_is_refused(releases: Releases) -> None:
    """Entities are not expanded, and a document that is no XML is named as such."""
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><testsuite><testcase name="&b;"/></testsuite>'
    beside = {"kind": "test.unit", "digest": digest_of(1), "run": "7", "finished_at": moments_ago(minutes=1)}

    codes = [
        (await sent(releases.pipeline, releases, data, "application/xml", **beside)).json()["code"]
        for data in (bomb, b"no xml", b"")
    ]

    assert codes == ["evidence_forbidden_construct", "evidence_malformed", codes[2]]
    assert codes[2] in ("evidence_malformed", "invalid")


async def test_only_a_pinned_key_signs(releases: Releases) -> None:
    """Provenance under the producer's key is verified; under another key, or without one pinned, it is refused."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    data = provenance(1)
    unpinned = await sent(releases.pipeline, releases, signed(data, key), "application/vnd.dsse+json")
    await pin(releases, "ci", key)

    forged = await sent(releases.pipeline, releases, signed(data, other), "application/vnd.dsse+json")
    taken = await sent(releases.pipeline, releases, signed(data, key), "application/vnd.dsse+json")
    again = await sent(releases.pipeline, releases, signed(data, key), "application/vnd.dsse+json")
    unsigned = await sent(releases.pipeline, releases, data, STATEMENT)

    assert [reply.json()["code"] for reply in (unpinned, forged)] == ["evidence_signature"] * 2
    assert (taken.status_code, again.json()["duplicates"], unsigned.status_code) == (201, 1, 201)
    found = done(await releases.admin.get(f"{releases.project}/provenances"))["items"]
    assert [(one["is_verified"], one["builder"], one["commit"]) for one in found] == [
        (False, "ci://main", commit_of(1)),
        (True, "ci://main", commit_of(1)),
    ]


async def test_who_must_sign_is_not_taken_at_their_word(releases: Releases) -> None:
    """An unsigned SBOM in the name of a producer that must sign is refused, and a signed one is the producer's."""
    key = Ed25519PrivateKey.generate()
    await pin(releases, "scanner", key, must_sign=True)
    data = statement("https://spdx.dev/Document", {}, 1)
    beside = {"finished_at": moments_ago(minutes=1)}

    unsigned = await sent(releases.pipeline, releases, data, STATEMENT, producer="scanner", **beside)
    taken = await sent(releases.pipeline, releases, signed(data, key), "application/vnd.dsse+json", **beside)

    assert (unsigned.status_code, unsigned.json()["errors"][0]["pointer"]) == (400, "/producer")
    found = done(await releases.admin.get(f"{releases.evidence}/{done(taken)['items'][0]['id']}"))
    assert (found["kind"], found["producer"], found["verified_by"]) == ("sbom", "scanner", "scanner")


async def test_a_key_that_is_none_is_refused_when_it_is_pinned(releases: Releases) -> None:
    """The problem points at the key."""
    reply = await releases.admin.put(f"{releases.project}/producers/ci", json={"public_keys": ["no key"]})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/public_keys/0")


async def pin(releases: Releases, name: str, key: Ed25519PrivateKey, **members: Any) -> None:
    body = {"public_keys": [public_half(key)], **members}
    done(await releases.admin.put(f"{releases.project}/producers/{name}", json=body))
