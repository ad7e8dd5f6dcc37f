"""What lies in another project, or in an environment outside a token's limits, is not there."""

import pytest
from tests.api.releases.conftest import Releases, commit_of, digest_of, evidence_of
from tests.api.stage import Shared

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_another_projects_token_finds_and_changes_nothing(releases: Releases) -> None:
    """Reads, intake and verdicts all answer 404 for the project."""
    stranger = await releases.stage.bearing("pipeline", projects=["another"])

    replies = [
        await stranger.post(releases.builds, json={"digests": [digest_of(1)], "commit": commit_of(1)}),
        await stranger.post(releases.evidence, json=evidence_of(1)),
        await stranger.get(releases.evidence),
        await stranger.get(releases.service),
    ]

    assert [reply.status_code for reply in replies] == [404] * 4


async def test_ids_of_one_project_lead_nowhere_in_another(shared: Shared, releases: Releases) -> None:
    """The id of a fact under another project's path is not found, by somebody who sees both."""
    evidence = (await releases.checked(1))["items"][0]["id"]
    deployment = (await releases.deployed(1))["id"]
    veto = (await releases.said("vetoes", {"reason": "no"}, await releases.person()))["id"]
    other = {"key": f"other-{releases.stage.key}", "name": "Other"}
    assert (await shared.admin.post("/api/v1/projects", json=other)).status_code == 201
    path = f"/api/v1/projects/{other['key']}"

    replies = [
        await shared.admin.get(f"{path}/evidence/{evidence}"),
        await shared.admin.get(f"{path}/deployments/{deployment}"),
        await shared.admin.post(f"{path}/deployments/{deployment}/live", json={}),
        await shared.admin.post(f"{path}/evidence/{evidence}/revoke", json={"reason": "x"}),
        await shared.admin.post(f"{path}/vetoes/{veto}/withdraw", json={}),
    ]

    assert [reply.status_code for reply in replies] == [404] * 5
    assert (await shared.admin.get(f"{path}/evidence")).json()["items"] == []


async def test_a_token_of_one_environment_sees_and_says_nothing_of_others(releases: Releases) -> None:
    """Deployments and facts elsewhere are hidden, and what would cover every environment is refused."""
    await releases.deployed(1, "production")
    staged = await releases.deployed(1, "staging")
    await releases.said("incidents", {"text": "on fire", "environment": "production"})
    limited = await releases.person("manager", environments=["staging"])

    seen = (await limited.get(releases.deployments)).json()["items"]
    incidents = (await limited.get(f"{releases.project}/incidents")).json()["items"]
    elsewhere = await limited.post(releases.deployments, json={"digest": digest_of(1), "environment": "production"})
    everywhere = await limited.post(f"{releases.project}/vetoes", json={"reason": "no"})
    here = await limited.post(f"{releases.project}/vetoes", json={"reason": "no", "environment": "staging"})

    assert [one["id"] for one in seen] == [staged["id"]]
    assert incidents == []
    assert (elsewhere.status_code, everywhere.status_code, here.status_code) == (400, 403, 201)


async def test_facts_go_with_their_project(releases: Releases) -> None:
    """A project with facts of every kind can be deleted, and leaves none behind."""
    await releases.built(1)
    await releases.deployed(1)
    await releases.checked(1)
    await releases.said("obstacles", {"text": "in the way"})

    reply = await releases.admin.delete(releases.project, headers={"If-Match": "*"})

    assert reply.status_code == 204, reply.text
    assert (await releases.admin.get(releases.evidence)).status_code == 404
