"""Every limit: at it a change goes through, one past it the answer names field and limit and nothing is changed."""

from typing import Any

import pytest
from tests.api.stage import Stage
from tests.api.store import count, database, statement

from greenroom.evaluation import limits

pytestmark = pytest.mark.asyncio(loop_scope="session")
SERVE = {"variant": "on"}


def rule(id_: str = "r", **when: Any) -> dict[str, Any]:
    return {"id": id_, "serve": SERVE, **({"when": when} if when else {})}


def clause(op: str = "in", *values: Any) -> dict[str, Any]:
    return {"attribute": "a", "op": op, "values": list(values)}


def nested(depth: int) -> dict[str, Any]:
    """A condition of so many levels."""
    condition = clause("in", "x")  # two levels
    for _ in range(depth - 2):
        condition = {"not": condition}
    return condition


async def refused(stage: Stage, path: str, body: Any, *, method: str = "PATCH") -> dict[str, Any]:
    """The problem of a request that must be refused, of a thing that must stay as it is."""
    before = (await stage.admin.get(path)).content
    reply = await stage.admin.request(method, path, json=body, headers={"If-Match": "*"})
    assert reply.status_code == 400, reply.text
    assert (await stage.admin.get(path)).content == before
    problem: dict[str, Any] = reply.json()
    assert problem["code"] == "limit_exceeded", problem
    return problem


