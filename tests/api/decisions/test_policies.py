"""Policies: versions that never change, activated by somebody else, and refused as a whole."""

from typing import Any

import pytest
from tests.api.decisions.conftest import Deciding, policy_of, question
from tests.api.releases.conftest import done

from greenroom_server.web.yaml_codec import write_yaml

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_document_is_one_version_however_often_it_comes(deciding: Deciding) -> None:
    """The same document, as JSON or YAML, is the version it was; another one is the next version."""
    first = await deciding.author.post(deciding.policies, json=policy_of())
    as_yaml = {"Content-Type": "application/yaml"}
    again = await deciding.activator.post(deciding.policies, content=write_yaml(policy_of()), headers=as_yaml)
    other = await deciding.author.post(deciding.policies, json=policy_of(time_zone="Asia/Kathmandu"))

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json() == first.json()
    assert (first.json()["version"], other.json()["version"]) == (1, 2)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"colour": "green"}, "/colour"),
        ({"time_zone": "Europe/Atlantis"}, "/time_zone"),
        ({"suites": {}}, "/suites"),
        ({"rules": []}, "/rules"),
        ({"rules": [{"id": "x", "kind": "magic", "actions": ["deploy"]}]}, "/rules/0"),
    ],
)
async def test_a_bad_document_is_refused_and_the_active_one_stays(
    deciding: Deciding, change: dict[str, Any], pointer: str
) -> None:
    """The answer names what is wrong, nothing is stored, and decisions go on by the version before."""
    await deciding.ruled_by()
    before = (await deciding.asked())["policy"]

    refused = await deciding.author.post(deciding.policies, json=policy_of(**change))

    assert (refused.status_code, refused.json()["code"]) == (400, "policy_refused")
    assert any(error["pointer"].startswith(pointer) for error in refused.json()["errors"]), refused.text
    assert len(done(await deciding.author.get(deciding.policies))["items"]) == 1
    assert (await deciding.asked())["policy"] == before


async def test_its_author_does_not_activate_it(deciding: Deciding) -> None:
    """Not even with the permission; somebody else does, and the audit log says who."""
    made = done(await deciding.author.post(deciding.policies, json=policy_of()))
    version = f"{deciding.policies}/web/versions/{made['version']}"

    alone = await deciding.author.post(f"{version}/activate", json={})
    together = await deciding.activator.post(f"{version}/activate", json={"reason": "agreed"})

    assert (alone.status_code, alone.json()["code"]) == (403, "own_policy")
    assert together.json()["active_for"] == ["*"]
    events = done(await deciding.author.get(f"{deciding.project}/audit", params={"action": "policy.activate"}))
    assert events["items"][0]["changes"][0]["to"]["reason"] == "agreed"


async def test_the_same_person_with_another_token_is_no_second_pair_of_eyes(deciding: Deciding) -> None:
    """Tokens that name one person are one person."""
    tokens = [
        await deciding.releases.stage.bearing("manager", person="grace@shop.example", roles=["product"])
        for _ in range(2)
    ]
    made = done(await tokens[0].post(deciding.policies, json=policy_of()))

    refused = await tokens[1].post(f"{deciding.policies}/web/versions/{made['version']}/activate", json={})

    assert refused.json()["code"] == "own_policy"


async def test_one_administrator_may_work_alone_audibly(deciding: Deciding) -> None:
    """With four eyes switched off the author activates, and the audit log says both."""
    settings = f"{deciding.project}/policy-settings"
    tag = (await deciding.releases.admin.get(settings)).headers["etag"]
    done(await deciding.releases.admin.patch(settings, json={"four_eyes": False}, headers={"If-Match": tag}))
    made = done(await deciding.author.post(deciding.policies, json=policy_of()))

    done(await deciding.author.post(f"{deciding.policies}/web/versions/{made['version']}/activate", json={}))

    events = done(await deciding.author.get(f"{deciding.project}/audit"))["items"]
    assert [event["action"] for event in events[:3]] == ["policy.activate", "policy.create", "policy.four_eyes_off"]
    assert events[0]["changes"][0]["to"]["alone"] is True


