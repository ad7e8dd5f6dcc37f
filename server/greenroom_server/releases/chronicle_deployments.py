"""Deployments as they became known: put somewhere, live, without traffic again, removed; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from greenroom_server.policy.chronicle import Version
from greenroom_server.policy.facts import Deployment
from greenroom_server.releases.times import instant_of

Row = Mapping[str, Any]
_Place: TypeAlias = tuple[str, str, datetime]


def deployment_versions(service: str, rows: Sequence[Row]) -> Iterator[Version]:
    """One line of versions for each stretch with the traffic, as `snapshot_rows.deployments_of` has them.

    A change has the number of the fact that told it. Its instant is the one that was told, since the store keeps no
    other; `chronicle.in_order` puts it behind what was known before.
    """
    takers: dict[_Place, list[tuple[Any, int]]] = {}
    for row in rows:
        if row["deployed_at"] is not None and row["ended_seq"] is not None:
            takers.setdefault(_place(row, row["deployed_at"]), []).append((row["id"], row["ended_seq"]))
    for row in rows:
        if row["state"] == "started" or row["ended_seq"] is None:
            continue
        ended = row["failed_at"] if row["state"] == "failed" else row["deployed_at"]
        base = _deployment(service, row, ended)
        if base.has_failed:
            yield Version(instant_of(ended), row["ended_seq"], "deployments", base.id, base)
            continue
        yield from _stretches(base, row, _removal(row, takers))


def _stretches(base: Deployment, row: Row, removal: tuple[int, int] | None) -> Iterator[Version]:
    removed_seq, removed_at = removal or (None, None)
    yield Version(base.deployed_at, row["ended_seq"], "deployments", base.id, base)
    last = base
    for number, (from_, to, seq, ended_seq) in enumerate(row["live"] or (), 1):
        name = base.id if number == 1 else f"{base.id}.{number}"
        last = replace(base, id=name, live_from=_read(from_))
        yield Version(last.live_from or 0, seq, "deployments", name, last)
        if to is not None and ended_seq is not None:
            last = replace(last, live_to=_read(to))
            yield Version(last.live_to or 0, ended_seq, "deployments", name, last)
    if removed_seq is None or removed_at is None:
        return
    for name, one in _last_of(base, row).items():
        yield Version(removed_at, removed_seq, "deployments", name, replace(one, removed_at=removed_at))


def _last_of(base: Deployment, row: Row) -> dict[str, Deployment]:
    """Each stretch as it is in the end, but for the removal."""
    found = {base.id: base}
    for number, (from_, to, _, _) in enumerate(row["live"] or (), 1):
        name = base.id if number == 1 else f"{base.id}.{number}"
        found[name] = replace(base, id=name, live_from=_read(from_), live_to=None if to is None else _read(to))
    return found


def _removal(row: Row, takers: Mapping[_Place, Iterable[tuple[Any, int]]]) -> tuple[int, int] | None:
    """The number and instant at which it was removed: with what took its place, or with its own end."""
    if row["removed_at"] is None:
        return None
    seqs = [seq for other, seq in takers.get(_place(row, row["removed_at"]), ()) if other != row["id"]]
    return max([row["ended_seq"], *seqs]), instant_of(row["removed_at"])


def _place(row: Row, at: datetime) -> _Place:
    return row["environment"], row["slot"], at


def _deployment(service: str, row: Row, at: datetime) -> Deployment:
    return Deployment(
        id=str(row["id"]),
        service=service,
        environment=row["environment"],
        digest=row["digest"],
        deployed_at=instant_of(at),
        seq=row["seq"],
        slot=row["slot"] or None,
        is_automated=row["automated"],
        manual_steps=row["manual_steps"],
        duration_ms=row["duration_ms"],
        has_failed=row["state"] == "failed",
        permit=row["permit"],
    )


def _read(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))
