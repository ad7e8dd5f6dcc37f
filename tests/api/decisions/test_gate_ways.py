"""Every way to light a flag asks the release gate, with a policy that lets nothing be released."""

from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from tests.api.decisions.conftest import Deciding
from tests.api.releases.conftest import done

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANY: Final = {"If-Match": "*"}
WHERE: Final = {"when": {"segment": "few"}, "id": "few", "serve": {"variant": "on"}}
NEVER: Final = {"id": "never", "kind": "approval", "actions": ["release"], "role": "nobody"}
OFF: Final = {"variant": "off"}
HALF: Final = {"id": "half", "rollout": {"percent": 50_000}, "serve": {"variant": "on"}}


class Ways:
    """A project in which `lit` is on for half of production, `dark` is off, and nothing may be released."""

    def __init__(self, deciding: Deciding) -> None:
        self.deciding = deciding
        self.stage = deciding.releases.stage
        self.admin = self.stage.admin

    async def set_up(self) -> None:
        done(await self.admin.post(self.stage.segments, json={"key": "few", "when": someone("ada")}))
        done(await self.admin.post(self.stage.segments, json={"key": "inner", "when": someone("ada")}))
        outer = {"any": [{"segment": "inner"}, someone("cy")]}
        done(await self.admin.post(self.stage.segments, json={"key": "outer", "when": outer}))
        for key in ("lit", "dark", "base", "gone"):
            await self.stage.made(key, purpose="release", expires_on="2030-01-01")
        await self.stage.patched(self.place("lit"), {"enabled": True, "rules": [WHERE, HALF], "fallthrough": OFF})
        in_outer = {**WHERE, "when": {"segment": "outer"}}
        await self.stage.patched(self.place("gone"), {"enabled": True, "rules": [in_outer], "fallthrough": OFF})
        await self.stage.patched(self.stage.flag("dark", "staging"), {"enabled": True})
        waits = {"enabled": True, "prerequisites": [{"flag": "lit", "variants": ["on"]}]}
        await self.stage.patched(self.place("base"), waits)
        await self.deciding.ruled_by(NEVER)

    def place(self, flag: str) -> str:
        return self.stage.flag(flag, "production")

    async def configure(self, flag: str, **patch: Any) -> httpx.Response:
        return await self.admin.patch(self.place(flag), json=patch, headers=ANY)

    async def segment(self, key: str, *people: str) -> httpx.Response:
        return await self.admin.patch(self.stage.segment(key), json={"when": someone(*people)}, headers=ANY)

    async def document(self) -> Any:
        return done(await self.admin.get(f"{self.stage.project}/export"))

    async def imported(self, document: Any) -> httpx.Response:
        return await self.admin.post("/api/v1/import", json=document)


def someone(*people: str) -> dict[str, Any]:
    return {"attribute": "targetingKey", "op": "in", "values": list(people)}


@pytest_asyncio.fixture(loop_scope="session")
async def ways(deciding: Deciding) -> Ways:
    made = Ways(deciding)
    await made.set_up()
    return made


async def enable(ways: Ways) -> httpx.Response:
    return await ways.admin.post(f"{ways.place('dark')}/enable")


async def roll_out(ways: Ways) -> httpx.Response:
    return await ways.admin.post(f"{ways.place('dark')}/rollout", json={"percent": 1, "enable": True})


async def raise_the_share(ways: Ways) -> httpx.Response:
    return await ways.configure("lit", rules=[WHERE, {**HALF, "rollout": {"percent": 50_001}}])


async def add_a_rule(ways: Ways) -> httpx.Response:
    return await ways.configure(
        "lit", rules=[WHERE, HALF, {"id": "more", "when": someone("bo"), "serve": {"variant": "on"}}]
    )


async def loosen_a_rule(ways: Ways) -> httpx.Response:
    return await ways.configure("lit", rules=[{**WHERE, "when": {"any": [WHERE["when"], someone("bo")]}}, HALF])


async def serve_the_rest(ways: Ways) -> httpx.Response:
    return await ways.configure("lit", fallthrough={"variant": "on"})


async def turn_the_dark_variant(ways: Ways) -> httpx.Response:
    return await ways.configure("dark", off_variant="on")


async def drop_a_prerequisite(ways: Ways) -> httpx.Response:
    return await ways.configure("base", prerequisites=[])


async def light_what_others_stand_on(ways: Ways) -> httpx.Response:
    return await ways.configure("lit", rules=[], fallthrough={"variant": "on"})


async def make_a_segment_larger(ways: Ways) -> httpx.Response:
    return await ways.segment("few", "ada", "bo")


async def make_an_inner_segment_larger(ways: Ways) -> httpx.Response:
    return await ways.segment("inner", "ada", "bo")


async def copy_from_staging(ways: Ways) -> httpx.Response:
    body = {"from": "staging", "flags": ["dark"], "include_enabled": True}
    return await ways.admin.post(f"{ways.stage.environments}/production/copy", json=body)


async def import_a_configuration(ways: Ways) -> httpx.Response:
    document = await ways.document()
    (flag,) = (one for one in document["flags"] if one["key"] == "dark")
    flag["configurations"]["production"]["enabled"] = True
    return await ways.imported(document)


