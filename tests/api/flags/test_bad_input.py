"""What is refused on save, with the reason and the place."""

from typing import Any

import pytest
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
JSON = {"Content-Type": "application/json"}


async def errors_of(stage: Stage, method: str, path: str, body: Any) -> list[tuple[str, str]]:
    reply = await stage.admin.request(method, path, json=body, headers={"If-Match": "*"})
    assert reply.status_code == 400, reply.text
    return [(error["pointer"], error["detail"]) for error in reply.json()["errors"]]


@pytest.mark.parametrize(
    ("op", "value", "reason"),
    [
        ("matches", "(", "missing )"),
        ("matches", "(?=a)", "invalid perl operator"),
        ("matches", "a\\1", "invalid escape"),
        ("semver_gt", "1.x", "version"),
        ("semver_gt", 1, "version"),
        ("before", "yesterday", ""),
        ("before", "2026-02-30T00:00:00Z", ""),
        ("after", "now-30y", ""),
        ("cidr", "10.0.0.0/33", "network"),
        ("gt", "5", "number"),
        ("in", None, "text, a number or a boolean"),
        ("in", [1], "text, a number or a boolean"),
        ("contains", 1, "text"),
    ],
    ids=str,
)
async def test_value_of_a_clause(op: str, value: Any, reason: str, stage: Stage) -> None:
    """A pattern, version, date, network or number that is none."""
    body = {"when": {"attribute": "a", "op": op, "values": ["1.0.0" if op.startswith("semver") else value, value]}}

    found = await errors_of(stage, "PATCH", stage.segment("staff"), body)

    assert found[-1][0] == "/when/values/1"
    assert reason in found[-1][1].lower()


@pytest.mark.parametrize(
    ("when", "pointer"),
    [
        ({}, "/when"),
        ({"all": []}, "/when/all"),
        ({"all": {"segment": "staff"}}, "/when/all"),
        ({"attribute": "a", "op": "equals", "values": ["x"]}, "/when/op"),
        ({"attribute": "a", "op": "in"}, "/when/values"),
        ({"attribute": "a", "op": "in", "values": ["x"], "colour": "red"}, "/when/colour"),
        ({"attribute": "", "op": "exists"}, "/when/attribute"),
        ({"op": "within", "values": [{"zone": "Mars/Olympus", "from": "09:00", "to": "17:00"}]}, "/when/values/0/zone"),
        ({"op": "within", "values": [{"zone": "Europe/Oslo", "from": "25:00", "to": "17:00"}]}, "/when/values/0/from"),
        ({"segment": "nope"}, "/when/segment"),
        ({"not": {"any": [{"segment": "nope"}]}}, "/when/not/any/0/segment"),
        ({"segment": 5}, "/when/segment"),
        ({"all": [{"segment": "staff"}], "any": [{"segment": "staff"}]}, "/when"),
    ],
    ids=str,
)
async def test_condition(when: Any, pointer: str, stage: Stage) -> None:
    """A condition of no kind, of two kinds, or with members that are not known."""
    found = await errors_of(stage, "POST", stage.segments, {"key": "new", "when": when})

    assert pointer in [place for place, _ in found]


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"off_variant": "maybe"}, "/off_variant"),
        ({"fallthrough": {"variant": "maybe"}}, "/fallthrough/variant"),
        ({"fallthrough": None}, "/fallthrough"),
        ({"fallthrough": {"split": []}}, "/fallthrough/split"),
        ({"fallthrough": {"split": [{"variant": "on", "weight": 99_999}]}}, "/fallthrough/split"),
        ({"fallthrough": {"split": [{"variant": "on", "weight": 0.5}]}}, "/fallthrough/split/0/weight"),
        ({"enabled": "yes"}, "/enabled"),
        ({"enabled": 1}, "/enabled"),
        ({"rules": [{"serve": {"variant": "on"}}]}, "/rules/0/id"),
        ({"rules": [{"id": "a", "serve": {"variant": "on"}}] * 2}, "/rules/1/id"),
        (
            {"rules": [{"id": "a", "rollout": {"percent": 100_001}, "serve": {"variant": "on"}}]},
            "/rules/0/rollout/percent",
        ),
        ({"rules": [{"id": "a", "when": {"segment": "nope"}, "serve": {"variant": "on"}}]}, "/rules/0/when/segment"),
        ({"prerequisites": [{"flag": "nope", "variants": ["on"]}]}, "/prerequisites/0/flag"),
        ({"prerequisites": [{"flag": "gift-cards", "variants": ["on"]}]}, "/prerequisites"),
        ({"prerequisites": [{"flag": "new-checkout", "variants": ["blue"]}]}, "/prerequisites/0/variants/0"),
        ({"prerequisites": [{"flag": "new-checkout", "variants": []}]}, "/prerequisites/0/variants"),
        ({"version": 7}, "/version"),
        ({"colour": "red"}, "/colour"),
    ],
    ids=str,
)
async def test_configuration(patch: Any, pointer: str, stage: Stage) -> None:
    """Variants, references and members that are not there, sums that do not add up."""
    found = await errors_of(stage, "PATCH", stage.flag("gift-cards", "production"), patch)

    assert pointer in [place for place, _ in found]


