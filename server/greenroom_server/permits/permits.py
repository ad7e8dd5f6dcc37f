"""A permit as its facts tell it: taken, perhaps used and bound to a deployment, and over at some time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from greenroom_server.permits.wire import Permit, PermitState
from greenroom_server.policy.facts import Request, Snapshot
from greenroom_server.releases.service_facts import USE, Fact

PERMIT: Final = "permit"
BOUND: Final = "deployment"


@dataclass(frozen=True, slots=True)
class Held:
    """A permit, and what was said of it; `bound` is the deployment that it was used for."""

    fact: Fact
    used_at: datetime | None = None
    bound: str | None = None

    @property
    def id(self) -> UUID:
        return self.fact.row.id

    @property
    def body(self) -> Mapping[str, Any]:
        return self.fact.row.body

    @property
    def place(self) -> tuple[str, str]:
        """Service and environment."""
        return str(self.fact.row.service), str(self.fact.row.environment)

    @property
    def expires_at(self) -> datetime:
        return datetime.fromisoformat(self.body["until"])

    def state(self, now: datetime) -> PermitState:
        """What has become of it. Half-open: at `expires_at` it cannot be used any more."""
        if self.fact.end is not None:
            state: PermitState = self.fact.end.body["state"]
            return state
        if self.used_at is not None:
            return "used"
        return "open" if now < self.expires_at else "expired"

    def fits(self, place: tuple[str, str], slot: str | None, digests: Iterable[str]) -> bool:
        """Whether it is for this place and one of these digests, which are of one build."""
        return self.place == place and self.body["slot"] == slot and self.fact.row.digest in set(digests)

    def request(self) -> Request:
        """What was asked when it was issued."""
        service, environment = self.place
        return Request(
            action=self.body["action"],
            service=service,
            environment=environment,
            requester=self.body["requester"],
            digest=self.fact.row.digest,
            slot=self.body["slot"],
        )

    def out(self, now: datetime) -> Permit:
        row, end = self.fact.row, self.fact.end
        return Permit.model_validate(
            {
                **{name: self.body[name] for name in ("action", "slot", "policy", "requester", "decision")},
                "id": str(row.id),
                "state": self.state(now),
                "service": row.service,
                "environment": row.environment,
                "digest": row.digest,
                "break_glass": self.body["break_glass"],
                "seq": row.seq,
                "issued_at": row.at,
                "expires_at": self.expires_at,
                "used_at": self.used_at,
                "ended_at": None if end is None else end.at,
                "ended_because": None if end is None else end.body["reason"],
                "deployment": self.bound,
            }
        )


def held_of(fact: Fact, followed: Iterable[Any]) -> Held:
    """The permit, with the facts about it."""
    held = Held(fact)
    for row in followed:
        if row.about == fact.row.id and row.kind == USE:
            held = replace(held, used_at=row.at)
        elif row.about == fact.row.id and row.kind == BOUND:
            held = replace(held, bound=row.body["deployment"])
    return held


def as_if_not_issued(snapshot: Snapshot, held: Held) -> Snapshot:
    """The facts without this permit, and with the break-glass that it used up still good: to decide on it anew."""
    name, glass = str(held.id), held.body["break_glass"]
    return replace(
        snapshot,
        permits=tuple(one for one in snapshot.permits if one.id != name),
        break_glasses=tuple(
            replace(one, used_at=None, review_due=None) if one.id == glass else one for one in snapshot.break_glasses
        ),
    )
