"""The verbs on policies: versions that never change, and which of them decides for which service."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import rfc8785
from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.decisions.policies import compiled
from greenroom_server.decisions.tables import PolicyActivationRow, PolicySettingRow, PolicyVersionRow
from greenroom_server.decisions.trials import failed_tests
from greenroom_server.decisions.wire import ActivationIn, PolicyOut, PolicySettings, PolicySettingsIn, PolicySummary
from greenroom_server.errors import Conflict, Forbidden, LimitExceeded, NotFound
from greenroom_server.flags.patching import patched
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.policy.compiled import load_policy
from greenroom_server.releases.service_scope import Ledger, Place, new_id, open_ledger, place_of, require_named

MAX_VERSIONS: Final = 10_000
EVERY_SERVICE: Final = "*"
_ALL: Final = ""


async def page_policies(
    work: Work, project_key: str, *, after: tuple[str, int] | None, limit: int
) -> list[PolicySummary]:
    """All versions by name, of each the newest first."""
    place = await place_of(work, project_key)
    name, age = col(PolicyVersionRow.name), -col(PolicyVersionRow.version)
    query = select(PolicyVersionRow).where(col(PolicyVersionRow.project_id) == place.project_id)
    if after is not None:
        query = query.where(tuple_(name, age) > (after[0], -after[1]))
    rows = await work.session.scalars(query.order_by(name, age).limit(limit))
    active = await _active_for(work.session, place.project_id)
    return [PolicySummary(**_described(row, active)) for row in rows]


async def read_policy(work: Work, project_key: str, name: str, version: int) -> PolicyOut:
    place = await place_of(work, project_key)
    row = await get_version(work.session, place, name, version)
    return _out(row, await _active_for(work.session, place.project_id))


async def create_policy(work: Work, project_key: str, authored: Any) -> Outcome[PolicyOut]:
    """The next version of the policy that the document names; what was stored before is answered as it is.

    Raises `Invalid` with every error of the document. A new version decides nothing before it is activated.
    """
    ledger = await open_ledger(work, project_key)
    policy = compiled(authored, 1)
    known = await _version_of_digest(work.session, ledger, policy.name, policy.digest)
    if known is None:
        row = await _add_version(work, ledger, policy.name, policy.digest, rfc8785.dumps(authored))
        changes = [{"path": "", "op": "add", "to": {"digest": row.digest, "version": row.version}}]
        await work.note(
            ledger.project_key, "policy.create", policy_path(ledger.project_key, row.name, row.version), changes
        )
        return Outcome(_out(row, {}), changes)
    return Outcome(_out(known, await _active_for(work.session, ledger.project_id)), [])


async def activate_policy(
    work: Work, project_key: str, name: str, version: int, wanted: ActivationIn
) -> Outcome[PolicyOut]:
    """Let the version decide from now on.

    Raises `Forbidden` for its author while the project wants four eyes, and `Conflict` while one of its tests fails.
    """
    ledger = await open_ledger(work, project_key)
    row = await get_version(work.session, ledger, name, version)
    for service in wanted.services or ():
        await require_named(work, ledger, service=service)
    is_alone = row.author == author_of(work)
    if is_alone and (await _setting(work.session, ledger)).four_eyes:
        raise Forbidden(
            "somebody else than its author activates a policy; a project with one administrator may switch that off"
            " in its policy settings",
            code="own_policy",
        )
    if broken := failed_tests(load_policy(orjson.loads(row.document), row.version)):
        raise Conflict(
            f"tests of the policy fail: {', '.join(f'`{one}`' for one in broken)}", code="policy_tests_failed"
        )
    before = await _newest(work.session, ledger.project_id)
    changes = []
    number = max((one.number for one in before.values()), default=0)
    for service in wanted.services or [_ALL]:
        old = before.get(service)
        if old is not None and old.policy_version_id == row.id:
            continue
        number += 1
        work.session.add(
            PolicyActivationRow(
                project_id=ledger.project_id,
                number=number,
                service=service,
                policy_version_id=row.id,
                person=author_of(work),
                reason=wanted.reason,
                is_alone=is_alone,
                at=work.now,
            )
        )
        to = {"policy": row.name, "version": row.version, "digest": row.digest, "reason": wanted.reason}
        changes.append({"path": f"/active/{service or EVERY_SERVICE}", "op": "add", "to": {**to, "alone": is_alone}})
    await work.session.flush()
    if changes:
        await work.note(
            ledger.project_key, "policy.activate", policy_path(ledger.project_key, row.name, row.version), changes
        )
    return Outcome(_out(row, await _active_for(work.session, ledger.project_id)), changes)


async def read_settings(work: Work, project_key: str) -> PolicySettings:
    place = await place_of(work, project_key)
    return _settings_out(await _setting(work.session, place))


async def update_settings(work: Work, project_key: str, patch: Any) -> Outcome[PolicySettings]:
    """Switch the four eyes on or off; the audit log tells so in as many words."""
    ledger = await open_ledger(work, project_key)
    row = await _setting(work.session, ledger)
    work.check_version(row.version)
    wanted = patched(PolicySettingsIn, {"four_eyes": row.four_eyes}, patch)
    if row.four_eyes == wanted.four_eyes:
        return Outcome(_settings_out(row), [])
    changes = [{"path": "/four_eyes", "op": "replace", "from": row.four_eyes, "to": wanted.four_eyes}]
    row.four_eyes, row.version = wanted.four_eyes, row.version + 1
    work.session.add(row)
    await work.session.flush()
    action = "policy.four_eyes_on" if row.four_eyes else "policy.four_eyes_off"
    await work.note(ledger.project_key, action, f"/api/v1/projects/{ledger.project_key}/policy-settings", changes)
    return Outcome(_settings_out(row), changes)


async def get_version(session: AsyncSession, place: Place | Ledger, name: str, version: int) -> PolicyVersionRow:
    """Raises `NotFound`."""
    query = select(PolicyVersionRow).where(
        col(PolicyVersionRow.project_id) == place.project_id,
        col(PolicyVersionRow.name) == name,
        col(PolicyVersionRow.version) == version,
    )
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no version {version} of a policy `{name}` in project `{place.project_key}`")
    return row


def author_of(work: Work) -> str:
    """Who stands behind the request: the person, or the token itself where it names nobody."""
    return work.principal.person or work.principal.actor


def policy_path(project_key: str, name: str, version: int) -> str:
    return f"/api/v1/projects/{project_key}/policies/{name}/versions/{version}"


async def _note(work: Work, ledger: Ledger, row: PolicyVersionRow, action: str, changes: Changes) -> None:
    project = ledger.project_key
    await work.note(project, action, policy_path(project, row.name, row.version), changes)


async def _add_version(work: Work, place: Place | Ledger, name: str, digest: str, document: bytes) -> PolicyVersionRow:
    query = select(func.max(PolicyVersionRow.version)).where(
        col(PolicyVersionRow.project_id) == place.project_id, col(PolicyVersionRow.name) == name
    )
    last = (await work.session.execute(query)).scalar_one() or 0
    if last >= MAX_VERSIONS:
        raise LimitExceeded("versions_per_policy", MAX_VERSIONS)
    row = PolicyVersionRow(
        id=new_id(work.now),
        project_id=place.project_id,
        name=name,
        version=last + 1,
        digest=digest,
        document=document,
        author=author_of(work),
        authored_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    return row


async def _version_of_digest(
    session: AsyncSession, place: Place | Ledger, name: str, digest: str
) -> PolicyVersionRow | None:
    query = select(PolicyVersionRow).where(
        col(PolicyVersionRow.project_id) == place.project_id,
        col(PolicyVersionRow.name) == name,
        col(PolicyVersionRow.digest) == digest,
    )
    return (await session.scalars(query)).one_or_none()


async def _newest(session: AsyncSession, project_id: UUID) -> dict[str, PolicyActivationRow]:
    """The activation that counts, by service."""
    service, number = col(PolicyActivationRow.service), col(PolicyActivationRow.number)
    query = (
        select(PolicyActivationRow)
        .where(col(PolicyActivationRow.project_id) == project_id)
        .ext(distinct_on(service))
        .order_by(service, number.desc())
    )
    return {row.service: row for row in await session.scalars(query)}


async def _active_for(session: AsyncSession, project_id: UUID) -> dict[UUID, list[str]]:
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    for service, row in (await _newest(session, project_id)).items():
        found[row.policy_version_id].append(service or EVERY_SERVICE)
    return found


async def _setting(session: AsyncSession, place: Place | Ledger) -> PolicySettingRow:
    row = await session.get(PolicySettingRow, place.project_id)
    return PolicySettingRow(project_id=place.project_id) if row is None else row


def _settings_out(row: PolicySettingRow) -> PolicySettings:
    return PolicySettings(four_eyes=row.four_eyes, version=row.version)


def _described(row: PolicyVersionRow, active: dict[UUID, list[str]]) -> dict[str, Any]:
    shown: Sequence[str] = ("name", "version", "digest", "author", "authored_at")
    return {**{name: getattr(row, name) for name in shown}, "active_for": active.get(row.id, [])}


def _out(row: PolicyVersionRow, active: dict[UUID, list[str]]) -> PolicyOut:
    return PolicyOut(**_described(row, active), document=orjson.loads(row.document))
