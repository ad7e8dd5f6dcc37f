"""From what the core found to what goes out; pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.readiness import Judged, Obstruction, Verdict
from greenroom_server.policy.replaying import Held
from greenroom_server.readiness.wire import (
    CriterionOut,
    HeldByOut,
    InTheWayOut,
    ReplayedBuildOut,
    RuledByOut,
    WrongOut,
)

_MS_PER_S = 1000


def moment(at: Instant) -> datetime:
    return datetime.fromtimestamp(at / _MS_PER_S, UTC)


def policy_out(policy: Policy | None) -> RuledByOut | None:
    return None if policy is None else RuledByOut(name=policy.name, version=policy.version, digest=policy.digest)


def criteria_out(verdict: Verdict) -> list[CriterionOut]:
    return [
        CriterionOut(criterion=one.name, value=one.value, limit=one.limit, is_met=one.is_met)
        for one in verdict.criteria
    ]


def in_the_way_out(obstructions: Iterable[Obstruction]) -> list[InTheWayOut]:
    return [
        InTheWayOut.model_validate(
            {
                "rule": one.rule,
                "kind": one.kind,
                "condition": one.condition,
                "builds": one.builds,
                "held_s": one.held_ms // _MS_PER_S,
                "codes": dict(sorted(one.codes.items())),
                "message": one.message,
            }
        )
        for one in obstructions
    ]


def builds_out(judged: Sequence[Judged]) -> list[ReplayedBuildOut]:
    """Newest first, as builds are listed."""
    return [_build_out(one) for one in reversed(judged)]


def _build_out(one: Judged) -> ReplayedBuildOut:
    found = one.replayed
    is_waited = found.would_go_at is not None and found.live_at is not None and found.live_at > found.would_go_at
    wait = (found.live_at or 0) - (found.would_go_at or 0)
    return ReplayedBuildOut(
        digest=found.build.digests[0],
        commit=found.build.commit,
        registered_at=moment(found.build.registered_at),
        outcome=one.kind,
        ready_at=None if found.ready_at is None else moment(found.ready_at),
        would_go_at=None if found.would_go_at is None else moment(found.would_go_at),
        live_at=None if found.live_at is None else moment(found.live_at),
        human_wait_s=wait // _MS_PER_S if is_waited else None,
        held=[_held_out(held) for held in found.in_the_way()],
        wrong=[WrongOut(what=wrong.what, at=moment(wrong.at), by=wrong.by, id=wrong.id) for wrong in one.wrong],
    )


def _held_out(held: Held) -> HeldByOut:
    return HeldByOut.model_validate(
        {
            "rule": held.rule,
            "kind": held.kind,
            "condition": held.condition,
            "code": held.code,
            "message": held.message,
            "held_s": held.held_ms // _MS_PER_S,
        }
    )
