"""What clients can be told at their making, and what they refuse."""

from typing import Any

import pytest

from greenroom import Client, ConfigurationError, ExposureOptions, Options, hidden_key
from greenroom.options import labels


def test_labels_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are not given; an empty one is given."""
    monkeypatch.setenv("GREENROOM_APPLICATION", "shop")
    monkeypatch.setenv("GREENROOM_VERSION", "1.2")
    monkeypatch.setenv("GREENROOM_BUILD", "sha256:0a")

    assert labels(Options()) == ("shop", "1.2", "sha256:0a")
    assert labels(Options(application="other", version="")) == ("other", "", "sha256:0a")


@pytest.mark.parametrize("text", ["x" * 201, "a\0b", "\ud800"])
def test_labels_that_the_server_would_refuse_are_refused_at_once(text: str) -> None:
    """Else no report would ever be taken."""
    with pytest.raises(ConfigurationError, match="`build`"):
        Client("http://127.0.0.1:9", "k", Options(build=text))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"flush_interval_s": 0.0}, "flush_interval_s"),
        ({"flush_interval_s": float("nan")}, "flush_interval_s"),
        ({"report_changes_within_s": -1.0}, "report_changes_within_s"),
        ({"max_buffered": 0}, "max_buffered"),
        ({"max_subjects": 0}, "max_subjects"),
        ({"max_spool_bytes": 0}, "max_spool_bytes"),
        ({"exit_flush_s": -0.1}, "exit_flush_s"),
    ],
)
def test_numbers_have_a_least_value(options: Any, named: str) -> None:
    """It is named, with what was given."""
    with pytest.raises(ConfigurationError, match=f"`{named}` is .* and must be at least"):
        ExposureOptions(**options)


def test_private_attributes_are_a_collection() -> None:
    """One name alone would be taken for its letters."""
    with pytest.raises(ConfigurationError, match="`private_attributes`"):
        Options(private_attributes="targetingKey")


def test_a_key_is_told_as_it_may_leave_the_process() -> None:
    """As it is, or as a hash; secrets are in no representation."""
    secret = ExposureOptions(subject_secret="canary")
    plain, hashed, keyed = (
        Client("http://127.0.0.1:9", "k", Options(**options))
        for options in (
            {},
            {"private_attributes": ("targetingKey",)},
            {"private_attributes": ("targetingKey",), "exposures": secret},
        )
    )

    assert plain.tellable_key("dora") == "dora"
    assert hashed.tellable_key("dora") == hidden_key("dora")
    assert keyed.tellable_key("dora") == hidden_key("dora", "canary")
    assert "canary" not in repr(secret)
