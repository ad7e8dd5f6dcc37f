"""The verbs of access: first set-up, making, listing and revoking tokens, and keeping the directory fresh."""

import secrets as random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.access import secrets
from greenroom_server.access.directory import TokenDirectory, principal_of
from greenroom_server.access.permissions import MACHINE_KINDS, SDK_KINDS
from greenroom_server.access.principal import Principal
from greenroom_server.access.tables import InstallationRow, TokenRow
from greenroom_server.access.wire import SetupIn, TokenCreated, TokenIn, TokenOut
from greenroom_server.audit.service import Event, record
from greenroom_server.database.direct import fetch_one
from greenroom_server.database.engine import announce
from greenroom_server.errors import Conflict, FieldError, Forbidden, Gone, Invalid, NotFound

Changes = tuple[dict[str, Any], ...]


class EnvironmentFinder(Protocol):
    """Supplied by the flags area: where an SDK key belongs."""

    async def __call__(self, session: AsyncSession, project_key: str, environment_key: str) -> UUID | None:
        """The environment's id, or None if there is none of these keys."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """What every process needs to know of the installation."""

    installation_id: UUID
    stream_secret: bytes


async def ensure_installation(session: AsyncSession, now: datetime) -> Installation:
    """Create the installation's row if this is the first start; safe when several servers start at once."""
    await session.execute(
        insert(InstallationRow)
        .values(id=1, installation_id=uuid4(), created_at=now, access_revision=0, stream_secret=random.token_bytes(32))
        .on_conflict_do_nothing()
    )
    row = await _installation(session)
    return Installation(row.installation_id, row.stream_secret)


async def new_setup_token(session: AsyncSession) -> str | None:
    """A fresh one-time set-up token that replaces the one before, or None once the installation is set up."""
    row = await _installation(session, lock=True)
    if row.set_up_at is not None:
        return None
    token = secrets.mint("setup")
    row.setup_hash = secrets.digest(token)
    return token


async def set_up(session: AsyncSession, wanted: SetupIn, now: datetime) -> TokenCreated:
    """Trade the set-up token for the first administrator's token.

    Raises `Gone` when it was traded before and `Forbidden` for a wrong one.
    """
    row = await _installation(session, lock=True)
    if row.set_up_at is not None:
        raise Gone("this installation is set up already")
    if row.setup_hash is None or not random.compare_digest(row.setup_hash, secrets.digest(wanted.setup_token)):
        raise Forbidden("this is not the set-up token that the server printed last")
    row.set_up_at, row.setup_hash = now, None
    return await _add_token(session, TokenIn(name=wanted.name, kind="admin"), None, actor="setup", now=now)


async def add_admin(session: AsyncSession, name: str, now: datetime) -> TokenCreated:
    """An administrator's token for whoever has the database: the way back in when all others are lost or expired."""
    row = await _installation(session, lock=True)
    row.set_up_at, row.setup_hash = row.set_up_at or now, None
    return await _add_token(session, TokenIn(name=name, kind="admin"), None, actor="command line", now=now)


async def create_token(
    session: AsyncSession, principal: Principal, wanted: TokenIn, find_environment: EnvironmentFinder, now: datetime
) -> TokenCreated:
    """Make a token; its text is in the answer and nowhere else."""
    principal.require_unlimited("making tokens")
    _check(wanted, now)
    # INVARIANT: the installation's lock comes before the look at the environment, and `revoke_tokens_of` takes it
    # before it revokes: no key can be made for an environment that is being deleted.
    await _installation(session, lock=True)
    environment_id = None
    if wanted.project is not None and wanted.environment is not None:
        environment_id = await find_environment(session, wanted.project, wanted.environment)
        if environment_id is None:
            raise Invalid(
                errors=[
                    FieldError(
                        "/environment", f"there is no environment `{wanted.environment}` in project `{wanted.project}`"
                    )
                ]
            )
    return await _add_token(session, wanted, environment_id, actor=principal.actor, now=now)


async def page_tokens(
    session: AsyncSession, *, after: tuple[datetime, UUID] | None, limit: int, now: datetime
) -> list[TokenOut]:
    """Tokens in the order they were made, revoked ones too."""
    made, id_ = _column("created_at"), _column("id")
    query = select(TokenRow).order_by(made, id_).limit(limit)
    if after is not None:
        query = query.where((made > after[0]) | ((made == after[0]) & (id_ > after[1])))
    return [_out(row, now) for row in await session.scalars(query)]


async def get_token(session: AsyncSession, token_id: UUID, now: datetime) -> TokenOut:
    """One token; raises `NotFound`."""
    return _out(await _token(session, token_id), now)


async def revoke_token(
    session: AsyncSession, principal: Principal, token_id: UUID, now: datetime
) -> tuple[TokenOut, Changes]:
    """End a token for good. Revoking a revoked one changes nothing. The last valid administrator stays."""
    principal.require_unlimited("revoking tokens")
    await _installation(session, lock=True)
    row = await _token(session, token_id)
    if row.revoked_at is not None:
        return _out(row, now), ()
    if row.kind == "admin" and row.projects is None and not await _another_admin(session, row.id, now):
        raise Conflict("this is the last administrator's token: make another one first", code="last_admin")
    changes = ({"path": "/state", "op": "replace", "from": _out(row, now).state, "to": "revoked"},)
    row.revoked_at = now
    await _bump(session)
    await record(session, Event("", principal.actor, "token.revoke", _path(row.id), changes), now)
    return _out(row, now), changes


async def revoke_tokens_of(session: AsyncSession, environment_ids: Iterable[UUID], now: datetime) -> None:
    """Revoke the SDK keys of environments that are being deleted."""
    await _installation(session, lock=True)
    await session.execute(
        update(TokenRow)
        .where(_column("environment_id").in_(list(environment_ids)), _column("revoked_at").is_(None))
        .values(revoked_at=now)
    )
    await _bump(session)


