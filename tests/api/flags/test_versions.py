"""`If-Match`, `ETag` and `Idempotency-Key`: nobody overwrites what they have not seen, nothing is made twice."""

import asyncio

import pytest
from tests.api.stage import Stage
from tests.api.verbs import VERBS, Verb

pytestmark = pytest.mark.asyncio(loop_scope="session")

versioned = [verb for verb in VERBS if verb.takes_version]
creating = [verb for verb in VERBS if verb.creates]
optional = [verb for verb in VERBS if verb.action.split(".")[1] in ("enable", "disable", "rollout", "archive")]


@pytest.mark.parametrize("verb", versioned, ids=str)
async def test_version_must_be_named(verb: Verb, stage: Stage) -> None:
    """Without `If-Match` a change is not made."""
    await verb.prepare(stage)
    path = verb.path.replace("{key}", stage.key)

    reply = await stage.admin.request(verb.method, path, json=verb.body)

    assert (reply.status_code, reply.json()["code"]) == (428, "precondition_required")


@pytest.mark.parametrize("verb", [*versioned, *optional], ids=str)
async def test_wrong_version(verb: Verb, stage: Stage) -> None:
    """Another version than the current one changes nothing; a weak tag is none."""
    await verb.prepare(stage)

    for tag in ('"999"', 'W/"1"', '"0", "998"'):
        reply = await verb.do(stage, {"If-Match": tag})
        assert (reply.status_code, reply.json()["code"]) == (412, "precondition_failed")


@pytest.mark.parametrize("verb", [*versioned, *optional], ids=str)
async def test_right_version(verb: Verb, stage: Stage) -> None:
    """The version that reading gave goes through, also among others."""
    await verb.prepare(stage)
    path = verb.path.replace("{key}", stage.key)
    if verb in optional:
        path = path.rpartition("/")[0]
    tag = (await stage.admin.get(path)).headers["ETag"]

    reply = await verb.do(stage, {"If-Match": f'"999", {tag}'})

    assert reply.is_success, reply.text


async def test_answer_has_the_new_version(stage: Stage) -> None:
    """One can go on from the answer of a change without reading again."""
    path = stage.flag("gift-cards", "production")
    first = await stage.admin.patch(path, json={"rules": []}, headers={"If-Match": '"2"'})

    second = await stage.admin.patch(path, json={"enabled": False}, headers={"If-Match": first.headers["ETag"]})

    assert second.json()["version"] == first.json()["version"] + 1


async def test_nonsense_is_no_version(stage: Stage) -> None:
    """A header that is no list of tags is refused as such."""
    reply = await stage.admin.patch(stage.flag("gift-cards"), json={}, headers={"If-Match": "2"})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "If-Match")


@pytest.mark.parametrize("thing", ["flag", "configuration", "segment", "project", "environment"])
async def test_one_of_eight_writers_wins(thing: str, stage: Stage) -> None:
    """Eight at once with the version they all read: one change is made, the others are told."""
    path = {
        "flag": stage.flag("gift-cards"),
        "configuration": stage.flag("gift-cards", "production"),
        "segment": stage.segment("staff"),
        "project": stage.project,
        "environment": f"{stage.environments}/staging",
    }[thing]
    tag = (await stage.admin.get(path)).headers["ETag"]
    bodies = [{"rules": [{"id": f"r-{at}", "serve": {"variant": "on"}}]} for at in range(8)]
    if thing != "configuration":
        bodies = [{"name": f"number {at}"} for at in range(8)]  # type: ignore[dict-item]

    replies = await asyncio.gather(*(stage.admin.patch(path, json=body, headers={"If-Match": tag}) for body in bodies))

    assert sorted(reply.status_code for reply in replies) == [200, *[412] * 7]


async def test_unchanged_is_told(stage: Stage) -> None:
    """Who has the current segment or project is spared its body."""
    for path in (stage.segment("staff"), stage.project):
        tag = (await stage.admin.get(path)).headers["ETag"]
        assert (await stage.admin.get(path, headers={"If-None-Match": tag})).status_code == 304


async def test_moving_parts_are_never_unchanged(stage: Stage) -> None:
    """Flags, configurations and environments show what moves without their version, so there is no 304 for them."""
    flag, environment = stage.flag("gift-cards"), f"{stage.environments}/production"
    tags = {path: (await stage.admin.get(path)).headers["ETag"] for path in (flag, environment)}
    await stage.admin.post(f"{stage.flag('gift-cards', 'production')}/disable")

    for path, tag in tags.items():
        reply = await stage.admin.get(path, headers={"If-None-Match": tag})
        assert (reply.status_code, reply.headers["ETag"]) == (200, tag)


@pytest.mark.parametrize("verb", [*creating, next(one for one in VERBS if one.action == "project.import")], ids=str)
async def test_same_key_makes_it_once(verb: Verb, stage: Stage) -> None:
    """A repeated request with its `Idempotency-Key` gets the first answer, and nothing is made again."""
    key = f"{verb.action}-{stage.key}"
    first = await verb.do(stage, {"Idempotency-Key": key})
    before = (await stage.got("/api/v1/audit", limit=1))["items"]

    second = await verb.do(stage, {"Idempotency-Key": key})

    assert first.is_success, first.text
    assert (second.status_code, second.headers["Idempotency-Replayed"]) == (first.status_code, "true")
    if verb.action != "token.create":
        assert second.json() == first.json()
    assert (await stage.got("/api/v1/audit", limit=1))["items"] == before


@pytest.mark.parametrize("verb", [one for one in creating if one.action != "token.create"], ids=str)
async def test_same_key_with_another_body(verb: Verb, stage: Stage) -> None:
    """A key that was used for something else is a mistake, and told."""
    headers = {"Idempotency-Key": f"{verb.action}-{stage.key}"}
    assert (await verb.do(stage, headers)).is_success
    path = verb.path.replace("{key}", stage.key)

    reply = await stage.admin.post(path, json={"key": "another", "name": "x"}, headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_mismatch")


async def test_same_key_at_once(stage: Stage) -> None:
    """Eight at once with one key: one flag, eight times the same answer."""
    body = {"key": "brand-new", "purpose": "operational", "type": "boolean"}
    headers = {"Idempotency-Key": f"at-once-{stage.key}"}

    replies = await asyncio.gather(*(stage.admin.post(stage.flags, json=body, headers=headers) for _ in range(8)))

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.content for reply in replies}) == 1


async def test_refused_request_may_be_corrected(stage: Stage) -> None:
    """A refusal is not remembered: the same key works for the corrected request."""
    headers = {"Idempotency-Key": f"corrected-{stage.key}"}
    refused = await stage.admin.post(stage.flags, json={"key": "new"}, headers=headers)

    body = {"key": "new", "purpose": "operational", "type": "boolean"}
    reply = await stage.admin.post(stage.flags, json=body, headers=headers)

    assert (refused.status_code, reply.status_code) == (400, 201)
