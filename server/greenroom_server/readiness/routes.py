"""Routes of readiness reports, of the switch, and of the figures of delivery."""

from typing import Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import plain
from greenroom_server.readiness import service_reports as reports
from greenroom_server.readiness.pace import Computing
from greenroom_server.readiness.service_figures import MAX_DAYS, read_figures
from greenroom_server.readiness.service_switch import switch_mode
from greenroom_server.readiness.wire import MAX_BUILDS, MIN_BUILDS, ReadinessIn, ReadinessOut, ThresholdsIn
from greenroom_server.releases.wire import ModeIn
from greenroom_server.web.asking import number_of, text_of
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.scope import KEY_PATTERN

_PROJECT: Final = "/api/v1/projects/{project}"
_SERVICE: Final = f"{_PROJECT}/services/{{service}}"


async def read_readiness_report(call: Call) -> Reply:
    return Reply(body=plain(await reports.read_report(work_of(call), call.params["project"], call.params["report"])))


async def keep_readiness_report(call: Call) -> Reply:
    project = call.params["project"]
    outcome = await reports.keep_report(work_of(call), _asked(call, call.parse(ReadinessIn)), call.seen)
    return answer(call, outcome, created_at=reports.report_path(project, outcome.result.id or ""))


def readiness_routes(shelf: PolicyShelf) -> tuple[Route, ...]:
    """The routes; compiled policies come off the shelf."""
    computing = Computing()

    async def report(call: Call, wanted: ReadinessIn) -> ReadinessOut:
        async with computing.turn():
            return await reports.make_report(work_of(call), _asked(call, wanted), shelf)

    async def read_delivery_figures(call: Call) -> Reply:
        environment = text_of(call, "environment", KEY_PATTERN)
        days = number_of(call, "days", default=30, most=MAX_DAYS)
        async with computing.turn():
            found = await read_figures(work_of(call), call.params["project"], call.params["service"], environment, days)
        return Reply(body=plain(found))

    async def read_readiness(call: Call) -> Reply:
        thresholds = ThresholdsIn(
            auto_ready_percent=number_of(call, "auto_ready_percent", default=95, most=100),
            budget_s=number_of(call, "budget_s", default=600, most=86_400),
        )
        wanted = ReadinessIn(
            environment=text_of(call, "environment", KEY_PATTERN),
            builds=number_of(call, "builds", default=50, least=MIN_BUILDS, most=MAX_BUILDS),
            thresholds=thresholds,
        )
        return Reply(body=plain(await report(call, wanted)))

    async def look(call: Call) -> ReadinessOut:
        return await report(call, call.parse(ReadinessIn))

    async def put_mode(call: Call) -> Reply:
        params, wanted = call.params, call.parse(ModeIn)
        outcome = await switch_mode(
            work_of(call), params["project"], params["service"], params["environment"], wanted, shelf
        )
        return answer(call, outcome)

    return (
        Route("PUT", f"{_SERVICE}/environments/{{environment}}/mode", "put_mode", "modes.write", put_mode, writes=True),
        Route(
            "GET",
            f"{_SERVICE}/readiness",
            "read_readiness",
            "decisions.read",
            read_readiness,
            store="read",
            query=("environment", "builds", "auto_ready_percent", "budget_s"),
        ),
        Route(
            "POST",
            f"{_SERVICE}/readiness",
            "keep_readiness_report",
            "modes.write",
            keep_readiness_report,
            idempotent=True,
            looks=look,
        ),
        Route(
            "GET",
            f"{_PROJECT}/readiness/{{report:uuid}}",
            "read_readiness_report",
            "decisions.read",
            read_readiness_report,
            store="read",
        ),
        Route(
            "GET",
            f"{_SERVICE}/figures",
            "read_delivery_figures",
            "decisions.read",
            read_delivery_figures,
            store="read",
            query=("environment", "days"),
        ),
    )


def _asked(call: Call, wanted: ReadinessIn) -> reports.Asked:
    return reports.Asked(call.params["project"], call.params["service"], wanted)
