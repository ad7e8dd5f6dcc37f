"""What a decision is made from: facts as they were known at one sequence number, all immutable.

Instants are whole milliseconds since 1970 UTC, durations whole milliseconds, and every interval is half-open. Digests
are written `sha256:<hex>`. People are named as their accounts or commits name them; `people.person_of` tells who is
the same person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Instant: TypeAlias = int
Tier: TypeAlias = Literal["development", "staging", "production"]
Mode: TypeAlias = Literal["delivery", "deployment", "hold"]
Action: TypeAlias = Literal["deploy", "switch", "release", "darken", "rollback"]
EvidenceOutcome: TypeAlias = Literal["pass", "fail", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fact is about: an artifact by its digest, or its source by a commit. One of both is given, or both."""

    digest: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    total: int = 0
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    flaky: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something was checked. `kind` is dotted (`test.unit`, `test.security`, `sbom`); `attempt` counts from 1.

    `is_automated` is false where a person produced it. `revoked_at` comes from a later record that revokes this one.
    """

    id: str
    kind: str
    subject: Subject
    outcome: EvidenceOutcome
    finished_at: Instant
    received_at: Instant
    seq: int
    suite: str | None = None
    environment: str | None = None
    slot: str | None = None
    counts: Counts | None = None
    suite_definition: str | None = None
    run: str = ""
    attempt: int = 1
    started_at: Instant | None = None
    producer: str = ""
    is_automated: bool = True
    revoked_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody accepted what was demonstrated, in a role that was theirs at that moment."""

    person: str
    role: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Demo:
    """Stories were shown to an audience in an environment (and slot) at a moment."""

    id: str
    stories: tuple[str, ...]
    environment: str
    at: Instant
    seq: int
    slot: str | None = None
    audience: tuple[str, ...] = ()
    accepted_by: tuple[Acceptance, ...] = ()
    revoked_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """How an environment differed from the one that it stands for; each entry of `drift` names one difference."""

    id: str
    environment: str
    of: str
    at: Instant
    seq: int
    drift: tuple[str, ...] = ()
    revoked_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who built a digest, from what. `is_verified`: a pinned key signed it."""

    id: str
    digest: str
    builder: str
    seq: int
    commit: str | None = None
    branch: str | None = None
    is_verified: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that a build contains, with everybody who wrote or committed it, and the stories that it works on."""

    id: str
    authors: tuple[str, ...] = ()
    stories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """One artifact in all its digests (index, platforms, promoted copies), and what it contains.

    `commits` are all known commits in it, through all builds that it grew from; they include `commit`.
    """

    id: str
    service: str
    digests: tuple[str, ...]
    commit: str
    seq: int
    registered_at: Instant
    commits: tuple[Commit, ...] = ()
    stories: tuple[str, ...] = ()
    triggered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """`latest_commit` is the newest commit that works on it; `flags` hide its code until it is released."""

    key: str
    flags: tuple[str, ...] = ()
    latest_commit: str | None = None
    reopened_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    key: str
    order: int
    tier: Tier
    is_production_like: bool = False
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A digest ran in an environment (and slot) from `deployed_at` until `removed_at`, and had traffic while live.

    `failed` deployments never ran. `duration_ms` is how long deploying took; None while it is not known.
    """

    id: str
    service: str
    environment: str
    digest: str
    deployed_at: Instant
    seq: int
    slot: str | None = None
    removed_at: Instant | None = None
    live_from: Instant | None = None
    live_to: Instant | None = None
    is_automated: bool = True
    manual_steps: int = 0
    duration_ms: int | None = None
    has_failed: bool = False
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a veto, obstacle, incident or waiver covers; None means every one. All that is named must fit."""

    service: str | None = None
    environment: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something stands in the way until it is closed."""

    id: str
    scope: Scope
    opened_at: Instant
    seq: int
    kind: str = "obstacle"
    text: str = ""
    closed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    id: str
    scope: Scope
    opened_at: Instant
    seq: int
    resolved_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Veto:
    """A person forbids it, until the same person withdraws."""

    id: str
    scope: Scope
    person: str
    at: Instant
    seq: int
    reason: str = ""
    withdrawn_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's word on one (digest, environment, action), and on a flag and audience where it is about a release.

    `roles` are those that the person had then. `on_behalf_of` is the human behind a bot.
    """

    id: str
    verdict: Literal["approve", "reject"]
    action: str
    environment: str
    person: str
    roles: tuple[str, ...]
    at: Instant
    seq: int
    digest: str | None = None
    flag: str | None = None
    audience: str | None = None
    on_behalf_of: str | None = None
    reason: str = ""
    withdrawn_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """One rule is not held against one digest or service in one environment, until a moment."""

    id: str
    rule: str
    scope: Scope
    until: Instant
    person: str
    at: Instant
    seq: int
    reason: str = ""
    withdrawn_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Two people let one action through in spite of rules, once, for a short time."""

    id: str
    action: Action
    environment: str
    digest: str
    confirmed_by: tuple[str, ...]
    roles: tuple[str, ...]
    reason: str
    at: Instant
    until: Instant
    seq: int
    used_at: Instant | None = None
    review_due: Instant | None = None
    reviewed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class FlagState:
    """How a flag is configured in the environment asked about.

    `is_dark`: nobody outside the internal segment can be served anything but the dark variant, by any rule, variant or
    prerequisite.
    """

    key: str
    environment: str
    is_dark: bool
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Permit:
    """An open right to deploy: taken, not yet closed by a deployment, not yet expired at `until`."""

    id: str
    environment: str
    digest: str
    until: Instant
    seq: int
    service: str = ""
    slot: str | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A digest is being put into an environment: that has begun, and nobody has told yet how it ended."""

    id: str
    environment: str
    digest: str
    started_at: Instant
    seq: int
    slot: str | None = None
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReading:
    """What a source of health said last about an environment; None where it gave no number."""

    source: str
    environment: str
    at: Instant
    seq: int
    value_micros: int | None = None
    is_healthy: bool | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts that bear on one request, as of sequence number `seq`.

    `builds` holds the build asked about, those that are live or run in any environment of the service, and those that
    evidence of carried-forward demos names. `aliases` maps further names of a person to the main one.
    """

    project: str
    service: str
    seq: int
    mode: Mode
    builds: tuple[Build, ...] = ()
    stories: tuple[Story, ...] = ()
    environments: tuple[Environment, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    demos: tuple[Demo, ...] = ()
    parities: tuple[Parity, ...] = ()
    provenances: tuple[Provenance, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    incidents: tuple[Incident, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    approvals: tuple[Approval, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    break_glasses: tuple[BreakGlass, ...] = ()
    flags: tuple[FlagState, ...] = ()
    permits: tuple[Permit, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    health: tuple[HealthReading, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    inactive_people: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `digest` is of the build to deploy, switch to or roll back to; a release names flag and audience.

    `commit` stands where a digest was sought for it and it has none, or several. `scheduled_for` asks about that
    instant too. An `action` that is not one of `Action` is denied.
    """

    action: str
    service: str
    environment: str
    requester: str
    digest: str | None = None
    slot: str | None = None
    flag: str | None = None
    audience: str | None = None
    scheduled_for: Instant | None = None
    commit: str | None = None


JsonObject: TypeAlias = dict[str, Any]
