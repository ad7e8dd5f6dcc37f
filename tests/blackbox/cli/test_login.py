"""Logging in, and where a command then goes."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import CTRL_C, Inside, Terminal
from tests.blackbox.server_process import ServerProcess


@pytest.fixture
def nobody(tmp_path: Path) -> Inside:
    """Nobody is logged in."""
    return Inside(XDG_CONFIG_HOME=str(tmp_path))


def test_a_login_is_stored_for_nobody_else(shop: Shop, terminal: Terminal) -> None:
    """After a login with a token from standard input, commands need neither address nor token nor project."""
    done = terminal.run("login", "--url", shop.server.url, stdin=shop.tokens["MANAGER_TOKEN"] + "\n").expect(0)

    assert "`example: product manager` (manager)" in done.out
    (file,) = (terminal.folder / "config" / "greenroom" / "profiles").iterdir()
    folders = (file.parent, file.parent.parent)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, *folders)] == [0o600, 0o700, 0o700]
    assert "new-checkout" in terminal.run("flags", "list", "--quiet").expect(0).out.splitlines()


def test_a_token_is_asked_for_without_being_shown(shop: Shop, terminal: Terminal) -> None:
    """What a person types is stored and is not on the screen."""
    token = shop.tokens["DEVELOPER_TOKEN"]
    answers = {"URL of the server: ": f"{shop.server.url}\n", "Token: ": f"{token}\n"}
    done = terminal.converse("login", answers=answers).expect(0)

    assert "(developer)" in done.out
    assert token not in done.out
    assert terminal.json("whoami")["kind"] == "developer"


def test_ctrl_c_at_a_question_ends_it(shop: Shop, terminal: Terminal) -> None:
    """The exit code is that of an interruption, and nothing is stored."""
    done = terminal.converse("login", "--url", shop.server.url, answers={"Token: ": CTRL_C}).expect(130)

    assert "Token: " in done.out
    assert terminal.json("profiles", "list") == {"items": []}


def test_a_token_that_the_server_refuses_is_not_stored(shop: Shop, nobody: Inside) -> None:
    """The error names no part of the token, and there is no profile afterwards."""
    token = shop.tokens["MANAGER_TOKEN"][:-1]
    done = nobody.run("login", "--url", shop.server.url, stdin=token).expect(1)

    assert "401 unauthenticated" in done.err
    assert token not in done.out + done.err
    assert nobody.json("profiles", "list") == {"items": []}


def test_profiles_stand_side_by_side(shop: Shop, nobody: Inside, tmp_path: Path) -> None:
    """The last login is used until another is chosen, by option, variable or `use`."""
    for name in ("manager", "developer"):
        token = tmp_path / "token"
        token.write_text(shop.tokens[f"{name.upper()}_TOKEN"])
        nobody.run("login", "--url", shop.server.url, "--token-file", str(token), "--profile", name).expect(0)

    kinds = [
        nobody.json("whoami")["kind"],
        nobody.json("whoami", "--profile", "manager")["kind"],
        nobody.having(GREENROOM_PROFILE="manager").json("whoami")["kind"],
    ]
    nobody.run("profiles", "use", "manager").expect(0)
    kinds.append(nobody.json("whoami")["kind"])
    assert kinds == ["developer", "manager", "manager", "manager"]
    listed = nobody.run("profiles", "list").expect(0).out
    assert shop.server.url in listed
    assert "gr_" not in listed


def test_after_a_logout_nobody_is_logged_in(shop: Shop, nobody: Inside) -> None:
    """The stored token is gone, and a second logout says so."""
    nobody.run("login", "--url", shop.server.url, stdin=shop.tokens["MANAGER_TOKEN"]).expect(0)
    nobody.run("logout").expect(0)

    assert "nobody is logged in" in nobody.run("flags", "list").expect(2).err
    nobody.run("logout").expect(1)


def test_variables_win_over_the_profile(shop: Shop, nobody: Inside) -> None:
    """A token in the environment is the one that is sent."""
    nobody.run("login", "--url", shop.server.url, stdin=shop.tokens["MANAGER_TOKEN"]).expect(0)

    assert nobody.having(GREENROOM_TOKEN=shop.tokens["PIPELINE_TOKEN"]).json("whoami")["kind"] == "pipeline"


def test_a_stored_token_goes_to_its_own_server_only(shop: Shop, nobody: Inside) -> None:
    """Another address in an option or a variable does not get the token."""
    nobody.run("login", "--url", shop.server.url, stdin=shop.tokens["MANAGER_TOKEN"]).expect(0)

    for elsewhere in ("http://127.0.0.1:1", shop.server.url.replace("127.0.0.1", "localhost")):
        assert "is not sent to" in nobody.run("flags", "list", "--url", elsewhere).expect(2).err
        assert "is not sent to" in nobody.having(GREENROOM_URL=elsewhere).run("flags", "list").expect(2).err


def test_an_sdk_key_brings_its_environment(shop: Shop, nobody: Inside) -> None:
    """A login with an SDK key knows project and environment from it."""
    nobody.run("login", "--url", shop.server.url, stdin=shop.tokens["SERVER_KEY"]).expect(0)

    (profile,) = nobody.json("profiles", "list")["items"]
    assert (profile["project"], profile["environment"]) == ("shop", "production")


def test_a_new_server_is_set_up(make_database: Callable[..., str], data_dir: Path, nobody: Inside) -> None:
    """The set-up token is traded for a login of the first administrator, once, and neither token is shown."""
    with ServerProcess(data_dir, database_url=make_database()) as server:
        setup_token = server.set_up_token()
        done = nobody.run("setup", "--url", server.url, "--name", "Ada", stdin=setup_token).expect(0)

        whoami = nobody.json("whoami")
        again = nobody.run("setup", "--url", server.url, stdin=setup_token).expect(1)
    assert (whoami["name"], whoami["kind"]) == ("Ada", "admin")
    assert "410 gone" in again.err
    assert "gr_" not in done.out + done.err + again.err


def test_the_first_token_is_not_lost(make_database: Callable[..., str], data_dir: Path, tmp_path: Path) -> None:
    """Where nothing can be stored it is printed, alone on standard output, and the exit code says that it failed."""
    (tmp_path / "greenroom").write_text("a file where the folder should be")
    nobody = Inside(XDG_CONFIG_HOME=str(tmp_path))
    with ServerProcess(data_dir, database_url=make_database()) as server:
        done = nobody.run("setup", "--url", server.url, stdin=server.set_up_token()).expect(1)

        holder = Inside(GREENROOM_URL=server.url, GREENROOM_TOKEN=done.out.strip())
        assert holder.json("whoami")["kind"] == "admin"
    assert "cannot be written" in done.err
