"""No way leads round the others: every write that could change what the environment serves is refused alone."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest
from tests.api.change_requests.conftest import ANY, DARK, ENABLE, LIT, Eyes, done, refused
from tests.api.contract.tables import all_routes

from greenroom_server.flags.routes_flags import ROUTES as FLAG_ROUTES
from greenroom_server.flags.routes_projects import ROUTES as PROJECT_ROUTES
from greenroom_server.flags.routes_segments import ROUTES as SEGMENT_ROUTES
from greenroom_server.web.routing import Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

Act = Callable[[Eyes], Awaitable[httpx.Response]]
PRODUCTION: Final = "production"


def patch(path: Callable[[Eyes], str], body: Any) -> Act:
    async def act(eyes: Eyes) -> httpx.Response:
        return await eyes.admin.patch(path(eyes), json=body, headers=ANY)

    return act


def post(path: Callable[[Eyes], str], body: Any = None) -> Act:
    async def act(eyes: Eyes) -> httpx.Response:
        return await eyes.admin.post(path(eyes), json=body)

    return act


async def imported(eyes: Eyes) -> httpx.Response:
    """The project as a document, in which the dark flag is on in production."""
    document = await eyes.stage.got(f"{eyes.stage.project}/export")
    (flag,) = (one for one in document["flags"] if one["key"] == DARK)
    flag["configurations"][PRODUCTION]["enabled"] = True
    return await eyes.admin.post("/api/v1/import", json=document)


async def imported_without(eyes: Eyes) -> httpx.Response:
    """The project as a document, in which a flag that is on is archived."""
    document = await eyes.stage.got(f"{eyes.stage.project}/export")
    (flag,) = (one for one in document["flags"] if one["key"] == "recommendations")
    flag["archived"] = True
    return await eyes.admin.post("/api/v1/import", json=document)


async def restored(eyes: Eyes) -> httpx.Response:
    """A flag that was archived while it was on, when nobody asked for others."""
    path = eyes.stage.flag("recommendations")
    await eyes.asks_for(required=0)
    done(await eyes.admin.post(f"{path}/archive"))
    await eyes.asks_for(required=1)
    return await eyes.admin.post(f"{path}/restore")


async def project_deleted(eyes: Eyes) -> httpx.Response:
    return await eyes.admin.delete(eyes.stage.project, headers=ANY)


def dark(eyes: Eyes) -> str:
    return eyes.stage.flag(DARK, PRODUCTION)


def lit(eyes: Eyes) -> str:
    return eyes.stage.flag(LIT, PRODUCTION)


# Every way that gives somebody something else in production, or ends what they have, by the operation it goes through.
DOORS: Final[dict[str, list[Act]]] = {
    "update_configuration": [
        patch(dark, {"enabled": True}),
        patch(dark, {"off_variant": "on"}),
        patch(lit, {"rules": [], "fallthrough": {"variant": "on"}}),
    ],
    "enable_flag": [post(lambda eyes: f"{dark(eyes)}/enable")],
    "roll_out_flag": [
        post(lambda eyes: f"{dark(eyes)}/rollout", {"percent": 1, "enable": True}),
        post(lambda eyes: f"{lit(eyes)}/rollout", {"percent": 90}),
    ],
    "copy_configurations": [
        post(lambda eyes: f"{eyes.production}/copy", {"from": "development", "include_enabled": True})
    ],
    "import_project": [imported, imported_without],
    "update_flag": [patch(lambda eyes: eyes.stage.flag("delivery-fee"), {"variants": {"standard": 1.0}})],
    "archive_flag": [post(lambda eyes: f"{eyes.stage.flag('recommendations')}/archive")],
    "restore_flag": [restored],
    "update_segment": [
        patch(
            lambda eyes: eyes.stage.segment("staff"),
            {"when": {"attribute": "email", "op": "ends_with", "values": ["@shop.example", "@else.example"]}},
        )
    ],
    "delete_project": [project_deleted],
}
# The other writes of projects, flags and segments, and why none of them changes what is served.
HARMLESS: Final = {
    "create_project": "a new project serves nothing",
    "update_project": "names",
    "create_environment": "every flag is dark there",
    "update_environment": "names, tier and order; no flag",
    "delete_environment": "refused while a flag is on there",
    "create_flag": "dark everywhere",
    "delete_flag": "refused while it is not archived",
    "disable_flag": "takes away",
    "create_segment": "nothing names it yet",
    "delete_segment": "refused while something names it",
}
OF_FLAGS: Final = ("projects.", "environments.", "flags.", "configurations.", "segments.", "production.")


async def test_every_write_is_a_door_or_harmless() -> None:
    """A new way to change flags must be thought about here; what others write of flags goes through these verbs."""
    own = {route.operation_id for route in (*PROJECT_ROUTES, *FLAG_ROUTES, *SEGMENT_ROUTES) if route.writes}
    assert own == DOORS.keys() | HARMLESS.keys()
    others = [
        route
        for route in all_routes()
        if isinstance(route, Route) and route.writes and route.permission.startswith(OF_FLAGS)
        if route.operation_id not in own
    ]
    assert {route.path.split("/")[5] for route in others} <= {"environments", "releases"}
    assert {route.operation_id for route in others if "/environments/" in route.path} == {
        "apply_change_request",
        "preview_change_request",
    }


@pytest.mark.parametrize(
    "act", [pytest.param(act, id=f"{name}-{index}") for name, acts in DOORS.items() for index, act in enumerate(acts)]
)
async def test_nobody_goes_through_alone(eyes: Eyes, act: Act) -> None:
    """The administrator is told where others must agree, and nothing is served otherwise than before."""
    before = await eyes.serves(DARK), await eyes.serves(LIT), (await eyes.stage.got(eyes.stage.segment("staff")))

    problem = refused(await act(eyes), 409, "approval_required")

    assert (problem["environments"], problem["change_requests"]) == ([PRODUCTION], eyes.requests)
    after = await eyes.serves(DARK), await eyes.serves(LIT), (await eyes.stage.got(eyes.stage.segment("staff")))
    assert after == before


async def test_taking_away_needs_nobody(eyes: Eyes) -> None:
    """The kill switch, a smaller share, a rule that gives the dark variant, and preparing what is off."""
    developer = eyes.author
    for reply in (
        await eyes.ada.post(f"{lit(eyes)}/rollout", json={"percent": 1}),
        await developer.patch(dark(eyes), json={"fallthrough": {"variant": "on"}}, headers=ANY),
        await developer.post(f"{lit(eyes)}/disable"),
        await eyes.admin.post(f"{eyes.stage.environments}/staging/flags/{DARK}/enable"),
        await eyes.admin.patch(eyes.stage.flag(LIT), json={"name": "Another name"}, headers=ANY),
    ):
        done(reply)


async def test_a_dry_run_tells_the_same(eyes: Eyes) -> None:
    """Who only looks learns that others must agree."""
    refused(await eyes.admin.post(f"{dark(eyes)}/enable?dry_run=true"), 409, "approval_required")


async def test_a_segment_that_was_made_larger_meanwhile_lights_nothing(eyes: Eyes) -> None:
    """What was agreed to was "on for the staff of then": a larger segment is another matter."""
    rule = {"id": "staff", "when": {"segment": "staff"}, "serve": {"variant": "on"}}
    patch_ = {"enabled": True, "rules": [rule], "fallthrough": {"variant": "off"}}
    path = await eyes.agreed({"op": "configure", "flag": DARK, "patch": patch_})
    await eyes.asks_for(required=0)
    await eyes.stage.patched(eyes.stage.segment("staff"), {"when": {"attribute": "targetingKey"}})
    await eyes.asks_for(required=1)

    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_conflicted")
    assert not (await eyes.serves())["enabled"]


async def test_what_reaches_another_environment_takes_its_people_too(eyes: Eyes) -> None:
    """A segment is everywhere: staging asks for others as well, in a role that nobody had here."""
    staging = eyes.stage.flag(LIT, "staging")
    rules = [{"id": "staff", "when": {"segment": "staff"}, "serve": {"variant": "on"}}]
    await eyes.stage.patched(staging, {"enabled": True, "rules": rules, "fallthrough": {"variant": "off"}})
    await eyes.asks_for("staging", required=1, roles=["quality"])
    change = {
        "op": "segment",
        "segment": "staff",
        "patch": {"when": {"attribute": "email", "op": "ends_with", "values": ["@shop.example", "@else.example"]}},
    }
    path = await eyes.asked(change)
    approved = done(await eyes.approve(path))

    wanted = {one["environment"]: (one["have"], one["required"]) for one in approved["wanted"]}
    assert (approved["state"], wanted) == ("open", {"production": (1, 1), "staging": (0, 1)})
    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_not_approved")
    done(await eyes.approve(path, await eyes.person("developer", "quality")))
    done(await eyes.admin.post(f"{path}/apply"))


async def test_the_example_opens(eyes: Eyes) -> None:
    """The request that is told to be asked for is one that can be."""
    problem = refused(await eyes.admin.post(f"{dark(eyes)}/enable"), 409, "approval_required")
    body = {"title": "Express delivery", "changes": [ENABLE]}
    assert done(await eyes.author.post(problem["change_requests"], json=body))["state"] == "open"
