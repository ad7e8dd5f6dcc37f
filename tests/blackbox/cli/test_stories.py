"""How far stories have come, by the real command against a real server."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside, Terminal
from tests.blackbox.decisions.scene import POLICY

DIGEST = f"sha256:{'c' * 64}"
COMMIT = "c" * 40
ENVIRONMENTS = {
    "staging": {"order": 10, "tier": "staging", "production_like": True},
    "production": {"order": 20, "tier": "production"},
}


@pytest.fixture
def team(shop: Shop, copy: str) -> Inside:
    """The administrator where a build of `greenroom` works on SHOP-900 and runs in staging, tested."""
    project, now = f"/api/v1/projects/{copy}", datetime.now(UTC)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        author.send("PATCH", f"{project}/policy-settings", {"four_eyes": False}, If_Match="*")
        author.send("POST", f"{project}/policies", {**POLICY, "name": "greenroom", "environments": ENVIRONMENTS})
        author.send("POST", f"{project}/policies/greenroom/versions/1/activate", {})
        author.send("POST", f"{project}/services", {"key": "greenroom", "name": "Greenroom itself"})
        build = {"digests": [DIGEST], "commit": COMMIT, "stories": ["SHOP-900"]}
        author.send("POST", f"{project}/services/greenroom/builds", build)
        deployment = {
            "digest": DIGEST,
            "environment": "staging",
            "started_at": (now - timedelta(minutes=2)).isoformat(),
        }
        made = author.send("POST", f"{project}/services/greenroom/deployments", deployment)
        ended = {"finished_at": (now - timedelta(minutes=1)).isoformat()}
        author.send("POST", f"{project}/deployments/{made['id']}/finish", ended)
        token = author.send(
            "POST",
            "/api/v1/tokens",
            {"name": "ada", "kind": "manager", "projects": [copy], "person": "ada@shop.example", "roles": ["product"]},
        )["token"]
    return Inside(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=token, GREENROOM_PROJECT=copy)


def test_a_story_becomes_done(team: Inside) -> None:
    """Told what is missing and by whom, until the product manager accepts what was shown; the codes are the gate's."""
    asked = ("stories", "done", "SHOP-900", "-e", "production")
    untested = team.run(*asked).expect(10)
    passed = ("--kind", "test.unit", "--suite", "unit", "--outcome", "pass", "--passed", "3", "--digest", DIGEST)
    team.run("evidence", "record", *passed, "--run-id", "1").expect(0)
    unshown = team.run(*asked).expect(10)
    demo = team.json("evidence", "demo", "--story", "SHOP-900", "-e", "staging", "--audience", "the board")
    team.run("evidence", "accept", demo["id"], "--role", "product").expect(0)
    finished = team.run(*asked).expect(0)
    other = team.run(*asked, "--digest", f"sha256:{'d' * 64}")

    assert "evidence.missing" in untested.out
    assert "… C1" in untested.out
    assert "✓ C1  … C2  ✓ C3" in unshown.out
    assert "the team: demonstrate the story SHOP-900" in unshown.out
    assert "allow: SHOP-900 is done for production" in finished.out
    assert "accepted by ada@shop.example as product" in finished.out
    assert team.run(*asked, "-q").expect(0).out == "allow\n"
    assert (other.code, "has a build" in other.err) == (1, True)
    assert team.run("stories", "done", "SHOP-404", "-e", "production").code == 4


def test_the_board_shows_every_story_where_it_stands(team: Inside) -> None:
    """As a table, as the API's JSON, and only those of a state."""
    table = team.run("stories", "board", "-e", "production").expect(0).out
    body = team.json("stories", "board", "-e", "production", "--state", "in_work")
    none = team.run("stories", "board", "-e", "production", "--state", "to_be_cleaned_up", "-q").expect(0)

    (line,) = (line for line in table.splitlines() if line.startswith("SHOP-900"))
    assert "in work" in line
    assert "C2 demo.missing" in line
    assert "SHOP-900" in [one["story"] for one in body["items"]]
    assert none.out == ""


def test_an_address_where_nobody_answers_is_no_done(team: Inside, terminal: Terminal) -> None:
    """Whatever is no answer is no permission."""
    away = terminal.having(**{**team.variables, "GREENROOM_URL": "http://127.0.0.1:9"})

    assert away.run("stories", "done", "SHOP-900", "-e", "production").code == 3
