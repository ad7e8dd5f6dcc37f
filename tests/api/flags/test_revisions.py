"""What delivery reads: applying a change gives what loading anew gives, however the environment came to be so."""

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from tests.api.stage import Stage
from tests.api.store import database
from tests.api.verbs import VERBS, Verb

from greenroom.evaluation import Snapshot, evaluate_all, read_snapshot
from greenroom_server.database.engine import Database
from greenroom_server.flags import service_served as served_by

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTEXTS = [{}, {"targetingKey": "u1", "country": "SE"}, {"targetingKey": "u2", "email": "x@shop.example"}]
KEYS = ["recommendations", "gift-cards", "new-checkout", "delivery-fee", "extra-1", "extra-2"]


async def loaded(opened: Database, id_: UUID) -> dict[str, Any]:
    async with opened.reading() as session:
        document = await served_by.load_environment(session, id_)
    assert document is not None
    return document


async def changed(opened: Database, id_: UUID, since: int) -> dict[str, Any] | None:
    async with opened.reading() as session:
        return await served_by.load_change(session, id_, since)


async def ids(opened: Database, stage: Stage) -> dict[str, UUID]:
    async with opened.reading() as session:
        return {
            ref.environment_key: ref.id for ref in await served_by.environments(session) if ref.project_key == stage.key
        }


def applied(document: dict[str, Any], change: dict[str, Any] | None) -> dict[str, Any]:
    """The document after the change, as plain data."""
    if change is None:
        return document
    assert change["from"] == document["revision"]
    after = {**document, "revision": change["to"], "published_at": change["published_at"]}
    for noun in ("flags", "segments"):
        kept = {key: one for key, one in document[noun].items() if key not in change[noun]["removed"]}
        after[noun] = dict(sorted({**kept, **change[noun]["put"]}.items()))
    return after


def compiled(document: dict[str, Any]) -> Snapshot:
    return read_snapshot({**document, "epoch": "e"})


def served(snapshot: Snapshot) -> list[Any]:
    return [
        (one.flag_key, one.value, one.variant, one.reason, dict(one.metadata))
        for context in CONTEXTS
        for one in evaluate_all(snapshot, context, 0)
    ]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    ordered = [
        json.dumps({**document, **{noun: dict(sorted(document[noun].items())) for noun in ("flags", "segments")}})
        for document in (one, other)
    ]
    return ordered[0] == ordered[1]


Step = Callable[[Stage, random.Random], Awaitable[Any]]


async def _switch(stage: Stage, choice: random.Random) -> None:
    path = stage.flag(choice.choice(KEYS), choice.choice(["staging", "production"]))
    await stage.admin.post(f"{path}/{choice.choice(['enable', 'disable'])}")


async def _roll_out(stage: Stage, choice: random.Random) -> None:
    path = stage.flag(choice.choice(KEYS), "production")
    await stage.admin.post(f"{path}/rollout", json={"percent": choice.choice([0, 1, 50, 100])})


async def _patch(stage: Stage, choice: random.Random) -> None:
    rules = [{"id": "r", "when": {"segment": choice.choice(["staff", "seg-1", "seg-2"])}, "serve": {"variant": "on"}}]
    path = stage.flag(choice.choice(KEYS), "production")
    body = {"rules": choice.choice([rules, []])}
    await stage.admin.patch(path, json=body, headers={"If-Match": "*"})


async def _flag(stage: Stage, choice: random.Random) -> None:
    body = {"client_visible": choice.random() < 0.5, "name": choice.choice("abc")}
    await stage.admin.patch(stage.flag(choice.choice(KEYS)), json=body, headers={"If-Match": "*"})


async def _create(stage: Stage, choice: random.Random) -> None:
    key = f"extra-{choice.randint(1, 6)}"
    await stage.admin.post(stage.flags, json={"key": key, "purpose": "operational", "type": "boolean"})


async def _archive(stage: Stage, choice: random.Random) -> None:
    verb = choice.choice(["archive", "archive", "restore"])
    await stage.admin.post(f"{stage.flag(choice.choice(KEYS))}/{verb}")


async def _delete(stage: Stage, choice: random.Random) -> None:
    await stage.admin.delete(stage.flag(choice.choice(KEYS)), headers={"If-Match": "*"})


async def _segment(stage: Stage, choice: random.Random) -> None:
    key = f"seg-{choice.randint(1, 4)}"
    when = {"attribute": "country", "op": "in", "values": [choice.choice(["SE", "NO"])]}
    match choice.randint(0, 2):
        case 0:
            await stage.admin.post(stage.segments, json={"key": key, "when": when})
        case 1:
            await stage.admin.patch(stage.segment(key), json={"when": when}, headers={"If-Match": "*"})
        case _:
            await stage.admin.delete(stage.segment(key), headers={"If-Match": "*"})