async def import_a_new_flag(ways: Ways) -> httpx.Response:
    document = await ways.document()
    (flag,) = (one for one in document["flags"] if one["key"] == "dark")
    new = {**flag, "key": "new"}
    new["configurations"] = {"production": {**flag["configurations"]["production"], "enabled": True}}
    return await ways.imported({**document, "flags": [*document["flags"], new]})


async def import_a_segment(ways: Ways) -> httpx.Response:
    document = await ways.document()
    (segment,) = (one for one in document["segments"] if one["key"] == "few")
    segment["when"] = someone("ada", "bo")
    return await ways.imported(document)


async def restore(ways: Ways) -> httpx.Response:
    done(await ways.admin.post(f"{ways.stage.flag('gone')}/archive"))
    return await ways.admin.post(f"{ways.stage.flag('gone')}/restore")


async def import_a_restored_one(ways: Ways) -> httpx.Response:
    document = await ways.document()
    done(await ways.admin.post(f"{ways.stage.flag('gone')}/archive"))
    return await ways.imported(document)


async def show_it_to_browsers(ways: Ways) -> httpx.Response:
    return await ways.admin.patch(ways.stage.flag("lit"), json={"client_visible": True}, headers=ANY)


LIGHTING: Final = (
    enable,
    roll_out,
    raise_the_share,
    add_a_rule,
    loosen_a_rule,
    serve_the_rest,
    turn_the_dark_variant,
    drop_a_prerequisite,
    light_what_others_stand_on,
    make_a_segment_larger,
    make_an_inner_segment_larger,
    copy_from_staging,
    import_a_configuration,
    import_a_new_flag,
    import_a_segment,
    restore,
    import_a_restored_one,
    show_it_to_browsers,
)


@pytest.mark.parametrize("way", LIGHTING, ids=lambda way: way.__name__)
async def test_no_way_lights_a_flag_past_the_gate(ways: Ways, way: Any) -> None:
    """It is refused, and nothing of what is served has changed."""
    reply = await way(ways)

    assert (reply.status_code, reply.json()["code"]) == (409, "release_waits"), reply.text
    assert reply.json()["decision"]["action"] == "release"


@pytest.mark.parametrize("way", LIGHTING, ids=lambda way: way.__name__)
async def test_each_way_is_observed(ways: Ways, way: Any) -> None:
    """Where the gate observes, the change is made, and the decision that would have refused it is kept."""
    await ways.deciding.gate("observe")

    reply = await way(ways)

    assert reply.is_success, reply.text
    kept = done(await ways.admin.get(ways.deciding.decisions, params={"action": "release"}))["items"]
    assert {one["decision"] for one in kept} == {"wait"}


async def test_what_cannot_light_anything_is_not_asked(ways: Ways) -> None:
    """Names, new flags and segments, rules of flags that are off, and other environments."""
    done(await ways.configure("dark", rules=[WHERE]))
    done(await ways.admin.patch(ways.stage.flag("lit"), json={"description": "lit"}, headers=ANY))
    done(await ways.admin.patch(ways.stage.segment("few"), json={"name": "Few"}, headers=ANY))
    done(await ways.admin.post(f"{ways.stage.flag('dark', 'development')}/enable"))
    done(await ways.admin.post(ways.stage.segments, json={"key": "new", "when": someone("ada")}))
    await ways.stage.made("newer")
    assert done(await ways.admin.get(ways.deciding.decisions))["items"] == []


async def test_less_is_let_through_on_every_way(ways: Ways) -> None:
    """Lower shares, stricter segments, archiving and imports that only take away are kept as darkenings."""
    done(await ways.configure("lit", rules=[WHERE, {**HALF, "rollout": {"percent": 1}}]))
    done(await ways.segment("few"))
    done(await ways.admin.post(f"{ways.stage.flag('gone')}/archive"))
    document = await ways.document()
    (flag,) = (one for one in document["flags"] if one["key"] == "lit")
    flag["configurations"]["production"]["enabled"] = False
    done(await ways.imported(document))

    kept = done(await ways.admin.get(ways.deciding.decisions))["items"]

    assert {(one["action"], one["decision"]) for one in kept} == {("darken", "allow")}
    assert [one["subject"] for one in kept].count("base") == 3  # it stands on `lit`
    assert [one["subject"] for one in kept].count("gone") == 1


async def test_who_may_see_what_is_dark(ways: Ways) -> None:
    """Showing it to the internal segment is no release; who makes that segment larger could name another one."""
    settings = f"{ways.stage.project}/release-settings"
    done(await ways.admin.put(settings, json={"internal_segment": "few"}))
    manager = await ways.deciding.releases.person("manager")

    shown = await manager.patch(
        ways.place("dark"), json={"enabled": True, "rules": [WHERE], "fallthrough": OFF}, headers=ANY
    )
    larger = await manager.patch(ways.stage.segment("few"), json={"when": someone("ada", "bo")}, headers=ANY)
    smaller = await manager.patch(ways.stage.segment("few"), json={"when": someone()}, headers=ANY)

    assert done(shown)["enabled"]
    assert (larger.status_code, larger.json()["code"]) == (403, "forbidden")
    assert smaller.is_success
