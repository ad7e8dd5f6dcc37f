"""Taking in who built what, from statements that pipelines send: once for each statement and digest."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.work import Outcome, Work, plain
from greenroom_server.releases.formats.dsse import PinnedKey, pinned_key
from greenroom_server.releases.intake import OfferedProvenance
from greenroom_server.releases.nouns import PROVENANCE
from greenroom_server.releases.service_facts import Saying, say
from greenroom_server.releases.service_people import producers_of
from greenroom_server.releases.service_scope import Ledger, place_of, require_plausible
from greenroom_server.releases.tables_facts import FactRow
from greenroom_server.releases.wire_evidence import ReceivedOut


async def take_provenances(
    work: Work, ledger: Ledger, offered: Sequence[OfferedProvenance]
) -> Outcome[list[ReceivedOut]]:
    """Keep those that are not there yet. Raises `Invalid` for a producer that does not supply provenance."""
    producers = await producers_of(work, ledger)
    known = {(row.digest, row.body.get("attachment_digest")): row for row in await _known(work, ledger, offered)}
    items, changes = [], []
    for one in offered:
        require_plausible(work, at=one.wanted.at)
        producer = producers.get(one.verified_by or "")
        if producer is not None and producer.kinds is not None and PROVENANCE.kind not in producer.kinds:
            raise Invalid(errors=[FieldError("", f"the producer `{producer.name}` does not supply `provenance`")])
        earlier = known.get((one.wanted.digest, one.attachment_digest))
        row = earlier or await _added(work, ledger, one)
        kept = ReceivedOut(
            id=str(row.id), seq=row.seq, status="duplicate" if earlier else "accepted", noun="provenance"
        )
        items.append(kept)
        if earlier is None:
            change = {"path": "", "op": "add", "to": plain(one.wanted)}
            changes.append(change)
            if work.principal.kind != "pipeline":
                path = PROVENANCE.path(ledger.project_key, row.id)
                await work.note(ledger.project_key, "provenance.create", path, [change])
    return Outcome(items, changes)


async def pinned_keys(work: Work, project_key: str) -> tuple[PinnedKey, ...]:
    """The keys of the project's active producers."""
    producers = await producers_of(work, await place_of(work, project_key))
    return tuple(
        pinned_key(name, text) for name, row in sorted(producers.items()) if row.is_active for text in row.public_keys
    )


async def _known(work: Work, ledger: Ledger, offered: Sequence[OfferedProvenance]) -> Sequence[FactRow]:
    query = select(FactRow).where(
        col(FactRow.project_id) == ledger.project_id,
        col(FactRow.kind) == PROVENANCE.kind,
        col(FactRow.digest).in_([one.wanted.digest for one in offered]),
    )
    return list(await work.session.scalars(query))


async def _added(work: Work, ledger: Ledger, one: OfferedProvenance) -> FactRow:
    body = {
        "builder": one.wanted.builder,
        "commit": one.wanted.commit,
        "branch": one.wanted.branch,
        "is_verified": one.verified_by is not None,
        "verified_by": one.verified_by,
        "attachment_digest": one.attachment_digest,
    }
    return await say(work, ledger, Saying(PROVENANCE.kind, digest=one.wanted.digest, at=one.wanted.at, body=body))
