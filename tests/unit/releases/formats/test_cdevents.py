"""CDEvents 0.4 and 0.5 in all modes of CloudEvents: the standard's own examples, and what their fields become."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, COMMIT, DIGEST, OTHER_DIGEST, refusing

from greenroom_server.releases.formats.cdevents import read_cdevents
from greenroom_server.releases.formats.cloudevents import BATCH, BINARY, STRUCTURED
from greenroom_server.releases.formats.drafts import (
    BuildDraft,
    ChangeDraft,
    Counts,
    DeploymentDraft,
    EnvironmentDraft,
    EvidenceDraft,
    IncidentDraft,
    Reading,
    Run,
    Subject,
    TicketDraft,
)
from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.values import digest_of_bytes

EXAMPLES: Final = Path(__file__).parent / "cdevents"
FILES: Final = sorted(EXAMPLES.glob("v*/*.json"))
OCI: Final = f"pkg:oci/myapp@{DIGEST.replace(':', '%3A')}"
GO: Final = "pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c"
LINKED: Final = "5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

# What is taken from the examples; whatever is not here is ignored.
TAKEN: Final[Mapping[str, Any]] = {
    "artifact_packaged": (BuildDraft, {"artifact": GO, "name": "myapp", "digest": None, "change": "myChange123"}),
    "artifact_published": (BuildDraft, {"artifact": GO, "sbom": "https://sbom.repo/myorg/234fd47e07d1004f0aed9c.sbom"}),
    "build_finished": (BuildDraft, {"artifact": OCI, "name": "myapp", "digest": DIGEST}),
    "change_merged": (ChangeDraft, {"change": "mySubject123", "repository": "TestRepo/TestOrg", "commit": None}),
    "environment_created": (
        EnvironmentDraft,
        {"environment": "mySubject123", "change": "created", "name": "testEnv", "url": "https://example.org/testEnv"},
    ),
    "environment_modified": (EnvironmentDraft, {"change": "modified"}),
    "environment_deleted": (EnvironmentDraft, {"change": "deleted"}),
    "incident_detected": (
        IncidentDraft,
        {"incident": "incident-123", "state": "detected", "environment": "prod1", "service": "myApp", "digest": DIGEST},
    ),
    "incident_reported": (IncidentDraft, {"ticket_url": "https://my-issues.example/incidents/ticket-345"}),
    "incident_resolved": (IncidentDraft, {"state": "resolved", "description": "Response time restored below 100ms"}),
    "service_deployed": (
        DeploymentDraft,
        {"service": "mySubject123", "environment": "test123", "change": "deployed", "artifact": OCI, "digest": DIGEST},
    ),
    "service_upgraded": (DeploymentDraft, {"change": "upgraded", "digest": DIGEST}),
    "service_rolledback": (DeploymentDraft, {"change": "rolledback", "digest": DIGEST}),
    "service_removed": (DeploymentDraft, {"change": "removed", "artifact": None, "digest": None}),
    "testsuiterun_finished": (
        EvidenceDraft,
        {"outcome": "fail", "environment": "dev", "suite": "92834723894", "run": Run("myTestSuiteRun123")},
    ),
    "ticket_created": (TicketDraft, {"ticket": "ticket-123", "state": "created", "summary": "New CVE-123 detected"}),
    "ticket_updated": (TicketDraft, {"state": "updated"}),
    "ticket_closed": (TicketDraft, {"state": "closed", "resolution": "completed", "labels": ("bug",)}),
}


def event(kind: str = "service.deployed", *, content: Any = None, custom: Any = None, **context: Any) -> dict[str, Any]:
    if content is None:
        content = {"environment": {"id": "production"}, "artifactId": OCI}
    made: dict[str, Any] = {
        "context": {
            "specversion": "0.5.1",
            "id": "event-1",
            "source": "/ci",
            "type": f"dev.cdevents.{kind}.0.3.0",
            "timestamp": "2026-01-01T01:00:00+01:00",
        }
        | context,
        "subject": {"id": "shop", "content": content},
    }
    return made | ({} if custom is None else {"customData": custom})


def wrapped(made: Any, **changed: Any) -> dict[str, Any]:
    context = made["context"]
    attributes = {name: context[name] for name in ("id", "source", "type")}
    return attributes | {"specversion": "1.0", "datacontenttype": "application/json", "data": made} | changed


def headers(made: Any, **changed: str) -> dict[str, str]:
    context = made["context"]
    return {f"ce-{name}": str(context[name]) for name in ("id", "source", "type")} | {"ce-specversion": "1.0"} | changed


def structured(made: Any, **changed: Any) -> Reading:
    return read_cdevents(STRUCTURED, json.dumps(wrapped(made, **changed)).encode(), {})


def fact(made: Any) -> Any:
    reading = structured(made)
    assert reading.ignored == ()
    (found,) = reading.facts
    return found


def suite_run(outcome: str = "success", /, **told: Any) -> EvidenceDraft:
    content = {
        "outcome": outcome,
        "environment": {"id": "staging"},
        "testSuite": {"id": "checkout", "name": "Checkout"},
    }
    custom = {"greenroom": {"kind": "test.acceptance"} | told}
    draft = fact(event("testsuiterun.finished", content=content, custom=custom))
    assert isinstance(draft, EvidenceDraft)
    return draft


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_the_examples_of_the_standard(file: Path) -> None:
    """Each of the 45 examples of both versions is taken or ignored as it should, in every mode alike."""
    made = json.loads(file.read_bytes())
    body = file.read_bytes()
    binary = read_cdevents(BINARY, body, headers(made), replace(ABOUT, suite="", subject=None))

    if file.stem not in TAKEN:
        assert binary.facts == ()
        assert (binary.ignored[0].source, binary.ignored[0].id) == (made["context"]["source"], made["context"]["id"])
        return
    kind, expected = TAKEN[file.stem]
    (found,) = binary.facts
    assert isinstance(found, kind)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.event is not None
    assert found.event.context_ids == (LINKED,)
    assert found.event.body_digest == digest_of_bytes(body)


def test_there_are_examples() -> None:
    """Both versions have all of theirs, so that a missing folder does not pass."""
    assert [len(list(EXAMPLES.glob(f"{version}/*.json"))) for version in ("v0.4.1", "v0.5.1")] == [45, 45]


@pytest.mark.parametrize("name", TAKEN)
def test_both_versions_say_the_same(name: str) -> None:
    """What 0.4 calls `version`, `pass`, `fail` and `url` is what 0.5 calls otherwise."""
    old, new = (json.loads((EXAMPLES / version / f"{name}.json").read_bytes()) for version in ("v0.4.1", "v0.5.1"))
    assert old["context"]["type"] != new["context"]["type"]
    new["context"]["type"] = old["context"]["type"]

    drafts = [read_cdevents(STRUCTURED, json.dumps(wrapped(made)).encode(), {}, ABOUT).facts[0] for made in (old, new)]
    one, other = (_without_digests(dataclasses.asdict(draft)) for draft in drafts)
    assert one == other


def _without_digests(draft: dict[str, Any]) -> dict[str, Any]:
    """The bytes were others, so their digests are."""
    draft["event"].pop("body_digest")
    draft.pop("attachment_digest", None)
    return draft


def test_custom_events_are_ignored() -> None:
    """The namespace for everybody's own events is not ours to judge."""
    made = json.loads((EXAMPLES / "custom.json").read_bytes())
    reading = structured(made)
    assert reading.facts == ()
    assert "no CDEvent" in reading.ignored[0].reason


