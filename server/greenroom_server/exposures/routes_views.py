"""Routes of what people learn from reports."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.exposures.service_coverage import coverage
from greenroom_server.exposures.service_darkness import darkness_alerts
from greenroom_server.exposures.service_erasure import erase_subject
from greenroom_server.exposures.service_fleet import builds, propagation
from greenroom_server.exposures.service_served import Step, Stretch, flag_exposures, outcomes
from greenroom_server.exposures.service_subjects import exposures_after
from greenroom_server.exposures.wire import ID_PATTERN, SubjectIn
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import plain
from greenroom_server.web.call import Call
from greenroom_server.web.pagination import page_request
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.times import moment_in

MAX_POINTS: Final = 1_500
_FIRST_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: Final[dict[str, tuple[Step, timedelta]]] = {
    "minute": ("minute", timedelta(minutes=1)),
    "hour": ("hour", timedelta(hours=1)),
    "day": ("day", timedelta(days=1)),
}


async def read_flag_exposures(call: Call) -> Reply:
    params = call.params
    found = await flag_exposures(
        work_of(call), params["project"], params["environment"], params["flag"], _stretch_of(call)
    )
    return Reply(body=plain(found))


async def list_exposures(call: Call) -> Reply:
    after = _id_of(call, "after")
    since = _moment_of(call, "since") or call.now - timedelta(hours=1)
    found = await exposures_after(
        work_of(call),
        (call.params["project"], call.params["environment"]),
        since if after is None else after,
        flag=call.query.get("flag"),
        limit=page_request(call).limit,
        is_newest=after is None,
    )
    return Reply(body={"items": found})


async def list_outcomes(call: Call) -> Reply:
    found = await outcomes(work_of(call), call.params["project"], call.params["environment"], _stretch_of(call))
    return Reply(body={"items": [plain(one) for one in found]})


async def read_propagation(call: Call) -> Reply:
    return Reply(body=plain(await propagation(work_of(call), call.params["project"], call.params["environment"])))


async def list_builds(call: Call) -> Reply:
    found = await builds(work_of(call), call.params["project"], call.params["environment"])
    return Reply(body={"items": [plain(one) for one in found]})


async def read_coverage(call: Call) -> Reply:
    since = _moment_of(call, "since") or call.now - timedelta(days=7)
    return Reply(body=plain(await coverage(work_of(call), call.params["project"], call.params["environment"], since)))


async def list_darkness_alerts(call: Call) -> Reply:
    found = await darkness_alerts(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def erase(call: Call) -> Reply:
    wanted = call.parse(SubjectIn)
    return answer(call, await erase_subject(work_of(call), call.params["project"], wanted.targeting_key))


def _stretch_of(call: Call) -> Stretch:
    until = _moment_of(call, "until") or call.now
    since = _moment_of(call, "since") or max(until, _FIRST_DAY) - timedelta(days=1)
    name = call.query.get("step", "hour")
    if name not in _STEPS:
        raise Invalid(errors=[FieldError("step", "`step` is `minute`, `hour` or `day`")])
    if since >= until:
        raise Invalid(errors=[FieldError("since", "`since` must be before `until`")])
    step, length = _STEPS[name]
    if (until - since) / length > MAX_POINTS:
        raise LimitExceeded("points", MAX_POINTS, field="step", detail=f"a view has at most {MAX_POINTS} steps")
    return Stretch(since, until, step)


def _moment_of(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return moment_in(text)
    except ValueError as error:
        raise Invalid(errors=[FieldError(name, f"`{name}`: {error}")]) from None


def _id_of(call: Call, name: str) -> UUID | None:
    text = call.query.get(name)
    if text is None:
        return None
    if call.query.get("since") is not None:
        raise Invalid(errors=[FieldError("since", f"`since` and `{name}` do not go together")])
    if re.fullmatch(ID_PATTERN, text) is None:
        raise Invalid(errors=[FieldError(name, f"`{name}` is the id of an exposure, a UUID of version 7")])
    return UUID(text)


_PROJECT = "/api/v1/projects/{project}"
_ENVIRONMENT = f"{_PROJECT}/environments/{{environment}}"
_STRETCH = ("since", "until", "step")

ROUTES = (
    Route(
        "GET",
        f"{_ENVIRONMENT}/flags/{{flag}}/exposures",
        "read_flag_exposures",
        "flags.read",
        read_flag_exposures,
        store="read",
        query=_STRETCH,
    ),
    Route(
        "GET",
        f"{_ENVIRONMENT}/exposures",
        "list_exposures",
        "exposures.read",
        list_exposures,
        store="read",
        query=("flag", "after", "since", "limit"),
    ),
    Route(
        "GET",
        f"{_ENVIRONMENT}/outcomes",
        "list_outcomes",
        "flags.read",
        list_outcomes,
        store="read",
        query=("since", "until"),
    ),
    Route("GET", f"{_ENVIRONMENT}/propagation", "read_propagation", "flags.read", read_propagation, store="read"),
    Route("GET", f"{_ENVIRONMENT}/builds", "list_builds", "flags.read", list_builds, store="read"),
    Route(
        "GET", f"{_ENVIRONMENT}/coverage", "read_coverage", "flags.read", read_coverage, store="read", query=("since",)
    ),
    Route(
        "GET",
        f"{_PROJECT}/darkness-alerts",
        "list_darkness_alerts",
        "flags.read",
        list_darkness_alerts,
        store="read",
    ),
    Route("POST", f"{_PROJECT}/subjects/erase", "erase_subject", "exposures.erase", erase, writes=True),
)
