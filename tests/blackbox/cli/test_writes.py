"""Commands that change segments, tokens, projects and environments."""

import json

from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside, Terminal

NIGHT = json.dumps({"op": "within", "values": [{"from": "22:00", "to": "06:00", "zone": "Europe/Stockholm"}]})
PLUS = json.dumps({"attribute": "plan", "op": "in", "values": ["plus"]})


def test_a_segment_from_its_making_to_its_end(inside: Inside) -> None:
    """Created, changed and deleted without a question while nothing names it."""
    inside.run("segments", "create", "night", "--when", NIGHT, "--name", "At night").expect(0)
    assert "the time is within 22:00-06:00" in inside.run("segments", "list").expect(0).out

    inside.run("segments", "update", "night", "--when", PLUS).expect(0)
    assert inside.json("segments", "show", "night")["when"] == json.loads(PLUS)
    assert "nothing names `night`" in inside.run("segments", "usage", "night").expect(0).err
    inside.run("segments", "delete", "night").expect(2)
    inside.run("segments", "delete", "night", "--yes").expect(0)
    inside.run("segments", "show", "night").expect(4)


def test_a_segment_in_use_is_not_changed_unasked(inside: Inside) -> None:
    """A flag names it, so somebody has to agree; and it cannot be deleted."""
    change = ("segments", "update", "staff", "--when", PLUS)

    assert "when/ignore_case: true is removed" in inside.run(*change, "--dry-run").expect(0).out
    assert "must be confirmed" in inside.run(*change).expect(2).err
    inside.run(*change, "--yes").expect(0)
    assert "409 in_use" in inside.run("segments", "delete", "staff", "--yes").expect(1).err


def test_a_condition_may_come_from_a_file(admin: Terminal) -> None:
    """`@FILE` and `@-` are read; what is no JSON is a matter of usage."""
    file = admin.write("when.json", json.loads(PLUS))

    admin.run("segments", "create", "plus", "--when", f"@{file}").expect(0)
    admin.run("segments", "update", "plus", "--when", "@-", stdin=NIGHT).expect(0)
    assert admin.json("segments", "show", "plus")["when"] == json.loads(NIGHT)
    admin.run("segments", "update", "plus", "--when", "plan is plus").expect(2)
    admin.run("segments", "update", "plus").expect(2)
    admin.run("segments", "create", "empty").expect(2)


def test_a_token_is_shown_once_and_revoked_by_its_id(shop: Shop, copy: str, inside: Inside) -> None:
    """With `--quiet` its text stands alone, ready to be stored; its text does not name it afterwards."""
    limits = ("--project", copy, "--environment", "staging")
    text = inside.run("tokens", "create", "night shift", "--kind", "developer", *limits, "-q").expect(0).out.strip()
    holder = Inside(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=text)

    whoami = holder.json("whoami")
    assert (whoami["kind"], whoami["projects"], whoami["environments"]) == ("developer", [copy], ["staging"])
    assert text not in inside.run("tokens", "list").out
    assert text not in inside.run("tokens", "revoke", text, "--yes").expect(2).err
    inside.run("tokens", "revoke", whoami["token_id"]).expect(2)
    inside.run("tokens", "revoke", whoami["token_id"], "--yes").expect(0)
    (one,) = [one for one in inside.json("tokens", "list")["items"] if one["id"] == whoami["token_id"]]
    assert one["state"] == "revoked"


def test_an_sdk_key_belongs_to_one_environment(copy: str, inside: Inside) -> None:
    """Less or more than one is refused before the server is asked."""
    create = ("tokens", "create", "services", "--kind", "server", "--project", copy)

    inside.run(*create).expect(2)
    inside.run(*create, "--environment", "staging", "--environment", "production").expect(2)
    assert inside.json(*create, "--environment", "staging")["environment"] == "staging"
    assert inside.json(*create, "--environment", "staging", "--dry-run")["result"]["token"] == ""


def test_a_project_with_its_environments(copy: str, inside: Inside) -> None:
    """Made from nothing; a dry run makes none."""
    key = f"{copy}-new"
    inside.run("projects", "create", key, "--dry-run").expect(0)
    assert key not in inside.run("projects", "list", "-q").out.split()

    inside.run("projects", "create", key, "--name", "New").expect(0)
    there = inside.having(GREENROOM_PROJECT=key)
    there.run("environments", "create", "live", "--tier", "production").expect(0)
    there.run("environments", "create", "dev", "--tier", "development", "--position", "0").expect(0)
    assert there.run("environments", "list", "-q").expect(0).out.split() == ["dev", "live"]
    assert "409 key_taken" in inside.run("projects", "create", key).expect(1).err


