"""A decision as the server gave it, read so that whatever is wrong with the answer never lets anything through.

INVARIANT: only an answer that is whole, is about what was asked, and says `allow` becomes exit code 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from greenroom.cli.errors import CommandError, Unreachable

ALLOW: Final = "allow"
WAIT: Final = "wait"
DENY: Final = "deny"
EXIT_CODES: Final = {ALLOW: 0, WAIT: 10, DENY: 20}
BLOCKING: Final = frozenset({"pending", "fail", "error"})
_OUTCOMES: Final = BLOCKING | {"pass", "waived", "not_applicable", "warn"}
_UNRULED: Final = "darken"  # always allowed, whatever the rules say


class NoDecision(Unreachable):
    """there was an answer, and it is no decision"""

    def __init__(self, detail: str) -> None:
        super().__init__(
            detail, hint="this counts as no answer: is this a Greenroom server, and as new as this command?"
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule found. `underlying` is what one that was waived, or only warns, would have said."""

    id: str
    kind: str
    condition: str
    outcome: str
    code: str
    message: str
    underlying: str
    waiver: str
    overridden_by: str

    @property
    def is_in_the_way(self) -> bool:
        return self.outcome in BLOCKING and not self.overridden_by


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer that can be relied on. `body` is all of it, `zone` the policy's time zone where that is known."""

    id: str | None
    verdict: str
    is_simulated: bool
    action: str
    service: str
    environment: str
    slot: str
    digest: str
    flag: str
    audience: str
    policy: str
    version: int
    mode: str
    at: datetime
    retry_at: datetime | None
    expires_at: datetime | None
    rules: tuple[Rule, ...]
    steps: tuple[str, ...]
    break_glass: str
    body: Mapping[str, Any]
    zone: str | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def in_the_way(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.is_in_the_way)

    @property
    def state(self) -> tuple[Any, ...]:
        """What is worth telling when it changes; every decision has another id and moment."""
        return self.verdict, self.retry_at, tuple((rule.id, rule.outcome, rule.code) for rule in self.in_the_way)


def read_decision(body: Any, asked: Mapping[str, Any], *, simulated: bool) -> Decision:
    """The decision in an answer to the question `asked`; raises NoDecision for anything that it should not be."""
    try:
        found = _decision(body)
    except CommandError as error:
        raise NoDecision(error.detail) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise NoDecision(f"the answer has not the shape of a decision: {error}") from None
    if found.is_simulated is not simulated:
        raise NoDecision(f"the answer is {'no' if simulated else 'a'} simulation")
    for name in ("action", "service", "environment", "slot", "digest", "flag", "audience"):
        wanted = asked.get(name)
        if wanted is not None and getattr(found, name) != wanted:
            raise NoDecision(f"the answer is about another {name}: `{getattr(found, name)}`")
    if found.verdict == ALLOW and found.in_the_way and found.action != _UNRULED:
        raise NoDecision("the answer allows what its rules do not")
    return found


def stored_decision(body: Any) -> Decision:
    """A decision that is looked at again, whatever it was about."""
    return read_decision(body, {}, simulated=bool(body["simulated"]))


def _decision(body: Any) -> Decision:
    verdict, subject, target, policy = body["decision"], body["subject"], body["target"], body["policy"]
    if verdict not in EXIT_CODES:
        raise ValueError(f"`{verdict}` is no verdict")
    return Decision(
        id=None if body["id"] is None else _text(body["id"]),
        verdict=verdict,
        is_simulated=_truth(body["simulated"]),
        action=_text(body["action"]),
        service=_text(subject["service"]),
        environment=_text(target["environment"]),
        slot=_text(target.get("slot", "")),
        digest=_text(subject.get("digest", "")),
        flag=_text(subject.get("flag", "")),
        audience=_text(subject.get("audience", "")),
        policy=_text(policy["name"]),
        version=int(policy["version"]),
        mode=_text(policy["mode"]),
        at=_moment(body["as_of"]["time"]),
        retry_at=None if body["retry_at"] is None else _moment(body["retry_at"]),
        expires_at=None if body["expires_at"] is None else _moment(body["expires_at"]),
        rules=tuple(_rule(one) for one in body["rules"]),
        steps=tuple(_text(one) for one in body["steps"]),
        break_glass=_text(body.get("break_glass", "")),
        body=body,
    )


def _rule(one: Any) -> Rule:
    outcome = one["outcome"]
    if outcome not in _OUTCOMES:
        raise ValueError(f"`{outcome}` is no outcome of a rule")
    optional = ("condition", "message", "underlying", "waiver", "overridden_by")
    return Rule(
        id=_text(one["id"]),
        kind=_text(one["kind"]),
        outcome=outcome,
        code=_text(one["code"]),
        **{name: _text(one.get(name, "")) for name in optional},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`{value}` is no text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"`{value}` is neither true nor false")
    return value


def _moment(value: Any) -> datetime:
    made = datetime.fromisoformat(_text(value))
    if made.tzinfo is None:
        raise ValueError(f"`{value}` names no offset")
    return made
