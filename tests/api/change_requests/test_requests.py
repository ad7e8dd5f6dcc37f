"""A change request from its opening to its end."""

from typing import Any

import pytest
from tests.api.change_requests.conftest import ANY, DARK, ENABLE, LIT, Eyes, done, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLLOUT: dict[str, Any] = {"op": "rollout", "flag": DARK, "rollout": {"percent": 25, "enable": True}}
SEGMENT: dict[str, Any] = {
    "op": "segment",
    "segment": "staff",
    "patch": {"when": {"attribute": "email", "op": "ends_with", "values": ["@shop.example", "@shop.test"]}},
}


async def test_asked_approved_applied(eyes: Eyes) -> None:
    """A developer asks, somebody else agrees, and who may change production applies it, once and for all."""
    path = await eyes.asked(ROLLOUT, reason="the carriers are ready")
    before = await eyes.read(path)
    refused(await eyes.bo.post(f"{path}/apply"), 409, "change_request_not_approved")

    done(await eyes.approve(path, reason="looks good"))
    refused(await eyes.author.post(f"{path}/apply"), 403, "forbidden")
    applied = done(await eyes.bo.post(f"{path}/apply"))
    again = done(await eyes.bo.post(f"{path}/apply"))

    assert (before["state"], before["wanted"][0]["have"], before["conflicts"]) == (
        "open",
        0,
        [],
    )
    assert applied["state"] == again["state"] == "applied"
    assert applied["version"] == again["version"]
    served = await eyes.serves()
    assert (served["enabled"], served["rules"][-1]["rollout"]) == (True, {"percent": 25000})
    assert [len(await eyes.events(f"change_request.{one}")) for one in ("opened", "approved", "applied")] == [1, 1, 1]
    assert len(await eyes.events("flag.rollout")) == 1


async def test_several_changes_are_applied_together(eyes: Eyes) -> None:
    """Flags, the flag itself and a segment in one request: all of it, and each by the verb that has its name."""
    changes = [
        ENABLE,
        SEGMENT,
        {"op": "configure", "flag": LIT, "patch": {"rules": []}},
        {"op": "flag", "flag": "delivery-fee", "patch": {"variants": {"standard": 5.5}}},
        {"op": "archive", "flag": "recommendations"},
    ]
    path = await eyes.agreed(*changes)
    before = (await eyes.stage.got(eyes.production))["revision"]

    applied = done(await eyes.admin.post(f"{path}/apply"))

    assert applied["changes"] == changes
    assert (await eyes.stage.got(eyes.production))["revision"] == before + len(changes)
    assert (await eyes.stage.got(eyes.stage.flag("recommendations")))["archived_at"] is not None
    staff = (await eyes.stage.got(eyes.stage.segment("staff")))["when"]
    assert staff["values"] == SEGMENT["patch"]["when"]["values"]
    assert (await eyes.serves(LIT))["rules"] == []


async def test_what_cannot_be_made_cannot_be_asked_for(eyes: Eyes) -> None:
    """The changes are tried out, and what is wrong is told with where it stands; nothing of the trial stays."""
    revision = (await eyes.stage.got(eyes.production))["revision"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"op": "enable", "flag": "nothing"}, "/changes/1/flag"),
        ({"op": "segment", "segment": "nothing", "patch": {}}, "/changes/1/segment"),
        ({"op": "configure", "flag": DARK, "patch": {"off_variant": "nothing"}}, "/changes/1/patch/off_variant"),
        ({"op": "configure", "flag": DARK}, "/changes/1/patch"),
        ({"op": "enable", "flag": DARK, "patch": {}}, "/changes/1/patch"),
        (
            {"op": "rollout", "flag": DARK, "rollout": {"percent": 5, "variant": "nothing"}},
            "/changes/1/rollout/variant",
        ),
    ]
    for change, pointer in wrong:
        reply = await eyes.author.post(eyes.requests, json={"title": "wrong", "changes": [ROLLOUT, change]})
        problem = refused(reply, 400, "invalid")
        assert problem["errors"][0]["pointer"] == pointer, problem
    nothing = [{"op": "disable", "flag": DARK}]
    refused(await eyes.author.post(eyes.requests, json={"title": "nothing", "changes": nothing}), 400, "invalid")

    assert (await eyes.stage.got(eyes.production))["revision"] == revision
    assert (await eyes.stage.got(eyes.requests))["items"] == []
    assert not (await eyes.serves())["enabled"]


