"""What goes in and out about readiness, and about the figures of delivery. Lengths of time are whole seconds."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from greenroom_server.flags.wire import Closed, Key
from greenroom_server.policy.readiness import BuildClass

MIN_BUILDS = 20
MAX_BUILDS = 200


class ThresholdsIn(Closed):
    """When a service may be switched: so many percent of the builds, and deployments that take at most so long."""

    auto_ready_percent: Annotated[int, Field(ge=1, le=100)] = 95
    budget_s: Annotated[int, Field(ge=1, le=86_400)] = 600


class ReadinessIn(Closed):
    """Replay the last so many builds of the service, and keep what comes out."""

    environment: Key
    builds: Annotated[int, Field(ge=MIN_BUILDS, le=MAX_BUILDS)] = 50
    thresholds: ThresholdsIn = ThresholdsIn()


class ThresholdsOut(Closed):
    """What the verdict was measured by."""

    builds: int
    min_builds: int
    auto_ready_percent: int
    budget_s: int


class RuledByOut(Closed):
    """The policy that was replayed: the one in force."""

    name: str
    version: int
    digest: str


class CriterionOut(Closed):
    """One demand of the verdict, and what it was measured at; null where nothing could be measured."""

    criterion: str
    value: int | None
    limit: int
    is_met: bool


class HeldByOut(Closed):
    """A rule that held a build up, or whose evidence it lacked, and for how long once it was ready."""

    rule: str
    kind: str
    condition: Literal["C1", "C2", "C3"] | None
    code: str
    message: str
    held_s: int


class WrongOut(Closed):
    """What was said of a build within a day after it would have gone."""

    what: Literal["rejected", "vetoed", "rolled_back", "incident"]
    at: datetime
    by: str
    id: str


class ReplayedBuildOut(Closed):
    """What a build would have done by itself.

    `ready_at`: its evidence was complete; `would_go_at`: it would have gone; `live_at`: it really had the traffic;
    `human_wait_s` lies between the last two.
    """

    digest: str
    commit: str
    registered_at: datetime
    outcome: BuildClass
    ready_at: datetime | None
    would_go_at: datetime | None
    live_at: datetime | None
    human_wait_s: int | None
    held: list[HeldByOut]
    wrong: list[WrongOut]


class InTheWayOut(Closed):
    """A rule that stood in the way of builds; those of most builds come first."""

    rule: str
    kind: str
    condition: Literal["C1", "C2", "C3"] | None
    builds: int
    held_s: int
    codes: dict[str, int]
    message: str


class ReadinessOut(Closed):
    """Whether the service could be switched to continuous deployment there. `id` is null unless the report is kept."""

    id: str | None
    made_at: datetime
    service: str
    environment: str
    seq: int
    policy: RuledByOut | None
    thresholds: ThresholdsOut
    is_flippable: bool
    criteria: list[CriterionOut]
    counts: dict[str, int]
    in_the_way: list[InTheWayOut]
    builds: list[ReplayedBuildOut]


class CountOut(Closed):
    """How often, and how often in a week of the period."""

    count: int
    per_week: float


class LengthOut(Closed):
    """Lengths of time in seconds: how many, half of them at most this long, and nine of ten."""

    count: int
    p50_s: int | None
    p90_s: int | None


class FailureOut(Closed):
    """Deployments that were rolled back or had an incident within a day; `percent` is null of none."""

    deployments: int
    rolled_back: int
    with_incident: int
    failed: int
    percent: float | None


class RestoreOut(LengthOut):
    """How long incidents lasted; `open` are those that do."""

    open: int


class FiguresOut(Closed):
    """How a service was delivered to an environment in a period; deployments and releases are counted apart."""

    service: str
    environment: str
    since: datetime
    until: datetime
    days: int
    deployments: CountOut
    rollbacks: CountOut
    failed_deployments: CountOut
    releases: CountOut
    lead_time: LengthOut
    dark_time: LengthOut
    change_failure: FailureOut
    time_to_restore: RestoreOut
