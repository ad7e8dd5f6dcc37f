"""What a client can be told at its making."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenroom.endpoints import Transport
from greenroom.errors import ConfigurationError
from greenroom.overrides import OverridePlaces
from greenroom.rows import MAX_LABEL, is_tellable
from greenroom.sinks import ExposureSink

URL_VARIABLE: Final = "GREENROOM_URL"
KEY_VARIABLE: Final = "GREENROOM_SDK_KEY"
APPLICATION_VARIABLE: Final = "GREENROOM_APPLICATION"
VERSION_VARIABLE: Final = "GREENROOM_VERSION"
BUILD_VARIABLE: Final = "GREENROOM_BUILD"
MIN_POLL_S: Final = 1.0
MIN_FLUSH_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureOptions:
    """How what was served is reported.

    flush_interval_s: how often, about; sooner if much is to be told.
    report_changes_within_s: a new revision is told this soon, spread, so that instances do not report all at once.
    max_buffered: how many rows wait at the most; past it the oldest are dropped, and counted.
    max_subjects: of about how many subjects it is remembered that they were reported.
    spool_dir: a folder for what is not reported yet, so that it outlives a crash; `max_spool_bytes` of it.
    exit_flush_s: how long a process that ends without `close` may take to report the rest; 0 to leave at once.
    subject_secret: what targeting keys are hashed with, if they are among the private attributes.
    """

    flush_interval_s: float = 10.0
    report_changes_within_s: float = 2.0
    max_buffered: int = 50_000
    max_subjects: int = 50_000
    spool_dir: str | os.PathLike[str] | None = None
    max_spool_bytes: int = 64 * 1024 * 1024
    exit_flush_s: float = 1.0
    subject_secret: str | bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, least in (
            ("flush_interval_s", MIN_FLUSH_S),
            ("report_changes_within_s", 0),
            ("max_buffered", 1),
            ("max_subjects", 1),
            ("max_spool_bytes", 1),
            ("exit_flush_s", 0),
        ):
            value = getattr(self, name)
            if not value >= least:
                raise ConfigurationError(f"`{name}` is {value} and must be at least {least:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All have defaults that suit a service in production; `cache_dir` is worth setting.

    cache_dir: a folder for the last good flags, so that a process starts while the server is away.
    bootstrap: a snapshot, or the path of one, to begin with; whatever the server says replaces it.
    is_offline: evaluate the bootstrap and talk to nobody.
    overrides: where signed break-glass overrides may be left.
    is_streaming: False to poll only, every `poll_interval_s`.
    transport: proxy, TLS and timeouts.
    application, version, build: what runs here; from GREENROOM_APPLICATION, GREENROOM_VERSION and GREENROOM_BUILD (a
    digest) where they are not given.
    exposures: whether, or how, what was served is reported to the server.
    private_attributes: names of attributes that must not leave the process. None but the targeting key ever does; if
    `targetingKey` is among them, a hash of it is reported instead.
    sink: who is told what was served besides.
    """

    cache_dir: str | os.PathLike[str] | None = None
    bootstrap: Mapping[str, Any] | str | os.PathLike[str] | None = None
    is_offline: bool = False
    overrides: OverridePlaces | None = None
    is_streaming: bool = True
    poll_interval_s: float = 30.0
    transport: Transport = field(default_factory=Transport)
    application: str | None = None
    version: str | None = None
    build: str | None = None
    exposures: bool | ExposureOptions = True
    private_attributes: Collection[str] = ()
    sink: ExposureSink | None = None

    def __post_init__(self) -> None:
        if not self.poll_interval_s >= MIN_POLL_S:
            raise ConfigurationError(f"`poll_interval_s` is {self.poll_interval_s} and must be at least {MIN_POLL_S:g}")
        if isinstance(self.private_attributes, str):
            raise ConfigurationError("`private_attributes` is text and must be a collection of names")

    @property
    def is_key_private(self) -> bool:
        """Whether the targeting key must not leave the process."""
        return "targetingKey" in self.private_attributes

    @property
    def exposure_options(self) -> ExposureOptions | None:
        """How to report; None if nothing is reported."""
        if isinstance(self.exposures, ExposureOptions):
            return self.exposures
        return ExposureOptions() if self.exposures else None


def address(url: str | None, key: str | None) -> tuple[str, str]:
    """The server's URL and the key, from the environment where they are not given; raises ConfigurationError."""
    found = []
    for value, variable, what in ((url, URL_VARIABLE, "server's URL"), (key, KEY_VARIABLE, "SDK key")):
        given = value or os.environ.get(variable)
        if not given:
            raise ConfigurationError(f"the {what} is neither given nor in the variable `{variable}`")
        found.append(given)
    return found[0], found[1]


def labels(options: Options) -> tuple[str, str, str]:
    """Application, version and build, from the environment where they are not given; raises ConfigurationError."""
    found = []
    for name, variable in (
        ("application", APPLICATION_VARIABLE),
        ("version", VERSION_VARIABLE),
        ("build", BUILD_VARIABLE),
    ):
        given = getattr(options, name)
        text = os.environ.get(variable, "") if given is None else given
        if text and not is_tellable(text, MAX_LABEL):
            raise ConfigurationError(f"`{name}` must be text of at most {MAX_LABEL} characters")
        found.append(text)
    return found[0], found[1], found[2]