def test_a_change_by_somebody_else_in_between_is_noticed(admin: Terminal, inside: Inside) -> None:
    """What was agreed to was another difference than the one that would be made now, so nothing is made."""
    change = ("flags", "rollout", "new-checkout", "90", "-e", "production")
    question = "roll `new-checkout` out to 90 % in `production`? [y/N]: "

    def meanwhile() -> str:
        inside.run("flags", "rollout", "new-checkout", "70", "-e", "production", "--yes").expect(0)
        return "y\n"

    done = admin.converse(*change, answers={question: meanwhile}).expect(1)
    assert "412 precondition_failed" in done.out
    rules = inside.json("flags", "show", "new-checkout")["configurations"]["production"]["rules"]
    assert rules[-1]["rollout"]["percent"] == 70_000


def test_many_changes_are_looked_at_again_after_the_question(admin: Terminal, inside: Inside) -> None:
    """A copy names no version, but makes nothing either that was not agreed to."""
    question = "copy from `staging` to `production`? [y/N]: "

    def meanwhile() -> str:
        inside.run("flags", "rollout", "new-checkout", "70", "-e", "production", "--yes").expect(0)
        return "y\n"

    copy_one = ("flags", "copy", "new-checkout", "--from", "staging", "-e", "production")
    done = admin.converse(*copy_one, answers={question: meanwhile}).expect(1)
    assert "no longer what was shown" in done.out
    rules = inside.json("flags", "show", "new-checkout")["configurations"]["production"]["rules"]
    assert rules[-1]["rollout"]["percent"] == 70_000


def test_an_integration_from_its_making_to_its_end(admin: Terminal) -> None:
    """Its secret comes from a file and is in no answer; places may name service and slot."""
    admin.run("services", "create", "web").expect(0)
    secret = str(admin.write("secret.txt", "0123456789abcdef"))
    made = ("integrations", "create", "canary", "--kind", "flagger", "--service", "web")
    places = ("--place", "live=web/production/green", "--place", "test=staging")

    admin.run(*made, "--place", "live").expect(2)
    admin.run(*made, *places, "--secret-file", secret).expect(0)
    (listed,) = admin.json("integrations", "list")["items"]
    assert listed["places"]["live"] == {"environment": "production", "service": "web", "slot": "green"}
    assert "0123456789abcdef" not in str(listed)
    assert admin.json("integrations", "requests", "canary")["items"] == []
    admin.run("integrations", "delete", "canary").expect(2)
    admin.run("integrations", "delete", "canary", "--yes").expect(0)
    assert admin.json("integrations", "list") == {"items": []}


def test_a_guardrail_from_its_making_to_its_end(admin: Terminal) -> None:
    """From YAML; its secret is told once, or comes from a file; its source is asked, and a change is asked about."""
    document = "key: pages\nsource: {kind: alert}\naction: hold\n"
    dry = admin.run("guardrails", "create", "-", "--dry-run", stdin=document).expect(0)
    made = admin.run("guardrails", "create", "-", stdin=document).expect(0)
    assert ("could be created" in dry.out, "shown this once" in made.err, "whsec_" in made.err) == (True, True, True)
    assert "whsec_" not in dry.err

    tested = admin.run("guardrails", "test", "pages").expect(0).out.splitlines()
    assert tested == ["no_data: its sender was never heard of", "a running step would be told: hold"]
    assert "pages" in admin.run("guardrails", "list").expect(0).out
    admin.run("guardrails", "update", "pages").expect(2)
    admin.run("guardrails", "update", "pages", "--action", "darken").expect(2)
    secret = str(admin.write("secret.txt", "0123456789abcdef\n"))
    change = ("--action", "darken", "--for", "1m", "--secret-file", secret, "--yes")
    admin.run("guardrails", "update", "pages", *change).expect(0)
    shown = admin.run("guardrails", "show", "pages").expect(0).out
    assert "darken, after 60 s" in shown
    assert "0123456789abcdef" not in shown
    admin.run("guardrails", "delete", "pages", "--yes").expect(0)
    admin.run("guardrails", "show", "pages").expect(4)
