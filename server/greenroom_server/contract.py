"""Serves the HTTP contract, openapi.yaml."""

from pathlib import Path

from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route


def contract_file() -> Path:
    """Inside the package when installed, at the root of the repository otherwise."""
    package = Path(__file__).parent
    inside = package / "openapi.yaml"
    return inside if inside.exists() else package.parents[1] / "openapi.yaml"


def contract_route() -> Route:
    text = contract_file().read_bytes()

    async def read_contract(_: Call) -> Reply:
        return Reply(body=text, media_type="application/yaml")

    return Route("GET", "/openapi.yaml", "read_contract", "self.read", read_contract)
