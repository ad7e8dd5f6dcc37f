"""The facts of the example project, told as its pipeline would: hours ago, counted from when it is seeded."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from greenroom_server.flags.wire import Closed, Key
from greenroom_server.flags.work import Work
from greenroom_server.releases.intake import Offered, Told
from greenroom_server.releases.service_builds import register_build
from greenroom_server.releases.service_deployments import finish_deployment, start_deployment
from greenroom_server.releases.service_evidence import take_evidence
from greenroom_server.releases.service_people import put_person
from greenroom_server.releases.service_services import create_service
from greenroom_server.releases.service_stories import put_story
from greenroom_server.releases.wire import (
    Commit,
    Digest,
    EvidenceKind,
    Label,
    PersonIn,
    PersonKey,
    ServiceIn,
    StoryIn,
    StoryKey,
)
from greenroom_server.releases.wire_builds import BuildIn, DeploymentIn, FinishIn
from greenroom_server.releases.wire_evidence import CheckedIn, CountsIn, EvidenceIn, RunIn

_TAKES: Final = timedelta(seconds=48)
Hours = Annotated[int, Field(ge=0, le=1000)]


class ExampleDeployment(Closed):
    """A deployment that ended some hours ago."""

    service: Key
    digest: Digest
    environment: Key
    hours_ago: Hours


class ExampleEvidence(Closed):
    """Tests that all passed some hours ago."""

    kind: EvidenceKind
    suite: Label
    digest: Digest | None = None
    commit: Commit | None = None
    environment: Key | None = None
    run: Label
    hours_ago: Hours
    passed: Annotated[int, Field(ge=1)]


class ExampleFacts(Closed):
    """All that is told of the example."""

    services: list[ServiceIn]
    stories: dict[StoryKey, StoryIn]
    people: dict[PersonKey, PersonIn]
    builds: dict[Key, list[BuildIn]]
    deployments: list[ExampleDeployment]
    evidence: list[ExampleEvidence]


async def tell_example(author: Work, pipeline: Work, project_key: str, facts: ExampleFacts) -> None:
    """Services, stories and people by their author; builds, deployments and evidence by the pipeline."""
    for service in facts.services:
        await create_service(author, project_key, service)
    for story, wanted in facts.stories.items():
        await put_story(author, project_key, story, wanted)
    for person, known in facts.people.items():
        await put_person(author, project_key, person, known)
    for key, builds in facts.builds.items():
        for build in builds:
            await register_build(pipeline, project_key, key, build)
    for deployment in facts.deployments:
        await _deploy(pipeline, project_key, deployment)
    offered = [Offered(_evidence(one, pipeline.now)) for one in facts.evidence]
    await take_evidence(pipeline, project_key, Told(offered))


async def _deploy(pipeline: Work, project_key: str, one: ExampleDeployment) -> None:
    ended = pipeline.now - timedelta(hours=one.hours_ago)
    wanted = DeploymentIn(digest=one.digest, environment=one.environment, started_at=ended - _TAKES)
    started = await start_deployment(pipeline, project_key, one.service, wanted)
    await finish_deployment(pipeline, project_key, started.result.id, FinishIn(finished_at=ended))


def _evidence(one: ExampleEvidence, now: datetime) -> EvidenceIn:
    return EvidenceIn(
        kind=one.kind,
        suite=one.suite,
        subject=CheckedIn(digest=one.digest, commit=one.commit),
        environment=one.environment,
        outcome="pass",
        counts=CountsIn(total=one.passed, passed=one.passed),
        run=RunIn(id=one.run),
        finished_at=now - timedelta(hours=one.hours_ago),
    )
