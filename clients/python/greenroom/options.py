"""What a client can be told at its making."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenroom.endpoints import Transport
from greenroom.errors import ConfigurationError
from greenroom.overrides import OverridePlaces
from greenroom.sinks import ExposureSink

URL_VARIABLE: Final = "GREENROOM_URL"
KEY_VARIABLE: Final = "GREENROOM_SDK_KEY"
MIN_POLL_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All have defaults that suit a service in production; `cache_dir` is worth setting.

    cache_dir: a folder for the last good flags, so that a process starts while the server is away.
    bootstrap: a snapshot, or the path of one, to begin with; whatever the server says replaces it.
    is_offline: evaluate the bootstrap and talk to nobody.
    overrides: where signed break-glass overrides may be left.
    is_streaming: False to poll only, every `poll_interval_s`.
    transport: proxy, TLS and timeouts.
    sink: who is told what was served.
    """

    cache_dir: str | os.PathLike[str] | None = None
    bootstrap: Mapping[str, Any] | str | os.PathLike[str] | None = None
    is_offline: bool = False
    overrides: OverridePlaces | None = None
    is_streaming: bool = True
    poll_interval_s: float = 30.0
    transport: Transport = field(default_factory=Transport)
    sink: ExposureSink | None = None

    def __post_init__(self) -> None:
        if not self.poll_interval_s >= MIN_POLL_S:
            raise ConfigurationError(f"`poll_interval_s` is {self.poll_interval_s} and must be at least {MIN_POLL_S:g}")


def address(url: str | None, key: str | None) -> tuple[str, str]:
    """The server's URL and the key, from the environment where they are not given; raises ConfigurationError."""
    found = []
    for value, variable, what in ((url, URL_VARIABLE, "server's URL"), (key, KEY_VARIABLE, "SDK key")):
        given = value or os.environ.get(variable)
        if not given:
            raise ConfigurationError(f"the {what} is neither given nor in the variable `{variable}`")
        found.append(given)
    return found[0], found[1]
