"""Asking sources: over the network by the one way out, or in the store. What goes wrong is the answer: no data."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import structlog

from greenroom_server.database.engine import Database
from greenroom_server.errors import GreenroomError, Unavailable
from greenroom_server.exposures.service_darkness import watch_darkness
from greenroom_server.guardrails.definitions import source_of, threshold_of
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.own_counts import said
from greenroom_server.guardrails.prometheus import MAX_BODY_BYTES, Nonsense, read_answer, value_of
from greenroom_server.guardrails.service_own import own_answers
from greenroom_server.guardrails.service_readings import Answered
from greenroom_server.guardrails.tables import GuardrailRow
from greenroom_server.guardrails.wire import PrometheusSource
from greenroom_server.sealing import Unreadable
from greenroom_server.webhooks.client import Client, Question
from greenroom_server.webhooks.desk import Desk
from greenroom_server.webhooks.schedule import Problem

log = structlog.get_logger(__name__)

_FINE: Final = 200
_FORM: Final = "application/x-www-form-urlencoded"
_TOLD: Final[dict[Problem, str]] = {
    "refused": "nothing is sent to that address",
    "dns": "the source's name stands for no address",
    "connect": "the source cannot be reached",
    "tls": "the source's certificate does not hold",
    "timeout": "the source did not answer in time",
    "protocol": f"the source speaks no HTTP, breaks off, or answers more than {MAX_BODY_BYTES // 1024} KiB",
}


class Asker:
    """Asks one guardrail's source at a time; `store_at_once` bounds what runs in the store at a time."""

    def __init__(self, database: Database, client: Client, desk: Desk, *, store_at_once: int = 2) -> None:
        self._database = database
        self._client = client
        self.desk = desk
        self._store_room = asyncio.Semaphore(store_at_once)

    async def ask(self, row: GuardrailRow, since: Sequence[datetime], now: datetime) -> list[Answered]:
        """What its source says; of one that counts from moments on, for each of them."""
        try:
            if row.source["kind"] == "prometheus":
                return [Answered(await self._ask_prometheus(row, now))]
            async with self._store_room:
                return await self._ask_store(row, since, now)
        except Nonsense as error:
            why = str(error)
        except Unavailable:
            why = "the store did not answer in time"
        except GreenroomError as error:
            why = error.detail
        except Exception:
            log.exception("a guardrail's source could not be asked")
            why = "the source could not be asked"
        nothing = Reading(now, "no_data", why)
        return [Answered(nothing, one) for one in since] or [Answered(nothing)]

    async def _ask_prometheus(self, row: GuardrailRow, now: datetime) -> Reading:
        source, condition = source_of(row), threshold_of(row)
        assert isinstance(source, PrometheusSource)  # noqa: S101 (its kind says so)
        headers = {"Content-Type": _FORM, "Accept": "application/json"}
        if row.secret is not None:
            try:
                headers["Authorization"] = f"Bearer {self.desk.sealer.open(row.secret)}"
            except Unreadable:
                raise Nonsense("no key of this server opens the guardrail's secret") from None
        url = source.url.rstrip("/") + "/api/v1/query"
        form = urlencode({"query": source.query}).encode()
        answer = await self._client.ask(Question("POST", url, headers, form, MAX_BODY_BYTES), now)
        if answer.problem is not None:
            raise Nonsense(_TOLD.get(answer.problem, "the source could not be asked"))
        if answer.status != _FINE:
            raise Nonsense(f"the source answers with the status {answer.status}")
        found = read_answer(answer.body, now)
        value, is_tripped = value_of(found, source.series, condition.op, condition.value)
        words, _ = said(value, condition)
        return Reading(now, "tripped" if is_tripped else "ok", words, found.data_at, value)

    async def _ask_store(self, row: GuardrailRow, since: Sequence[datetime], now: datetime) -> list[Answered]:
        if row.source["kind"] == "darkness":
            async with self._database.transaction() as session:
                await watch_darkness(session, now)  # as often as it is asked, and not once a minute
        async with self._database.reading() as session:
            return await own_answers(session, row, since, now)
