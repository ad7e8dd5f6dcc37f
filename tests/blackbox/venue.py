"""A small served project for tests that break things around it."""

from dataclasses import dataclass

import httpx
from tests.blackbox.authoring import Application, Author
from tests.blackbox.server_process import ServerProcess

PROJECT = "venue"
ENVIRONMENT = "production"
FLAG = "banner"
FLAG_PATH = f"/api/v1/projects/{PROJECT}/flags/{FLAG}"


@dataclass
class Venue:
    """The server, its administrator, and the key of the application that asks for `banner`."""

    server: ServerProcess
    token: str
    key: str

    def author(self, *, timeout_s: float = 10) -> Author:
        return Author(self.server.url, self.token, timeout_s=timeout_s)

    def application(self) -> Application:
        return Application(self.server.url, self.key)

    def switch(self, *, on: bool) -> None:
        with self.author() as author:
            author.switch(PROJECT, ENVIRONMENT, FLAG, on=on)

    def readiness(self) -> tuple[int, str]:
        """Status and state that `/readyz` tells."""
        reply = httpx.get(f"{self.server.url}/readyz", timeout=2)
        return reply.status_code, reply.json()["state"]


def open_venue(server: ServerProcess) -> Venue:
    """Set up a fresh server: `banner` is off in `production`."""
    token = server.set_up()
    with Author(server.url, token) as author:
        author.project(PROJECT, ENVIRONMENT)
        author.flag(PROJECT, FLAG)
        key = author.sdk_key(PROJECT, ENVIRONMENT)
    return Venue(server, token, key)
