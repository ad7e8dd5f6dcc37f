"""Flags from list to deletion, with the real script."""

import re

from tests.blackbox.cli.terminal import Inside, Terminal


def test_the_list_has_a_column_for_each_environment(manager: Terminal) -> None:
    """A line for each flag says how it stands everywhere, without colours or padding in a pipe."""
    head, *rows = manager.run("flags", "list").expect(0).out.splitlines()

    assert head.split() == ["key", "lifecycle", "development", "staging", "production", "owner"]
    checkout = next(row for row in rows if row.startswith("new-checkout "))
    assert re.split(" {2,}", checkout)[2:] == ["on, all", "on, all", "on, some", "team-checkout"]
    assert not any("\x1b" in line or line.endswith(" ") for line in (head, *rows))


def test_the_list_is_filtered_by_the_server(manager: Terminal) -> None:
    """Filters go together, and `--quiet` gives keys."""
    assert manager.run("flags", "list", "--purpose", "experiment", "-q").expect(0).out == "checkout-button\n"
    tagged = manager.run("flags", "list", "--tag", "checkout", "--tag", "web", "-q").expect(0).out
    assert tagged == "delivery-fee\nnew-checkout\n"


def test_json_is_the_bodies_of_the_api(manager: Terminal) -> None:
    """A list is one page, whatever pages it came in."""
    page = manager.json("flags", "list")
    cut = manager.json("flags", "list", "--limit", "2")

    assert set(page) == {"items", "next_cursor"}
    assert page["next_cursor"] is None
    assert cut["items"] == page["items"][:2]
    assert cut["next_cursor"] is not None


def test_show_says_who_gets_what(manager: Terminal) -> None:
    """Rules are sentences."""
    shown = manager.run("flags", "show", "new-checkout").expect(0).out

    assert "production: on, reaches some\n  1. [beta] if in segment beta-testers: on" in shown
    assert "  2. [rollout] 50 %: on\n  everybody else: off\n" in shown


def test_production_is_not_changed_unasked(admin: Terminal) -> None:
    """Where nobody can be asked, the difference is shown, the exit code says usage, and nothing changes."""
    command = ("flags", "rollout", "express-delivery", "60", "--enable", "-e", "production")
    before = admin.json("flags", "show", "express-delivery")
    refused = admin.run(*command).expect(2)

    assert "enabled: false → true" in refused.err
    assert "--yes" in refused.err
    assert admin.json("flags", "show", "express-delivery") == before
    done = admin.json(*command, "--yes")
    assert (done["enabled"], done["reach"]) == (True, "some")


def test_a_person_is_asked_and_may_refuse(admin: Terminal) -> None:
    """`n` changes nothing and `y` does."""
    command = ("flags", "disable", "recommendations", "-e", "production")
    question = "disable `recommendations` in `production`? [y/N]: "

    assert "nothing was changed" in admin.converse(*command, answers={question: "n\n"}).expect(1).out
    assert admin.json("flags", "show", "recommendations")["configurations"]["production"]["enabled"] is True
    assert "recommendations in production: off" in admin.converse(*command, answers={question: "y\n"}).expect(0).out


def test_elsewhere_a_change_is_made_at_once(inside: Inside) -> None:
    """Development is nobody's production: the difference is shown, and there is no question."""
    done = inside.run("flags", "disable", "new-checkout", "-e", "development").expect(0)

    assert "enabled: true → false" in done.err
    assert done.out.startswith("new-checkout in development: off: everybody gets off\n")


def test_a_dry_run_changes_nothing(inside: Inside) -> None:
    """It gives the difference as a result."""
    command = ("flags", "enable", "express-delivery", "-e", "production", "--dry-run")

    assert "enabled: false → true" in inside.run(*command).expect(0).out
    assert inside.json(*command)["changes"] == [{"op": "replace", "path": "/enabled", "from": False, "to": True}]
    assert inside.json("flags", "show", "express-delivery")["configurations"]["production"]["enabled"] is False


def test_from_its_making_to_its_end(inside: Inside) -> None:
    """A flag is created, changed, archived, restored, archived and deleted, and its key is gone for good."""
    variants = ("--variant", "free=0", "--variant", "full=4.9")
    made = inside.json("flags", "create", "fee", "--purpose", "operational", "--type", "float", *variants)
    assert made["variants"] == {"free": 0.0, "full": 4.9}

    assert "owner: " in inside.run("flags", "update", "fee", "--owner", "ada", "--tag", "money").expect(0).err
    assert inside.run("flags", "list", "--tag", "money", "--owner", "ada", "-q").expect(0).out == "fee\n"
    inside.run("flags", "update", "fee").expect(2)
    assert inside.run("flags", "delete", "fee", "--yes").expect(1).err.startswith("error: ")
    inside.run("flags", "archive", "fee", "--yes").expect(0)
    assert inside.run("flags", "list", "--lifecycle", "archived", "-q").expect(0).out == "fee\n"
    inside.run("flags", "restore", "fee", "--yes").expect(0)
    inside.run("flags", "archive", "fee", "--yes").expect(0)
    inside.run("flags", "delete", "fee", "--yes").expect(0)
    inside.run("flags", "show", "fee").expect(4)
    buried = inside.run("flags", "create", "fee", "--purpose", "operational").expect(1)
    assert "409 key_buried" in buried.err


def test_environments_are_compared_and_brought_together(inside: Inside) -> None:
    """What `diff` shows is what `copy` changes; afterwards nothing differs for the flag."""
    differing = inside.run("flags", "diff", "--from", "production", "-e", "staging", "-q").expect(0).out.split()
    assert "delivery-fee" in differing

    copied = ("flags", "copy", "delivery-fee", "--from", "production", "-e", "staging", "--include-enabled")
    assert inside.run(*copied).expect(2).err.count("[nordic]") == 1
    assert "copied 1 flag" in inside.run(*copied, "--yes").expect(0).out
    left = inside.run("flags", "diff", "--from", "production", "-e", "staging", "-q").expect(0).out.split()
    assert set(differing) - set(left) == {"delivery-fee"}


def test_the_shell_completes_keys(admin: Terminal) -> None:
    """Tab asks the server for the keys that begin so, and stays silent where it cannot."""
    completing = admin.having(_GREENROOM_COMPLETE="complete_bash", COMP_WORDS="greenroom flags show e", COMP_CWORD="3")
    elsewhere = completing.having(GREENROOM_URL="http://127.0.0.1:1")

    assert completing.run().expect(0).out.split() == ["express-delivery"]
    assert elsewhere.run().expect(0).out.strip() == ""
