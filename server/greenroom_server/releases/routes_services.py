"""Routes of services, stories, people, producers and the settings of releases."""

from greenroom_server.flags.answers import answer, shown, work_of
from greenroom_server.flags.work import plain
from greenroom_server.releases import service_people as people
from greenroom_server.releases import service_services as service
from greenroom_server.releases import service_stories as stories
from greenroom_server.releases.reading import by_key
from greenroom_server.releases.wire import (
    PersonIn,
    ProducerIn,
    ReleaseSettingsIn,
    ReopenIn,
    ServiceIn,
    StoryIn,
)
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route


async def list_services(call: Call) -> Reply:
    request, after = by_key(call)
    rows = await service.page_services(work_of(call), call.params["project"], after=after, limit=request.limit + 1)
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.key,)))


async def create_service(call: Call) -> Reply:
    project, wanted = call.params["project"], call.parse(ServiceIn)
    outcome = await service.create_service(work_of(call), project, wanted)
    return answer(call, outcome, created_at=service.service_path(project, wanted.key))


async def read_service(call: Call) -> Reply:
    found = await service.read_service(work_of(call), call.params["project"], call.params["service"])
    return shown(found, etag_covers_body=False)


async def update_service(call: Call) -> Reply:
    params = call.params
    return answer(call, await service.update_service(work_of(call), params["project"], params["service"], call.json()))


async def read_mode(call: Call) -> Reply:
    params = call.params
    return Reply(
        body=plain(await service.read_mode(work_of(call), params["project"], params["service"], params["environment"]))
    )


async def list_stories(call: Call) -> Reply:
    request, after = by_key(call)
    wanted = stories.StoryFilter(call.query.get("flag"), call.query.get("text"))
    rows = await stories.page_stories(
        work_of(call), call.params["project"], wanted, after=after, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.key,)))


async def read_story(call: Call) -> Reply:
    return Reply(body=plain(await stories.read_story(work_of(call), call.params["project"], call.params["story"])))


async def put_story(call: Call) -> Reply:
    wanted = call.parse(StoryIn)
    return answer(call, await stories.put_story(work_of(call), call.params["project"], call.params["story"], wanted))


async def reopen_story(call: Call) -> Reply:
    reason = call.parse(ReopenIn).reason
    return answer(call, await stories.reopen_story(work_of(call), call.params["project"], call.params["story"], reason))


async def list_people(call: Call) -> Reply:
    found = await people.list_people(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def put_person(call: Call) -> Reply:
    wanted = call.parse(PersonIn)
    return answer(call, await people.put_person(work_of(call), call.params["project"], call.params["person"], wanted))


async def list_producers(call: Call) -> Reply:
    found = await people.list_producers(work_of(call), call.params["project"])
    return Reply(body={"items": [plain(one) for one in found]})


async def put_producer(call: Call) -> Reply:
    wanted = call.parse(ProducerIn)
    return answer(
        call, await people.put_producer(work_of(call), call.params["project"], call.params["producer"], wanted)
    )


async def read_release_settings(call: Call) -> Reply:
    return Reply(body=plain(await people.read_settings(work_of(call), call.params["project"])))


async def put_release_settings(call: Call) -> Reply:
    wanted = call.parse(ReleaseSettingsIn)
    return answer(call, await people.put_settings(work_of(call), call.params["project"], wanted))


_PROJECT = "/api/v1/projects/{project}"
_SERVICES = f"{_PROJECT}/services"
_SERVICE = f"{_SERVICES}/{{service}}"
_MODE = f"{_SERVICE}/environments/{{environment}}/mode"
_STORY = f"{_PROJECT}/stories/{{story}}"
_SETTINGS = f"{_PROJECT}/release-settings"

ROUTES = (
    Route("GET", _SERVICES, "list_services", "releases.read", list_services, store="read", query=pagination.QUERY),
    Route("POST", _SERVICES, "create_service", "services.write", create_service, idempotent=True),
    Route("GET", _SERVICE, "read_service", "releases.read", read_service, store="read"),
    Route("PATCH", _SERVICE, "update_service", "services.write", update_service, writes=True),
    Route("GET", _MODE, "read_mode", "releases.read", read_mode, store="read"),
    Route(
        "GET",
        f"{_PROJECT}/stories",
        "list_stories",
        "releases.read",
        list_stories,
        store="read",
        query=(*pagination.QUERY, "flag", "text"),
    ),
    Route("GET", _STORY, "read_story", "releases.read", read_story, store="read"),
    Route("PUT", _STORY, "put_story", "stories.write", put_story, writes=True),
    Route("POST", f"{_STORY}/reopen", "reopen_story", "stories.write", reopen_story, writes=True),
    Route("GET", f"{_PROJECT}/people", "list_people", "releases.read", list_people, store="read"),
    Route("PUT", f"{_PROJECT}/people/{{person}}", "put_person", "people.write", put_person, writes=True),
    Route("GET", f"{_PROJECT}/producers", "list_producers", "releases.read", list_producers, store="read"),
    Route("PUT", f"{_PROJECT}/producers/{{producer}}", "put_producer", "producers.write", put_producer, writes=True),
    Route("GET", _SETTINGS, "read_release_settings", "releases.read", read_release_settings, store="read"),
    Route("PUT", _SETTINGS, "put_release_settings", "people.write", put_release_settings, writes=True),
)
