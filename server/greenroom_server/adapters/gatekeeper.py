"""The gatekeeper: a task in every server process that answers forges. All servers share the work."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import structlog

from greenroom_server.adapters.forges import FORGES
from greenroom_server.adapters.forges.asked import Account, Forge, NoAccess, Unreadable, Verdict
from greenroom_server.adapters.forges.gitlab import list_question, read_list
from greenroom_server.adapters.service_deciding import Refusal, Wanted, comment_of, decide_on, keep, turns_at
from greenroom_server.adapters.service_integrations import Target
from greenroom_server.adapters.service_looks import claim_looks, note_look, take_in_list
from greenroom_server.adapters.service_requests import Told, claim, forget, settle
from greenroom_server.adapters.tables import GateRequestRow, IntegrationRow
from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.service_decisions import Made
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.errors import GreenroomError
from greenroom_server.sealing import Unreadable as Sealed
from greenroom_server.web.codec import write_json
from greenroom_server.webhooks.client import Answered, Client, Question
from greenroom_server.webhooks.desk import Desk

log = structlog.get_logger(__name__)

Write = Callable[[Account], tuple[str, Any]]
"""The URL and the JSON of what is told."""

# Longer than deciding and two exchanges may take, by far.
LEASE: Final = timedelta(seconds=90)
# Notes tell people why a job waits: one a minute is enough, and only if it says something new.
_BETWEEN_NOTES: Final = timedelta(seconds=60)
# What a forge says that will never take this answer: it was given before, the run is over, or it is not ours to give.
_FINAL: Final = frozenset({400, 404, 409, 410, 422})
_GOODBYE_S: Final = 2.0
_EXPIRED: Final = "Greenroom waited as long as it could, and nothing allowed this deployment: start it again."


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a server looks at what waits, and at forges that have to be asked; how much it does at a time."""

    poll_s: float = 1.0
    forge_poll: timedelta = timedelta(seconds=15)
    at_once: int = 16


