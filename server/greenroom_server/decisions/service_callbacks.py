"""Callbacks: whoever was told to wait hears, signed, what became of it.

A callback is a row for as long as it is open, and goes in the transaction that puts its message in line. So nothing
depends on a process: after a crash another one looks at the rows that are left. A look decides once more, in a reading
transaction of its own; what it found is written by `settle`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.access.principal import Principal
from greenroom_server.access.service import get_token
from greenroom_server.decisions.service_decisions import Made, decide_again, keep_decision, request_of
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.service_news import Marks, Watched, marks_of
from greenroom_server.decisions.tables import CallbackRow, DecisionRow
from greenroom_server.decisions.wire import CallbackIn, CallbackOut
from greenroom_server.errors import Conflict, FieldError, GreenroomError, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.work import Work
from greenroom_server.policy.facts import Instant
from greenroom_server.releases.service_scope import new_id
from greenroom_server.sealing import Unreadable
from greenroom_server.webhooks import signing
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.events import Happening
from greenroom_server.webhooks.service import read_webhook
from greenroom_server.webhooks.service_outbox import Callback, call_back, enqueue_for

MAX_OPEN: Final = 1_000
DECIDED: Final = "callback.decided"
EXPIRED: Final = "callback.expired"
# Of a wait that time alone does not end: a rule may come into force meanwhile.
_LOOKED_AGAIN: Final = timedelta(minutes=15)

Settled = Literal["told", "open", "given up", "gone"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: the decision as it would be now, or None if nobody may be told any more."""

    callback: CallbackRow
    question: DecisionRow
    made: Made | None


async def check_callback(work: Work, desk: Desk, project_key: str, wanted: CallbackIn) -> None:
    """Raises `Invalid` or `Conflict` unless it names one destination that can be told."""
    if (wanted.webhook is None) == (wanted.url is None):
        raise Invalid(errors=[FieldError("/callback", "name a `webhook` or a `url`: one of the two")])
    if wanted.url is not None:
        desk.check_url(wanted.url, at="/callback/url")
        _check_secret(wanted.secret)
        return
    if wanted.secret is not None:
        raise Invalid(errors=[FieldError("/callback/secret", "a webhook signs with its own secret")])
    try:
        found = await read_webhook(work, project_key, wanted.webhook or "")
    except NotFound as error:
        raise Invalid(errors=[FieldError("/callback/webhook", error.detail)]) from None
    if not found.enabled:
        raise Conflict(f"the webhook `{found.key}` is switched off: enable it first", code="webhook_disabled")


async def open_callback(work: Work, desk: Desk, made: Made, wanted: CallbackIn) -> CallbackOut | None:
    """Begin to watch over a decision that was kept; None if it is no wait, and so there is nothing to tell."""
    if made.decision.verdict != "wait":
        return None
    place, minted = made.seen.place, None
    is_open = col(CallbackRow.project_id) == place.project_id
    if (await work.session.scalar(select(func.count()).where(is_open)) or 0) >= MAX_OPEN:
        raise LimitExceeded("decision_callbacks_per_project", MAX_OPEN, field="/callback")
    if wanted.url is not None and wanted.secret is None:
        minted = signing.mint()
    secret = wanted.secret or minted
    expires_at = work.now + timedelta(hours=wanted.expires_in_hours)
    row = CallbackRow(
        id=new_id(work.now),
        project_id=place.project_id,
        project=place.project_key,
        environment=made.request.environment,
        decision_id=made.id,
        webhook=wanted.webhook,
        url=wanted.url,
        secret=None if secret is None else desk.sealer.seal(secret),
        kind=work.principal.kind,
        token_id=work.principal.token_id,
        **made.seen.marks._asdict(),
        looked_at=work.now,
        due_at=_due_at(made, work.now, expires_at),
        expires_at=expires_at,
    )
    work.session.add(row)
    await work.session.flush()
    return CallbackOut(id=str(row.id), expires_at=expires_at, secret=minted)


async def due_callbacks(session: AsyncSession, now: datetime, most: int) -> list[UUID]:
    """Callbacks whose answer may be another one now, those first that were looked at longest ago."""
    order = col(CallbackRow.looked_at), col(CallbackRow.id)
    rows = list(await session.scalars(select(CallbackRow).order_by(*order)))
    marks = await marks_of(session, {_watched(row) for row in rows}) if rows else {}
    due = [row.id for row in rows if row.due_at <= now or marks.get(_watched(row)) != _known(row)]
    return due[:most]


