"""Serves what describes us: the HTTP contract, and the JSON Schema of release policies for editors."""

from importlib import resources
from pathlib import Path

from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import PUBLIC, Route


def contract_file() -> Path:
    """Inside the package when installed, at the root of the repository otherwise."""
    package = Path(__file__).parent
    inside = package / "openapi.yaml"
    return inside if inside.exists() else package.parents[1] / "openapi.yaml"


def contract_routes() -> tuple[Route, ...]:
    text = contract_file().read_bytes()
    schema = resources.files("greenroom_server.policy").joinpath("release-policy.schema.json").read_bytes()

    async def read_contract(_: Call) -> Reply:
        return Reply(body=text, media_type="application/yaml")

    async def read_policy_schema(_: Call) -> Reply:
        return Reply(body=schema, media_type="application/schema+json")

    return (
        Route("GET", "/openapi.yaml", "read_contract", "self.read", read_contract),
        Route("GET", "/release-policy.schema.json", "read_policy_schema", PUBLIC, read_policy_schema),
    )