async def _copy(stage: Stage, choice: random.Random) -> None:
    body = {"from": "staging", "include_enabled": choice.random() < 0.5}
    await stage.admin.post(f"{stage.environments}/production/copy", json=body)


async def _import(stage: Stage, choice: random.Random) -> None:
    document = await stage.got(f"{stage.project}/export")
    for flag in document["flags"]:
        flag["archived"] = flag["archived"] != (choice.random() < 0.2)
    await stage.admin.post("/api/v1/import", json=document)


STEPS: list[Step] = [_switch, _roll_out, _patch, _flag, _create, _archive, _delete, _segment, _copy, _import]


@pytest.mark.parametrize("seed", range(12))
async def test_change_is_the_difference(seed: int, stage: Stage) -> None:
    """After any verbs, one by one and all together: old snapshot and change make the new snapshot."""
    choice = random.Random(seed)
    async with database(stage.url) as opened:
        id_ = (await ids(opened, stage))["production"]
        first = before = await loaded(opened, id_)
        for _ in range(15):
            await choice.choice(STEPS)(stage, choice)
            after = await loaded(opened, id_)
            change = await changed(opened, id_, before["revision"])
            assert (change is None) == (after["revision"] == before["revision"])
            assert same(applied(before, change), after)
            before = after
        whole = await changed(opened, id_, first["revision"])

    assert whole is not None
    assert same(applied(first, whole), before)
    assert served(compiled(first).with_change({**whole, "epoch": "e"})) == served(compiled(before))


@pytest.mark.parametrize("verb", VERBS, ids=str)
async def test_nothing_served_changes_without_a_revision(verb: Verb, stage: Stage) -> None:
    """Whatever a verb does to what is served is in the change from the revision before it."""
    await verb.prepare(stage)
    async with database(stage.url) as opened:
        before = {key: await loaded(opened, id_) for key, id_ in (await ids(opened, stage)).items()}
        assert (await verb.do(stage)).is_success
        for key, id_ in (await ids(opened, stage)).items():
            if key in before:
                change = await changed(opened, id_, before[key]["revision"])
                assert same(applied(before[key], change), await loaded(opened, id_))


async def test_pruned_history(stage: Stage) -> None:
    """When the way from an old revision is no longer known, everything is to be loaded; the last 500 are known."""
    path = stage.flag("gift-cards", "production")
    async with database(stage.url) as opened:
        id_ = (await ids(opened, stage))["production"]
        start = (await loaded(opened, id_))["revision"]
        async with opened.transaction() as session:
            for _ in range(560):
                await session.execute(_NEXT, {"id": id_})
        for verb in ("disable", "enable") * 25:
            await stage.admin.post(f"{path}/{verb}")
        last = (await loaded(opened, id_))["revision"]

        assert await changed(opened, id_, start) is None
        change = await changed(opened, id_, last - 500)

    assert change is not None
    assert change["to"] == last


_NEXT = text("""
WITH moved AS (UPDATE environment SET revision = revision + 1 WHERE id = :id RETURNING id, revision)
INSERT INTO environment_change (environment_id, revision, flags, segments) SELECT id, revision, '{}', '{}' FROM moved
""")


async def test_no_change(stage: Stage) -> None:
    """From the current revision, a later one, or an environment that is gone, there is no way."""
    async with database(stage.url) as opened:
        id_ = (await ids(opened, stage))["staging"]
        revision = (await loaded(opened, id_))["revision"]
        for since in (revision, revision + 1):
            assert await changed(opened, id_, since) is None

        await stage.admin.delete(stage.project, headers={"If-Match": "*"})

        assert await changed(opened, id_, 0) is None
        async with opened.reading() as session:
            assert await served_by.load_environment(session, id_) is None
            assert await served_by.standing(session, [id_]) == (await served_by.epoch(session), {})


async def test_late_commit_is_not_missed(stage: Stage) -> None:
    """Two writers at once get revisions in the order in which they commit, so no reader can pass one by."""
    async with database(stage.url) as opened:
        id_ = (await ids(opened, stage))["production"]
        seen = await loaded(opened, id_)
        paths = [stage.flag(key, "production") for key in ("gift-cards", "recommendations", "delivery-fee")]
        for path in paths:
            await stage.admin.post(f"{path}/disable")
            seen = applied(seen, await changed(opened, id_, seen["revision"]))

        assert same(seen, await loaded(opened, id_))
