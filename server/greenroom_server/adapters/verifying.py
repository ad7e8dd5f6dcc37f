"""Is it really the forge or controller that an integration stands for? For routes without a token of ours.

Whatever is wrong, the answer is the same 401: nobody learns whether there is an integration of that name.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from greenroom_server.adapters.forges.asked import Unreadable
from greenroom_server.adapters.service_integrations import get_integration
from greenroom_server.adapters.tables import IntegrationRow
from greenroom_server.errors import FieldError, Invalid, NotFound, Unauthenticated
from greenroom_server.sealing import Unreadable as Sealed
from greenroom_server.web.call import Call
from greenroom_server.webhooks.desk import Desk


async def integration_of(call: Call, kind: str) -> IntegrationRow:
    """The integration that is asked; raises `Unauthenticated` unless it is of this kind, on, and has a secret."""
    try:
        row = await get_integration(call.session, call.params["project"], call.params["integration"])
    except NotFound:
        raise Unauthenticated from None
    if row.kind != kind or not row.enabled or row.secret is None:
        raise Unauthenticated
    return row


def secret_of(desk: Desk, row: IntegrationRow) -> str:
    """The secret in the clear; raises `Unauthenticated`."""
    try:
        return desk.sealer.open(row.secret or "")
    except Sealed:
        raise Unauthenticated from None


def require_secret(desk: Desk, row: IntegrationRow, given: str | None) -> None:
    """Raises `Unauthenticated` unless this is the integration's secret."""
    expected = secret_of(desk, row).encode()
    if given is None or not hmac.compare_digest(expected, given.encode("utf-8", "surrogateescape")):
        raise Unauthenticated


@contextmanager
def readable() -> Iterator[None]:
    """What a forge sent wrongly becomes a problem that names it."""
    try:
        yield
    except Unreadable as error:
        raise Invalid(str(error), errors=[FieldError("", str(error))]) from None
