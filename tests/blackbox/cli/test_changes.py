"""Asking for changes, agreeing and applying, as people type it."""

import json

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside, Terminal

THERE = ("--environment", "production")
FLAG = "gift-cards"


@pytest.fixture
def people(shop: Shop, copy: str, inside: Inside) -> tuple[Inside, Inside]:
    """Who asks and who agrees; production of the copy asks for one other."""
    inside.run("flags", "disable", FLAG, *THERE, "--yes").expect(0)
    inside.run("changes", "settings", *THERE, "--required", "1", "--expires-after", "2d").expect(0)
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        texts = [author.token("manager", person=f"{name}@shop.example", projects=[copy]) for name in ("an", "bo")]
    asking, agreeing = (
        Inside(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=text, GREENROOM_PROJECT=copy) for text in texts
    )
    return asking, agreeing


def test_a_change_is_asked_for_agreed_to_and_applied(people: tuple[Inside, Inside]) -> None:
    """The refusal tells the command that asks; nobody approves their own; applied once agreed."""
    asking, agreeing = people
    refused = asking.run("flags", "enable", FLAG, *THERE, "--yes").expect(1)
    assert "409 approval_required" in refused.err
    assert f'greenroom flags enable {FLAG} --environment production --request "TITLE"' in refused.err

    asked = asking.run("flags", "enable", FLAG, *THERE, "--request", "Gift cards").expect(0)
    assert "enabled: false → true" in asked.out
    assert "greenroom changes approve 1 --environment production" in asked.err
    assert "403 own_change_request" in asking.run("changes", "approve", "1", *THERE, "--yes").expect(1).err
    assert "409 change_request_not_approved" in asking.run("changes", "apply", "1", *THERE, "--yes").expect(1).err
    agreeing.run("changes", "approve", "1", *THERE).expect(2)  # nobody is there to be asked
    assert "approved" in agreeing.run("changes", "approve", "1", *THERE, "--yes", "--reason", "good").expect(0).out
    asking.run("changes", "apply", "1", *THERE, "--yes").expect(0)

    shown = asking.run("changes", "show", "1", *THERE).expect(0).out
    assert "1 Gift cards: applied" in shown
    assert "bo@shop.example approves: good" in shown
    assert asking.json("changes", "show", "1", *THERE)["state"] == "applied"
    assert asking.run("changes", "list", *THERE, "--state", "applied", "-q").expect(0).out.split() == ["1"]
    assert asking.json("flags", "show", FLAG)["configurations"]["production"]["enabled"] is True


def test_several_changes_are_asked_for_at_once(people: tuple[Inside, Inside], admin: Terminal) -> None:
    """By options and out of a file, as a draft, with a moment; rejected, taken back, withdrawn."""
    asking, agreeing = people
    file = admin.write("changes.json", [{"op": "configure", "flag": FLAG, "patch": {"rules": []}}])
    several = ("--rollout", f"{FLAG}=25", "--disable", "recommendations", "--changes", str(file))
    asking.run("changes", "open", "Nothing", *THERE).expect(2)
    asking.run("changes", "open", "Wrong", *THERE, "--rollout", FLAG).expect(2)
    asking.run("changes", "open", "Only looked at", *THERE, *several, "--dry-run").expect(0)
    assert asking.json("changes", "list", *THERE)["items"] == []

    made = asking.json("changes", "open", "Several", *THERE, *several, "--draft", "--apply-at", "2d")
    assert [one["op"] for one in made["changes"]] == ["disable", "rollout", "configure"]
    number = str(made["number"])
    asking.run("changes", "publish", number, *THERE).expect(0)
    assert "rejected" in agreeing.run("changes", "reject", number, *THERE, "--reason", "not now").expect(0).out
    agreeing.run("changes", "retract", number, *THERE).expect(0)
    asking.run("changes", "schedule", number, "never", *THERE).expect(0)
    assert json.loads(asking.run("changes", "show", number, *THERE, "--json").expect(0).out)["apply_at"] is None
    assert "withdrawn" in asking.run("changes", "withdraw", number, *THERE).expect(0).out
