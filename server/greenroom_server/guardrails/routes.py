"""Routes of guardrails."""

import asyncio
from typing import Any, Final, Protocol

from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import Outcome, plain
from greenroom_server.guardrails import service, service_views
from greenroom_server.guardrails.definitions import terms_of
from greenroom_server.guardrails.judging import Finding, Reading
from greenroom_server.guardrails.service_alerts import take_alerts
from greenroom_server.guardrails.service_readings import store_time
from greenroom_server.guardrails.tables import GuardrailRow
from greenroom_server.guardrails.wire import GuardrailCreated, GuardrailIn, GuardrailTestOut
from greenroom_server.web.call import Call
from greenroom_server.web.conditional import etag_of
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.routing import SIGNED, Route
from greenroom_server.web.validation import parse
from greenroom_server.web.yaml_codec import read_yaml
from greenroom_server.webhooks.desk import Desk

YAML: Final = "application/yaml"
_NODES: Final = 1_000
_GUARDRAILS = "/api/v1/projects/{project}/guardrails"
_GUARDRAIL = f"{_GUARDRAILS}/{{guardrail}}"


class Tester(Protocol):
    """Asks a source once; `sampler.Guardrails` is one."""

    async def test(self, project_key: str, key: str) -> tuple[GuardrailRow, Reading]: ...


def guardrail_routes(desk: Desk, tester: Tester) -> tuple[Route, ...]:
    """The area's routes; `desk` says where sources may be, and how secrets are kept."""

    async def create_guardrail(call: Call) -> Reply:
        wanted = parse(GuardrailIn, await _document_of(call))
        outcome = await service.create_guardrail(work_of(call), desk, call.params["project"], wanted)
        return _shown_once(call, outcome, service.guardrail_path(call.params["project"], outcome.result.key))

    async def update_guardrail(call: Call) -> Reply:
        return answer(call, await service.update_guardrail(work_of(call), desk, *_place_of(call), call.json()))

    async def test_guardrail(call: Call) -> Reply:
        row, reading = await tester.test(*_place_of(call))
        return Reply(
            body=plain(GuardrailTestOut(reading=service_views.reading_out(reading), outcome=_of(row, reading)))
        )

    async def take_guardrail_alerts(call: Call) -> Reply:
        headers = dict(call.request.headers.items())
        now = await store_time(call.session)
        receipt = await take_alerts(call.session, desk, _place_of(call), headers, call.body, now)
        return Reply(body=plain(receipt))

    read, write = "guardrails.read", "guardrails.write"
    return (
        Route("GET", _GUARDRAILS, "list_guardrails", read, list_guardrails, store="read"),
        Route(
            "POST",
            _GUARDRAILS,
            "create_guardrail",
            write,
            create_guardrail,
            idempotent=True,
            media_types=(JSON, YAML),
        ),
        Route("GET", _GUARDRAIL, "read_guardrail", read, read_guardrail, store="read"),
        Route("PATCH", _GUARDRAIL, "update_guardrail", write, update_guardrail, writes=True),
        Route("DELETE", _GUARDRAIL, "delete_guardrail", write, delete_guardrail, writes=True),
        Route("POST", f"{_GUARDRAIL}/test", "test_guardrail", write, test_guardrail),
        Route("POST", f"{_GUARDRAIL}/alerts", "take_guardrail_alerts", SIGNED, take_guardrail_alerts, writes=True),
    )


async def list_guardrails(call: Call) -> Reply:
    found = await service.list_guardrails(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def read_guardrail(call: Call) -> Reply:
    # What was read moves without the version.
    return shown(await service_views.read_guardrail(work_of(call), *_place_of(call)), etag_covers_body=False)


async def delete_guardrail(call: Call) -> Reply:
    return answer(call, await service.delete_guardrail(work_of(call), *_place_of(call)))


async def _document_of(call: Call) -> Any:
    """A guardrail as JSON or YAML, whose reading is slow and would hold everybody else up."""
    if call.media_type != YAML:
        return call.json()
    return await asyncio.to_thread(read_yaml, call.body, nodes=_NODES)


def _place_of(call: Call) -> tuple[str, str]:
    return call.params["project"], call.params["guardrail"]


def _of(row: GuardrailRow, reading: Reading) -> Finding:
    """What a step would be told if the source had been saying so for long enough."""
    if reading.state == "tripped":
        return terms_of(row).action
    return "ok" if reading.state == "ok" else "hold"


def _shown_once(call: Call, outcome: Outcome[GuardrailCreated], path: str) -> Reply:
    """The one answer that holds a secret which the server made; a dry run's never was, so it is not shown."""
    body = plain(outcome.result)
    # INVARIANT: the text of a secret is not stored with the answer, so a repeated `Idempotency-Key` gets none.
    again = {**body, "secret": None if body["secret"] is None else ""}
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": list(outcome.changes), "result": again})
    etag = etag_of(outcome.result.version)
    return Reply(status=201, body=body, etag=etag, location=path, replay_body=again)
