"""Who may say what in a project: people with their roles, producers of evidence, and the settings of its releases."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import or_, select
from sqlmodel import col

from greenroom_server.errors import FieldError, Forbidden, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.service_scope import get_project, get_segment
from greenroom_server.flags.work import Outcome, Work, differences, plain
from greenroom_server.policy.people import People
from greenroom_server.releases.formats.dsse import pinned_key
from greenroom_server.releases.formats.refusals import BadSignature
from greenroom_server.releases.service_facts import Saying, require_person, say
from greenroom_server.releases.service_scope import Ledger, Place, open_ledger, place_of
from greenroom_server.releases.tables import LedgerRow
from greenroom_server.releases.tables_facts import PersonRow, ProducerRow
from greenroom_server.releases.wire import (
    PersonIn,
    PersonOut,
    ProducerIn,
    ProducerOut,
    ReleaseSettingsIn,
    ReleaseSettingsOut,
)

MAX_PEOPLE: Final = 2_000
MAX_PRODUCERS: Final = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody under their main name here, with the roles that they have now."""

    person: str
    roles: frozenset[str]


async def standing_of(work: Work, place: Place | Ledger) -> Standing:
    """The caller as the project knows them: the roles of the token, and those that the project gives the person.

    Raises `Forbidden` for a token without a person, and for somebody who is not active (any more).
    """
    person = require_person(work)
    query = select(PersonRow).where(
        col(PersonRow.project_id) == place.project_id,
        or_(col(PersonRow.person) == person, col(PersonRow.aliases).contains([person])),
    )
    row = (await work.session.scalars(query.order_by(col(PersonRow.person)))).first()
    if row is None:
        return Standing(person, work.principal.roles)
    if not row.is_active:
        raise Forbidden(f"`{row.person}` is not active in project `{place.project_key}`", code="person_inactive")
    return Standing(row.person, work.principal.roles | set(row.roles))


async def people_of(work: Work, place: Place | Ledger) -> People:
    """Which names of the project's people are the same person."""
    query = select(PersonRow).where(col(PersonRow.project_id) == place.project_id)
    rows = list(await work.session.scalars(query))
    aliases = {alias: row.person for row in rows for alias in row.aliases}
    return People(aliases, (row.person for row in rows if not row.is_active))


async def list_people(work: Work, project_key: str) -> list[PersonOut]:
    """Everybody the project knows, in the order of their names; there are never more than 2,000."""
    place = await place_of(work, project_key)
    query = select(PersonRow).where(col(PersonRow.project_id) == place.project_id).order_by(col(PersonRow.person))
    return [_person_out(row) for row in await work.session.scalars(query)]


async def put_person(work: Work, project_key: str, person: str, wanted: PersonIn) -> Outcome[PersonOut]:
    """Make or replace what the project knows of somebody. A name belongs to one person."""
    ledger = await open_ledger(work, project_key)
    rows = {
        row.person: row
        for row in await work.session.scalars(select(PersonRow).where(col(PersonRow.project_id) == ledger.project_id))
    }
    _require_free_names(rows, person, wanted)
    row = rows.get(person)
    before = None if row is None else _person_in(row)
    if before == wanted:
        return Outcome(_person_out(rows[person]), [])
    if row is None:
        if len(rows) >= MAX_PEOPLE:
            raise LimitExceeded("people_per_project", MAX_PEOPLE)
        row = PersonRow(project_id=ledger.project_id, person=person, **wanted.model_dump(), updated_at=work.now)
        work.session.add(row)
    else:
        row.aliases, row.roles, row.is_active = wanted.aliases, wanted.roles, wanted.is_active
        row.updated_at = work.now
    await say(work, ledger, Saying("person", body={"name": person, **plain(wanted)}))
    changes = differences(None if before is None else plain(before), plain(wanted))
    await work.note(project_key, "person.put", f"/api/v1/projects/{project_key}/people/{person}", changes)
    return Outcome(_person_out(row), changes)


async def list_producers(work: Work, project_key: str) -> list[ProducerOut]:
    """The producers of evidence that the project pins down; there are never more than 200."""
    place = await place_of(work, project_key)
    query = select(ProducerRow).where(col(ProducerRow.project_id) == place.project_id).order_by(col(ProducerRow.name))
    return [_producer_out(row) for row in await work.session.scalars(query)]


