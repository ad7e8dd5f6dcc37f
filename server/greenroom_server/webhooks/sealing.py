"""Secrets at rest: encrypted under the operator's keys if there are any, otherwise plain, and marked as which."""

from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_PLAIN: Final = "plain:"
_SEALED: Final = "fernet:"


class Unreadable(ValueError):
    """no key that is configured opens this secret"""


class Sealer:
    """Fernet (AES-128-CBC with HMAC-SHA-256): the first key seals, every key opens, so that keys can be changed."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises ValueError for a key that is not 32 bytes as URL-safe base64."""
        self._keys = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, secret: str) -> str:
        if self._keys is None:
            return _PLAIN + secret
        return _SEALED + self._keys.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises `Unreadable`."""
        if sealed.startswith(_PLAIN):
            return sealed.removeprefix(_PLAIN)
        if self._keys is None:
            raise Unreadable(Unreadable.__doc__)
        try:
            return self._keys.decrypt(sealed.removeprefix(_SEALED)).decode()
        except InvalidToken:
            raise Unreadable(Unreadable.__doc__) from None

    def holds(self, sealed: str, secret: str) -> bool:
        """Whether this is that secret, sealed."""
        try:
            return self.open(sealed) == secret
        except Unreadable:
            return False
