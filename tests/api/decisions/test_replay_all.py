"""All stored decisions, decided once more by one command."""

import pytest
from tests.api.decisions.conftest import Deciding
from tests.api.store import database, statement

from greenroom_server.decisions.service_replay import replay_all

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_all_come_out_the_same_but_those_that_were_tampered_with(
    deciding: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, on facts that come again and on others; what is not what its inputs give is named."""
    monkeypatch.setattr("greenroom_server.decisions.service_replay._FETCHED", 2)
    await deciding.green()
    made = [await deciding.asked()]  # by no policy
    await deciding.ruled_by()
    made += [await deciding.asked(number) for number in (1, 1, 2)]
    await deciding.releases.said("obstacles", {"text": 'a lift, "snapshot":{} and all'})
    made += [await deciding.asked(number, slot="green") for number in (1, 2)]
    harmed = made[2]["id"]
    async with database(deciding.releases.stage.url) as opened:
        async with opened.reading() as session:
            before = await replay_all(session)
        await statement(
            deciding.releases.stage.url,
            f"UPDATE decision SET body = body || convert_to(' ', 'UTF8') WHERE id = '{harmed}'",
        )
        async with opened.reading() as session:
            after = await replay_all(session)

    assert before.decisions == after.decisions >= len(made)
    assert set(after.differing) - set(before.differing) == {harmed}
    assert not {one["id"] for one in made} & set(before.differing)
