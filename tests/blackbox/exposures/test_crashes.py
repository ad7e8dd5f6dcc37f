"""Kill -9 of the server right after its 202, with batches sent again: all that was acknowledged is there, once."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from tests.api.exposures.batches import PATH, batch, count, exposure
from tests.blackbox.own_postgres import fetch
from tests.blackbox.server_process import ServerProcess
from tests.blackbox.venue import open_venue

CYCLES: Final = int(os.environ.get("GREENROOM_CRASH_CYCLES", "4"))
SENDERS: Final = 3
ROWS: Final = 50
SENT_AGAIN: Final = 0.2


class Sender:
    """An application that reports until the server is gone; what was not answered it sends again to the next one."""

    def __init__(self, key: str, seed: int) -> None:
        self.acknowledged: list[str] = []
        self.counted = 0
        self._headers = {"Authorization": f"Bearer {key}"}
        self._dice = random.Random(seed)
        self._unanswered: dict[str, object] | None = None

    def run(self, url: str, enough: threading.Semaphore) -> None:
        with httpx.Client(base_url=url, headers=self._headers, timeout=10) as client:
            try:
                while True:
                    self._send(client)
                    enough.release()
            except httpx.TransportError:
                pass

    def _send(self, client: httpx.Client) -> None:
        if self._unanswered is None:
            rows = [exposure(f"user-{number}") for number in range(ROWS)]
            self._unanswered = batch(exposures=rows, counts=[count(ROWS, flag="crash-test")])
        reply = client.post(PATH, json=self._unanswered)
        assert reply.status_code == 202, reply.text
        if self._dice.random() < SENT_AGAIN:
            client.post(PATH, json=self._unanswered)
        rows = self._unanswered["exposures"]  # type: ignore[assignment]
        self.acknowledged += [row["id"] for row in rows]
        self.counted += ROWS
        self._unanswered = None


def test_acknowledged_exposures_outlive_a_killed_server(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path]
) -> None:
    """No acknowledged id is missing and the counts are at least theirs; nothing is there twice."""
    database_url = make_database()
    with ServerProcess(data_dir_factory(), database_url=database_url) as server:
        venue = open_venue(server)
        senders = [Sender(venue.key, seed) for seed in range(SENDERS)]
        for cycle in range(CYCLES):
            if cycle:
                server.start()
            enough = threading.Semaphore(0)
            threads = [threading.Thread(target=sender.run, args=(server.url, enough)) for sender in senders]
            for thread in threads:
                thread.start()
            for _ in range(10):
                assert enough.acquire(timeout=30)
            server.kill()
            for thread in threads:
                thread.join()

    stored = [str(row[0]) for row in fetch(database_url, "SELECT id FROM exposure")]
    acknowledged = {id_ for sender in senders for id_ in sender.acknowledged}
    assert len(stored) == len(set(stored))
    assert acknowledged - set(stored) == set()
    # What was under way at a kill may be there too, unanswered; it was sent again under the same ids.
    (row,) = fetch(database_url, "SELECT sum(count) FROM exposure_count WHERE flag = 'crash-test'")
    assert int(str(row[0])) == len(stored) >= sum(sender.counted for sender in senders)
