"""The text form of a token: `gr_<kind>_<43 random base62 digits><6 base62 digits of checksum>`.

The prefix lets secret scanners find leaked tokens; the CRC-32 in the tail (the form that GitHub uses) tells a
mistyped or invented token from a real one without a look into the directory. 43 base62 digits carry 256 random bits.
"""

import hashlib
import secrets
import zlib
from typing import Literal

Kind = Literal["admin", "manager", "developer", "pipeline", "server", "client"]

PREFIXES: dict[str, str] = {
    "admin": "adm",
    "manager": "mgr",
    "developer": "dev",
    "pipeline": "pipe",
    "server": "srv",
    "client": "cli",
    "setup": "set",
}
_KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 43
_CHECKSUM_DIGITS = 6
_TAIL = _RANDOM_DIGITS + _CHECKSUM_DIGITS


def mint(kind: str) -> str:
    """A new token of `kind` (a key of `PREFIXES`)."""
    body = f"gr_{PREFIXES[kind]}_{_base62(secrets.randbits(256), _RANDOM_DIGITS)}"
    return body + _checksum(body)


def kind_of(token: str) -> str | None:
    """The kind that the text claims, or None if it is no well-formed token of ours."""
    parts = token.split("_")
    if len(parts) != 3 or parts[0] != "gr" or len(parts[2]) != _TAIL or not token.isascii():
        return None
    if _checksum(token[:-_CHECKSUM_DIGITS]) != token[-_CHECKSUM_DIGITS:]:
        return None
    return _KINDS.get(parts[1])


def digest(token: str) -> bytes:
    """What is stored of a token: SHA-256. A fast hash is right because 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()


def hint(token: str) -> str:
    """The part that people may see again, to tell tokens apart."""
    return f"{token[: token.rindex('_') + 5]}…"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_DIGITS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
