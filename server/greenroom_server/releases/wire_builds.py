"""What goes in and out about builds and deployments."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from greenroom_server.flags.wire import Closed, Key, Text
from greenroom_server.releases.sanctions import Sanction
from greenroom_server.releases.wire import Author, Commit, Digest, Label, Stories, Url, _distinct
from greenroom_server.web.times import Moment

MAX_COMMITS = 1_000
MAX_DIGESTS = 50
Milliseconds = Annotated[int, Field(ge=0, le=30 * 86_400_000)]


class CommitIn(Closed):
    """A commit, with everybody who wrote or committed it, and the stories that it works on."""

    id: Commit
    authors: list[Author] = Field(default=[], max_length=50)
    stories: Stories = Field(default=[])


class DigestIn(Closed):
    """One of a build's digests. `same_as` names the known one that this one was promoted or copied from."""

    digest: Digest
    platform: Label | None = None
    same_as: Digest | None = None


class BuildIn(Closed):
    """One artifact and what it contains.

    `parent` is the build that it grew from, by digest or commit, and `commits` are what it has beyond that one, oldest
    first; without a parent it has nothing else. The build's own commit is added if it is not among them.
    """

    digests: Annotated[list[Digest], Field(min_length=1, max_length=MAX_DIGESTS), AfterValidator(_distinct)]
    commit: Commit
    branch: Label | None = None
    parent: Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{64})$")] | None = (
        None
    )
    commits: list[CommitIn] = Field(default=[], max_length=MAX_COMMITS)
    stories: Stories = Field(default=[])
    triggered_by: Author | None = None
    url: Url | None = None


class DigestOut(Closed):
    """One of a build's digests."""

    digest: str
    platform: str | None
    same_as: str | None
    declared_at: datetime


class CommitOut(Closed):
    """A commit that a build has and its parent lacks."""

    id: str
    authors: list[str]
    stories: list[str]


class RegisteredBuildOut(Closed):
    """A build as it was registered. `is_rooted` is false while the build that `parent` names is not known."""

    id: str
    service: str
    digests: list[DigestOut]
    commit: str
    branch: str | None
    parent: str | None
    is_rooted: bool
    commits: list[CommitOut]
    stories: list[str]
    triggered_by: str | None
    url: str | None
    seq: int
    registered_at: datetime
    actor: str


class DeploymentIn(Closed):
    """A digest is being put into an environment (and slot).

    `manual_steps` counts what a person had to do beside pressing the button; `permit` is what allowed it.
    """

    digest: Digest
    environment: Key
    slot: Key | None = None
    started_at: Moment | None = None
    automated: bool = True
    manual_steps: Annotated[int, Field(ge=0, le=1000)] = 0
    permit: Label | None = None
    run: Label | None = None
    url: Url | None = None


class FinishIn(Closed):
    """It runs. `live` says that it has the traffic from now on, which it has anyway where there are no slots.

    `duration_ms` is measured from start to finish if it is not given.
    """

    finished_at: Moment | None = None
    duration_ms: Milliseconds | None = None
    manual_steps: Annotated[int, Field(ge=0, le=1000)] | None = None
    live: bool = False


class FailIn(Closed):
    """It does not run."""

    failed_at: Moment | None = None
    reason: Text = ""


class LiveIn(Closed):
    """Its slot has the traffic of the environment, from `at` on, and every other slot has none."""

    at: Moment | None = None


class LiveOut(Closed):
    """A stretch of time in which a deployment had the traffic of its environment."""

    live_from: datetime
    live_to: datetime | None


class DeploymentOut(Closed):
    """A digest in an environment (and slot), from `deployed_at` until `removed_at`.

    `is_known` is false while no build is registered under the digest. `sanction` is by what it was let through; None
    where there was no permit and none was asked for.
    """

    id: str
    service: str
    environment: str
    slot: str | None
    digest: str
    is_known: bool
    state: Literal["started", "finished", "failed"]
    started_at: datetime
    deployed_at: datetime | None
    failed_at: datetime | None
    removed_at: datetime | None
    live: list[LiveOut]
    automated: bool
    manual_steps: int
    duration_ms: int | None
    permit: str | None
    sanction: Sanction | None
    run: str | None
    url: str | None
    seq: int
    received_at: datetime
    actor: str