async def test_circle_of_flags(stage: Stage) -> None:
    """A flag cannot wait for itself through another."""
    needs = {"prerequisites": [{"flag": "gift-cards", "variants": ["on"]}]}
    await stage.patched(stage.flag("new-checkout", "production"), needs)

    found = await errors_of(
        stage,
        "PATCH",
        stage.flag("gift-cards", "production"),
        {"prerequisites": [{"flag": "new-checkout", "variants": ["on"]}]},
    )

    assert (
        "/prerequisites",
        "is a prerequisite of itself, or of one of its prerequisites (in environment `production`)",
    ) in found


async def test_circle_of_segments(stage: Stage) -> None:
    """Nor a segment name itself through another."""
    found = await errors_of(stage, "PATCH", stage.segment("staff"), {"when": {"segment": "beta-testers"}})

    assert ("", "names itself through other segments") in found


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"key": "UPPER"}, "/key"),
        ({"key": ""}, "/key"),
        ({"key": "a" * 101}, "/key"),
        ({"key": "ключ"}, "/key"),
        ({"key": "a\n"}, "/key"),
        ({"purpose": "release"}, "/expires_on"),
        ({"purpose": "fun"}, "/purpose"),
        ({"expires_on": "2026-02-30"}, "/expires_on"),
        ({"expires_on": "tomorrow"}, "/expires_on"),
        ({"expires_on": "2026-01-01T00:00:00"}, "/expires_on"),
        ({"expires_on": 86400}, "/expires_on"),
        ({"expires_on": "86400"}, "/expires_on"),
        ({"type": "number"}, "/type"),
        ({"type": "string"}, "/variants"),
        ({"type": "string", "variants": {}}, "/variants"),
        ({"variants": {"on": False, "off": True}}, "/variants"),
        ({"variants": {"on": True}}, "/variants"),
        ({"type": "integer", "variants": {"a": True}}, "/variants/a"),
        ({"type": "integer", "variants": {"a": 1.0}}, "/variants/a"),
        ({"type": "integer", "variants": {"a": "1"}}, "/variants/a"),
        ({"type": "float", "variants": {"a": True}}, "/variants/a"),
        ({"type": "string", "variants": {"a": None}}, "/variants/a"),
        ({"type": "string", "variants": {"": "x"}}, "/variants/"),
        ({"type": "string", "variants": {"a\u0007": "x"}}, "/variants/a\u0007"),
        ({"type": "object", "variants": {"a": []}}, "/variants/a"),
        ({"value_schema": {"type": "object"}}, "/value_schema"),
        ({"type": "object", "variants": {"a": {}}, "value_schema": {"type": "nonsense"}}, "/value_schema"),
        ({"type": "object", "variants": {"a": {}}, "value_schema": {"required": ["x"]}}, "/variants/a"),
        ({"type": "object", "variants": {"a": {}}, "value_schema": []}, "/value_schema"),
        ({"tags": ["no spaces"]}, "/tags/0"),
        ({"links": [{"title": "x", "url": "javascript:alert(1)"}]}, "/links/0/url"),
        ({"links": [{"title": "x", "url": "nonsense"}]}, "/links/0/url"),
        ({"client_visible": "true"}, "/client_visible"),
        ({"client_visible": 1}, "/client_visible"),
        ({"track_exposures": "all"}, "/track_exposures"),
        ({"lifecycle": "released"}, "/lifecycle"),
    ],
    ids=str,
)
async def test_flag(members: Any, pointer: str, stage: Stage) -> None:
    """Keys, days, types and values that are none."""
    body = {"key": "new", "purpose": "operational", "type": "boolean", **members}

    found = await errors_of(stage, "POST", stage.flags, body)

    assert [place for place, _ in found] == [pointer]


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "name": "b"}',
        b'{"name": NaN}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"name": 1e999}',
    ],
)
async def test_body(body: bytes, stage: Stage) -> None:
    """What JSON parsers quarrel about is nobody's patch."""
    reply = await stage.admin.patch(stage.flag("gift-cards"), content=body, headers={"If-Match": "*", **JSON})

    assert reply.status_code == 400


async def test_media_type(stage: Stage) -> None:
    """A patch is JSON."""
    reply = await stage.admin.patch(
        stage.flag("gift-cards"), content=b"{}", headers={"If-Match": "*", "Content-Type": "application/yaml"}
    )

    assert reply.status_code == 415


@pytest.mark.parametrize("path", ["project", "flag", "configuration", "segment", "environment"])
async def test_what_is_not_there(path: str, stage: Stage) -> None:
    """A mistyped key is told by name."""
    wrong = {
        "project": "/api/v1/projects/shup",
        "flag": stage.flag("gift-cart"),
        "configuration": stage.flag("gift-cards", "prod"),
        "segment": stage.segment("stuff"),
        "environment": f"{stage.environments}/prod",
    }[path]

    reply = await stage.admin.get(wrong)

    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert "`" in reply.json()["detail"]


@pytest.mark.parametrize(
    "text", ["snö ☃ 🎿", "\u202eabc", "a\nb\tc", "'; DROP TABLE flag; --", "<script>", " ", "\u007f"]
)
async def test_words_are_kept(text: str, stage: Stage) -> None:
    """Whatever people write comes back as they wrote it."""
    flag = await stage.made("words", name=text, description=text, owner=text)

    read = await stage.got(stage.flag("words"))

    assert (flag["name"], read["name"], read["description"], read["owner"]) == (text, text, text, text)
