"""What an environment asks for before it serves something else."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.change_requests.judging import Demand
from greenroom_server.change_requests.tables import ApprovalSettingRow
from greenroom_server.change_requests.wire import ApprovalSettingsIn, ApprovalSettingsOut
from greenroom_server.database.direct import fetch_all
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_projects import environment_path
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Outcome, Work, differences
from greenroom_server.policy.durations import duration_ms, duration_text

_MS: Final = timedelta(milliseconds=1)
_ASKING: Final = """
SELECT e.key FROM environment e JOIN approval_setting s ON s.environment_id = e.id
WHERE e.project_id = $1 AND s.required > 0
"""


async def read_settings(work: Work, project_key: str, environment_key: str) -> ApprovalSettingsOut:
    project = await get_project(work.session, project_key)
    environment = await get_environment(work.session, project, environment_key)
    return _out(environment_key, await setting_of(work.session, environment.id))


async def update_settings(
    work: Work, project_key: str, environment_key: str, patch: Any
) -> Outcome[ApprovalSettingsOut]:
    """Change what the environment asks for; to ask for less takes a reason, which the audit log keeps.

    INVARIANT: under the project's lock, as every change of what is served: none is judged by the setting before.
    """
    project = await get_project(work.session, project_key, lock=True)
    environment = await get_environment(work.session, project, environment_key)
    row = await setting_of(work.session, environment.id)
    work.check_version(row.version)
    before = _authored(row)
    wanted = patched(ApprovalSettingsIn, before, patch)
    after = _authored(_taken(wanted, environment.id, row.version))
    changes = differences(before, after)
    if not changes:
        return Outcome(_out(environment_key, row), [])
    is_weaker = _is_weaker(demand_of(row), demand_of(_taken(wanted, environment.id, 0)))
    if is_weaker and not wanted.reason.strip():
        raise Invalid(errors=[FieldError("/reason", "this asks for less than before: say why")])
    row = await work.session.merge(_taken(wanted, environment.id, row.version + 1))
    await work.session.flush()
    if wanted.reason:
        changes.append({"path": "/reason", "op": "add", "to": wanted.reason})
    action = "approvals.weaken" if is_weaker else "approvals.update"
    await work.note(project.key, action, f"{environment_path(project.key, environment_key)}/approval-settings", changes)
    return Outcome(_out(environment_key, row), changes)


async def setting_of(session: AsyncSession, environment_id: UUID) -> ApprovalSettingRow:
    """The environment's setting; one that asks for nothing where none was made."""
    row = await session.get(ApprovalSettingRow, environment_id)
    if row is not None:
        return row
    default = ApprovalSettingsIn()
    return _taken(default, environment_id, 1)


async def asking_environments(session: AsyncSession, project_id: UUID) -> frozenset[str]:
    """The keys of the project's environments that ask for others."""
    return frozenset(row["key"] for row in await fetch_all(session, _ASKING, project_id))


def demand_of(row: ApprovalSettingRow) -> Demand:
    return Demand(row.required, frozenset(row.roles), frozenset(row.headless), row.expires_after_ms * _MS)


def _is_weaker(before: Demand, after: Demand) -> bool:
    """Whether something could now pass that could not before."""
    if before.required == 0:
        return False
    return (
        after.required < before.required
        or (bool(before.roles) and not (after.roles and after.roles <= before.roles))
        or not after.headless <= before.headless
        or after.expires_after > before.expires_after
    )


def _taken(wanted: ApprovalSettingsIn, environment_id: UUID, version: int) -> ApprovalSettingRow:
    return ApprovalSettingRow(
        environment_id=environment_id,
        required=wanted.required,
        roles=sorted(set(wanted.roles)),
        headless=sorted(set(wanted.headless)),
        expires_after_ms=duration_ms(wanted.expires_after),
        version=version,
    )


def _authored(row: ApprovalSettingRow) -> dict[str, Any]:
    return {
        "required": row.required,
        "roles": list(row.roles),
        "headless": list(row.headless),
        "expires_after": duration_text(row.expires_after_ms),
    }


def _out(environment_key: str, row: ApprovalSettingRow) -> ApprovalSettingsOut:
    return ApprovalSettingsOut(environment=environment_key, version=row.version, **_authored(row))
