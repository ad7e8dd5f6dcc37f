"""What a command is given: where it goes, the API there, and the screen."""

import os
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from greenroom.cli.api import TIMEOUT_S, Api, path_of
from greenroom.cli.errors import UsageError
from greenroom.cli.place import ENVIRONMENT, PROJECT, Asked, Place
from greenroom.cli.profiles import Profiles
from greenroom.cli.screen import Screen


class Session:
    """One command's work. Place and API are looked for when they are first needed."""

    def __init__(self, asked: Asked, screen: Screen, *, timeout_s: float = TIMEOUT_S) -> None:
        self.asked = asked
        self.screen = screen
        self.profiles = Profiles()
        self.timeout_s = timeout_s

    @cached_property
    def place(self) -> Place:
        """Raises UsageError if nobody is logged in."""
        return Place.find(self.asked, self.profiles)

    @cached_property
    def api(self) -> Api:
        """The API with the token of the place."""
        return self.api_at(self.place.url, self.place.token)

    def api_at(self, url: str, token: str) -> Api:
        """The API of another place; to be closed by whoever asked for it."""
        return Api(url, token, timeout_s=self.timeout_s)

    @property
    def project(self) -> str:
        """The project's key; raises UsageError if none is named."""
        if self.place.project is None:
            raise UsageError("which project?", hint=f"`--project KEY`, {PROJECT}, or log in with `--project KEY`")
        return self.place.project

    @property
    def environment(self) -> str:
        """The environment's key; raises UsageError if none is named."""
        if self.place.environment is None:
            raise UsageError(
                "which environment?", hint=f"`--environment KEY`, {ENVIRONMENT}, or log in with `--environment KEY`"
            )
        return self.place.environment

    @property
    def asked_project(self) -> str | None:
        """The project's key as it was typed or set, for what needs neither server nor login."""
        return self.asked.project or os.environ.get(PROJECT)

    @property
    def asked_environment(self) -> str | None:
        """The same of the environment."""
        return self.asked.environment or os.environ.get(ENVIRONMENT)

    def project_path(self, *parts: str) -> str:
        """A path below the project."""
        return path_of("projects", self.project, *parts)

    def environment_path(self, *parts: str) -> str:
        """A path below the environment."""
        return self.project_path("environments", self.environment, *parts)

    @cached_property
    def whoami(self) -> dict[str, Any]:
        """What the token is and may do."""
        body: dict[str, Any] = self.api.get("/api/v1/whoami").body
        return body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "api" in self.__dict__:
            self.api.close()