async def test_nobody_approves_their_own(eyes: Eyes) -> None:
    """Not who asked, not by another token of theirs, not under another name, and not who edited."""
    main, alias = "ann@shop.example", "ann.other"
    done(await eyes.admin.put(f"{eyes.stage.project}/people/{main}", json={"aliases": [alias]}))
    ann, second, other = [await eyes.person("manager", person=name) for name in (main, main, alias)]
    path = await eyes.asked(client=ann)

    for client in (ann, second, other):
        refused(await eyes.approve(path, client), 403, "own_change_request")
    done(await eyes.bo.patch(path, json={"changes": [ROLLOUT]}, headers=ANY))
    refused(await eyes.approve(path, eyes.bo), 403, "own_change_request")
    done(await eyes.approve(path, eyes.ada))


async def test_names_found_to_be_one_persons_later_count_once(eyes: Eyes) -> None:
    """Who somebody is gets looked at when it is applied: an approver who turns out to be the author counts no more."""
    author, approver = await eyes.person("manager", person="kim"), await eyes.person("manager", person="kim.h")
    path = await eyes.asked(client=author)
    assert done(await eyes.approve(path, approver))["state"] == "approved"

    done(await eyes.admin.put(f"{eyes.stage.project}/people/kim", json={"aliases": ["kim.h"]}))

    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_not_approved")
    assert await eyes.state(path) == "open"


async def test_a_token_without_a_person_has_no_say(eyes: Eyes) -> None:
    """It could be anybody's, the author's too."""
    somebody = await eyes.stage.bearing("manager")
    path = await eyes.asked()

    refused(await eyes.approve(path, somebody), 403, "person_needed")
    body = {"title": "mine", "changes": [ENABLE]}
    refused(await somebody.post(eyes.requests, json=body), 403, "person_needed")


async def test_two_are_two_people_in_the_roles(eyes: Eyes) -> None:
    """Two approvals of one person are one, and who has none of the roles is told so."""
    await eyes.asks_for(required=2, roles=["product", "security"])
    product, security = await eyes.person("manager", "product"), await eyes.person("developer", "security")
    path = await eyes.asked()

    refused(await eyes.approve(path, eyes.ada), 403, "role_needed")
    refused(await eyes.approve(path, product, role="security"), 403, "role_needed")
    for _ in range(2):
        assert done(await eyes.approve(path, product))["wanted"][0]["have"] == 1
    assert done(await eyes.approve(path, security, role="security"))["state"] == "approved"


async def test_an_edit_voids_approvals(eyes: Eyes) -> None:
    """Other changes are another content; another title is not."""
    path = await eyes.agreed()
    approved = await eyes.read(path)

    done(await eyes.author.patch(path, json={"title": "Better said"}, headers=ANY))
    assert await eyes.state(path) == "approved"
    edited = done(await eyes.author.patch(path, json={"changes": [ROLLOUT]}, headers=ANY))

    assert (edited["state"], edited["hash"] == approved["hash"]) == ("open", False)
    assert [word["counts"] for word in edited["words"]] == [False]
    reply = await eyes.bo.post(f"{path}/approve", json={"hash": approved["hash"]})
    refused(reply, 409, "change_request_changed")
    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_not_approved")


