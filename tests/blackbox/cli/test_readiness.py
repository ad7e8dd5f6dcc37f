"""Readiness, the switch and the figures, by the real command against a real server."""

import json

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside
from tests.blackbox.decisions.scene import POLICY

WEB = ("--service", "greenroom", "-e", "production")
MODE = ("services", "mode", "greenroom", "deployment", "-e", "production", "--yes")


@pytest.fixture
def team(shop: Shop, copy: str) -> Inside:
    """The administrator of a project in which twenty builds of `greenroom` were tested and deployed."""
    project = f"/api/v1/projects/{copy}"
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        author.send("PATCH", f"{project}/policy-settings", {"four_eyes": False}, If_Match="*")
        author.send("POST", f"{project}/policies", {**POLICY, "name": "greenroom"})
        author.send("POST", f"{project}/policies/greenroom/versions/1/activate", {})
        author.send("POST", f"{project}/services", {"key": "greenroom", "name": "Greenroom itself"})
        token = author.token("pipeline", projects=[copy])
    with Author(shop.server.url, token) as pipeline:
        for number in range(1, 21):
            goes_out(pipeline, project, number)
    where = {"GREENROOM_URL": shop.server.url, "GREENROOM_TOKEN": shop.tokens["ADMIN_TOKEN"]}
    return Inside(**where, GREENROOM_PROJECT=copy)


def goes_out(pipeline: Author, project: str, number: int, *, is_tested: bool = True) -> None:
    """A build, tested and deployed to production."""
    digest, commit = f"sha256:{number:064x}", f"{number:040x}"
    parent = {} if number == 1 else {"parent": f"sha256:{number - 1:064x}"}
    pipeline.send("POST", f"{project}/services/greenroom/builds", {"digests": [digest], "commit": commit, **parent})
    evidence = {
        "kind": "test.unit",
        "suite": "unit",
        "subject": {"digest": digest},
        "outcome": "pass",
        "counts": {"total": 3, "passed": 3},
        "run": {"id": f"run-{number}"},
        "finished_at": "2026-01-01T00:00:00Z",
    }
    if is_tested:
        pipeline.send("POST", f"{project}/evidence", evidence)
    deployment = {"digest": digest, "environment": "production"}
    made = pipeline.send("POST", f"{project}/services/greenroom/deployments", deployment)
    pipeline.send("POST", f"{project}/deployments/{made['id']}/finish", {})


def test_a_service_is_switched_by_its_report(
    team: Inside, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Refused without one, switched by one that is kept; then a build without evidence makes it not ready."""
    file = tmp_path_factory.mktemp("report") / "readiness.md"
    refused = team.run(*MODE)
    ready = team.run("gate", "readiness", *WEB, "--markdown", str(file)).expect(0)
    kept = team.json("gate", "readiness", *WEB, "--keep")
    switched = team.run(*MODE, "--report", kept["id"], "--reason", "the report is green").expect(0)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        for number in (21, 22):
            goes_out(author, f"/api/v1/projects/{team.variables['GREENROOM_PROJECT']}", number, is_tested=False)
    later = team.run("gate", "readiness", *WEB)

    assert (refused.code, "make one" in refused.err) == (1, True)
    assert "greenroom could be switched to continuous deployment in production" in ready.out
    assert "20 went by themselves" in ready.out
    assert "✓" in file.read_text()
    assert switched.out == "greenroom in production: deployment\n"
    assert later.code == 10
    assert "✗ 90: percent of the builds would have gone by themselves, at least 95" in later.out
    assert "tested" in later.out
    assert team.run("gate", "readiness", *WEB, "-q").out == "not-ready\n"


def test_force_and_a_wrong_question(team: Inside) -> None:
    """By force only with a reason; and no answer is no readiness."""
    silent = team.run(*MODE, "--force")
    forced = team.run(*MODE, "--force", "--reason", "the board said so")
    nowhere = team.run("gate", "readiness", "--service", "greenroom", "-e", "the-moon")
    away = team.having(GREENROOM_URL="http://127.0.0.1:9").run("gate", "readiness", *WEB)

    assert (silent.code, forced.code, nowhere.code, away.code) == (1, 0, 1, 3)
    assert "who forces the switch says why" in silent.err


def test_figures(team: Inside) -> None:
    """Twenty deployments, no release, nothing failed: as words and as JSON."""
    said = team.run("services", "figures", "greenroom", "-e", "production").expect(0)
    body = team.json("services", "figures", "greenroom", "-e", "production", "--days", "7")

    assert "20 (4.67 a week)" in said.out
    assert (body["deployments"]["count"], body["releases"]["count"]) == (20, 0)
    assert body["change_failure"]["percent"] == 0
    assert body["lead_time"]["count"] == 20
    assert json.dumps(body)


def test_the_example_tells_a_sensible_story(shop: Shop) -> None:
    """Two builds are too few; one would have shown half-finished code, the other still lacks its acceptance tests."""
    where = {"GREENROOM_URL": shop.server.url, "GREENROOM_TOKEN": shop.tokens["MANAGER_TOKEN"]}
    manager = Inside(**where, GREENROOM_PROJECT="shop")

    said = manager.run("gate", "readiness", "--service", "checkout", "-e", "production").expect(10)
    body = manager.run("gate", "readiness", "--service", "checkout", "-e", "production", "--json").body

    assert [one["outcome"] for one in body["builds"]] == ["blocked_evidence", "blocked_unfinished_not_dark"]
    assert "`new-checkout` is not dark" in said.out
    assert "the suite `acceptance` is missing" in said.out
