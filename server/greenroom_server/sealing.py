"""Secrets at rest: encrypted under the operator's keys if there are any, otherwise plain, and marked as which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_PLAIN: Final = "plain:"
_SEALED: Final = "fernet:"


class Unreadable(ValueError):
    """no key that is configured opens this secret"""


class Sealer:
    """Fernet (AES-128-CBC with HMAC-SHA-256): the first key seals, every key opens, so that keys can be changed."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises ValueError for a key that is not 32 bytes as URL-safe base64."""
        self._keys = _keys_of(keys) if keys else None

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
        from cryptography.fernet import InvalidToken

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


def _keys_of(keys: Sequence[str]) -> "MultiFernet":
    # 7 MiB of memory, which most servers go without.
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(key) for key in keys])