async def test_a_rejection_stands_until_it_is_taken_back(eyes: Eyes) -> None:
    """Neither an approval of somebody else nor an edit outweighs it; its author's word does."""
    path = await eyes.agreed()
    assert done(await eyes.bo.post(f"{path}/reject", json={"reason": "not on a Friday"}))["state"] == "rejected"

    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_not_approved")
    done(await eyes.author.patch(path, json={"changes": [ROLLOUT]}, headers=ANY))
    done(await eyes.approve(path, eyes.ada))
    assert await eyes.state(path) == "rejected"
    refused(await eyes.author.post(f"{path}/retract"), 409, "nothing_said")
    assert done(await eyes.bo.post(f"{path}/retract", json={"reason": "it is Monday"}))["state"] == "approved"
    done(await eyes.admin.post(f"{path}/apply"))


async def test_a_draft_waits_for_its_author(eyes: Eyes) -> None:
    """Nobody can approve it before it is opened."""
    path = await eyes.asked(draft=True)

    refused(await eyes.approve(path), 409, "change_request_draft")
    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_not_approved")
    assert done(await eyes.author.post(f"{path}/open"))["state"] == "open"
    done(await eyes.approve(path))


async def test_what_is_over_stays_over(eyes: Eyes) -> None:
    """A withdrawn request takes no word, no edit and no schedule."""
    path = await eyes.agreed()
    assert done(await eyes.author.post(f"{path}/withdraw", json={"reason": "solved otherwise"}))["state"] == "withdrawn"

    schedule = {"apply_at": "2999-01-01T00:00:00Z"}
    for reply in (
        await eyes.approve(path, eyes.bo),
        await eyes.bo.post(f"{path}/reject", json={"reason": "no"}),
        await eyes.author.patch(path, json={}, headers=ANY),
        await eyes.admin.post(f"{path}/schedule", json=schedule),
        await eyes.admin.post(f"{path}/apply"),
        await eyes.author.post(f"{path}/withdraw"),
    ):
        refused(reply, 409, "change_request_over")


@pytest.mark.parametrize("moved", ["configuration", "segment", "variants"])
async def test_what_it_was_written_for_has_changed(eyes: Eyes, moved: str) -> None:
    """Whatever decides what the changes do must be as it was; asking for the same again takes new approvals."""
    path = await eyes.agreed({"op": "configure", "flag": LIT, "patch": {"fallthrough": {"variant": "on"}}})
    await eyes.asks_for(required=0)
    match moved:
        case "configuration":
            done(await eyes.admin.post(f"{eyes.stage.flag(LIT, 'production')}/rollout", json={"percent": 3}))
        case "segment":
            await eyes.stage.patched(eyes.stage.segment("staff"), {"when": {"segment": "nordic-customers"}})
        case "variants":
            await eyes.stage.patched(eyes.stage.flag(LIT), {"track_exposures": "none"})
    await eyes.asks_for(required=1)

    assert (await eyes.read(path))["conflicts"] != []
    refused(await eyes.admin.post(f"{path}/apply"), 409, "change_request_conflicted")
    assert await eyes.state(path) == "conflicted"
    refused(await eyes.approve(path, eyes.bo), 409, "change_request_stale")
    rebased = done(await eyes.author.patch(path, json={}, headers=ANY))
    assert (rebased["state"], rebased["conflicts"], rebased["wanted"][0]["have"]) == ("open", [], 0)
    done(await eyes.approve(path))
    done(await eyes.admin.post(f"{path}/apply"))


async def test_what_does_not_matter_may_change(eyes: Eyes) -> None:
    """Other names, other flags: the request still is what was agreed to."""
    path = await eyes.agreed({"op": "configure", "flag": LIT, "patch": {"fallthrough": {"variant": "on"}}})

    await eyes.stage.patched(eyes.stage.flag(LIT), {"name": "Another name"})
    await eyes.stage.patched(eyes.stage.segment("staff"), {"name": "Another name"})
    done(await eyes.admin.post(f"{eyes.stage.flag('recommendations', 'production')}/disable"))

    assert (await eyes.read(path))["conflicts"] == []
    done(await eyes.admin.post(f"{path}/apply"))


