"""What permits and break-glass have to do with readiness."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.api.decisions.conftest import Deciding
from tests.api.permits.conftest import Permitting
from tests.api.readiness.conftest import criteria, report

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def permitting(deciding: Deciding) -> AsyncIterator[Permitting]:
    """The same project, where permits are asked for."""
    yield Permitting(deciding)


async def test_from_permit_to_live_and_past_it(permitting: Permitting) -> None:
    """A deployment by permit is measured from when that was issued; one without is unsanctioned, and counts."""
    await permitting.ready()
    await permitting.issued()
    deployed = await permitting.releases.deployed(1, duration_ms=3_600_000)
    before = criteria(await report(permitting.deciding))
    await permitting.deciding.green(2)
    await permitting.releases.deployed(2)
    after = criteria(await report(permitting.deciding))

    assert deployed["permit"] is not None
    length, _ = before["permit_to_live_p95_ms"]
    assert length is not None
    assert length < 600_000
    assert (before["unsanctioned_deployments"], after["unsanctioned_deployments"]) == ((0, True), (1, False))
