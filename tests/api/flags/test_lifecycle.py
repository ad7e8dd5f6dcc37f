"""The stage of a flag's life, derived from how it stands in the environments."""

from typing import Any

import pytest
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

HALF = {
    "rules": [{"id": "h", "rollout": {"percent": 50_000}, "serve": {"variant": "on"}}],
    "fallthrough": {"variant": "off"},
}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("dark", {}, {}),
    ("testing", {}, {"development": {"enabled": True}}),
    ("testing", {}, {"staging": {"enabled": True, **HALF}}),
    ("dark", {}, {"production": {"enabled": True, "fallthrough": {"variant": "off"}}}),
    ("rolling_out", {}, {"production": {"enabled": True, **HALF}}),
    ("rolling_out", {}, {"production": {"enabled": True, **HALF}, "staging": {"enabled": True}}),
    ("released", {}, {"production": {"enabled": True}}),
    ("dark", {"purpose": "release", "expires_on": "2999-01-01"}, {}),
    ("stale", {"purpose": "release", "expires_on": "2020-01-01"}, {}),
    ("stale", {"purpose": "experiment", "expires_on": "2020-01-01"}, {"production": {"enabled": True}}),
    ("released", {"purpose": "operational", "expires_on": "2020-01-01"}, {"production": {"enabled": True}}),
]


@pytest.mark.parametrize(("lifecycle", "members", "served"), CASES, ids=str)
async def test_lifecycle(lifecycle: str, members: Any, served: Any, stage: Stage) -> None:
    """Reading, listing and filtering agree."""
    await stage.made("one", **members)
    for environment, patch in served.items():
        await stage.patched(stage.flag("one", environment), patch)

    assert (await stage.got(stage.flag("one")))["lifecycle"] == lifecycle
    found = (await stage.got(stage.flags, lifecycle=lifecycle, text="one"))["items"]
    assert "one" in [flag["key"] for flag in found]


async def test_two_productions(stage: Stage) -> None:
    """A flag is released when every production has it whole."""
    await stage.made("one")
    await stage.admin.post(stage.environments, json={"key": "second", "name": "x", "tier": "production"})

    await stage.patched(stage.flag("one", "production"), {"enabled": True})
    assert (await stage.got(stage.flag("one")))["lifecycle"] == "rolling_out"
    await stage.patched(stage.flag("one", "second"), {"enabled": True})
    assert (await stage.got(stage.flag("one")))["lifecycle"] == "released"


async def test_no_production(stage: Stage) -> None:
    """Without a production nothing is ever released."""
    await stage.patched(f"{stage.environments}/production", {"tier": "staging"})

    assert (await stage.got(stage.flag("recommendations")))["lifecycle"] == "testing"
