"""The policy document as its author writes it: a closed shape, refused as a whole for one unknown key.

What the shape cannot say (unknown names, uncovered conditions, unreachable rules) is told by `lint`.
"""

from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from greenroom_server.policy.durations import PATTERN, duration_ms
from greenroom_server.policy.facts import Action, EvidenceOutcome, Mode, Tier

SCHEMA: Final = "release-policy/v1"
KEY_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,99}$"
T = TypeVar("T")


def _duration(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("must be text such as `10m`, `24h` or `7d`")
    return duration_ms(value)


Some: TypeAlias = Annotated[tuple[T, ...], Field(min_length=1, max_length=100)]
Duration: TypeAlias = Annotated[
    int,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["10m", "24h", "7d", "1h30m"]}),
]
Key: TypeAlias = Annotated[str, Field(pattern=KEY_PATTERN)]
Keys: TypeAlias = Some[Key]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
EvidenceKind: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*$", max_length=100)]
Code: TypeAlias = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$", max_length=100)]
LocalTime: TypeAlias = Annotated[str, Field(max_length=30, examples=["2026-12-18T18:00"])]
Moment: TypeAlias = Annotated[str, Field(max_length=40, examples=["2026-11-17T10:00", "2026-11-17T10:00:00+01:00"])]
Weekly: TypeAlias = Annotated[str, Field(min_length=1, max_length=100, examples=["Mon-Thu 09:00-16:00", "Sat,Sun"])]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Condition: TypeAlias = Literal["C1", "C2", "C3"]
Distinct: TypeAlias = Literal["author", "requester", "evidence_producer"]


class _Closed(BaseModel):
    # Code builds models by the fields' names; `read_document` takes the author's names (`in`, `for`) only.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class ParityDemand(_Closed):
    of: Key
    max_age: Duration
    max_drift: Annotated[int, Field(ge=0)] = 0


class EnvironmentSpec(_Closed):
    order: Annotated[int, Field(ge=0, le=1000)]
    tier: Tier
    production_like: bool = False
    after: Keys = ()
    slots: Keys = ()
    concurrency: Count = 1
    permits: Literal["optional", "required"] = "optional"
    parity: ParityDemand | None = None


class EnvironmentFilter(_Closed):
    production_like: bool | None = None
    tier: Tier | None = None
    keys: Keys | None = None


class SuiteSpec(_Closed):
    kind: EvidenceKind
    bind: Literal["digest", "commit"] = "digest"
    environment: EnvironmentFilter | None = None
    max_age: Duration | None = None
    definition: Name | None = None


class _Rule(_Closed):
    """What all rules have. Without `environments` a rule is about those of tier production; without `modes`, all."""

    id: Key
    condition: Condition | None = None
    actions: Some[Action]
    environments: Keys | None = None
    modes: Some[Mode] | None = None
    waivable: bool = True
    effective_from: LocalTime | None = None


class SuitesRule(_Rule):
    kind: Literal["suites"]
    require: Literal["all"] | Keys = "all"
    max_attempts: Count | None = None
    max_skipped_percent: Percent | None = None


class EvidenceRule(_Rule):
    kind: Literal["evidence"]
    evidence: EvidenceKind | None = None
    all_of: Some[EvidenceKind] | None = None
    max_age: Duration | None = None
    max_duration: Duration | None = None


class DemoRule(_Rule):
    kind: Literal["demo"]
    roles: Keys = ("customer", "product")


class ParityRule(_Rule):
    kind: Literal["parity"]
    of: Key | None = None


class ObstaclesRule(_Rule):
    kind: Literal["obstacles"]
    ignore: Keys = ()


class ProvenanceRule(_Rule):
    kind: Literal["provenance"]
    builders: Some[Name]
    branches: Some[Name] | None = None
    verified: bool = False


class OrderRule(_Rule):
    kind: Literal["order"]
    forbid_older_than_live: bool = False


class SoakRule(_Rule):
    kind: Literal["soak"]
    in_: Annotated[Key, Field(alias="in")]
    for_: Annotated[Duration, Field(alias="for")]
    reset_on: Some[Literal["incident"]] = ()


class CalendarRule(_Rule):
    kind: Literal["calendar"]
    use: Keys
    runway: Duration | None = None


class ApprovalRule(_Rule):
    kind: Literal["approval"]
    role: Key
    count: Count = 1
    ttl: Duration | None = None
    distinct_from: Some[Distinct] = ()
    reuse_person: bool = False