async def refresh_directory(session: AsyncSession, directory: TokenDirectory) -> bool:
    """Bring the directory up to date if tokens changed since; says whether they did."""
    found = await fetch_one(session, "SELECT access_revision FROM installation")
    assert found is not None  # noqa: S101 (`ensure_installation` has seen to it)
    revision = found["access_revision"]
    if revision == directory.revision:
        return False
    rows = await session.scalars(select(TokenRow).where(_column("revoked_at").is_(None)))
    directory.replace(revision, rows)
    return True


async def find_principal(session: AsyncSession, token_id: UUID, now: datetime) -> Principal | None:
    """Who holds the token, as the store has it at this moment; None once it is revoked or expired."""
    row = await session.get(TokenRow, token_id, populate_existing=True)
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return principal_of(row)


async def write_last_used(session: AsyncSession, token_ids: Iterable[UUID], now: datetime) -> None:
    """Note that these tokens were used; called once in a while for all of them together."""
    await session.execute(
        update(TokenRow).where(_column("id").in_(list(token_ids))).values(last_used_at=now),
        execution_options={"synchronize_session": False},
    )


def _check(wanted: TokenIn, now: datetime) -> None:
    is_sdk_key = wanted.kind in SDK_KINDS
    needed: tuple[str, ...] = ("project", "environment")
    refused: tuple[str, ...] = ("projects", "environments")
    why = f"only people's tokens have it: a `{wanted.kind}` key belongs to one `project` and `environment`"
    if not is_sdk_key:
        needed, refused = (), ("project", "environment")
        why = "only SDK keys have it: limit this token with `projects` and `environments`"
    errors = [
        FieldError(f"/{name}", f"a `{wanted.kind}` key needs it") for name in needed if getattr(wanted, name) is None
    ]
    errors += [FieldError(f"/{name}", why) for name in refused if getattr(wanted, name) is not None]
    if wanted.kind == "admin" and wanted.environments is not None:
        errors.append(FieldError("/environments", "an administrator is not limited to environments"))
    if wanted.kind in MACHINE_KINDS and wanted.person is not None:
        errors.append(FieldError("/person", f"a `{wanted.kind}` token is a machine's: it stands for no person"))
    if is_sdk_key and wanted.roles:
        errors.append(FieldError("/roles", f"a `{wanted.kind}` key has no say, and so no roles"))
    if wanted.roles and wanted.person is None and wanted.kind not in MACHINE_KINDS:
        errors.append(FieldError("/roles", "roles are somebody's: name the `person`"))
    if wanted.expires_at is not None and wanted.expires_at <= now:
        errors.append(FieldError("/expires_at", "it lies in the past"))
    if errors:
        raise Invalid(errors=errors)


async def _add_token(
    session: AsyncSession, wanted: TokenIn, environment_id: UUID | None, *, actor: str, now: datetime
) -> TokenCreated:
    text = secrets.mint(wanted.kind)
    row = TokenRow(
        id=uuid4(),
        name=wanted.name,
        kind=wanted.kind,
        hint=secrets.hint(text),
        secret_hash=secrets.digest(text),
        projects=wanted.projects,
        environments=wanted.environments,
        environment_id=environment_id,
        project_key=wanted.project,
        environment_key=wanted.environment,
        person=wanted.person,
        roles=wanted.roles,
        created_at=now,
        created_by=actor,
        expires_at=wanted.expires_at,
    )
    session.add(row)
    await session.flush()
    await _bump(session)
    await record(session, Event("", actor, "token.create", _path(row.id), [_added(row)]), now)
    return TokenCreated(**_out(row, now).model_dump(), token=text)


def _added(row: TokenRow) -> dict[str, Any]:
    shown = {"name": row.name, "kind": row.kind, "projects": row.projects, "environments": row.environments}
    if row.person is not None or row.roles:
        shown |= {"person": row.person, "roles": row.roles}
    if row.project_key is not None:
        shown |= {"project": row.project_key, "environment": row.environment_key}
    return {"op": "add", "path": "", "to": shown}


async def _bump(session: AsyncSession) -> None:
    row = await _installation(session, lock=True)
    row.access_revision += 1
    await session.flush()
    await announce(session)


async def _installation(session: AsyncSession, *, lock: bool = False) -> InstallationRow:
    query = select(InstallationRow)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one()


async def _token(session: AsyncSession, token_id: UUID) -> TokenRow:
    row = await session.get(TokenRow, token_id)
    if row is None:
        raise NotFound(f"there is no token `{token_id}`")
    return row


async def _another_admin(session: AsyncSession, token_id: UUID, now: datetime) -> bool:
    expires = _column("expires_at")
    query = (
        select(_column("id"))
        .where(
            _column("kind") == "admin",
            _column("revoked_at").is_(None),
            _column("projects").is_(None),
            expires.is_(None) | (expires > now),
            _column("id") != token_id,
        )
        .limit(1)
    )
    return (await session.scalars(query)).first() is not None


def _out(row: TokenRow, now: datetime) -> TokenOut:
    state = "active"
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is not None and row.expires_at <= now:
        state = "expired"
    return TokenOut.model_validate(
        {
            **row.model_dump(exclude={"secret_hash", "environment_id", "project_key", "environment_key"}),
            "roles": row.roles or [],
            "project": row.project_key,
            "environment": row.environment_key,
            "state": state,
        }
    )


def _path(token_id: UUID) -> str:
    return f"/api/v1/tokens/{token_id}"


def _column(name: str) -> Any:
    return getattr(TokenRow, name)
