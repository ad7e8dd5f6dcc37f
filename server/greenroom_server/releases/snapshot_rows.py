"""From what the store answers to the facts that a decision is made from; pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from greenroom_server.policy import facts
from greenroom_server.releases.times import instant_of

Row = Mapping[str, Any]


def evidence_of(row: Row) -> facts.Evidence:
    return facts.Evidence(
        id=row["id"],
        kind=row["kind"],
        subject=facts.Subject(row["digest"], row["commit"]),
        outcome=row["outcome"],
        finished_at=row["finished_at"],
        received_at=row["received_at"],
        seq=row["seq"],
        suite=row["suite"] or None,
        environment=row["environment"] or None,
        slot=row["slot"] or None,
        counts=None if row["counts"] is None else facts.Counts(**row["counts"]),
        suite_definition=row["suite_definition_digest"],
        run=row["run"],
        attempt=row["attempt"],
        started_at=row["started_at"],
        producer=row["producer"],
        is_automated=row["is_automated"],
        revoked_at=row["revoked_at"],
    )


def deployments_of(service: str, rows: Iterable[Row]) -> Iterator[facts.Deployment]:
    """One for each stretch in which it had the traffic; further ones have `.2`, `.3` behind the id."""
    for row in rows:
        has_failed = row["state"] == "failed"
        for number, (live_from, live_to) in enumerate(row["live"] or [(None, None)], 1):
            yield facts.Deployment(
                id=row["id"] if number == 1 else f"{row['id']}.{number}",
                service=service,
                environment=row["environment"],
                digest=row["digest"],
                deployed_at=row["failed_at"] if has_failed else row["deployed_at"],
                seq=row["seq"],
                slot=row["slot"] or None,
                removed_at=row["removed_at"],
                live_from=live_from,
                live_to=live_to,
                is_automated=row["automated"],
                manual_steps=row["manual_steps"],
                duration_ms=row["duration_ms"],
                has_failed=has_failed,
                permit=row["permit"],
            )


def under_way_of(row: Row) -> facts.UnderWay:
    return facts.UnderWay(
        id=row["id"],
        environment=row["environment"],
        digest=row["digest"],
        started_at=row["started_at"],
        seq=row["seq"],
        slot=row["slot"] or None,
        permit=row["permit"],
    )


def said(rows: Iterable[Row]) -> dict[str, tuple[Any, ...]]:
    """The facts by the member of the snapshot that they belong to."""
    found: dict[str, list[Any]] = {member: [] for member, _ in _KINDS.values()}
    for row in rows:
        member, make = _KINDS[row["kind"]]
        found[member].append(make(row, row["body"]))
    return {member: tuple(made) for member, made in found.items()}


def _scope(row: Row) -> facts.Scope:
    return facts.Scope(row["service"], row["environment"], row["digest"])


def _followed(row: Row, kind: str) -> list[Row]:
    """The facts of a kind about this one, in their order."""
    return [one for one in row["followed_by"] or () if one["kind"] == kind]


def _moment(text: str) -> facts.Instant:
    return instant_of(datetime.fromisoformat(text))


def _parity(row: Row, body: Row) -> facts.Parity:
    return facts.Parity(
        row["id"], row["environment"], body["of"], row["at"], row["seq"], tuple(body["drift"]), row["ended_at"]
    )


def _provenance(row: Row, body: Row) -> facts.Provenance:
    return facts.Provenance(
        id=row["id"],
        digest=row["digest"],
        builder=body["builder"],
        seq=row["seq"],
        commit=body["commit"],
        branch=body["branch"],
        is_verified=body.get("is_verified", False),
    )


def _demo(row: Row, body: Row) -> facts.Demo:
    return facts.Demo(
        id=row["id"],
        stories=tuple(body["stories"]),
        environment=row["environment"],
        at=row["at"],
        seq=row["seq"],
        slot=body["slot"],
        audience=tuple(body["audience"]),
        accepted_by=tuple(
            facts.Acceptance(one["person"], one["body"]["role"], one["at"]) for one in _followed(row, "acceptance")
        ),
        revoked_at=row["ended_at"],
    )


def _obstacle(row: Row, body: Row) -> facts.Obstacle:
    return facts.Obstacle(
        row["id"], _scope(row), row["at"], row["seq"], body["kind"], body["text"], closed_at=row["ended_at"]
    )


def _incident(row: Row, _body: Row) -> facts.Incident:
    return facts.Incident(row["id"], _scope(row), row["at"], row["seq"], resolved_at=row["ended_at"])


def _veto(row: Row, body: Row) -> facts.Veto:
    return facts.Veto(
        row["id"], _scope(row), row["person"], row["at"], row["seq"], body["reason"], withdrawn_at=row["ended_at"]
    )


def _approval(row: Row, body: Row) -> facts.Approval:
    return facts.Approval(
        id=row["id"],
        verdict=body["verdict"],
        action=body["action"],
        environment=row["environment"],
        person=row["person"],
        roles=tuple(row["roles"]),
        at=row["at"],
        seq=row["seq"],
        digest=row["digest"],
        flag=body["flag"],
        audience=body["audience"],
        on_behalf_of=body["on_behalf_of"],
        reason=body["reason"],
        withdrawn_at=row["ended_at"],
    )


def _waiver(row: Row, body: Row) -> facts.Waiver:
    return facts.Waiver(
        id=row["id"],
        rule=body["rule"],
        scope=_scope(row),
        until=_moment(body["until"]),
        person=row["person"],
        at=row["at"],
        seq=row["seq"],
        reason=body["reason"],
        withdrawn_at=row["ended_at"],
    )


def _permit(row: Row, body: Row) -> facts.Permit:
    return facts.Permit(
        id=row["id"],
        environment=row["environment"],
        digest=row["digest"],
        until=_moment(body["until"]),
        seq=row["seq"],
        service=row["service"],
        slot=body["slot"],
    )


def _health(row: Row, body: Row) -> facts.HealthReading:
    value = body["value"]
    return facts.HealthReading(
        source=body["source"],
        environment=row["environment"],
        at=row["at"],
        seq=row["seq"],
        value_micros=None if value is None else round(value * 1_000_000),
        is_healthy=body["is_healthy"],
    )


def _break_glass(row: Row, body: Row) -> facts.BreakGlass:
    """What ends one that was used is its review; one that was not used is over then."""
    until, used = _moment(body["until"]), _followed(row, "use")
    if row["ended_at"] is not None and not used:
        until = min(until, row["ended_at"])
    return facts.BreakGlass(
        id=row["id"],
        action=body["action"],
        environment=row["environment"],
        digest=row["digest"],
        confirmed_by=(row["person"], *(one["person"] for one in _followed(row, "confirmation"))),
        roles=tuple(row["roles"]),
        reason=body["reason"],
        at=row["at"],
        until=until,
        seq=row["seq"],
        used_at=used[0]["at"] if used else None,
        review_due=_moment(used[0]["body"]["review_due"]) if used else None,
        reviewed_at=row["ended_at"] if used else None,
    )


_KINDS: Final[dict[str, tuple[str, Callable[[Row, Row], Any]]]] = {
    "parity": ("parities", _parity),
    "provenance": ("provenances", _provenance),
    "demo": ("demos", _demo),
    "obstacle": ("obstacles", _obstacle),
    "incident": ("incidents", _incident),
    "approval": ("approvals", _approval),
    "veto": ("vetoes", _veto),
    "waiver": ("waivers", _waiver),
    "permit": ("permits", _permit),
    "break_glass": ("break_glasses", _break_glass),
    "health": ("health", _health),
}