def test_the_modes_agree() -> None:
    """Binary, structured and batch give the same facts, and a batch keeps the order."""
    made, other = event(), event("build.queued", id="event-2", content={})
    binary = read_cdevents(BINARY, json.dumps(made).encode(), headers(made))
    batch = read_cdevents(BATCH, json.dumps([wrapped(made), wrapped(other), wrapped(made)]).encode(), {})
    deployments = [*binary.facts, *structured(made).facts, *batch.facts]
    assert len(deployments) == 4
    assert {
        (one.event.source, one.event.id, one.event.at) for one in deployments if isinstance(one, DeploymentDraft)
    } == {("/ci", "event-1", AT)}
    assert [one.id for one in batch.ignored] == ["event-2"]


def test_an_empty_batch() -> None:
    """Nothing happened."""
    assert read_cdevents(BATCH, b"[]", {}) == Reading()


def test_headers_are_percent_encoded() -> None:
    """Other characters than ASCII come so."""
    made = event(source="/bücher")
    found = read_cdevents(BINARY, json.dumps(made).encode(), headers(made, **{"ce-source": "/b%C3%BCcher"}))
    assert len(found.facts) == 1


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_envelope_and_event_must_agree(name: str) -> None:
    """An event that says two things of itself is refused, in every mode."""
    made = event()
    other = "dev.cdevents.service.removed.0.3.0"
    with refusing("evidence_malformed", field=f"/data/context/{name}"):
        structured(made, **{name: other})
    with refusing("evidence_malformed", field=f"/context/{name}"):
        read_cdevents(BINARY, json.dumps(made).encode(), headers(made, **{f"ce-{name}": other}))


