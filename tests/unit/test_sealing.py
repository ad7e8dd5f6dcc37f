"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet

from greenroom_server.sealing import Sealer, Unreadable
from greenroom_server.webhooks.signing import mint


def key() -> str:
    return Fernet.generate_key().decode()


def test_sealed_secrets_do_not_show() -> None:
    """With a key nothing of the secret is in what is stored, and the key brings it back."""
    sealer, secret = Sealer([key()]), mint()

    sealed = sealer.seal(secret)

    assert secret.removeprefix("whsec_") not in sealed
    assert sealer.open(sealed) == secret


def test_keys_can_be_changed() -> None:
    """A new first key seals, and what the old one or none sealed is still opened."""
    old, new, secret = key(), key(), mint()
    both = Sealer([new, old])

    assert both.open(Sealer([old]).seal(secret)) == secret
    assert both.open(Sealer().seal(secret)) == secret
    assert Sealer([new]).open(both.seal(secret)) == secret


def test_without_its_key_a_secret_stays_shut() -> None:
    """Neither another key nor none opens it, and it is no other secret."""
    secret = mint()
    sealed = Sealer([key()]).seal(secret)

    for sealer in (Sealer([key()]), Sealer()):
        with pytest.raises(Unreadable):
            sealer.open(sealed)
        assert not sealer.holds(sealed, secret)


def test_a_wrong_key_is_refused() -> None:
    """The server does not start with it."""
    with pytest.raises(ValueError, match="Fernet key"):
        Sealer(["not-a-key"])
