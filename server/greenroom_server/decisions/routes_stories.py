"""Routes of how far stories have come."""

from typing import Final

from greenroom_server.decisions import service_stories as stories
from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.flags.answers import work_of
from greenroom_server.flags.work import plain
from greenroom_server.releases.reading import by_key
from greenroom_server.web import pagination
from greenroom_server.web.asking import text_of
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.scope import KEY_PATTERN, OTHER_PATTERNS

_STORIES: Final = "/api/v1/projects/{project}/stories"


def story_routes(shelf: PolicyShelf) -> tuple[Route, ...]:
    """The routes; compiled policies come off the shelf."""

    async def read_story_done(call: Call) -> Reply:
        params = call.params
        environment = text_of(call, "environment", KEY_PATTERN)
        build = text_of(call, "build", OTHER_PATTERNS["digest"]) if "build" in call.query else None
        found = await stories.story_done(work_of(call), params["project"], params["story"], environment, build, shelf)
        return Reply(body=plain(found))

    async def read_story_board(call: Call) -> Reply:
        request, after = by_key(call)
        environment = text_of(call, "environment", KEY_PATTERN)
        rows = await stories.page_board(
            work_of(call), call.params["project"], environment, after=after, limit=request.limit + 1, shelf=shelf
        )
        return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.story,)))

    return (
        Route(
            "GET",
            f"{_STORIES}:board",
            "read_story_board",
            "decisions.read",
            read_story_board,
            store="read",
            query=(*pagination.QUERY, "environment"),
        ),
        Route(
            "GET",
            f"{_STORIES}/{{story}}/done",
            "read_story_done",
            "decisions.read",
            read_story_done,
            store="read",
            query=("environment", "build"),
        ),
    )