def test_a_batch_is_read_as_a_whole_or_not() -> None:
    """The refusal points to the event in it."""
    data = json.dumps([wrapped(event()), wrapped(event(content={}))]).encode()
    with refusing("evidence_malformed"):
        read_cdevents(BATCH, data, {})
    with refusing("evidence_unknown_format", field="/1/specversion"):
        read_cdevents(BATCH, json.dumps([wrapped(event()), wrapped(event(), specversion="0.3")]).encode(), {})


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_binary_mode_needs_its_headers(name: str) -> None:
    """A body alone is no CloudEvent."""
    made = event()
    told = headers(made)
    del told[f"ce-{name}"]
    with refusing("evidence_malformed", field=f"ce-{name}"):
        read_cdevents(BINARY, json.dumps(made).encode(), told)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"data": None}, "/data"),
        ({"data": "text"}, "/data"),
        ({"datacontenttype": "text/plain"}, "/datacontenttype"),
        ({"id": ""}, "/id"),
        ({"source": 7}, "/source"),
    ],
)
def test_what_is_no_structured_event(changed: dict[str, Any], field: str) -> None:
    """The refusal points into the envelope."""
    with refusing("evidence_malformed", field=field):
        structured(event(), **changed)


@pytest.mark.parametrize("kind", [None, "application/json; charset=utf-8", "application/vnd.cdevents+json"])
def test_data_that_is_json(kind: str | None) -> None:
    """Without a content type, data is JSON."""
    assert len(structured(event(), datacontenttype=kind).facts) == 1


def test_a_batch_is_an_array() -> None:
    """One event alone is sent in structured mode."""
    with refusing("evidence_malformed"):
        read_cdevents(BATCH, json.dumps(wrapped(event())).encode(), {})
    with refusing("evidence_too_large", limit="events"):
        read_cdevents(BATCH, json.dumps([{}, {}]).encode(), {}, limits=Limits(events=1))


@pytest.mark.parametrize("version", ["0.3.0", "0.6.0", "1.0", "0.45.1", "latest"])
def test_other_versions(version: str) -> None:
    """A version whose words may mean something else is refused, so that no deployment is lost silently."""
    with refusing("evidence_unknown_format", field="/data/context"):
        structured(event(specversion=version))


@pytest.mark.parametrize("version", ["0.4", "0.4.0", "0.5.0", "0.5.1", "0.5.2-draft"])
def test_versions_that_are_read(version: str) -> None:
    """All of 0.4 and 0.5, drafts included."""
    assert len(structured(event(specversion=version)).facts) == 1


def test_the_version_of_a_type_does_not_matter() -> None:
    """The first four parts of a type say what happened."""
    assert len(structured(event(type="dev.cdevents.service.deployed.0.9.0-draft")).facts) == 1
    with refusing("evidence_malformed", field="/data/context/type"):
        structured(event(type="dev.cdevents.service.deployed"))


