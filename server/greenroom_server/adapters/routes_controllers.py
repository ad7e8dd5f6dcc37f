"""Routes on which controllers ask, again and again: Argo Rollouts' web metric, and Flagger's webhooks."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from greenroom_server.adapters.routes import INTEGRATION
from greenroom_server.adapters.service_deciding import Refusal, Wanted, comment_of, decide_on, keep
from greenroom_server.adapters.service_integrations import target_of
from greenroom_server.adapters.service_watches import close_watch, open_watch
from greenroom_server.adapters.tables import IntegrationRow
from greenroom_server.adapters.verifying import integration_of, require_secret
from greenroom_server.adapters.wire import FlaggerIn, MeasurementIn, MeasurementOut
from greenroom_server.decisions.service_decisions import Made, keep_decision, make_decision
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.wire import DecisionIn
from greenroom_server.errors import Conflict, FieldError, Forbidden, GreenroomError, Invalid
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import Outcome
from greenroom_server.web.call import Call
from greenroom_server.web.problems import problem_of
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import SIGNED, Route
from greenroom_server.web.times import moment_of
from greenroom_server.webhooks.desk import Desk

ARGO: Final = "/api/v1/projects/{project}/adapters/argo"
_FLAGGER: Final = f"{INTEGRATION}/flagger"
_REASONS_CHARS: Final = 4000


@dataclass(frozen=True, slots=True)
class _Heard:
    """What Flagger asked, verified and decided on. A canary's checksum changes with every new version of it."""

    row: IntegrationRow
    ticket: str
    made: Made | Refusal


class ControllerDoor:
    """The handlers; the desk opens secrets, policies and facts come off the shelves."""

    def __init__(self, desk: Desk, shelves: Shelves) -> None:
        self._desk = desk
        self._shelves = shelves

    def routes(self) -> tuple[Route, ...]:
        confirm, rollback, heard = self.confirm_to_flagger, self.roll_back_by_flagger, self._hear_flagger
        return (
            Route("POST", ARGO, "measure_for_argo", "decisions.write", measure, writes=True, looks=self._look),
            Route("POST", f"{_FLAGGER}/confirm", "confirm_to_flagger", SIGNED, confirm, writes=True, looks=heard),
            Route("POST", f"{_FLAGGER}/rollback", "roll_back_by_flagger", SIGNED, rollback, writes=True, looks=heard),
        )

    async def confirm_to_flagger(self, call: Call) -> Reply:
        """200 goes on, 403 never will, 409 not yet: Flagger asks again."""
        heard: _Heard = call.seen
        said = await _said(call, heard)
        watch = open_watch if said.result == "wait" else close_watch
        await watch(call.session, heard.row, heard.ticket, call.now)
        if said.result == "deny":
            return _refused(call, said, Forbidden(_why(said), code="canary_denied"))
        if said.result == "wait":
            return _refused(call, said, Conflict(_why(said), code="canary_waits"))
        return answer(call, Outcome(said, ()))

    async def roll_back_by_flagger(self, call: Call) -> Reply:
        """200 rolls back: it is denied, or has waited for longer than the integration's patience. 409 does not."""
        heard: _Heard = call.seen
        said = await _said(call, heard)
        ends = said.result == "deny"
        if said.result == "wait":
            since = await open_watch(call.session, heard.row, heard.ticket, call.now)
            ends = since + timedelta(seconds=heard.row.patience_s) <= call.now
        if ends:
            await close_watch(call.session, heard.row, heard.ticket, call.now)
        if not ends:
            return _refused(call, said, Conflict(_why(said), code="canary_goes_on"))
        return answer(call, Outcome(said, ()))

    async def _hear_flagger(self, call: Call) -> _Heard:
        row, canary = await integration_of(call, "flagger"), call.parse(FlaggerIn)
        require_secret(self._desk, row, canary.metadata.get("token"))
        made = await decide_on(call.session, row, _wanted_by(row, canary), call.now, self._shelves)
        return _Heard(row, f"{canary.namespace}/{canary.name} {canary.checksum}", made)

    async def _look(self, call: Call) -> Made:
        wanted = call.parse(MeasurementIn)
        named = wanted.model_dump(exclude={"image", "digest"})
        asked = DecisionIn(**named, digest=wanted.digest or _digest_of(wanted.image))
        return await make_decision(work_of(call), call.params["project"], asked, self._shelves)


async def measure(call: Call) -> Reply:
    """One measurement; any answer but 200 is an error to Argo, so a computed decision always is one."""
    kept = (await keep_decision(work_of(call), call.seen)).result
    return answer(call, Outcome(_measurement(kept, call.seen), ()))


def _refused(call: Call, said: MeasurementOut, error: GreenroomError) -> Reply:
    """A problem that is no error: it is answered and not raised, so that the decision is kept."""
    return answer(call, Outcome(said, ())) if call.dry_run else problem_of(error)


def _why(said: MeasurementOut) -> str:
    return "; ".join([*said.reasons, *([f"decision {said.decision}"] if said.decision else [])])


def _wanted_by(row: IntegrationRow, canary: FlaggerIn) -> Wanted:
    told = canary.metadata
    if "environment" not in told:
        raise Invalid(errors=[FieldError("/metadata/environment", "`environment` is missing")])
    digest, commit = told.get("digest") or _digest_of(told.get("image")), told.get("commit")
    if digest is None and commit is None:
        raise Invalid(errors=[FieldError("/metadata", "name a `digest`, an `image` with its digest, or a `commit`")])
    return Wanted(target_of(row, told["environment"]), digest, commit)


def _digest_of(image: str | None) -> str | None:
    """`registry/app@sha256:…` names a digest, `registry/app:tag` does not."""
    _, at, digest = (image or "").rpartition("@")
    return digest if at else None


async def _said(call: Call, heard: _Heard) -> MeasurementOut:
    if isinstance(heard.made, Refusal):
        return MeasurementOut(result="deny", decision=None, retry_at=None, reasons=[heard.made.why], steps=[])
    return _measurement(await keep(call.session, heard.row, heard.made, call.now), heard.made)


def _measurement(kept: dict[str, Any], made: Made) -> MeasurementOut:
    return MeasurementOut(
        result=kept["decision"],
        decision=kept["id"],
        retry_at=None if kept["retry_at"] is None else moment_of(kept["retry_at"]),
        reasons=comment_of(made, _REASONS_CHARS).splitlines(),
        steps=kept["steps"],
    )
