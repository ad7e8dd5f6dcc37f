"""From what the store answers to the versions of a chronicle; pure. Each says when the server learned what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from greenroom_server.policy import facts
from greenroom_server.policy.chronicle import Member, PastFlag, Version
from greenroom_server.releases.lineage import Lineage
from greenroom_server.releases.snapshot_rows import evidence_of, said
from greenroom_server.releases.times import instant_of

Row = Mapping[str, Any]
_MEMBERS: Final[dict[str, Member]] = {
    "parity": "parities",
    "provenance": "provenances",
    "demo": "demos",
    "obstacle": "obstacles",
    "incident": "incidents",
    "veto": "vetoes",
    "approval": "approvals",
    "waiver": "waivers",
}
_ENDS: Final = {
    "parities": "revoked_at",
    "demos": "revoked_at",
    "obstacles": "closed_at",
    "incidents": "resolved_at",
    "vetoes": "withdrawn_at",
    "approvals": "withdrawn_at",
    "waivers": "withdrawn_at",
}


def build_versions(
    service: str, rows: Sequence[Row], commits: Mapping[UUID, Sequence[facts.Commit]]
) -> Iterator[Version]:
    """Builds as they were known: with the digests declared, and through the parents registered, until then."""
    by_id = {row["id"]: row for row in rows}
    lineage = Lineage({row["id"]: row["parent_id"] for row in rows})
    for row in rows:
        news = {row["seq"]: row["registered_at"]}
        news |= {seq: datetime.fromisoformat(at) for _, seq, at in row["digests"]}
        news |= {
            by_id[one]["seq"]: by_id[one]["registered_at"]
            for one in lineage.of(row["id"])
            if by_id[one]["seq"] > row["seq"]
        }
        for seq, at in sorted(news.items()):
            chain = _known_chain(lineage.of(row["id"]), by_id, seq)
            build = facts.Build(
                id=str(row["id"]),
                service=service,
                digests=tuple(digest for digest, since, _ in row["digests"] if since <= seq),
                commit=row["commit"],
                seq=row["seq"],
                registered_at=instant_of(row["registered_at"]),
                commits=tuple(commit for one in reversed(chain) for commit in commits.get(one, ())),
                stories=tuple(row["stories"]),
                triggered_by=row["triggered_by"],
            )
            yield Version(instant_of(at), seq, "builds", build.id, build)


def _known_chain(chain: Sequence[UUID], rows: Mapping[UUID, Row], seq: int) -> list[UUID]:
    """The ancestors that were known by then, up to the first that was not."""
    known = []
    for one in chain:
        if rows[one]["seq"] > seq:
            break
        known.append(one)
    return known


def story_versions(
    builds: Sequence[Row], commits: Mapping[UUID, Sequence[facts.Commit]], told: Iterable[Row], work: Iterable[Row]
) -> Iterator[Version]:
    """Stories with their newest work, as builds brought it, and with what people wrote about them."""
    seqs = {row["seq"] for row in builds if row["id"] in commits}
    changes: list[tuple[int, datetime, str, dict[str, Any]]] = []
    oldest = builds[0]["registered_at"] if builds else datetime.fromtimestamp(0).astimezone()
    for row in work:
        if row["seq"] not in seqs:
            changes.append((row["seq"], oldest, row["story"], {"latest_commit": row["commit"]}))
    for row in builds:
        has_heirs = any(other["parent_id"] == row["id"] and other["seq"] < row["seq"] for other in builds)
        newest = {story: commit.id for commit in commits.get(row["id"], ()) for story in commit.stories}
        change = "first_commit" if has_heirs else "latest_commit"
        changes += [(row["seq"], row["registered_at"], story, {change: commit}) for story, commit in newest.items()]
    for row in told:
        changes.append((row["seq"], row["received_at"], row["body"]["key"], _told_of_story(row)))
    known: dict[str, facts.Story] = {}
    for seq, at, key, told_of in sorted(changes, key=lambda one: (one[0], one[2])):
        story, members = known.get(key, facts.Story(key)), dict(told_of)
        first = members.pop("first_commit", None)
        if first is not None and story.latest_commit is None:
            members["latest_commit"] = first
        known[key] = replace(story, **members)
        yield Version(instant_of(at), seq, "stories", key, known[key])


def _told_of_story(row: Row) -> dict[str, Any]:
    body = row["body"]
    return {"reopened_at": instant_of(row["at"])} if body.get("reopened") else {"flags": tuple(body.get("flags", ()))}


def evidence_versions(rows: Iterable[Row]) -> Iterator[Version]:
    """Evidence, and what revoked it."""
    for row in rows:
        moments = {name: _instant(row[name]) for name in ("started_at", "finished_at", "received_at")}
        one = evidence_of({**row, **moments, "id": str(row["id"]), "revoked_at": None})
        yield Version(one.received_at, one.seq, "evidence", one.id, one)
        if row["ended_seq"] is not None:
            revoked = replace(one, revoked_at=_instant(row["ended_at"]))
            yield Version(instant_of(row["end_known_at"]), row["ended_seq"], "evidence", one.id, revoked)


def said_versions(rows: Iterable[Row]) -> Iterator[Version]:
    """What people and pipelines said, who accepted it, and what ended it."""
    for row in rows:
        member = _MEMBERS[row["kind"]]
        followed = [{**one, "at": _read(one["at"])} for one in row["followed_by"] or ()]
        plain = {**row, "id": str(row["id"]), "at": instant_of(row["at"]), "ended_at": None}
        known = [
            (row["seq"], instant_of(row["received_at"])),
            *((one["seq"], _read(one["known_at"])) for one in followed),
        ]
        for number, (seq, at) in enumerate(known):
            made = said([{**plain, "followed_by": followed[:number]}])[member][0]
            yield Version(at, seq, member, made.id, made)
        if row["ended_seq"] is not None and member in _ENDS:
            ended = replace(made, **{_ENDS[member]: _instant(row["ended_at"])})
            yield Version(instant_of(row["end_known_at"]), row["ended_seq"], member, made.id, ended)


def flag_versions(moments: Iterable[tuple[datetime, PastFlag | None, str]]) -> Iterator[Version]:
    """Flags have no numbers among the facts: they come by their instants."""
    for at, flag, key in moments:
        yield Version(instant_of(at), 0, "flags", key, flag)


def _instant(at: datetime | None) -> int | None:
    return None if at is None else instant_of(at)


def _read(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))