async def put_producer(work: Work, project_key: str, name: str, wanted: ProducerIn) -> Outcome[ProducerOut]:
    """Make or replace a producer. Raises `Invalid` for a key that is no public key for signatures."""
    _require_public_keys(name, wanted)
    ledger = await open_ledger(work, project_key)
    row = await work.session.get(ProducerRow, (ledger.project_id, name))
    before = None if row is None else _producer_in(row)
    if before == wanted and row is not None:
        return Outcome(_producer_out(row), [])
    if row is None:
        known = await producers_of(work, ledger)
        if len(known) >= MAX_PRODUCERS:
            raise LimitExceeded("producers_per_project", MAX_PRODUCERS)
        row = ProducerRow(project_id=ledger.project_id, name=name, **wanted.model_dump(), updated_at=work.now)
        work.session.add(row)
    else:
        for member, value in wanted.model_dump().items():
            setattr(row, member, value)
        row.updated_at = work.now
    await say(work, ledger, Saying("producer", body={"name": name, **plain(wanted)}))
    changes = differences(None if before is None else plain(before), plain(wanted))
    await work.note(project_key, "producer.put", f"/api/v1/projects/{project_key}/producers/{name}", changes)
    return Outcome(_producer_out(row), changes)


async def producers_of(work: Work, place: Place | Ledger) -> dict[str, ProducerRow]:
    """The pinned producers by their names."""
    query = select(ProducerRow).where(col(ProducerRow.project_id) == place.project_id)
    return {row.name: row for row in await work.session.scalars(query)}


async def read_settings(work: Work, project_key: str) -> ReleaseSettingsOut:
    place = await place_of(work, project_key)
    row = await work.session.get(LedgerRow, place.project_id)
    return ReleaseSettingsOut(
        internal_segment=None if row is None else row.internal_segment, seq=0 if row is None else row.seq
    )


async def put_settings(work: Work, project_key: str, wanted: ReleaseSettingsIn) -> Outcome[ReleaseSettingsOut]:
    """Replace the settings; raises `Invalid` for a segment that is not there."""
    if wanted.internal_segment is not None:
        await _require_segment(work, project_key, wanted.internal_segment)
    ledger = await open_ledger(work, project_key)
    before = ReleaseSettingsIn(internal_segment=ledger.row.internal_segment)
    changes = differences(plain(before), plain(wanted))
    if changes:
        ledger.row.internal_segment = wanted.internal_segment
        await say(work, ledger, Saying("settings", body=plain(wanted)))
        await work.note(project_key, "settings.put", f"/api/v1/projects/{project_key}/release-settings", changes)
    return Outcome(ReleaseSettingsOut(internal_segment=wanted.internal_segment, seq=ledger.row.seq), changes)


async def _require_segment(work: Work, project_key: str, key: str) -> None:
    try:
        await get_segment(work.session, await get_project(work.session, project_key), key)
    except NotFound:
        raise Invalid(errors=[FieldError("/internal_segment", f"there is no segment `{key}`")]) from None


def _require_free_names(rows: dict[str, PersonRow], person: str, wanted: PersonIn) -> None:
    taken = {name: row.person for row in rows.values() if row.person != person for name in (row.person, *row.aliases)}
    errors = [
        FieldError(f"/aliases/{index}", f"`{alias}` is a name of `{taken[alias]}` already")
        for index, alias in enumerate(wanted.aliases)
        if alias in taken
    ]
    if person in taken:
        errors.append(FieldError("person", f"`{person}` is a name of `{taken[person]}` already"))
    if errors:
        raise Invalid(errors=errors)


def _require_public_keys(name: str, wanted: ProducerIn) -> None:
    errors = []
    for index, text in enumerate(wanted.public_keys):
        try:
            pinned_key(name, text)
        except BadSignature as error:
            errors.append(FieldError(f"/public_keys/{index}", error.detail))
    if wanted.must_sign and not wanted.public_keys:
        errors.append(FieldError("/must_sign", "without `public_keys` nothing could be believed"))
    if errors:
        raise Invalid(errors=errors)


def _person_in(row: PersonRow) -> PersonIn:
    return PersonIn.model_validate(row.model_dump(include=set(PersonIn.model_fields)))


def _person_out(row: PersonRow) -> PersonOut:
    return PersonOut.model_validate(row.model_dump(exclude={"project_id"}))


def _producer_in(row: ProducerRow) -> ProducerIn:
    return ProducerIn.model_validate(row.model_dump(include=set(ProducerIn.model_fields)))


def _producer_out(row: ProducerRow) -> ProducerOut:
    return ProducerOut.model_validate(row.model_dump(exclude={"project_id"}))
