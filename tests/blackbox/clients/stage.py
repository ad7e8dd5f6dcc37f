"""The scene on a real server, with the keys that clients use."""

from dataclasses import dataclass

from tests.blackbox.authoring import Author
from tests.blackbox.clients import scene
from tests.blackbox.server_process import ServerProcess
from tests.conftest import execute


@dataclass(frozen=True)
class Stage:
    """A served scene. `refused` are credentials by the status that they get."""

    server: ServerProcess
    author: Author
    server_key: str
    client_key: str
    refused: dict[int, str]

    @property
    def url(self) -> str:
        return self.server.url


def build_stage(server: ServerProcess, database_url: str) -> Stage:
    """Import the scene into a fresh server."""
    author = Author(server.url, server.set_up())
    author.send("POST", "/api/v1/import", scene.document())
    execute(database_url, scene.STORE_UNREADABLE_FLAG)
    server_key = author.sdk_key(scene.PROJECT, scene.ENVIRONMENT)
    client_key = author.sdk_key(scene.PROJECT, scene.ENVIRONMENT, "client")
    developer = author.token("developer")
    return Stage(server, author, server_key, client_key, {401: server_key[:-1], 403: developer})
