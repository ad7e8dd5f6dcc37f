"""The door: one table of formats, by name or media type, and nothing outside of it."""

import base64
import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.releases.formats.rig import ABOUT, COMMIT, DIGEST, refusing, statement

from greenroom_server.releases.formats import FORMATS, Beside, read
from greenroom_server.releases.formats.drafts import EvidenceDraft, Fact, Subject
from greenroom_server.releases.formats.dsse import PinnedKey, pre_authentication_encoding
from greenroom_server.releases.formats.findings import Threshold
from greenroom_server.releases.formats.in_toto import PAYLOAD_TYPE, TEST_RESULT
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.refusals import UnknownFormat
from greenroom_server.releases.formats.values import digest_of_bytes

KEY: Final = Ed25519PrivateKey.generate()
PINNED: Final = PinnedKey("ci", KEY.public_key())
JUNIT: Final = b'<testsuite><testcase name="a"/></testsuite>'
SARIF: Final = json.dumps(
    {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": [{"level": "warning"}]}]}
).encode()
STATEMENT: Final = statement(TEST_RESULT, {"result": "PASSED", "configuration": []})
EVENT: Final = {
    "context": {
        "specversion": "0.5.1",
        "id": "1",
        "source": "/ci",
        "type": "dev.cdevents.service.removed.0.3.0",
        "timestamp": "2026-01-01T00:00:00Z",
    },
    "subject": {"id": "shop", "content": {"environment": {"id": "production"}}},
}
CLOUD_EVENT: Final = {"specversion": "1.0", "id": "1", "source": "/ci", "type": EVENT["context"]["type"], "data": EVENT}  # type: ignore[index]


def envelope() -> bytes:
    signature = KEY.sign(pre_authentication_encoding(PAYLOAD_TYPE, STATEMENT))
    made = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(STATEMENT).decode(),
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(made).encode()


def first(name: str, *files: bytes, **beside: Any) -> Fact:
    return read(name, files, Beside(about=ABOUT, **beside)).facts[0]


@pytest.mark.parametrize("name", ["junit", "application/xml", "text/xml; charset=utf-8", "JUnit"])
def test_junit(name: str) -> None:
    """By name or media type, in one file or several."""
    one, several = first(name, JUNIT), first(name, JUNIT, JUNIT)
    assert isinstance(one, EvidenceDraft)
    assert isinstance(several, EvidenceDraft)
    assert (one.counts and one.counts.total, several.counts and several.counts.total) == (1, 2)


@pytest.mark.parametrize("name", ["sarif", "application/sarif+json"])
def test_sarif(name: str) -> None:
    """The caller's threshold is used."""
    one, strict = first(name, SARIF), first(name, SARIF, threshold=Threshold(level="warning"))
    assert isinstance(one, EvidenceDraft)
    assert isinstance(strict, EvidenceDraft)
    assert (one.outcome, strict.outcome) == ("pass", "fail")


@pytest.mark.parametrize("name", ["dsse", "application/vnd.dsse.envelope.v1+json", "application/vnd.dsse+json"])
def test_dsse(name: str) -> None:
    """The envelope is verified, named by its signer, and attached as it came."""
    data = envelope()
    fact = first(name, data, keys=(PINNED,))
    assert isinstance(fact, EvidenceDraft)
    assert (fact.verified_by, fact.subject) == ("ci", Subject(digest=DIGEST))
    assert fact.attachment_digest == digest_of_bytes(data)


def test_an_envelope_needs_a_pinned_key() -> None:
    """Without one the format is not read at all."""
    with refusing("evidence_signature"):
        first("dsse", envelope())


@pytest.mark.parametrize("name", ["in-toto", PAYLOAD_TYPE])
def test_a_bare_statement(name: str) -> None:
    """It says that nobody signed it, whatever is pinned."""
    fact = first(name, STATEMENT, keys=(PINNED,))
    assert isinstance(fact, EvidenceDraft)
    assert fact.verified_by is None


def test_cdevents() -> None:
    """The media type tells the mode; by name it is the binary one."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/ci", "ce-type": CLOUD_EVENT["type"]}
    for name in ("cdevents", "application/json"):
        assert len(read(name, [json.dumps(EVENT).encode()], Beside(headers=headers)).facts) == 1
    assert (
        len(read("application/cloudevents+json; charset=UTF-8", [json.dumps(CLOUD_EVENT).encode()], Beside()).facts)
        == 1
    )
    assert (
        len(read("application/cloudevents-batch+json", [json.dumps([CLOUD_EVENT] * 2).encode()], Beside()).facts) == 2
    )


@pytest.mark.parametrize("name", ["", "cobertura", "application/zip", "application/gzip", "text/html", "junit.xml"])
def test_what_is_not_read(name: str) -> None:
    """The refusal says what is."""
    with pytest.raises(UnknownFormat) as refusal:
        first(name, JUNIT)
    assert all(f" {known}" in refusal.value.detail for known in FORMATS)


@pytest.mark.parametrize("name", ["junit", "sarif"])
def test_reports_need_the_senders_words(name: str) -> None:
    """A report cannot say what it is evidence of."""
    with refusing("evidence_malformed", field="kind"):
        read(name, [JUNIT], Beside())


@pytest.mark.parametrize("name", ["sarif", "dsse", "in-toto", "cdevents"])
@pytest.mark.parametrize("count", [0, 2])
def test_only_reports_come_in_several_files(name: str, count: int) -> None:
    """Everything else is one document."""
    with refusing("evidence_malformed"):
        first(name, *[b"{}"] * count)


@pytest.mark.parametrize("name", ["junit", "sarif", "dsse", "in-toto", "application/cloudevents+json"])
def test_the_callers_limits_are_used(name: str) -> None:
    """For every format."""
    with refusing("evidence_too_large"):
        first(name, b"<x/>" * 10, keys=(PINNED,), limits=Limits(total_bytes=9, envelope_bytes=9))


def test_a_subject_is_something() -> None:
    """A digest, a commit or both, but not neither."""
    assert Subject(digest=DIGEST, commit=COMMIT).digest == DIGEST
    with pytest.raises(ValueError, match="a digest or a commit"):
        Subject()
