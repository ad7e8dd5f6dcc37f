"""Break-glass: what is signed is in force, and shows; what is not is refused, and shows too."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.documents import snapshot

from greenroom import Client, OverridePlaces
from greenroom.errors import OverridesRefused
from greenroom.options import Options
from greenroom.overrides import read_overrides, sign_overrides

KEY = b"sixteen bytes, or a few more"
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def signed(flags: Any = None, **members: Any) -> str:
    document = {"flags": flags or {"a": {"variant": "off"}}, "expires_at": LATER, **members}
    return sign_overrides(document, KEY)


def client(path: Path, **flags: Any) -> Client:
    bootstrap = snapshot(4, **flags) if flags else None
    places = OverridePlaces(KEY, file=path)
    return Client(options=Options(is_offline=True, bootstrap=bootstrap, overrides=places))


def test_a_signed_file_forces_a_flag(tmp_path: Path) -> None:
    """The metadata and the status say so."""
    path = tmp_path / "overrides"
    path.write_text(signed(note="incident 7"))
    flags = client(path, a=True, b=True)

    details = flags.bool_details("a", True)
    assert (flags.bool_value("a", True), flags.bool_value("b", False)) == (False, True)
    assert (details.variant, details.reason, details.metadata["cause"]) == ("off", "STATIC", "override")
    assert details.metadata["override_note"] == "incident 7"
    assert flags.status.overrides == ("a",)


def test_an_environment_variable_does_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When there is no file; on one line or on two."""
    monkeypatch.setenv("GREENROOM_OVERRIDES", signed().replace("\n", " "))

    assert client(tmp_path / "none", a=True).bool_value("a", True) is False


def test_flags_can_be_forced_when_there_are_none(tmp_path: Path) -> None:
    """Server, console and copies are all gone: values say their type themselves."""
    path = tmp_path / "overrides"
    path.write_text(
        signed({"a": {"value": True}, "b": {"value": 5}, "c": {"value": {"x": [1]}}, "d": {"variant": "on"}})
    )
    flags = client(path)

    assert flags.bool_value("a", False) is True
    assert flags.int_value("b", 0) == 5
    assert flags.object_value("c", {}) == {"x": [1]}
    assert flags.status.overrides == ("a", "b", "c")
    assert "`d` cannot be forced" in flags.status.warnings[0]


def test_flags_that_depend_on_a_forced_one_follow(tmp_path: Path) -> None:
    """As if it had been switched at the server."""
    document = snapshot(4, base=True, gated=True)
    document["flags"]["gated"]["prerequisites"] = [{"flag": "base", "variants": ["on"]}]
    document["flags"]["gated"]["off_variant"] = "off"
    path = tmp_path / "overrides"
    path.write_text(signed({"base": {"variant": "off"}}))
    places = OverridePlaces(KEY, file=path)
    flags = Client(options=Options(is_offline=True, bootstrap=document, overrides=places))

    assert flags.bool_value("gated", True) is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        signed().replace("off", "on"),
        signed()[:-3],
        signed().replace("hmac-sha256", "hmac-md5"),
        sign_overrides({"flags": {"a": {"variant": "off"}}, "expires_at": LATER}, b"another key, quite another"),
        "x" * 70_000,
        "\udcff",
    ],
)
def test_what_is_not_signed_is_refused(text: str) -> None:
    """Whoever can write the file but lacks the key forces nothing."""
    with pytest.raises(OverridesRefused):
        read_overrides(text.encode("utf-8", "replace").decode(), KEY)


@pytest.mark.parametrize(
    "document",
    [
        {"flags": {"a": {"variant": "off"}}},
        {"flags": {"a": {"variant": "off"}}, "expires_at": "tomorrow"},
        {"flags": {"a": {"variant": "off"}}, "expires_at": "2026-01-01T00:00:00"},
        {"flags": {}, "expires_at": LATER},
        {"flags": {"a": "off"}, "expires_at": LATER},
        {"flags": {"a": {"variant": "off", "value": 1}}, "expires_at": LATER},
        {"flags": {"a": {"variant": "off"}}, "expires_at": LATER, "extra": 1},
        {"flags": {"a": {"variant": "off"}}, "expires_at": LATER, "note": 1},
    ],
)
def test_what_is_malformed_is_not_even_signed(document: Any) -> None:
    """An end is required: nobody forgets a forced flag for a year."""
    with pytest.raises(OverridesRefused):
        sign_overrides(document, KEY)


def test_a_short_key_is_refused() -> None:
    """It could be guessed."""
    with pytest.raises(OverridesRefused, match="16 bytes"):
        sign_overrides(json.loads(signed().split("\n")[0]), b"short")


def test_a_change_of_the_file_is_followed(tmp_path: Path) -> None:
    """Forced, forged, ended and lifted: listeners are told, and a forgery leaves in force what was."""
    path = tmp_path / "overrides"
    flags = client(path, a=True)
    told: list[str] = []
    flags.on_change(told.append)

    path.write_text(signed())
    flags._look_for_overrides()
    assert flags.bool_value("a", True) is False

    path.write_text(signed().replace("off", "on"))
    flags._look_for_overrides()
    assert flags.bool_value("a", True) is False
    assert "refused" in flags.status.warnings[0]

    path.unlink()
    flags._look_for_overrides()
    assert flags.bool_value("a", False) is True
    assert flags.status.warnings == ()
    assert told == ["a", "a"]


def test_overrides_end_by_themselves(tmp_path: Path) -> None:
    """What has expired is not in force."""
    path = tmp_path / "overrides"
    path.write_text(signed(expires_at=(datetime.now(UTC) - timedelta(seconds=1)).isoformat()))

    assert client(path, a=True).bool_value("a", False) is True


def test_overrides_for_another_environment_are_not_in_force(tmp_path: Path) -> None:
    """A file meant for staging does nothing in production, and that shows."""
    path = tmp_path / "overrides"
    path.write_text(signed(project="shop", environment="staging"))
    flags = client(path, a=True)

    assert flags.bool_value("a", False) is True
    assert flags.status.warnings == ("the overrides are for another environment",)


def test_the_watch_sees_a_file_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the client's own thread."""
    monkeypatch.setattr("greenroom.client.OVERRIDES_EVERY_S", 0.01)
    path = tmp_path / "overrides"
    with client(path, a=True) as flags:
        seen = threading.Event()
        flags.on_change(lambda key: seen.set(), "a")
        path.write_text(signed())

        assert seen.wait(5)
        assert flags.bool_value("a", True) is False
