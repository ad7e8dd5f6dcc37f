"""The test client: it knows the contract and fails a test whose request or answer breaks it."""

from typing import Any

import httpx
from starlette.types import ASGIApp
from tests.api.contract.checking import EVENT_STREAM, check_exchange
from tests.api.contract.document import the_contract


class ContractClient(httpx.AsyncClient):
    """Talks to an ASGI app in memory, every exchange checked against openapi.yaml. Event streams are not read."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://greenroom.test",
            event_hooks={"response": [_check]},
            **options,
        )

    def bearing(self, token: str | None) -> "ContractClient":
        """The same app with this credential."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = self._transport
        assert isinstance(transport, httpx.ASGITransport)
        return ContractClient(transport.app, headers=headers)


async def _check(response: httpx.Response) -> None:
    if response.headers.get("content-type", "").startswith(EVENT_STREAM):
        return
    await response.aread()
    check_exchange(the_contract(), response.request, response)