def test_members_of_later_versions_are_passed_over() -> None:
    """What is not known does no harm."""
    made = event(content={"environment": {"id": "production", "region": "eu"}, "artifactId": OCI, "new": 1}, new=1)
    assert fact(made).environment == "production"


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (event(timestamp="2026-01-01T00:00:00"), "/data/context/timestamp"),
        (event(id="a\nb"), "/id"),
        (event(content={"artifactId": OCI}), "/data/subject/content/environment"),
        (event(content={"environment": {"id": "production"}}), "/data/subject/content/artifactId"),
        (event("service.removed", content={}), "/data/subject/content/environment"),
        (event("testsuiterun.finished", content={"outcome": "ok"}), "/data/subject/content/outcome"),
        (event(custom={"greenroom": {"Kind": "test.unit"}}), "/data/customData/greenroom/Kind"),
        (event(custom={"greenroom": {"digest": "sha256:abc"}}), "/data/customData/greenroom/digest"),
        (event(custom={"greenroom": {"commit": "main"}}), "/data/customData/greenroom/commit"),
        (event(custom={"greenroom": {"attempt": 0}}), "/data/customData/greenroom/attempt"),
        (event(custom={"greenroom": {"counts": {"total": 3, "passed": 2}}}), "/data/customData/greenroom/counts"),
        (event(custom={"greenroom": []}), "/data/customData/greenroom"),
    ],
)
def test_what_is_no_event(made: Any, field: str) -> None:
    """What the standard demands must be there, and what is said to us must be right."""
    with refusing("evidence_malformed", field=field):
        structured(made)


@pytest.mark.parametrize(
    ("artifact", "digest", "name"),
    [
        (OCI, DIGEST, "myapp"),
        (f"pkg:oci/myapp@{DIGEST}?repository_url=r.example&tag=1", DIGEST, "myapp"),
        (f"pkg:generic/app@1.0?checksum=sha1:{'ab' * 20},{DIGEST}", DIGEST, "app"),
        ("pkg:pypi/shop@1.0", None, "shop"),
        (DIGEST.upper().replace("SHA", "sha"), DIGEST, None),
        ("shop:latest", None, None),
        ("pkg:", None, None),
        ("pkg:oci/myapp@sha256:abc", None, "myapp"),
    ],
)
def test_artifacts(artifact: str, digest: str | None, name: str | None) -> None:
    """Only a digest binds; a version, a tag or something unreadable is kept as it was sent."""
    deployed = fact(event(content={"environment": {"id": "production"}, "artifactId": artifact}))
    built = fact(event("build.finished", content={"artifactId": artifact}))
    assert (deployed.artifact, deployed.digest) == (artifact, digest)
    assert (built.artifact, built.digest, built.name) == (artifact, digest, name)


def test_what_a_sender_adds_about_a_build_and_a_deployment() -> None:
    """Service, commit and slot have no place in the standard; a digest only fills in for one that is missing."""
    custom = {"greenroom": {"service": "shop", "commit": COMMIT.upper(), "digest": OTHER_DIGEST, "slot": "green"}}
    built = fact(event("build.finished", content={"artifactId": "pkg:pypi/shop@1"}, custom=custom))
    assert (built.service, built.commit, built.digest) == ("shop", COMMIT, OTHER_DIGEST)
    deployed = fact(event(custom=custom))
    assert (deployed.slot, deployed.digest) == ("green", DIGEST)


def test_a_change_may_be_a_commit() -> None:
    """Where the id of a change is a full hash, it is the commit."""
    packaged = fact(event("artifact.packaged", content={"change": {"id": COMMIT}}))
    assert (packaged.change, packaged.commit, packaged.digest) == (COMMIT, COMMIT, None)
    merged = fact(event("change.merged", content={}, custom={"greenroom": {"commit": COMMIT}}))
    assert (merged.change, merged.commit, merged.repository) == ("shop", COMMIT, None)


def test_a_build_that_made_nothing() -> None:
    """Without an artifact there is nothing to decide on."""
    assert structured(event("build.finished", content={})).facts == ()


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("pass", "pass"),
        ("success", "pass"),
        ("fail", "fail"),
        ("failure", "fail"),
        ("cancel", "cancelled"),
        ("error", "error"),
    ],
)
def test_outcomes_of_test_suite_runs(word: str, outcome: str) -> None:
    """The words of both versions."""
    assert suite_run(word).outcome == outcome


