"""What a decision says, and its bytes. The JSON shape is in openapi.yaml (`Decision`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from greenroom_server.policy.facts import Instant, Mode

Verdict: TypeAlias = Literal["allow", "wait", "deny"]
Outcome: TypeAlias = Literal["pass", "pending", "fail", "waived", "not_applicable", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found. `code` is stable and documented, `params` are for machines, `message` for people only.

    `clears_at` of one that blocks: it passes by time alone at that instant or later, never earlier; None: never, a
    person or evidence is needed. `holds_until`: until that instant the outcome stays by time alone; None: for ever.
    """

    outcome: Outcome
    code: str
    message: str = ""
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    evidence: tuple[str, ...] = ()
    next: tuple[Mapping[str, Any], ...] = ()
    obligations: tuple[Mapping[str, Any], ...] = ()
    clears_at: Instant | None = None
    holds_until: Instant | None = None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A finding under the rule's name. What Greenroom checks by itself has names that begin with `_`.

    `underlying` is what a `warn` or `waived` would have been. `overridden_by` names the break-glass that let the action
    through in spite of this outcome, which stays. `at` is the instant that the finding is about, if that is not now.
    """

    id: str
    kind: str
    condition: str | None
    finding: Finding
    waiver: str | None = None
    underlying: Outcome | None = None
    overridden_by: str | None = None
    at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `retry_at`, `expires_at` and the order of `rules` are as docs/release-policy.md defines them.

    `inputs` are the canonical bytes of all that it was made from, and `inputs_digest` names them; neither says anything
    where they cannot be written down.
    """

    verdict: Verdict
    action: str
    service: str
    environment: str
    policy_name: str
    policy_version: int
    policy_digest: str
    mode: Mode
    tzdata: str
    seq: int
    now: Instant
    inputs_digest: str
    rules: tuple[RuleResult, ...]
    digest: str | None = None
    commit: str | None = None
    slot: str | None = None
    flag: str | None = None
    audience: str | None = None
    scheduled_for: Instant | None = None
    retry_at: Instant | None = None
    expires_at: Instant | None = None
    next: tuple[Mapping[str, Any], ...] = ()
    obligations: tuple[Mapping[str, Any], ...] = ()
    break_glass: str | None = None
    inputs: bytes = field(default=b"", repr=False)