async def test_lists_are_found_by_state(eyes: Eyes) -> None:
    """Newest first, page by page."""
    paths = [await eyes.asked(title=f"change {number}") for number in range(3)]
    done(await eyes.approve(paths[1]))

    first = await eyes.stage.got(eyes.requests, limit=2)
    rest = await eyes.stage.got(eyes.requests, limit=2, cursor=first["next_cursor"])
    open_ones = await eyes.stage.got(eyes.requests, state="open")

    assert [one["title"] for one in (*first["items"], *rest["items"])] == ["change 2", "change 1", "change 0"]
    assert [one["title"] for one in open_ones["items"]] == ["change 2", "change 0"]
    assert (await eyes.stage.got(eyes.requests, state="approved"))["items"][0]["title"] == "change 1"


async def test_a_preview_tells_who_gets_what(eyes: Eyes) -> None:
    """By the engine, before and after, for the contexts that are asked about; nothing of it is kept."""
    path = await eyes.asked({"op": "configure", "flag": LIT, "patch": {"rules": [], "fallthrough": {"variant": "on"}}})
    contexts = [{"targetingKey": "bob"}, {"targetingKey": "ada", "email": "ada@shop.example"}]

    shown = done(await eyes.author.post(f"{path}/preview", json={"contexts": contexts}))

    effects = {
        (one["context"], one["flag"]): (one["before"]["variant"], one["after"]["variant"]) for one in shown["effects"]
    }
    assert (effects[0, LIT], effects[1, LIT]) == (("off", "on"), ("on", "on"))
    assert (await eyes.serves(LIT))["rules"] != []


async def test_a_pipeline_approves_where_it_is_let(eyes: Eyes) -> None:
    """In a role of its token that the environment names, once for all machines of the role, and never its own."""
    pipeline = await eyes.stage.bearing("pipeline", roles=["change-board"])
    second = await eyes.stage.bearing("pipeline", roles=["change-board"])
    path = await eyes.asked()
    refused(await eyes.approve(path, pipeline, role="change-board"), 403, "headless_not_allowed")

    await eyes.asks_for(required=2, headless=["change-board"])
    refused(await eyes.approve(path, pipeline), 403, "headless_not_allowed")
    assert done(await eyes.approve(path, pipeline, role="change-board"))["wanted"][0]["have"] == 1
    assert done(await eyes.approve(path, second, role="change-board"))["wanted"][0]["have"] == 1
    assert done(await eyes.approve(path, eyes.ada))["state"] == "approved"
    refused(await pipeline.post(f"{path}/apply"), 403, "forbidden")

    body = {"title": "from the pipeline", "changes": [ROLLOUT]}
    refused(await pipeline.post(eyes.requests, json=body), 400, "invalid")
    own = await eyes.asked(ROLLOUT, client=pipeline, on_behalf_of="gil@shop.example")
    gil = await eyes.person("manager", person="gil@shop.example")
    for client, members in ((pipeline, {"role": "change-board"}), (second, {"role": "change-board"}), (gil, {})):
        refused(await eyes.approve(own, client, **members), 403, "own_change_request")


async def test_asking_for_less_is_said_aloud(eyes: Eyes) -> None:
    """It takes a reason, and has a name of its own in the audit log; asking for more does not."""
    weaker: list[dict[str, Any]] = [{"required": 0}, {"expires_after": "4d"}, {"headless": ["ci"]}]
    for patch in weaker:
        problem = refused(await eyes.admin.patch(eyes.settings, json=patch, headers=ANY), 400, "invalid")
        assert problem["errors"][0]["pointer"] == "/reason"
    done(await eyes.admin.patch(eyes.settings, json={"required": 2, "roles": ["product"]}, headers=ANY))
    assert await eyes.events("approvals.weaken") == []

    done(await eyes.admin.patch(eyes.settings, json={"required": 0, "reason": "we are two"}, headers=ANY))

    (event,) = await eyes.events("approvals.weaken")
    assert event["changes"][-1] == {"path": "/reason", "op": "add", "to": "we are two"}
    refused(await eyes.ada.patch(eyes.settings, json={"required": 0}, headers=ANY), 403, "forbidden")