@pytest.mark.parametrize(
    ("within", "past", "limit", "maximum", "pointer"),
    [
        (
            {"rules": [rule(f"r{at}") for at in range(100)]},
            {"rules": [rule(f"r{at}") for at in range(101)]},
            "rules.items",
            100,
            "/rules",
        ),
        (
            {"rules": [rule(**clause("in", *range(10_000)))]},
            {"rules": [rule(**clause("in", *range(10_001)))]},
            "clause_values",
            10_000,
            "/rules/0/when/values",
        ),
        (
            {"rules": [rule(**clause("matches", "a" * 512))]},
            {"rules": [rule(**clause("matches", "a" * 513))]},
            "pattern_length",
            512,
            "/rules/0/when/values/0",
        ),
        (
            {"rules": [rule(**clause("in", 2**53, -(2**53)))]},
            {"rules": [rule(**clause("in", 2**53 + 1))]},
            "integer",
            2**53,
            "/rules/0/when/values/0",
        ),
        (
            {"rules": [rule(**clause("in", "å" * 4096))]},
            {"rules": [rule(**clause("in", "å" * 4096 + "a"))]},
            "string_bytes",
            8192,
            "/rules/0/when/values/0",
        ),
        ({"rules": [rule(**nested(29))]}, {"rules": [rule(**nested(30))]}, "json_depth", 32, None),
    ],
    ids=["rules", "clause values", "pattern", "integer", "string", "depth"],
)
async def test_limits_of_a_configuration(
    within: Any, past: Any, limit: str, maximum: int, pointer: str | None, stage: Stage
) -> None:
    """At the limit it is served, past it refused."""
    path = stage.flag("gift-cards", "production")
    await stage.patched(path, within)

    problem = await refused(stage, path, past)

    assert (problem["limit"], problem["maximum"]) == (limit, maximum)
    assert pointer is None or [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_integers_of_a_flag(stage: Stage) -> None:
    """Integers that JavaScript could not hold are no values."""
    await stage.made("number", type="integer", variants={"a": 2**53, "b": -(2**53)})

    problem = await refused(stage, stage.flag("number"), {"variants": {"a": 2**53 + 1}})

    assert (problem["limit"], problem["errors"][0]["pointer"]) == ("integer", "/variants/a")


async def test_prerequisites_nine_deep(stage: Stage) -> None:
    """A chain of eight stands, also when it is begun in the middle; a ninth is refused above and below."""
    keys = [f"level-{at}" for at in range(10)]
    for key in keys:
        await stage.made(key)

    async def stands_on(upper: int, lower: int) -> Any:
        body = {"prerequisites": [{"flag": keys[lower], "variants": ["on"]}]}
        path = stage.flag(keys[upper], "staging")
        return await stage.admin.patch(path, json=body, headers={"If-Match": "*"})

    for upper in (5, 6, 7, 8, 1, 2, 3, 4):
        assert (await stands_on(upper, upper - 1)).status_code == 200

    above = (await stands_on(9, 8)).json()

    assert (above["limit"], above["maximum"]) == ("prerequisite_depth", 8)
    assert above["errors"][0]["pointer"] == "/prerequisites"


async def test_prerequisites_made_too_deep_from_below(stage: Stage) -> None:
    """The flag that is changed is not the one that becomes too deep."""
    keys = [f"level-{at}" for at in range(10)]
    for key in keys:
        await stage.made(key)
    for upper in range(2, 10):
        body = {"prerequisites": [{"flag": keys[upper - 1], "variants": ["on"]}]}
        await stage.patched(stage.flag(keys[upper], "staging"), body)

    problem = await refused(
        stage, stage.flag(keys[1], "staging"), {"prerequisites": [{"flag": keys[0], "variants": ["on"]}]}
    )

    assert problem["limit"] == "prerequisite_depth"
    assert "level-9" in problem["detail"]


async def test_two_thousand_flags(stage: Stage) -> None:
    """The flag number 2,000 is made, the next one refused; archived ones do not count."""
    document = {
        "format": "greenroom.project/1",
        "project": {"key": stage.key, "name": "Full"},
        "environments": [],
        "flags": [
            {"key": f"f-{at}", "purpose": "operational", "type": "boolean"}
            for at in range(limits.MAX_FLAGS - len(stage.document()["flags"]))
        ],
    }
    assert (await stage.admin.post("/api/v1/import", json=document)).status_code == 200

    one_more = {"key": "one-more", "purpose": "operational", "type": "boolean"}
    reply = await stage.admin.post(stage.flags, json=one_more)
    assert (reply.status_code, reply.json()["limit"], reply.json()["maximum"]) == (400, "flags_per_environment", 2000)

    await stage.admin.post(f"{stage.flag('f-1')}/archive")
    assert (await stage.admin.post(stage.flags, json=one_more)).status_code == 201
    assert (await stage.admin.post(f"{stage.flag('f-1')}/restore")).json()["limit"] == "flags_per_environment"
    imported = await stage.admin.post("/api/v1/import", json={**document, "flags": [{**one_more, "key": "another"}]})
    assert imported.json()["limit"] == "flags_per_environment"


async def test_four_mebibytes(stage: Stage) -> None:
    """An environment that is full takes no more, but what is there can be made smaller and switched off and on."""
    long: dict[str, Any] = {"attribute": "a", "op": "in", "values": ["x" * 8000] * 30}
    path = stage.flag("gift-cards", "production")
    project = f"(SELECT id FROM project WHERE key = '{stage.key}')"
    other = f"(SELECT id FROM flag WHERE key = 'recommendations' AND project_id = {project})"
    # As if that flag were so large: making it so takes seconds.
    await statement(stage.url, f"UPDATE flag_configuration SET document_bytes = 4150000 WHERE flag_id = {other}")

    problem = await refused(stage, path, {"rules": [rule(**long)]})

    assert (problem["limit"], problem["maximum"]) == ("snapshot_bytes", limits.MAX_SNAPSHOT_BYTES)
    assert (await stage.admin.post(f"{path}/disable")).status_code == 200
    assert (await stage.admin.post(f"{path}/enable")).status_code == 200
    await stage.patched(path, {"rules": []})
    segment = await stage.admin.post(stage.segments, json={"key": "long", "when": long})
    assert segment.json()["limit"] == "snapshot_bytes"


async def test_counted_bytes_cover_the_snapshot(stage: Stage) -> None:
    """What is counted is never less than what is sent."""
    key = await stage.admin.post(
        "/api/v1/tokens", json={"name": "k", "kind": "server", "project": stage.key, "environment": "production"}
    )
    snapshot = await stage.admin.bearing(key.json()["token"]).get("/api/v1/sdk/snapshot")
    async with database(stage.url) as opened:
        counted = await count(
            opened,
            "generate_series(1, (SELECT sum(document_bytes)::int FROM flag_configuration c JOIN environment e"
            f" ON e.id = c.environment_id JOIN project p ON p.id = e.project_id WHERE p.key = '{stage.key}'"
            " AND e.key = 'production'))",
        )
        segments = await count(
            opened,
            "generate_series(1, (SELECT sum(document_bytes)::int FROM segment s JOIN project p"
            f" ON p.id = s.project_id WHERE p.key = '{stage.key}'))",
        )

    assert len(snapshot.content) <= counted + segments + 4096


@pytest.mark.parametrize(
    ("noun", "body", "limit", "pointer"),
    [
        ("flags", {"name": "x" * 201}, "name.length", "/name"),
        ("flags", {"description": "x" * 4001}, "description.length", "/description"),
        ("flags", {"tags": [f"t{at}" for at in range(51)]}, "tags.items", "/tags"),
        ("flags", {"links": [{"title": "t", "url": "https://x.y"}] * 21}, "links.items", "/links"),
        ("flags", {"stories": ["s"] * 101}, "stories.items", "/stories"),
        ("segments", {"name": "x" * 201}, "name.length", "/name"),
    ],
)
async def test_limits_of_words(noun: str, body: Any, limit: str, pointer: str, stage: Stage) -> None:
    """What people write has limits too."""
    path = stage.flag("gift-cards") if noun == "flags" else stage.segment("staff")

    problem = await refused(stage, path, body)

    assert (problem["limit"], problem["errors"][0]["pointer"]) == (limit, pointer)


async def test_fifty_environments(stage: Stage) -> None:
    """The fifty-first environment of a project is refused."""
    for at in range(47):
        body = {"key": f"e-{at}", "name": "E", "tier": "development"}
        assert (await stage.admin.post(stage.environments, json=body)).status_code == 201

    reply = await stage.admin.post(stage.environments, json={"key": "more", "name": "E", "tier": "development"})

    assert (reply.status_code, reply.json()["limit"]) == (400, "environments_per_project")