def test_a_test_suite_run_is_bound_by_what_its_sender_adds() -> None:
    """The event has no field for the artifact, the kind or the numbers."""
    counts = {"total": 4, "passed": 3, "skipped": 1, "flaky": 1}
    draft = suite_run(digest=DIGEST, suite="acceptance", slot="green", run="build-7", attempt=2, counts=counts)
    assert (draft.kind, draft.suite, draft.run) == ("test.acceptance", "acceptance", Run("build-7", 2))
    assert (draft.subject, draft.environment, draft.slot) == (Subject(digest=DIGEST), "staging", "green")
    assert draft.counts == Counts(4, 3, 0, 0, 1, flaky=1)
    assert (draft.outcome, draft.finished_at) == ("pass", AT)
    assert suite_run(commit=COMMIT).subject == Subject(commit=COMMIT)
    assert suite_run(commit=COMMIT, digest=DIGEST).subject == Subject(DIGEST, COMMIT)


def test_an_unbound_test_suite_run_can_be_bound_later() -> None:
    """Without a subject its chain and links say which build it may belong to."""
    custom = {"greenroom": {"kind": "test.acceptance"}}
    links = [
        {"linkType": "PATH", "from": {"contextId": "a"}},
        {"linkType": "RELATION", "linkKind": "K", "target": {"contextId": "b"}},
    ]
    made = event("testsuiterun.finished", content={"outcome": "success"}, custom=custom, chainId="chain", links=links)
    draft = fact(made)
    assert (draft.subject, draft.counts, draft.suite, draft.environment) == (None, None, "shop", None)
    assert (draft.event.chain_id, draft.event.context_ids) == ("chain", ("a", "b"))


def test_a_green_word_over_red_numbers_is_red() -> None:
    """An outcome of success with a failed case, or with none at all, is not believed."""
    assert suite_run(counts={"total": 2, "passed": 1, "failed": 1}).outcome == "fail"
    assert suite_run(counts={"total": 0, "passed": 0}).outcome == "fail"
    assert suite_run("cancel", counts={"total": 1, "passed": 1}).outcome == "cancelled"


def test_a_test_suite_run_of_no_kind_is_ignored() -> None:
    """Nobody can say which suite it was; the reason says what to add."""
    reading = structured(event("testsuiterun.finished", content={"outcome": "success"}))
    assert reading.facts == ()
    assert "customData.greenroom.kind" in reading.ignored[0].reason


def test_what_was_sent_beside_an_event() -> None:
    """It fills in what neither the event nor its custom data says."""
    made = event(
        "testsuiterun.finished", content={"outcome": "success", "testSuite": {"id": "s", "uri": "https://t.example"}}
    )
    data = json.dumps(wrapped(made)).encode()
    (draft,) = read_cdevents(STRUCTURED, data, {}, replace(ABOUT, producer="ci", slot="blue")).facts
    assert isinstance(draft, EvidenceDraft)
    assert (draft.kind, draft.suite, draft.subject) == ("test.unit", "s", ABOUT.subject)
    assert (draft.producer, draft.slot, draft.url) == ("ci", "blue", "https://t.example")


@pytest.mark.parametrize(
    ("custom", "kind"),
    [
        (base64.b64encode(b'{"greenroom": {"kind": "test.unit"}}').decode(), "test.unit"),
        ("not base64", None),
        ("é", None),
        (base64.b64encode(b"<xml/>").decode(), None),
        (base64.b64encode(b"[]").decode(), None),
        ({"other": {"kind": "test.unit"}}, None),
    ],
)
def test_custom_data_is_the_senders_own(custom: Any, kind: str | None) -> None:
    """It may be encoded, and only our own member in it is looked at."""
    reading = structured(event("testsuiterun.finished", content={"outcome": "success"}, custom=custom))
    assert [one.kind for one in reading.facts if isinstance(one, EvidenceDraft)] == ([kind] if kind else [])


def test_texts_are_fit_to_be_shown() -> None:
    """Descriptions are cut and cleaned; links that are none are dropped."""
    content = {"description": "a\nb" + "x" * 1000, "ticketURI": "javascript:alert(1)"}
    draft = fact(event("incident.reported", content=content))
    assert draft.description.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(draft.description) == 300
    assert (draft.ticket_url, draft.environment, draft.service) == (None, None, None)
