"""Stories: whether they are done, and where they stand on the board."""

from typing import Any, Final

import pytest
from tests.api.decisions.conftest import Deciding
from tests.api.releases.conftest import commit_of, digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORY: Final = "SHOP-900"


async def worked_on(deciding: Deciding, number: int = 1, story: str = STORY, **members: Any) -> None:
    """A build of this number whose commit works on the story, with all evidence green."""
    commits = [{"id": commit_of(number), "authors": ["bo@shop.example"], "stories": [story]}]
    await deciding.releases.built(number, commits=commits, **members)
    await deciding.releases.checked(number, suite="unit", counts={"total": 3, "passed": 3})


async def is_done(deciding: Deciding, story: str = STORY, **query: str) -> dict[str, Any]:
    """What is answered about the story in production."""
    path = f"{deciding.project}/stories/{story}/done"
    return done(await deciding.pipeline.get(path, params={"environment": "production", **query}))


async def board(deciding: Deciding, **query: Any) -> dict[str, dict[str, Any]]:
    """The first page of the board of production, by story."""
    params = {"environment": "production", **query}
    page = done(await deciding.pipeline.get(f"{deciding.project}/stories:board", params=params))
    return {one["story"]: one for one in page["items"]}


async def shown(deciding: Deciding, story: str = STORY, environment: str = "staging") -> str:
    """A demonstration of the story, a second ago; its id."""
    body = {"stories": [story], "environment": environment, "at": moments_ago(seconds=1), "audience": ["the board"]}
    return str((await deciding.releases.said("demos", body))["id"])


async def hidden_by(deciding: Deciding, flag: str, story: str = STORY) -> None:
    """A new flag that hides the story."""
    await deciding.releases.stage.made(flag, stories=[story])


def conditions(answer: dict[str, Any]) -> dict[str, str]:
    return {one["condition"]: one["outcome"] for one in answer["conditions"]}


async def test_a_story_is_done_once_somebody_of_the_business_accepted_it(deciding: Deciding) -> None:
    """From no demonstration to one that nobody accepted to one that a customer accepted, and who that was."""
    await deciding.ruled_by()
    await worked_on(deciding)
    await deciding.releases.deployed(
        1, "staging", finished_at=moments_ago(seconds=30), started_at=moments_ago(minutes=1)
    )

    missing = await is_done(deciding)
    demo = await shown(deciding)
    unaccepted = await is_done(deciding)
    customer = await deciding.releases.person("manager", "customer")
    accepted = {"role": "customer", "comment": "as it should be"}
    done(await customer.post(f"{deciding.project}/demos/{demo}/accept", json=accepted))
    story_is_done = await is_done(deciding)

    assert (missing["decision"], conditions(missing)) == ("wait", {"C1": "pass", "C2": "pending", "C3": "pass"})
    assert missing["next"] == [{"do": "demonstrate", "story": STORY}]
    assert unaccepted["next"] == [{"do": "accept", "demo": demo, "roles": ["customer", "product"]}]
    assert "somebody with a role of customer, product" in unaccepted["steps"][0]
    assert (story_is_done["decision"], story_is_done["steps"]) == ("allow", [])
    (demonstration,) = story_is_done["demos"]
    (yes,) = demonstration["accepted_by"]
    assert (demonstration["demo"], yes["role"]) == (demo, "customer")
    assert yes["person"].startswith("person-")
    (in_web,) = story_is_done["services"]
    assert (in_web["service"], in_web["digest"], in_web["is_live"]) == ("web", digest_of(1), False)
    assert in_web["decision"]["policy"]["name"] == "web"


async def test_the_role_must_be_one_that_the_policy_names(deciding: Deciding) -> None:
    """A developer's acceptance makes nothing done."""
    await deciding.ruled_by()
    await worked_on(deciding)
    await deciding.releases.deployed(
        1, "staging", finished_at=moments_ago(seconds=30), started_at=moments_ago(minutes=1)
    )
    demo = await shown(deciding)
    developer = await deciding.releases.person("manager", "developer")
    done(await developer.post(f"{deciding.project}/demos/{demo}/accept", json={"role": "developer"}))

    answer = await is_done(deciding)

    assert answer["decision"] == "wait"
    assert answer["services"][0]["decision"]["next"][0]["do"] == "accept"


async def test_done_takes_all_services_that_work_on_the_story(deciding: Deciding) -> None:
    """One service is red, so the story is not done, and the answer says which."""
    await deciding.ruled_by()
    done(await deciding.releases.admin.post(f"{deciding.project}/services", json={"key": "till", "name": "Till"}))
    await worked_on(deciding)
    build = {"digests": [digest_of(2)], "commit": commit_of(2), "stories": [STORY]}
    done(await deciding.pipeline.post(f"{deciding.project}/services/till/builds", json=build))

    answer = await is_done(deciding)

    found = {one["service"]: [rule["code"] for rule in one["decision"]["rules"]] for one in answer["services"]}
    assert found == {"till": ["ok", "demo.missing", "evidence.missing"], "web": ["ok", "demo.missing", "ok"]}
    assert conditions(answer) == {"C1": "pending", "C2": "pending", "C3": "pass"}
    assert answer["decision"] == "wait"


