"""The policy document as its author writes it: a closed shape, refused as a whole for one unknown key.

What the shape cannot say (unknown names, uncovered conditions, unreachable rules) is told by `lint`.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from greenroom_server.policy.durations import duration_ms
from greenroom_server.policy.facts import Action, Mode, Tier

SCHEMA: Final = "release-policy/v1"
KEY_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,99}$"


def _duration(value: object) -> object:
    return duration_ms(value) if isinstance(value, str) else value


def _required_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text such as `10m`, `24h` or `7d`")
    return _duration(value)


Duration: TypeAlias = Annotated[int, BeforeValidator(_required_text)]
Key: TypeAlias = Annotated[str, Field(pattern=KEY_PATTERN)]
Keys: TypeAlias = Annotated[tuple[Key, ...], Field(min_length=1)]
EvidenceKind: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]+(\.[a-z0-9-]+)*$", max_length=100)]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Condition: TypeAlias = Literal["C1", "C2", "C3"]
Distinct: TypeAlias = Literal["author", "requester", "evidence_producer"]


class _Closed(BaseModel):
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
    definition: str | None = None


class _Rule(_Closed):
    """What all rules have. Without `environments` a rule is about those of tier production; without `modes`, all."""

    id: Key
    condition: Condition | None = None
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]
    environments: Keys | None = None
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] | None = None
    waivable: bool = True
    effective_from: str | None = None


class SuitesRule(_Rule):
    kind: Literal["suites"]
    require: Literal["all"] | Keys = "all"
    max_attempts: Count | None = None
    max_skipped_percent: Percent | None = None


class EvidenceRule(_Rule):
    kind: Literal["evidence"]
    evidence: EvidenceKind | None = None
    all_of: Annotated[tuple[EvidenceKind, ...], Field(min_length=1)] | None = None
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
    builders: Annotated[tuple[str, ...], Field(min_length=1)]
    branches: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    verified: bool = False


class OrderRule(_Rule):
    kind: Literal["order"]
    forbid_older_than_live: bool = False


class SoakRule(_Rule):
    kind: Literal["soak"]
    in_: Annotated[Key, Field(alias="in")]
    for_: Annotated[Duration, Field(alias="for")]
    reset_on: Annotated[tuple[Literal["incident"], ...], Field(min_length=1)] = ()


class CalendarRule(_Rule):
    kind: Literal["calendar"]
    use: Keys
    runway: Duration | None = None


class ApprovalRule(_Rule):
    kind: Literal["approval"]
    role: Key
    count: Count = 1
    ttl: Duration | None = None
    distinct_from: Annotated[tuple[Distinct, ...], Field(min_length=1)] = ()
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
    weekly: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None


class BreakGlassSpec(_Closed):
    roles: Keys
    confirm_by: Annotated[int, Field(ge=1, le=5)] = 2
    max_ttl: Duration = 4 * 3_600_000
    review_within: Duration = 2 * 86_400_000
    never: Keys = ()


class PolicyTest(_Closed):
    """An example that the policy must decide as its author expects, before it can be activated."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    fixture: Key
    at: str
    action: Action
    to: Key
    expect: Literal["allow", "wait", "deny"]
    because: str | None = None
    mode: Mode = "delivery"
    facts: dict[str, Any] | None = None


class PolicyDocument(_Closed):
    schema_: Annotated[Literal["release-policy/v1"], Field(alias="schema")]
    name: Key
    time_zone: str
    environments: Annotated[dict[Key, EnvironmentSpec], Field(min_length=1)]
    suites: dict[Key, SuiteSpec] = {}
    calendars: dict[Key, CalendarSpec] = {}
    rules: Annotated[tuple[Annotated[Rule, Field(discriminator="kind")], ...], Field(min_length=1)]
    break_glass: BreakGlassSpec | None = None
    tests: tuple[PolicyTest, ...] = ()
