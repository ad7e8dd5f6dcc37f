"""The text form of tokens."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_server.access import secrets

TOKEN = re.compile(r"gr_(adm|mgr|dev|pipe|srv|cli|set)_[0-9A-Za-z]{49}")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("kind", sorted(secrets.PREFIXES))
def test_minted_token_is_recognised(kind: str) -> None:
    """A token says its kind, and looks as the log's redaction and secret scanners expect."""
    token = secrets.mint(kind)

    assert secrets.kind_of(token) == kind
    assert TOKEN.fullmatch(token)


def test_tokens_differ() -> None:
    """No two tokens are the same."""
    assert len({secrets.mint("admin") for _ in range(1000)}) == 1000


@given(st.integers(0, 48), st.sampled_from(DIGITS))
def test_one_wrong_digit_is_found(place: int, digit: str) -> None:
    """Any single digit that was mistyped breaks the checksum."""
    token = secrets.mint("server")
    start = len(token) - 49 + place
    mistyped = token[:start] + digit + token[start + 1 :]

    assert secrets.kind_of(mistyped) == ("server" if mistyped == token else None)


@given(st.text(max_size=80))
def test_any_text_may_be_asked_about(text: str) -> None:
    """Text that is no token is None, never an error."""
    assert secrets.kind_of(text) is None


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda text: f" {text}", lambda text: text + "\n"])
def test_nearly_a_token_is_none(change: object) -> None:
    """Case and white space count."""
    assert callable(change)
    assert secrets.kind_of(change(secrets.mint("admin"))) is None


def test_prefix_of_another_kind_is_no_token() -> None:
    """The checksum covers the kind too."""
    token = secrets.mint("client")

    assert secrets.kind_of(token.replace("gr_cli_", "gr_adm_")) is None


def test_hint_tells_little() -> None:
    """The hint shows the kind and four digits of forty-nine."""
    token = secrets.mint("manager")

    assert secrets.hint(token) == f"{token[:11]}…"


def test_digest_is_sha256() -> None:
    """What is stored has 32 bytes and does not hold the token."""
    token = secrets.mint("manager")

    assert len(secrets.digest(token)) == 32
    assert token.encode() not in secrets.digest(token)
