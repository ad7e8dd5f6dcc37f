"""The facts of the example project, told as its pipeline would: hours ago, counted from when it is seeded."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

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

_Telling: TypeAlias = Callable[[Work], Awaitable[None]]
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


class ExampleBuild(BuildIn):
    """A build that was registered some hours ago."""

    hours_ago: Hours


class ExampleFacts(Closed):
    """All that is told of the example."""

    services: list[ServiceIn]
    stories: dict[StoryKey, StoryIn]
    people: dict[PersonKey, PersonIn]
    builds: dict[Key, list[ExampleBuild]]
    deployments: list[ExampleDeployment]
    evidence: list[ExampleEvidence]


async def tell_example(author: Work, pipeline: Work, project_key: str, facts: ExampleFacts) -> None:
    """Services, stories and people by their author; builds, evidence and deployments by the pipeline, as they happened.

    Each is told at its own hour, so that there is a history to look back on.
    """
    for service in facts.services:
        await create_service(author, project_key, service)
    for story, wanted in facts.stories.items():
        await put_story(author, project_key, story, wanted)
    for person, known in facts.people.items():
        await put_person(author, project_key, person, known)
    happened: list[tuple[int, _Telling]] = [
        *(
            (build.hours_ago, _build(project_key, key, build))
            for key, builds in facts.builds.items()
            for build in builds
        ),
        *((one.hours_ago, _evidence(project_key, one)) for one in facts.evidence),
        *((one.hours_ago, _deployment(project_key, one)) for one in facts.deployments),
    ]
    for hours_ago, tell in sorted(happened, key=lambda one: -one[0]):
        await tell(replace(pipeline, now=pipeline.now - timedelta(hours=hours_ago)))


def _build(project_key: str, service: str, one: ExampleBuild) -> _Telling:
    async def tell(work: Work) -> None:
        await register_build(work, project_key, service, BuildIn(**one.model_dump(exclude={"hours_ago"})))

    return tell


def _deployment(project_key: str, one: ExampleDeployment) -> _Telling:
    async def tell(work: Work) -> None:
        wanted = DeploymentIn(digest=one.digest, environment=one.environment, started_at=work.now - _TAKES)
        begun = replace(work, now=work.now - _TAKES)
        started = await start_deployment(begun, project_key, one.service, wanted)
        await finish_deployment(work, project_key, started.result.id, FinishIn(finished_at=work.now))

    return tell


def _evidence(project_key: str, one: ExampleEvidence) -> _Telling:
    async def tell(work: Work) -> None:
        piece = EvidenceIn(
            kind=one.kind,
            suite=one.suite,
            subject=CheckedIn(digest=one.digest, commit=one.commit),
            environment=one.environment,
            outcome="pass",
            counts=CountsIn(total=one.passed, passed=one.passed),
            run=RunIn(id=one.run),
            finished_at=work.now,
        )
        await take_evidence(work, project_key, Told([Offered(piece)]))

    return tell