async def test_a_policy_whose_tests_fail_is_stored_and_not_activated(deciding: Deciding) -> None:
    """A test that expects something else than the policy decides stands in the way, by name."""
    wrong = {
        "name": "green is denied",
        "fixture": "green-build",
        "at": "2026-11-17T10:00:00+01:00",
        "action": "deploy",
        "to": "production",
        "expect": "deny",
        "because": "evidence.failed",
    }
    document = policy_of(tests=[wrong])
    checked = done(await deciding.author.post(f"{deciding.policies}/check", json=document))
    made = done(await deciding.author.post(deciding.policies, json=document))

    refused = await deciding.activator.post(f"{deciding.policies}/web/versions/{made['version']}/activate", json={})

    assert (checked["is_acceptable"], checked["is_ready"]) == (True, False)
    assert checked["tests"][0]["decided"] == "allow"
    assert (refused.status_code, refused.json()["code"]) == (409, "policy_tests_failed")
    assert "`green is denied`" in refused.json()["detail"]


async def test_a_service_may_have_a_policy_of_its_own(deciding: Deciding) -> None:
    """What is activated for a service decides for it; everybody else keeps the one for all."""
    done(await deciding.releases.admin.post(f"{deciding.project}/services", json={"key": "jobs", "name": "Jobs"}))
    await deciding.ruled_by()
    await deciding.ruled_by({"id": "no", "kind": "veto", "actions": ["deploy"]}, name="strict", services=["web"])

    for_web, for_jobs = await deciding.asked(), await deciding.asked(service="jobs")

    assert (for_web["policy"]["name"], for_jobs["policy"]["name"]) == ("strict", "web")


async def test_activating_for_a_service_that_is_not_there_is_refused(deciding: Deciding) -> None:
    """A typing error does not leave a service undecided."""
    made = done(await deciding.author.post(deciding.policies, json=policy_of()))

    refused = await deciding.activator.post(
        f"{deciding.policies}/web/versions/{made['version']}/activate", json={"services": ["wbe"]}
    )

    assert refused.status_code == 400
    assert "`wbe`" in refused.text


async def test_a_comparison_tells_what_would_have_been_decided(deciding: Deciding) -> None:
    """Past decisions are replayed by the new version: those that differ, and because of which rules."""
    await deciding.ruled_by()
    await deciding.green()
    allowed = await deciding.asked()
    stricter = policy_of({"id": "sbom", "kind": "evidence", "actions": ["deploy"], "evidence": "sbom"})
    made = done(await deciding.author.post(deciding.policies, json=stricter))

    found = done(await deciding.author.get(f"{deciding.policies}/web/versions/{made['version']}/comparison"))

    assert allowed["decision"] == "allow"
    assert found["replayed"] == 1
    (changed,) = found["changed"]
    assert (changed["id"], changed["was"], changed["would_be"]) == (allowed["id"], "allow", "wait")
    assert changed["rules"] == ["sbom"]


async def test_templates_pass_their_own_tests(deciding: Deciding) -> None:
    """Each template, as it is rendered, can be stored and activated."""
    for template in ("business-release", "continuous-deployment", "regulated"):
        reply = await deciding.author.get(
            f"{deciding.project}/policy-templates/{template}", params={"name": template, "time_zone": "Europe/Paris"}
        )
        headers = {"Content-Type": "application/yaml"}
        checked = await deciding.author.post(f"{deciding.policies}/check", content=reply.content, headers=headers)

        assert (reply.status_code, checked.json()["is_ready"]) == (200, True), checked.text


async def test_a_pipeline_asks_and_writes_no_policy(deciding: Deciding) -> None:
    """The token in a pipeline may read policies and ask for decisions, and no more."""
    for path, body in (("", policy_of()), ("/web/versions/1/activate", {})):
        refused = await deciding.pipeline.post(f"{deciding.policies}{path}", json=body)
        assert refused.status_code == 403

    assert (await deciding.pipeline.post(deciding.decisions, json=question())).status_code == 200
