"""One lock for each service and environment: what is deployed there and what is released there wait for each other.

INVARIANT: locks are taken in one order everywhere: the project's row, then places by service and environment, then the
project's ledger. So no two transactions ever wait for each other.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from greenroom_server.database.direct import fetch_all
from greenroom_server.flags.work import Work

NO_SERVICE: Final = "*"
"""Stands in a pair for flags that belong to no service, and for policies of the whole project."""

# A place points to the ledger and not to the project, whose row the writers of flags hold while they come here.
_LEDGER: Final = "INSERT INTO release_ledger (project_id, seq) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_KNOWN: Final = """
INSERT INTO release_place (project_id, service, environment)
SELECT $1, service, environment FROM unnest($2::text[], $3::text[]) WITH ORDINALITY wanted(service, environment, place)
ORDER BY place ON CONFLICT DO NOTHING
"""
_LOCKED: Final = """
SELECT held.service FROM unnest($2::text[], $3::text[]) wanted(service, environment)
JOIN release_place held USING (service, environment) WHERE held.project_id = $1
ORDER BY held.service COLLATE "C", held.environment COLLATE "C" FOR UPDATE OF held
"""


async def lock_places(work: Work, project_id: UUID, pairs: Collection[tuple[str, str]]) -> None:
    """Let nobody else decide on these pairs of service and environment until the transaction ends.

    Call it once in a transaction, with all its pairs, and before `service_scope.open_ledger`. What is read after it is
    as the holder before left it. Neither the service nor the environment need be there.
    """
    if not pairs:
        return
    services, environments = zip(*sorted(set(pairs), key=_in_bytes), strict=True)
    await fetch_all(work.session, _LEDGER, project_id)
    await fetch_all(work.session, _KNOWN, project_id, services, environments)
    await fetch_all(work.session, _LOCKED, project_id, services, environments)


def _in_bytes(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    """The order of PostgreSQL's collation `C`."""
    return pair[0].encode(), pair[1].encode()
