"""Export and import: a project goes round unchanged, as JSON and as YAML, and an import is done whole or not at all."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.api.conftest import serving
from tests.api.contract.client import ContractClient
from tests.api.stage import Stage
from tests.api.store import database

from greenroom_server.access import service as access
from greenroom_server.clock import SystemClock
from greenroom_server.web.yaml_codec import read_yaml, write_yaml

pytestmark = pytest.mark.asyncio(loop_scope="session")
YAML = {"Content-Type": "application/yaml"}
TRICKY = [
    "on", "off", "yes", "no", "y", "n", "true", "false", "null", "~", "", " ", "2026-01-31", "12:30:00", "1e3", "1E5",
    "-0", "0x1F", "0o17", "017", "1_000", "1.0", ".inf", ".nan", "=", "<<", "- a", "a: b", "a #b", "#", "!tag", "&a",
    "*a", "|", ">", "%", "@", "`", "'", '"', "{", "[", "a\nb", "a\n", "\ta", "a\r\nb", "\u0085", "\u2028", "\ufeff",
    "🎿", "\u0007", "\u007f", "---", "...", "?", ":", ",",
]  # fmt: skip


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"attribute": "a", "op": "in", "values": ["x"]}
    for _ in range(depth - 2):
        condition = {"not": condition}
    return condition


def tricky(stage: Stage) -> dict[str, Any]:
    """The example, and what is easily lost on the way."""
    document = stage.document()
    serve = {"variant": "z"}
    rules = [
        {"id": "deep", "when": nested(29), "serve": serve},
        {"id": "words", "when": {"attribute": "a", "op": "in", "values": [*TRICKY, 1, 1.5, True]}, "serve": serve},
    ]
    configuration = {"enabled": True, "off_variant": "on", "rules": rules, "fallthrough": serve}
    document["flags"] += [
        {
            "key": "words",
            "name": "no",
            "purpose": "release",
            "expires_on": "2030-01-31",
            "type": "string",
            "variants": {"on": "on", "z": "2026-01-31", "a": "~", "no": "1e3", "1": "", "null": "null"},
            "configurations": {"production": configuration},
        },
        {"key": "fees", "purpose": "operational", "type": "float", "variants": {"b": 10.0, "a": 1e20, "c": 1e-7}},
        {
            "key": "objects",
            "purpose": "operational",
            "type": "object",
            "variants": {"z": {"y": 1, "x": 10.0, "n": None, "on": [True, {}]}, "a": {}},
            "value_schema": {"type": "object"},
            "archived": True,
        },
    ]
    return document


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(database_url: str, tmp_path: Path) -> AsyncIterator[ContractClient]:
    """An administrator of another, empty installation."""
    async with database(database_url) as opened, opened.transaction() as session:
        await access.ensure_installation(session, SystemClock().now())
        token = await access.new_setup_token(session)
    async for server in serving(database_url, tmp_path):
        async with ContractClient(server) as client:
            created = await client.post("/api/v1/setup", json={"setup_token": token})
            yield client.bearing(created.json()["token"])


@pytest.mark.parametrize("format_", ["json", "yaml"])
async def test_there_and_back(format_: str, stage: Stage, elsewhere: ContractClient) -> None:
    """Exported, imported into an empty installation and exported again: not a byte differs."""
    assert (await stage.admin.post("/api/v1/import", json=tricky(stage))).status_code == 200
    first = await stage.admin.get(f"{stage.project}/export", params={"format": format_})

    headers = YAML if format_ == "yaml" else {"Content-Type": "application/json"}
    imported = await elsewhere.post("/api/v1/import", content=first.content, headers=headers)

    assert imported.status_code == 200, imported.text
    second = await elsewhere.get(f"{stage.project}/export", params={"format": format_})
    assert second.content == first.content
    assert imported.content == (await elsewhere.get(f"{stage.project}/export")).content


async def test_yaml_says_what_json_says(stage: Stage) -> None:
    """Both forms are the same document, with the same order and the same numbers."""
    await stage.admin.post("/api/v1/import", json=tricky(stage))
    as_json = await stage.admin.get(f"{stage.project}/export")
    as_yaml = await stage.admin.get(f"{stage.project}/export", params={"format": "yaml"})

    read = read_yaml(as_yaml.content, nodes=100_000, depth=36)

    assert repr(read) == repr(as_json.json())


async def test_other_readers_of_yaml_agree(stage: Stage) -> None:
    """A reader that takes `on` for a boolean gets texts from us all the same."""
    await stage.admin.post("/api/v1/import", json=tricky(stage))
    exported = await stage.admin.get(f"{stage.project}/export", params={"format": "yaml"})

    flags = yaml.safe_load(exported.text)["flags"]

    words = next(flag for flag in flags if flag["key"] == "words")
    assert next(iter(words["variants"].items())) == ("on", "on")
    assert words["variants"]["z"] == "2026-01-31"


async def test_importing_again_changes_nothing(stage: Stage) -> None:
    """No event, no revision, archived flags included."""
    await stage.admin.post("/api/v1/import", json=tricky(stage))
    exported = await stage.got(f"{stage.project}/export")
    before = await stage.got(stage.audit), await stage.got(stage.environments)

    reply = await stage.admin.post("/api/v1/import", json=exported)

    assert reply.status_code == 200
    assert (await stage.got(stage.audit), await stage.got(stage.environments)) == before


async def test_what_is_not_named_stays(stage: Stage) -> None:
    """A small document changes little: other flags, environments and segments are as before."""
    before = await stage.got(f"{stage.project}/export")
    document = {
        "format": "greenroom.project/1",
        "project": before["project"],
        "environments": [],
        "flags": [{**next(flag for flag in before["flags"] if flag["key"] == "gift-cards"), "owner": "me"}],
    }

    assert (await stage.admin.post("/api/v1/import", json=document)).status_code == 200

    after = await stage.got(f"{stage.project}/export")
    next(flag for flag in before["flags"] if flag["key"] == "gift-cards")["owner"] = "me"
    assert after == before


async def test_order_in_the_document_does_not_matter(stage: Stage) -> None:
    """Flags may come before the flags, segments and variants that they name."""
    document = stage.document()
    document["flags"].reverse()
    document["segments"].reverse()
    document["project"]["key"] = f"turned-{stage.key}"

    reply = await stage.admin.post("/api/v1/import", json=document)

    assert reply.status_code == 200
    assert reply.json()["flags"] == sorted(reply.json()["flags"], key=lambda flag: str(flag["key"]))


async def test_variants_and_configurations_together(stage: Stage) -> None:
    """A variant can be renamed in one import with all that serves it."""
    document = await stage.got(f"{stage.project}/export")
    flag = next(flag for flag in document["flags"] if flag["key"] == "max-cart-items")
    flag["variants"] = {"few": 50, "many": 200}
    for configuration in flag["configurations"].values():
        configuration.update(off_variant="few", rules=[], fallthrough={"variant": "many"})

    assert (await stage.admin.post("/api/v1/import", json={**document, "flags": [flag]})).status_code == 200
    assert (await stage.got(stage.flag("max-cart-items")))["variants"] == {"few": 50, "many": 200}


async def test_archiving_and_restoring(stage: Stage) -> None:
    """An import archives and restores, each once."""
    document = await stage.got(f"{stage.project}/export")
    flag = next(flag for flag in document["flags"] if flag["key"] == "recommendations")

    for is_archived, lifecycle in ((True, "archived"), (False, "released")):
        flag["archived"] = is_archived
        reply = await stage.admin.post("/api/v1/import", json=document, params={"dry_run": "true"})
        assert [change["path"] for change in reply.json()["changes"]] == ["/flags/recommendations/archived"]
        await stage.admin.post("/api/v1/import", json=document)
        assert (await stage.got(stage.flag("recommendations")))["lifecycle"] == lifecycle


@pytest.mark.parametrize(
    ("flag", "pointer"),
    [
        ({"variants": {"on": 1}}, "/flags/0/variants/on"),
        ({"colour": "red"}, "/flags/0/colour"),
        ({"type": "string", "variants": {"a": "x"}}, "/flags/0/type"),
        ({"purpose": "release"}, "/flags/0/expires_on"),
        ({"configurations": {"nowhere": {"enabled": False, "off_variant": "off", "fallthrough": {"variant": "on"}}}},
         "/flags/0/configurations/nowhere"),
        ({"configurations": {"staging": {"enabled": False, "off_variant": "of", "fallthrough": {"variant": "on"}}}},
         "/flags/0/configurations/staging/off_variant"),
        ({"configurations": {"staging": {"enabled": False, "off_variant": "off", "fallthrough": {"variant": "on"},
                                         "rules": [{"id": "a", "when": {"op": "x"}, "serve": {"variant": "on"}}]}}},
         "/flags/0/configurations/staging/rules/0/when/op"),
    ],
    ids=str,
)  # fmt: skip
async def test_wrong_flag(flag: Any, pointer: str, stage: Stage) -> None:
    """What is wrong is pointed at in the document, and nothing of it is done."""
    before = await stage.got(f"{stage.project}/export")
    document = {
        **stage.document(),
        "project": {"key": stage.key, "name": "Not to be seen"},
        "flags": [{"key": "recommendations", "purpose": "operational", "type": "boolean", **flag}],
    }

    reply = await stage.admin.post("/api/v1/import", json=document)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)
    assert await stage.got(f"{stage.project}/export") == before


@pytest.mark.parametrize("noun", ["flags", "segments", "environments"])
async def test_repeated_key(noun: str, stage: Stage) -> None:
    """Two things of one key are a mistake, not a matter of which comes last."""
    document = stage.document()
    document[noun].append(copy.deepcopy(document[noun][0]))

    reply = await stage.admin.post("/api/v1/import", json=document)

    last = len(document[noun]) - 1
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, f"/{noun}/{last}/key")


async def test_references_over_the_whole_document(stage: Stage) -> None:
    """What is missing or goes in circles is found wherever it stands."""
    circle = {
        "segments": [{"key": "a", "when": {"segment": "b"}}, {"key": "b", "when": {"segment": "a"}}],
        "flags": [],
    }
    missing = {"segments": [{"key": "a", "when": {"segment": "nope"}}], "flags": []}

    for broken, reason in ((circle, "names itself through other segments"), (missing, "there is no segment `nope`")):
        reply = await stage.admin.post("/api/v1/import", json={**stage.document(), **broken})
        assert reply.status_code == 400
        assert reason in reply.json()["detail"]


@pytest.mark.parametrize(
    ("yaml_text", "reason"),
    [
        ("a: &x 1\nb: *x", "aliases"),
        ("a: 1\na: 2", "twice"),
        ("a: !!python/object:os.system x", "constructor"),
        ("a: !!timestamp 2026-01-01", "JSON cannot express"),
        ("a: !!binary aGk=", "JSON cannot express"),
        ("? [1]\n: 2", "keys are texts"),
        ("a: [1", "line 2"),
        ("a: 1\n---\nb: 2", "another document"),
        ("\t- a", "line 1"),
        ("a: " + "[" * 60, "json_depth"),
    ],
)
async def test_yaml_that_is_refused(yaml_text: str, reason: str, stage: Stage) -> None:
    """Aliases, tags, repeated keys and what else YAML has that JSON has not."""
    reply = await stage.admin.post("/api/v1/import", content=yaml_text, headers=YAML)

    assert reply.status_code == 400
    assert reason in reply.text


async def test_yaml_reads_as_it_looks(stage: Stage) -> None:
    """`on` and `no` are texts and so are days, in keys and in values."""
    text = (
        f"format: greenroom.project/1\nproject: {{key: {stage.key}, name: no}}\nenvironments: []\n"
        "flags:\n- {key: new, purpose: release, expires_on: 2030-01-31, type: string,"
        " variants: {on: no, off: 2026-01-31, 1: 1e3x}}\n"
    )

    reply = await stage.admin.post("/api/v1/import", content=text, headers=YAML)

    assert reply.status_code == 200, reply.text
    assert (await stage.got(stage.flag("new")))["variants"] == {"on": "no", "off": "2026-01-31", "1": "1e3x"}
    assert (await stage.got(stage.project))["name"] == "no"


async def test_other_formats(stage: Stage) -> None:
    """A format that there is not is refused, of an export and of a document."""
    assert (await stage.admin.get(f"{stage.project}/export?format=xml")).status_code == 400
    document = {**stage.document(), "format": "greenroom.project/2"}
    reply = await stage.admin.post("/api/v1/import", json=document)
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/format")


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS | st.sampled_from(TRICKY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS | st.sampled_from(TRICKY), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_VALUES)
async def test_any_json_value_survives_yaml(value: Any) -> None:
    """Whatever JSON can express is written so that it is read as the same."""
    assert repr(read_yaml(write_yaml({"value": value}), nodes=100_000)) == repr({"value": value})