class FlagsDarkRule(_Rule):
    kind: Literal["flags_dark"]
    unfinished_stories: Literal["must_be_dark"] = "must_be_dark"
    missing_flag: Literal["deny"] = "deny"


class FlagLiveRule(_Rule):
    kind: Literal["flag_live"]
    build_live_in: Literal["target"] | Key = "target"
    every_live_slot: bool = True


class SlotRule(_Rule):
    kind: Literal["slot"]
    must_be: Literal["idle", "deployed"] = "idle"


class ConcurrencyRule(_Rule):
    kind: Literal["concurrency"]
    max: Count | None = None


class VetoRule(_Rule):
    kind: Literal["veto"]


class HealthRule(_Rule):
    kind: Literal["health"]
    sources: Keys
    max_age: Duration


Rule: TypeAlias = (
    SuitesRule
    | EvidenceRule
    | DemoRule
    | ParityRule
    | ObstaclesRule
    | ProvenanceRule
    | OrderRule
    | SoakRule
    | CalendarRule
    | ApprovalRule
    | FlagsDarkRule
    | FlagLiveRule
    | SlotRule
    | ConcurrencyRule
    | VetoRule
    | HealthRule
)


class CalendarSpec(_Closed):
    """Weekly windows (`Mon-Thu 09:00-16:00`) or one stretch from local time to local time; allow, or freeze."""

    type: Literal["allow", "freeze"]
    weekly: Some[Weekly] | None = None
    from_: Annotated[LocalTime | None, Field(alias="from")] = None
    to: LocalTime | None = None


class BreakGlassSpec(_Closed):
    roles: Keys
    confirm_by: Annotated[int, Field(ge=1, le=5)] = 2
    max_ttl: Annotated[Duration, Field(json_schema_extra={"default": "4h"})] = 4 * 3_600_000
    review_within: Annotated[Duration, Field(json_schema_extra={"default": "2d"})] = 2 * 86_400_000
    never: Keys = ()


class EvidenceFacts(_Closed):
    """What a test changes about evidence. `age` is at the test's moment."""

    outcome: EvidenceOutcome | None = None
    age: Duration | None = None
    total: Annotated[int, Field(ge=0)] | None = None
    skipped: Annotated[int, Field(ge=0)] | None = None
    attempt: Count | None = None
    is_missing: bool = False


class ApprovalFacts(_Closed):
    """What a test changes about the approvals in a role."""

    age: Duration | None = None
    person: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    verdict: Literal["approve", "reject"] | None = None
    is_missing: bool = False


class DeploymentFacts(_Closed):
    """What a test changes about how the new build came to an environment."""

    age: Duration | None = None
    duration: Duration | None = None
    manual_steps: Annotated[int, Field(ge=0)] | None = None
    is_missing: bool = False


class TestFacts(_Closed):
    """How the facts of a test differ from its fixture.

    `evidence` goes by suite, or by kind where it is of no suite; `approvals` by role; `deployments` of the new build by
    environment. `scheduled_for` is a moment as `at`.
    """

    evidence: dict[EvidenceKind, EvidenceFacts] = {}
    approvals: dict[Key, ApprovalFacts] = {}
    deployments: dict[Key, DeploymentFacts] = {}
    scheduled_for: Moment | None = None


class PolicyTest(_Closed):
    """An example that the policy must decide as its author expects, before it can be activated.

    `at` is an instant with an offset, or local to the policy's zone. `because` is a code that a rule must give.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    fixture: Key
    at: Moment
    action: Action
    to: Key
    expect: Literal["allow", "wait", "deny"]
    because: Code | None = None
    mode: Mode = "delivery"
    facts: TestFacts | None = None


class PolicyDocument(_Closed):
    schema_: Annotated[Literal["release-policy/v1"], Field(alias="schema")]
    name: Key
    time_zone: Name
    environments: Annotated[dict[Key, EnvironmentSpec], Field(min_length=1, max_length=100)]
    suites: Annotated[dict[Key, SuiteSpec], Field(min_length=1, max_length=100)] = {}
    calendars: Annotated[dict[Key, CalendarSpec], Field(min_length=1, max_length=100)] = {}
    rules: Annotated[tuple[Annotated[Rule, Field(discriminator="kind")], ...], Field(min_length=1, max_length=200)]
    break_glass: BreakGlassSpec | None = None
    tests: Annotated[tuple[PolicyTest, ...], Field(min_length=1, max_length=200)] = ()