class Gatekeeper:
    """In this order: `start`, `keep_house` as often as wanted, `close`.

    `step` and `idle` are what the task does, for whoever wants to do it by hand.
    """

    def __init__(
        self,
        database: Database,
        client: Client,
        desk: Desk,
        shelves: Shelves,
        *,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self.desk = desk
        self.shelves = shelves
        self._database = database
        self._client = client
        self._clock = clock
        self._pace = pace or Pace()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="gatekeeper")

    async def close(self) -> None:
        """Stop; what is under way has two seconds to end, and is done again by another server if it does not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._working:
            await asyncio.wait(self._working, timeout=_GOODBYE_S)
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self._client.close()

    async def keep_house(self) -> None:
        async with self._database.transaction() as session:
            await forget(session, self._clock.now())

    async def step(self) -> int:
        """Look at forges that have to be asked, and begin to answer what has to be; how much that is."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            to_look_at = await claim_looks(session, now, now - self._pace.forge_poll)
            room = self._pace.at_once - len(self._working) - len(to_look_at)
            claimed = await claim(session, now, most=room, lease=LEASE) if room > 0 else []
        for row in to_look_at:
            self._begin(self._look_at(row))
        for request, integration in claimed:
            self._begin(self._work_on(request, integration))
        return len(claimed)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._working:
            await asyncio.wait(self._working)

    async def _run(self) -> None:
        while True:
            try:
                await self.step()
            except GreenroomError as error:
                log.debug("the gatekeeper waits for the database", reason=error.detail)
            except Exception:
                log.exception("the gatekeeper's look failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.poll_s):
                    await self._news.wait()
            self._news.clear()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="gate request")
        self._working.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._working.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        if isinstance(task.exception(), GreenroomError):
            log.warning("a forge is answered later", reason=str(task.exception()))
        else:
            log.error("answering a forge failed in an unforeseen way", exc_info=task.exception())

    async def _look_at(self, row: IntegrationRow) -> None:
        """Ask a forge what waits there."""
        trouble, listed, now = None, [], self._clock.now()
        try:
            answered = await self._client.ask(list_question(self._account(row, row.credential)), now)
            if answered.status != 200:
                raise NoAccess(answered)
            listed = read_list(answered.body)
        except (NoAccess, Unreadable, Sealed) as error:
            trouble = str(error)
        async with self._database.transaction() as session:
            if trouble is None:
                await take_in_list(session, self.desk, row, listed, now)
            await note_look(session, row, trouble)
        if listed:
            self._news.set()

    async def _work_on(self, request: GateRequestRow, integration: IntegrationRow) -> None:
        """Decide, tell, and write down how it went. Whatever fails on the way is done again when the lease is over."""
        told = await self._told(request, integration)
        async with self._database.transaction() as session:
            await settle(session, request, told, self._clock.now())

    async def _told(self, request: GateRequestRow, integration: IntegrationRow) -> Told:
        forge, now = FORGES[integration.kind], self._clock.now()
        if request.expires_at <= now:
            answered = await self._tell(
                forge, request, integration, lambda account: forge.answer(account, request.reply, "deny", _EXPIRED)
            )
            return _outcome("expired", None, None, answered, None)
        target = Target(request.service, request.environment, request.slot)
        async with self._database.reading() as session:
            wanted = Wanted(target, request.digest, request.commit)
            made = await decide_on(session, integration, wanted, now, self.shelves)
        decision_id = None
        if isinstance(made, Made):
            async with self._database.transaction() as session:
                decision_id = str((await keep(session, integration, made, now))["id"])
        comment = comment_of(made, forge.max_comment)
        if isinstance(made, Made) and made.decision.verdict == "wait":
            told = Told("waiting", "wait", decision_id, made.seen.marks, turns_at(made))
            return await self._noted(forge, request, integration, told, comment)
        verdict: Verdict = "allow" if isinstance(made, Made) and made.decision.verdict == "allow" else "deny"
        answered = await self._tell(
            forge, request, integration, lambda account: forge.answer(account, request.reply, verdict, comment)
        )
        return _outcome("answered", verdict, decision_id, answered, made)

    async def _noted(
        self, forge: Forge, request: GateRequestRow, integration: IntegrationRow, told: Told, comment: str
    ) -> Told:
        """Tell why it has to wait, if that is new, and the forge shows it to anybody."""
        written = forge.note(request.reply, comment)
        if written is None or request.note == comment or request.notes >= forge.max_notes:
            return told
        now = self._clock.now()
        again_at = now if request.noted_at is None else request.noted_at + _BETWEEN_NOTES
        if again_at > now:
            return replace(told, turns_at=min(told.turns_at or again_at, again_at))
        answered = await self._tell(forge, request, integration, lambda _: written)
        if _is_taken(answered):
            return replace(told, note=comment, status=answered.status)
        state = "gone" if answered.status in _FINAL else "waiting"
        return replace(told, state=state, status=answered.status, problem=answered.problem or "status")

    async def _tell(self, forge: Forge, request: GateRequestRow, integration: IntegrationRow, write: Write) -> Answered:
        now = self._clock.now()

        async def ask(question: Question) -> Answered:
            return await self._client.ask(question, now)

        try:
            account = self._account(integration, request.secret or integration.credential)
            headers = await forge.headers(account, request.reply, ask, now)
        except NoAccess as error:
            return error.answered
        except ValueError:  # the secret cannot be opened, or is none
            return Answered(problem="secret")
        url, body = write(account)
        return await ask(Question("POST", url, headers, write_json(body)))

    def _account(self, row: IntegrationRow, sealed: str | None) -> Account:
        credential = "" if sealed is None else self.desk.sealer.open(sealed)
        return Account(row.url or "", row.account or "", credential, row.represented_as)


def _outcome(
    state: str, verdict: str | None, decision: str | None, answered: Answered, made: Made | Refusal | None
) -> Told:
    told = Told(
        state, verdict, decision, made.seen.marks if isinstance(made, Made) else None, None, status=answered.status
    )
    if _is_taken(answered):
        return told
    problem = answered.problem or "status"
    if answered.status in _FINAL:
        return replace(told, state="gone", problem=problem)
    return replace(told, state="waiting", problem=problem, retry_after=answered.retry_after)


def _is_taken(answered: Answered) -> bool:
    return answered.status is not None and 200 <= answered.status < 300
