"""Commands that go on: `watch` and `tail`, until so many, or Ctrl-C."""

import json
import signal
import subprocess

import pytest
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.reports import report
from tests.blackbox.cli.terminal import ENDED_WITHIN_S, Inside, Terminal


def begun(terminal: Terminal, *arguments: str) -> "subprocess.Popen[str]":
    """Started, and as far as saying so."""
    process = terminal.begin(*arguments)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(("watching ", "following ")), line + process.stderr.read()
    return process


def test_changes_are_shown_with_who_made_them(admin: Terminal, inside: Inside) -> None:
    """Of the environment that is watched, and not of others."""
    watching = begun(admin, "watch", "-e", "production", "--count", "2")
    inside.run("flags", "disable", "new-checkout", "-e", "staging").expect(0)
    inside.run("flags", "disable", "new-checkout", "-e", "production", "--yes").expect(0)
    inside.run("flags", "archive", "gift-cards", "--yes").expect(0)

    out, _ = watching.communicate(timeout=ENDED_WITHIN_S)
    heads = [line.partition("  ")[2] for line in out.splitlines() if not line.startswith(" ")]
    assert heads == [
        "example: administrator (admin)  flag.disable  environments/production/flags/new-checkout",
        "example: administrator (admin)  flag.archive  flags/gift-cards",
    ]
    assert watching.returncode == 0


def test_an_sdk_key_watches_what_applications_get(shop: Shop, copy: str, terminal: Terminal, inside: Inside) -> None:
    """As lines of JSON: the revision, and the flags that it touched."""
    key = inside.json("tokens", "create", "watcher", "--kind", "server", "--project", copy, "--environment", "staging")
    held = terminal.having(GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=key["token"])
    watching = begun(held, "watch", "--count", "1", "--json")
    inside.run("flags", "disable", "new-checkout", "-e", "staging").expect(0)

    out, _ = watching.communicate(timeout=ENDED_WITHIN_S)
    assert out.startswith('{"revision": ')
    assert '"new-checkout"' in out
    assert out.count("\n") == 1
    assert inside.json("propagation", "-e", "staging")["instances"] == 0


def test_exposures_are_shown_as_they_come(shop: Shop, copy: str, admin: Terminal) -> None:
    """Those of the last hour, and then what is reported; only of the flag that was asked for."""
    report(shop, copy, subjects={"ada": "on"}, flag="new-checkout")
    following = begun(admin, "tail", "new-checkout", "-e", "production", "--count", "1", "--json")
    report(shop, copy, subjects={"eve": "on"}, flag="no-such-flag")
    report(shop, copy, subjects={"bob": "off"}, flag="new-checkout")

    out, _ = following.communicate(timeout=ENDED_WITHIN_S)
    assert [json.loads(line)["targeting_key"] for line in out.splitlines()] == ["ada", "bob"]


def test_the_last_ones_can_be_had_alone(shop: Shop, copy: str, inside: Inside) -> None:
    """Without following; a flag that reports nobody by name is warned about."""
    report(shop, copy, subjects={"ada": "on", "bob": "off"}, flag="new-checkout")
    tail = ("tail", "-e", "production", "--no-follow")

    (last,) = inside.run(*tail, "--last", "1", "--json").expect(0).out.splitlines()
    assert '"targeting_key"' in last
    assert "  new-checkout  on  ada\n" in inside.run(*tail).expect(0).out
    assert "`track_exposures: counts`" in inside.run(*tail, "gift-cards").expect(0).err


def test_developers_do_not_see_whom_production_served(shop: Shop) -> None:
    """The refusal names the permission."""
    held = Inside(
        GREENROOM_URL=shop.server.url, GREENROOM_TOKEN=shop.tokens["DEVELOPER_TOKEN"], GREENROOM_PROJECT="shop"
    )
    assert "`production.subjects`" in held.run("tail", "-e", "production", "--no-follow").expect(1).err
    held.run("tail", "-e", "staging", "--no-follow").expect(0)


@pytest.mark.parametrize("command", [("watch",), ("tail", "-e", "production")])
def test_ctrl_c_ends_it_in_silence(admin: Terminal, command: tuple[str, ...]) -> None:
    """The exit code is that of an interruption, and there is no trace."""
    process = begun(admin, *command)
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=ENDED_WITHIN_S)
    assert (process.returncode, out, err) == (130, "", "")
