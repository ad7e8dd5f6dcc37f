"""Routes of webhooks."""

from datetime import datetime
from typing import get_args
from uuid import UUID

from greenroom_server.errors import FieldError, Invalid, NotFound
from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import Outcome, plain
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.conditional import etag_of
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.times import moment_of
from greenroom_server.webhooks import service, service_deliveries
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.wire import DeliveryState, SecretRotationIn, WebhookCreated, WebhookIn

_STATES = get_args(DeliveryState)
_WEBHOOKS = "/api/v1/projects/{project}/webhooks"
_WEBHOOK = f"{_WEBHOOKS}/{{webhook}}"
_DELIVERIES = f"{_WEBHOOK}/deliveries"


def routes(desk: Desk) -> tuple[Route, ...]:
    """The area's routes; `desk` says where may be sent to, and how secrets are kept."""

    async def create_webhook(call: Call) -> Reply:
        outcome = await service.create_webhook(work_of(call), desk, call.params["project"], call.parse(WebhookIn))
        path = service.webhook_path(call.params["project"], outcome.result.key)
        return _shown_once(call, outcome, created_at=path)

    async def update_webhook(call: Call) -> Reply:
        return answer(call, await service.update_webhook(work_of(call), desk, *_place_of(call), call.json()))

    async def rotate_webhook_secret(call: Call) -> Reply:
        wanted = call.parse(SecretRotationIn) if call.body else SecretRotationIn()
        return _shown_once(call, await service.rotate_secret(work_of(call), desk, *_place_of(call), wanted))

    read, write = "webhooks.read", "webhooks.write"
    return (
        Route("GET", _WEBHOOKS, "list_webhooks", read, list_webhooks, store="read"),
        Route("POST", _WEBHOOKS, "create_webhook", write, create_webhook, idempotent=True),
        Route("GET", _WEBHOOK, "read_webhook", read, read_webhook, store="read"),
        Route("PATCH", _WEBHOOK, "update_webhook", write, update_webhook, writes=True),
        Route("DELETE", _WEBHOOK, "delete_webhook", write, delete_webhook, writes=True),
        Route(
            "POST",
            f"{_WEBHOOK}/rotate-secret",
            "rotate_webhook_secret",
            write,
            rotate_webhook_secret,
            idempotent=True,
        ),
        Route("POST", f"{_WEBHOOK}/test", "test_webhook", write, test_webhook, idempotent=True),
        Route(
            "GET",
            _DELIVERIES,
            "list_webhook_deliveries",
            read,
            list_webhook_deliveries,
            store="read",
            query=(*pagination.QUERY, "state"),
        ),
        Route(
            "POST",
            f"{_DELIVERIES}/{{delivery}}/replay",
            "replay_webhook_delivery",
            write,
            replay_webhook_delivery,
            writes=True,
        ),
    )


async def list_webhooks(call: Call) -> Reply:
    found = await service.list_webhooks(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def read_webhook(call: Call) -> Reply:
    # Failures move without the version.
    return shown(await service.read_webhook(work_of(call), *_place_of(call)), etag_covers_body=False)


async def delete_webhook(call: Call) -> Reply:
    return answer(call, await service.delete_webhook(work_of(call), *_place_of(call)))


async def test_webhook(call: Call) -> Reply:
    return _accepted(answer(call, await service_deliveries.send_test(work_of(call), *_place_of(call))))


async def list_webhook_deliveries(call: Call) -> Reply:
    request = pagination.page_request(call, str, str)
    before = None if request.after is None else _sort_key(*request.after)
    rows = await service_deliveries.page_deliveries(
        work_of(call), _place_of(call), state=_state_of(call), before=before, limit=request.limit + 1
    )
    return Reply(
        body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.created_at.isoformat(), str(row.id)))
    )


async def replay_webhook_delivery(call: Call) -> Reply:
    try:
        delivery_id = UUID(call.params["delivery"])
    except ValueError:
        raise NotFound(f"there is no delivery `{call.params['delivery']}`") from None
    outcome = await service_deliveries.replay_delivery(work_of(call), *_place_of(call), delivery_id)
    return _accepted(answer(call, outcome))


def _place_of(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["webhook"]


def _accepted(reply: Reply) -> Reply:
    """It is put in line and not sent yet; a dry run is neither."""
    is_dry_run = isinstance(reply.body, dict) and "dry_run" in reply.body
    return reply if is_dry_run else Reply(status=202, body=reply.body)


def _shown_once(call: Call, outcome: Outcome[WebhookCreated], *, created_at: str | None = None) -> Reply:
    """The one answer that holds a secret; a dry run's secret never was, so it is not shown."""
    body = plain(outcome.result)
    # INVARIANT: the text of a secret is not stored with the answer, so a repeated `Idempotency-Key` gets none.
    again = {**body, "secret": ""}
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": list(outcome.changes), "result": again})
    etag = etag_of(outcome.result.version)
    status = 200 if created_at is None else 201
    return Reply(status=status, body=body, etag=etag, location=created_at, replay_body=again)


def _state_of(call: Call) -> DeliveryState | None:
    state = call.query.get("state")
    for known in _STATES:
        if state == known:
            return known  # type: ignore[no-any-return]
    if state is None:
        return None
    raise Invalid(errors=[FieldError("state", f"`state` is one of {', '.join(_STATES)}")])


def _sort_key(created_at: str, delivery_id: str) -> tuple[datetime, UUID]:
    try:
        return moment_of(created_at), UUID(delivery_id)
    except ValueError:
        raise Invalid(errors=[FieldError("cursor", "`cursor` is not one that this list gave out")]) from None
