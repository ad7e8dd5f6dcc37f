"""The receiver that docs/webhooks.md shows does what it says."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.blackbox.server_process import until

from greenroom_server.webhooks.signing import headers_of, mint

DOCS: Final = Path(__file__).parents[3] / "docs" / "webhooks.md"
BODY: Final = b'{"type":"flag.enable","timestamp":"2026-11-23T05:00:00Z","data":{"sequence":17}}'


class Sample:
    """The page's receiver, running."""

    def __init__(self, secret: str, output: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        found = re.search(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
        assert found is not None
        code = found[1].replace("whsec_…", secret).replace('("", 8000)', f'("127.0.0.1", {port})')
        assert secret in code
        assert str(port) in code
        self.secret = secret
        self.url = f"http://127.0.0.1:{port}/"
        self._output = output
        with output.open("w") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", code], stdout=told, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
        until(lambda: httpx.get(self.url).status_code == 501, what="the sample to listen")

    @property
    def printed(self) -> list[str]:
        return self._output.read_text().splitlines()

    def gets(self, body: bytes = BODY, *, secret: str = "", sent: bytes = b"", ago_s: float = 0) -> int:
        """The status for a message that was signed so, and `sent` instead of what was signed."""
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        headers = headers_of([secret or self.secret], "0c4f6a0e", at, body)
        return httpx.post(self.url, content=sent or body, headers=headers).status_code


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    made = Sample(mint(), tmp_path / "printed")
    yield made
    made.process.kill()
    made.process.wait()


def test_the_sample_takes_what_is_ours_and_once(sample: Sample) -> None:
    """A message that comes twice is accepted twice and acted on once."""
    assert (sample.gets(), sample.gets()) == (204, 204)
    assert sample.printed == ["flag.enable {'sequence': 17}"]


def test_the_sample_refuses_what_is_not(sample: Sample) -> None:
    """Another secret, another body, and a message of six minutes ago."""
    statuses = [sample.gets(secret=mint()), sample.gets(sent=BODY.replace(b"17", b"18")), sample.gets(ago_s=360)]

    assert statuses == [400] * 3
    assert sample.printed == []