async def test_the_build_is_the_live_one_then_the_newest_or_the_one_that_is_named(deciding: Deciding) -> None:
    """What has the traffic counts first, if it has the newest work; a named build is looked at whatever it is."""
    await deciding.ruled_by()
    await worked_on(deciding, 1)
    await deciding.releases.built(2, parent=digest_of(1))
    await deciding.releases.built(3)

    def looked_at(answer: dict[str, Any]) -> tuple[str, bool]:
        (one,) = answer["services"]
        return one["digest"], one["is_live"]

    newest_lacks_it = looked_at(await is_done(deciding))
    await deciding.releases.built(4, parent=digest_of(2))
    newest = looked_at(await is_done(deciding))
    await deciding.releases.deployed(2)
    live = looked_at(await is_done(deciding))
    named = await is_done(deciding, build=digest_of(3))

    assert newest_lacks_it == (digest_of(1), False)
    assert newest == (digest_of(4), False)
    assert live == (digest_of(2), True)
    assert looked_at(named) == (digest_of(3), False)
    assert "story.not_in_build" in [rule["code"] for rule in named["services"][0]["decision"]["rules"]]


async def test_without_a_policy_or_a_build_no_story_is_done(deciding: Deciding) -> None:
    """Nothing says when it would be, or nothing is there to look at."""
    done(await deciding.releases.admin.put(f"{deciding.project}/stories/SHOP-1", json={"title": "Later"}))
    await worked_on(deciding)

    unruled, unbuilt = await is_done(deciding), await is_done(deciding, "SHOP-1")
    shown_board = await board(deciding)

    assert (unruled["decision"], conditions(unruled)["C1"]) == ("deny", "fail")
    assert unruled["services"][0]["decision"]["rules"][0]["code"] == "policy.none"
    assert (unbuilt["decision"], unbuilt["services"], set(conditions(unbuilt).values())) == ("wait", [], {"pending"})
    assert unbuilt["next"] == [{"do": "deploy", "story": "SHOP-1"}]
    assert shown_board[STORY]["decision"] == "deny"
    assert (shown_board["SHOP-1"]["state"], shown_board["SHOP-1"]["decision"]) == ("in_work", "wait")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"environment": "the-moon"}, "environment"),
        ({}, "environment"),
        ({"environment": "production", "build": digest_of(404)}, "build"),
    ],
)
async def test_what_is_not_there_is_named(deciding: Deciding, query: dict[str, str], named: str) -> None:
    """An unknown environment or build, or none at all, is a 400 that names the parameter."""
    await worked_on(deciding)

    refused = await deciding.pipeline.get(f"{deciding.project}/stories/{STORY}/done", params=query)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, named)


async def test_a_story_goes_over_the_board(deciding: Deciding) -> None:
    """In work, dark in production, being rolled out, released, and to be cleaned up."""
    await deciding.ruled_by()
    await deciding.gate("observe")
    stage = deciding.releases.stage
    await hidden_by(deciding, "express")
    production = stage.flag("express", "production")
    states = []

    async def look() -> None:
        states.append((await board(deciding))[STORY]["state"])

    await worked_on(deciding)
    await look()
    await deciding.releases.deployed(1)
    await look()
    done(await stage.admin.post(f"{production}/enable"))
    done(await stage.admin.post(f"{production}/rollout", json={"percent": 25}))
    await look()
    done(await stage.admin.post(f"{production}/rollout", json={"percent": 100}))
    await look()
    await stage.patched(stage.flag("express"), {"purpose": "release", "expires_on": "2026-01-01"})
    await look()
    done(await stage.admin.post(f"{production}/disable"))
    await look()

    assert states == [
        "in_work",
        "dark_in_production",
        "being_rolled_out",
        "released",
        "to_be_cleaned_up",
        "dark_in_production",
    ]


async def test_new_work_on_a_released_story_takes_it_back(deciding: Deciding) -> None:
    """The newest work is what counts: what lacks it is in work, whatever the flags say."""
    await deciding.ruled_by()
    await worked_on(deciding, 1)
    await deciding.releases.deployed(1)
    released = (await board(deciding))[STORY]
    await worked_on(deciding, 2, parent=digest_of(1))

    again = (await board(deciding))[STORY]

    assert (released["state"], released["services"][0]["is_live"]) == ("released", True)
    assert (again["state"], again["services"][0]["digest"]) == ("in_work", digest_of(2))


async def test_the_board_tells_what_is_missing_as_done_does(deciding: Deciding) -> None:
    """Both look at the same rules, and name those who can help."""
    await deciding.ruled_by()
    await worked_on(deciding)
    await deciding.releases.said("obstacles", {"text": "the lift is stuck"})

    one, answer = (await board(deciding))[STORY], await is_done(deciding)

    assert one["decision"] == answer["decision"] == "wait"
    assert one["steps"] == answer["steps"]
    assert [(missing["rule"], missing["condition"]) for missing in one["missing"]] == [("clear", "C3"), ("shown", "C2")]


async def test_the_board_comes_in_pages(deciding: Deciding) -> None:
    """All stories once, in the order of their keys."""
    for number in range(1, 6):
        done(await deciding.releases.admin.put(f"{deciding.project}/stories/SHOP-{number}", json={"title": ""}))
    seen, query = [], {"environment": "production", "limit": "2"}
    while True:
        page = done(await deciding.pipeline.get(f"{deciding.project}/stories:board", params=query))
        seen += [one["story"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == [f"SHOP-{number}" for number in range(1, 6)]


async def test_who_is_limited_sees_demonstrations_of_its_own_environments(deciding: Deciding) -> None:
    """A token of production learns nothing of what was shown in staging, and cannot ask about staging."""
    await deciding.ruled_by()
    await worked_on(deciding)
    await deciding.releases.deployed(
        1, "staging", finished_at=moments_ago(seconds=30), started_at=moments_ago(minutes=1)
    )
    await shown(deciding)
    limited = await deciding.releases.stage.bearing("pipeline", environments=["production"])
    path = f"{deciding.project}/stories/{STORY}/done"

    seen = done(await limited.get(path, params={"environment": "production"}))
    hidden = await limited.get(path, params={"environment": "staging"})

    assert seen["demos"] == []
    assert hidden.status_code == 400
