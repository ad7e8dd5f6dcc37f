"""Where commands go, and what is kept of a login."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.place import Asked, Place, checked_token, checked_url, goes_in_clear
from greenroom.cli.profiles import Profile, Profiles
from greenroom.cli.times import moment, shown

TOKEN = "gr_mgr_secret"
HERE = Profile("https://here.example", TOKEN, "shop", "staging")


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    """One login, the current one."""
    made = Profiles(tmp_path / "greenroom")
    made.save("default", HERE)
    return made


def test_options_win_over_variables_and_those_over_the_profile(profiles: Profiles) -> None:
    """Each part for itself."""
    variables = {"GREENROOM_PROJECT": "two", "GREENROOM_ENVIRONMENT": "two"}

    found = Place.find(Asked(project="one"), profiles, variables)
    assert (found.project, found.environment, found.url) == ("one", "two", HERE.url)
    assert Place.find(Asked(), profiles, {}).environment == "staging"


def test_a_token_is_in_no_text(profiles: Profiles) -> None:
    """Neither a place nor a profile shows it when it is printed."""
    assert TOKEN not in repr(Place.find(Asked(), profiles, {})) + repr(profiles.find("default"))


@pytest.mark.parametrize(
    "url",
    [
        "here.example",
        "ftp://here.example",
        "https://",
        "https://user:pass@here.example",
        "https://here.example?x=1",
        "https://here.example/a b",
        "https://here.example:99999",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """In words, which hold no password."""
    with pytest.raises(UsageError) as caught:
        checked_url(url)
    assert "pass" not in caught.value.detail


def test_an_address_may_have_a_path() -> None:
    """Behind a proxy that serves more than Greenroom."""
    assert checked_url(" https://here.example/greenroom/ ") == "https://here.example/greenroom"


@pytest.mark.parametrize("token", ["", "  ", "two words", "né", "a\x00b"])
def test_what_is_no_token_is_refused_unseen(token: str) -> None:
    """It could not be sent as a header, and is not shown."""
    with pytest.raises(UsageError) as caught:
        checked_token(token)
    assert not token.strip() or token not in caught.value.detail


def test_clear_text_is_fine_at_home_only() -> None:
    """A token must not cross a network unencrypted without a word."""
    assert [goes_in_clear(f"http://{host}") for host in ("localhost:1", "127.0.0.1", "[::1]", "here.example")] == [
        False,
        False,
        False,
        True,
    ]
    assert not goes_in_clear("https://here.example")


def test_a_profile_that_others_can_read_is_told(
    profiles: Profiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is used all the same."""
    (tmp_path / "greenroom" / "profiles" / "default.json").chmod(0o644)

    assert profiles.find("default") == HERE
    assert "can be read by others" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"url": 1, "token": TOKEN})])
def test_a_broken_profile_is_an_error_without_its_content(profiles: Profiles, tmp_path: Path, content: str) -> None:
    """The error names the file, and no token."""
    (tmp_path / "greenroom" / "profiles" / "default.json").write_text(content)

    with pytest.raises(CommandError, match="cannot be read") as caught:
        profiles.find("default")
    assert TOKEN not in caught.value.detail


@pytest.mark.parametrize("name", ["../evil", "", ".hidden", "a/b", "x" * 65])
def test_a_profile_has_a_plain_name(profiles: Profiles, name: str) -> None:
    """No name leads out of the folder."""
    with pytest.raises(UsageError):
        profiles.save(name, HERE)


def test_moments_are_read_as_people_write_them() -> None:
    """Ago, a day, or a moment with its offset; the rest is refused."""
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    assert moment("90m", now=now) == "2026-11-25T10:30:00Z"
    assert moment("2d", now=now) == "2026-11-23T12:00:00Z"
    assert moment("2d", now=now, is_ahead=True) == "2026-11-27T12:00:00Z"
    assert moment("2026-01-31T12:00:00+02:00") == "2026-01-31T10:00:00Z"
    assert moment(None) is None
    for wrong in ("yesterday", "5y", "-3h", "0001-01-01T00:00+14:00"):
        with pytest.raises(UsageError):
            moment(wrong)
    assert [shown(None), shown("soon")] == ["never", "soon"]
