"""Commands that only look: what they print for machines is what the API says, and for people what it means."""

import json

import httpx
import pytest
from tests.blackbox.authoring import Application
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.reports import report
from tests.blackbox.cli.terminal import Inside

PRODUCTION = ("-e", "production")
READS = [
    (("whoami",), "/api/v1/whoami"),
    (("projects", "list"), "/api/v1/projects"),
    (("tokens", "list"), "/api/v1/tokens"),
    (("environments", "list"), "{project}/environments"),
    (("flags", "list", "--tag", "web", "--text", "e"), "{project}/flags?tag=web&text=e"),
    (("flags", "diff", "--from", "staging", *PRODUCTION), "{project}/environments/production/compare?from=staging"),
    (("segments", "list"), "{project}/segments"),
    (("segments", "show", "staff"), "{project}/segments/staff"),
    (("segments", "usage", "staff"), "{project}/segments/staff/usage"),
    (("export",), "{project}/export"),
    (("builds", *PRODUCTION), "{project}/environments/production/builds"),
    (("propagation", *PRODUCTION), "{project}/environments/production/propagation"),
    (
        ("coverage", "--since", "2026-11-01T00:00Z", *PRODUCTION),
        "{project}/environments/production/coverage?since=2026-11-01T00:00:00Z",
    ),
    (
        ("exposures", "new-checkout", "--since", "2026-11-01", "--until", "2026-11-02", *PRODUCTION),
        "{project}/environments/production/flags/new-checkout/exposures"
        "?since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z",
    ),
    (("alerts",), "{project}/darkness-alerts"),
    (("audit", "--limit", "20", "--action", "project.import"), "{project}/audit?limit=20&action=project.import"),
]


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days without an offset are those of UTC."""
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(("command", "path"), READS)
def test_json_is_what_the_api_says(shop: Shop, copy: str, inside: Inside, command: tuple[str, ...], path: str) -> None:
    """The very bodies, member by member; and people get something too."""
    url = shop.server.url + path.format(project=f"/api/v1/projects/{copy}")
    said = httpx.get(url, headers={"Authorization": f"Bearer {shop.tokens['ADMIN_TOKEN']}"}).json()

    shown = inside.json(*command)
    if "tokens" not in command:  # whose `last_used_at` moves
        assert shown == said
    assert shown.keys() == said.keys()
    assert inside.run(*command).expect(0).out


def test_what_was_reported_is_shown_in_tables(shop: Shop, copy: str, inside: Inside) -> None:
    """Shares, builds, laggards and unknown keys, from one report of an application."""
    report(shop, copy, subjects={"ada": "on", "bob": "off"}, flag="new-checkout", build="sha256:1")
    report(shop, copy, subjects={"ada": "on"}, flag="no-such-flag", build="sha256:1")

    assert "on       1            50.0%  1" in inside.run("exposures", "new-checkout", *PRODUCTION).out
    assert "sha256:1" in inside.run("builds", "-q", *PRODUCTION).out
    assert "0 of 1 serve it" in inside.run("propagation", *PRODUCTION).out
    assert "no-such-flag      is no flag          1" in inside.run("coverage", *PRODUCTION).out
    over_time = inside.run("exposures", "new-checkout", "--step", "minute", *PRODUCTION).out
    assert over_time.count("on ") == 2


def test_nothing_to_see_is_said(inside: Inside) -> None:
    """An empty table is explained on standard error."""
    assert "no application reported `gift-cards`" in inside.run("exposures", "gift-cards", *PRODUCTION).err
    assert "no instance reported" in inside.run("builds", *PRODUCTION).err
    assert "no dark flag was served" in inside.run("alerts").err
    assert "nothing names `nordic-customers`" not in inside.run("segments", "usage", "nordic-customers").err


def test_the_log_names_people_to_administrators(inside: Inside) -> None:
    """Whoever may read tokens sees their names; and what changed, line by line."""
    inside.run("flags", "disable", "new-checkout", "-e", "staging").expect(0)

    done = inside.run("audit", "--limit", "1").expect(0).out
    assert "example: administrator (admin)  flag.disable  environments/staging/flags/new-checkout" in done
    assert "    enabled: true → false" in done


def test_an_evaluation_and_its_reasons(inside: Inside) -> None:
    """In a line, as a value alone, and as a tree with every step."""
    asked = ("evaluate", "new-checkout", "--key", "bob", *PRODUCTION)
    tree = inside.run(*asked, "--attr", "betaTester:=true", "--explain").expect(0).out

    assert inside.run(*asked).expect(0).out == "new-checkout: off = false (DEFAULT)\n"
    assert inside.run(*asked, "-q").expect(0).out == "false\n"
    assert "✓ rule beta (Beta testers first): on" in tree
    assert "✓ betaTester is true; it is true" in tree
    assert "→ on = true (TARGETING_MATCH, rule beta)" in tree


def test_a_context_is_put_together(inside: Inside) -> None:
    """Attributes come over members of `--context`, as text or as JSON."""
    context = json.dumps({"targetingKey": "bob", "plan": "none", "appVersion": "2.5.0"})
    asked = ("evaluate", "gift-cards", "--context", context, *PRODUCTION)

    assert "off = false" in inside.run(*asked).expect(0).out
    assert "on = true" in inside.run(*asked, "--attr", "plan=plus").expect(0).out
    for wrong in (("--attr", "plan"), ("--attr", "plan:=plus"), ("--context", "[]"), ("--context", "{")):
        inside.run("evaluate", "gift-cards", *wrong, *PRODUCTION).expect(2)


def test_an_sdk_key_evaluates_as_the_application_does(shop: Shop) -> None:
    """By OFREP, with what that answers as JSON, and without reasons."""
    held = Inside(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=shop.tokens["SERVER_KEY"])
    with Application(shop.server.url, shop.tokens["SERVER_KEY"]) as application:
        said = application.evaluate("new-checkout", {"targetingKey": "dora"}).json()

    assert held.json("evaluate", "new-checkout", "--key", "dora") == said
    held.run("evaluate", "new-checkout", "--explain").expect(2)
    held.run("evaluate", "no-such-flag", "--key", "dora").expect(4)


def test_a_flag_that_is_not_served_is_an_error(inside: Inside) -> None:
    """An archived flag is evaluated to nothing, and the exit code says so."""
    inside.run("flags", "archive", "recommendations", "--yes").expect(0)

    failed = inside.run("evaluate", "recommendations", "--key", "bob", *PRODUCTION).expect(1)
    assert "FLAG_NOT_FOUND" in failed.err
