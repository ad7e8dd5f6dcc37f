"""Which server, token, project and environment a command is about: options, then variables, then the profile."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from greenroom.cli.errors import UsageError
from greenroom.cli.profiles import Profile, Profiles

PROFILE: Final = "GREENROOM_PROFILE"
URL: Final = "GREENROOM_URL"
TOKEN: Final = "GREENROOM_TOKEN"  # noqa: S105 (the variable's name)
PROJECT: Final = "GREENROOM_PROJECT"
ENVIRONMENT: Final = "GREENROOM_ENVIRONMENT"
_SENDABLE: Final = re.compile(r"[!-~]+")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; None for what was not."""

    profile: str | None = None
    url: str | None = None
    project: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command goes. `profile` is the one that is in use, whether there is such a profile or not."""

    profile: str
    url: str
    token: str = field(repr=False)
    project: str | None
    environment: str | None

    @classmethod
    def find(cls, asked: Asked, profiles: Profiles, variables: Mapping[str, str] | None = None) -> Self:
        """Raises UsageError if there is no server or no token to be found."""
        env = os.environ if variables is None else variables
        name = profile_name(asked, profiles, env)
        stored = profiles.find(name)
        if stored is None and (asked.profile or env.get(PROFILE)):
            raise UsageError(f"there is no profile `{name}`", hint="`greenroom profiles` lists them")
        url = asked.url or env.get(URL) or (stored.url if stored else None)
        if not url:
            raise UsageError("which server? nobody is logged in", hint=f"`greenroom login`, or set {URL} and {TOKEN}")
        url = checked_url(url)
        return cls(
            name,
            url,
            _token(url, stored, env),
            asked.project or env.get(PROJECT) or (stored.project if stored else None),
            asked.environment or env.get(ENVIRONMENT) or (stored.environment if stored else None),
        )


def profile_name(asked: Asked, profiles: Profiles, variables: Mapping[str, str] | None = None) -> str:
    """The name of the profile in use."""
    env = os.environ if variables is None else variables
    return asked.profile or env.get(PROFILE) or profiles.current


def checked_url(text: str) -> str:
    """The server's address without a slash at its end; raises UsageError."""
    try:
        parts = urlsplit(text.strip())
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not _SENDABLE.fullmatch(text.strip()):
        raise UsageError("the server's URL must look like `https://greenroom.example`")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("the server's URL must be a plain address, without credentials, `?` or `#`")
    return text.strip().rstrip("/")


def checked_token(text: str) -> str:
    """The token without white space around it; raises UsageError, which never shows it."""
    token = text.strip()
    if not _SENDABLE.fullmatch(token):
        raise UsageError("the token is empty, or has characters that no token has")
    return token


def goes_in_clear(url: str) -> bool:
    """Whether a token that is sent there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _token(url: str, stored: Profile | None, env: Mapping[str, str]) -> str:
    given = env.get(TOKEN)
    if given:
        return checked_token(given)
    if stored is None:
        raise UsageError("nobody is logged in", hint=f"`greenroom login`, or set {TOKEN}")
    if stored.url != url:
        # INVARIANT: a stored token goes to the server that it was stored for and to no other.
        raise UsageError(
            f"the stored token is for {stored.url} and is not sent to {url}",
            hint=f"set {TOKEN} too, or log in there: `greenroom login --url {url} --profile NAME`",
        )
    return checked_token(stored.token)