async def look_at(session: AsyncSession, callback_id: UUID, shelves: Shelves, now: datetime) -> Looked | None:
    """Decide its question once more; wants a reading transaction. None if it has ended meanwhile."""
    row = await session.get(CallbackRow, callback_id)
    question = None if row is None else await session.get(DecisionRow, row.decision_id)
    if row is None or question is None:
        return None
    work = _work_of(session, row, now)
    if not await _is_welcome(session, row, now):
        return Looked(row, question, None)
    return Looked(row, question, await decide_again(work, row.project, request_of(question), shelves))


async def settle(session: AsyncSession, desk: Desk, looked: Looked, now: datetime) -> Settled:
    """Write down what a look found: the message, the decision that it tells of and the callback's end, or its marks."""
    # The project first, in the order in which deleting one locks too.
    await session.execute(_SHARED, {"id": looked.callback.project_id})
    row = await session.get(CallbackRow, looked.callback.id, with_for_update=True)
    if row is None:
        return "gone"
    if looked.made is None:
        return await _give_up(session, row, "the token that asked is not valid any more")
    made, is_late = looked.made, now >= row.expires_at
    if made.decision.verdict == "wait" and not is_late:
        row.seq, row.activation, row.revision = made.seen.marks
        row.looked_at, row.due_at = now, _due_at(made, now, row.expires_at)
        await session.flush()
        return "open"
    try:
        await _tell(session, desk, row, looked.question, made, now)
    except (Invalid, NotFound, Unreadable) as error:
        return await _give_up(session, row, error.detail if isinstance(error, GreenroomError) else str(error))
    if made.decision.verdict != "wait":
        await keep_decision(_work_of(session, row, now), made)
    await _end(session, row)
    return "told"


async def _tell(
    session: AsyncSession, desk: Desk, row: CallbackRow, question: DecisionRow, made: Made, now: datetime
) -> None:
    """Put the message in line. Raises `Invalid`, `NotFound` or `Unreadable` if nothing can be sent there any more."""
    is_decided = made.decision.verdict != "wait"
    type_, told = (DECIDED, made.id) if is_decided else (EXPIRED, question.id)
    data: dict[str, Any] = {
        "callback": str(row.id),
        "project": row.project,
        "asked": str(question.id),
        "id": str(told),
        "decision": made.decision.verdict,
        **{name: getattr(question, name) for name in ("action", "service", "environment", "subject")},
    }
    if row.url is not None:
        secret = desk.sealer.open(row.secret or "")
        await call_back(session, desk, Callback(row.project, row.url, secret, type_, data), now)
    else:
        await enqueue_for(session, row.webhook or "", Happening(row.project, type_, now, data))


async def _give_up(session: AsyncSession, row: CallbackRow, why: str) -> Settled:
    log.warning("callback of a decision given up", callback=str(row.id), project=row.project, reason=why)
    await _end(session, row)
    return "given up"


async def _end(session: AsyncSession, row: CallbackRow) -> None:
    await session.execute(delete(CallbackRow).where(col(CallbackRow.id) == row.id))


async def _is_welcome(session: AsyncSession, row: CallbackRow, now: datetime) -> bool:
    """Whether the token that asked would still be answered."""
    try:
        return (await get_token(session, row.token_id, now)).state == "active"
    except NotFound:
        return False


def _work_of(session: AsyncSession, row: CallbackRow, now: datetime) -> Work:
    """In the name of who asked: the decision is theirs."""
    return Work(session, Principal(row.token_id, "callback", row.kind, frozenset()), now)


def _due_at(made: Made, now: datetime, expires_at: datetime) -> datetime:
    turns: list[Instant] = [at for at in (made.decision.retry_at, made.decision.expires_at) if at is not None]
    return min([now + _LOOKED_AGAIN, expires_at, *(datetime.fromtimestamp(at / 1000, UTC) for at in turns)])


def _watched(row: CallbackRow) -> Watched:
    return Watched(row.project_id, row.environment)


def _known(row: CallbackRow) -> Marks:
    return Marks(row.seq, row.activation, row.revision)


def _check_secret(secret: str | None) -> None:
    """Raises `Invalid` for what is no base64, which no message could be signed with."""
    if secret is None:
        return
    try:
        signing.sign(secret, "", 0, b"")
    except ValueError:
        detail = "`secret` is `whsec_` and the base64 of 24 to 64 bytes"
        raise Invalid(errors=[FieldError("/callback/secret", detail)]) from None


_SHARED: Final = text("SELECT id FROM project WHERE id = :id FOR KEY SHARE")
