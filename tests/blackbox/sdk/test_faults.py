"""What networks do to the SDK, on real sockets: the last good flags stay, the cause shows, and all comes back."""

import gzip
import logging
from typing import Any

import pytest
from tests.blackbox.sdk.conftest import KEY, OpenClient, ready
from tests.blackbox.sdk.fault_proxy import HTML, FaultProxy, Faults, http_answer
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import change, change_event, heartbeat, seal, snapshot

from greenroom.endpoints import Transport
from greenroom.errors import SourceError
from greenroom.http_routes import Route
from greenroom.http_source import HttpSource
from greenroom.steps import Answer, Fetch, Open, Read
from greenroom.updates import Updates

pytestmark = pytest.mark.usefixtures("quick")

PACKED = gzip.compress(seal(snapshot(9, a=True)))
FAULTS = {
    "refused": Faults(is_refused=True),
    "reset": Faults(cut_after=0, is_reset=True),
    "cut head": Faults(cut_after=30),
    "html": Faults(substitute=http_answer(200, HTML)),
    "empty": Faults(substitute=http_answer(200, b"")),
    "empty object": Faults(substitute=http_answer(200, b"{}", "application/json")),
    "no answer at all": Faults(substitute=b"SSH-2.0-OpenSSH_9.2\r\n"),
    "redirect": Faults(substitute=http_answer(302, HTML, location="https://login.example/")),
    "429": Faults(substitute=http_answer(429, HTML)),
    "500": Faults(substitute=http_answer(500, HTML)),
    "503": Faults(substitute=http_answer(503, b"{}", "application/problem+json", retry_after="0")),
    "truncated gzip": Faults(substitute=http_answer(200, PACKED[:-9], content_encoding="gzip")),
    "not gzip": Faults(substitute=http_answer(200, seal(snapshot(9, a=True)), content_encoding="gzip")),
    "unknown coding": Faults(substitute=http_answer(200, PACKED, content_encoding="br")),
    "gzip bomb": Faults(substitute=http_answer(200, gzip.compress(b"0" * 50_000_000), content_encoding="gzip")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_nothing_and_passes(server: SdkServer, open_client: OpenClient, name: str) -> None:
    """Stale with a cause while it lasts; when it is over, what was missed is there."""
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url)
        assert client.status.state == "ready"
        proxy.faults = FAULTS[name]
        proxy.drop()
        until(lambda: client.status.state == "stale", what="`stale`")
        cause = client.status.cause
        assert client.bool_value("a", True) is False
        server.document = snapshot(2, a=True)
        proxy.faults = Faults()
        ready(client)
        until(lambda: client.bool_value("a", False) is True, what="the change")

    assert cause


@pytest.mark.parametrize("name", [*FAULTS, "cut body"])
def test_a_start_into_a_fault_heals(server: SdkServer, open_client: OpenClient, name: str) -> None:
    """There are no flags, so the defaults are given, with the cause; then there are."""
    with FaultProxy(server.url) as proxy:
        proxy.faults = FAULTS.get(name, Faults(cut_after=150, is_reset=True))
        client = open_client(proxy.url, timeout_s=0.2)
        until(lambda: client.status.state == "error", what="`error`")
        details = client.bool_details("a", True)
        assert (details.value, details.error_code) == (True, "PROVIDER_NOT_READY")
        proxy.faults = Faults()
        ready(client)

    assert client.bool_value("a", True) is False


def test_delay_and_throttling_are_only_slow(server: SdkServer, open_client: OpenClient) -> None:
    """A thin line is no failure."""
    server.document = snapshot(3, a=True, filler="x" * 2_000)
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(delay_s=0.2, rate=5_000)
        client = open_client(proxy.url)

        assert client.status.state == "ready"
        assert client.bool_value("a", False) is True


def test_an_answer_that_never_comes_is_given_up(server: SdkServer, open_client: OpenClient) -> None:
    """After the time for an answer; and the next attempt may succeed."""
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(cut_after=50, is_silent=True)
        client = open_client(proxy.url, timeout_s=2, transport=Transport(answer_timeout_s=0.2))
        assert (client.status.state, client.status.cause) == ("error", "no answer: timed out")
        proxy.faults = Faults()
        ready(client)


def test_a_half_open_stream_is_found(
    server: SdkServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes, and nobody says goodbye: after the longest silence it is dead, and what was missed is fetched."""
    monkeypatch.setattr("greenroom.pace.SILENT_S", 0.5)
    with FaultProxy(server.url) as proxy:
        is_first = iter([True])
        proxy.choose = lambda request: (
            Faults(cut_after=200, is_silent=True) if "/stream" in request and next(is_first, False) else Faults()
        )
        client = open_client(proxy.url)
        until(lambda: any("/stream" in one for one in proxy.requests), what="the stream")
        server.publish(change(1, 2, a=True), snapshot(2, a=True))
        until(lambda: client.bool_value("a", False) is True, what="the change")


def test_where_streams_do_not_pass_polls_do(server: SdkServer, open_client: OpenClient) -> None:
    """A proxy that refuses streams costs nothing but time."""
    with FaultProxy(server.url) as proxy:
        proxy.choose = lambda request: Faults(substitute=http_answer(502)) if "/stream" in request else Faults()
        client = open_client(proxy.url, poll_interval_s=1.0)
        until(lambda: sum("/stream" in one for one in proxy.requests) == 3, what="three attempts")
        server.document = snapshot(2, a=True)
        until(lambda: client.bool_value("a", False) is True, what="the change")

        assert client.status.state == "ready"


def test_a_change_cut_at_every_byte_never_mixes() -> None:
    """On real sockets: the old state or the new one, and the next connection brings the new one."""
    document, after = snapshot(1, a=False, b=1), snapshot(2, a=True, b=2)
    update = change(1, 2, a=True, b=2)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    data = head + change_event(update)
    with SdkServer(after) as server, FaultProxy(server.url) as proxy:
        source = HttpSource(Route(proxy.url, KEY, Transport()))
        for cut in range(len(head), len(data) + 1):
            updates = Updates(None, lambda: 0.0)
            updates.next_step(0.0)
            updates.fetched(_answer_of(document), 0.0)
            proxy.faults = Faults(substitute=data[:cut], is_reset=cut % 2 == 0)
            _run(updates, source)
            assert _values(updates) == ([True, 2] if cut == len(data) else [False, 1])
    assert len(data) - len(head) > 700


def _answer_of(document: Any) -> Any:
    return Answer(200, "application/json", body=seal(document))


def _values(updates: Updates) -> list[Any]:
    assert updates.held is not None
    flags = updates.held.document["flags"]
    return [flags[key]["variants"][flags[key]["off_variant"]] for key in ("a", "b")]


def _run(updates: Updates, source: HttpSource) -> None:
    """One stream, from its opening to its end."""
    step = updates.next_step(1.0)
    assert isinstance(step, Open)
    stream = source.stream(step.last_event_id)
    updates.opened(stream.answer, 1.0)
    try:
        while isinstance(updates.next_step(1.0), Read):
            data = stream.read(1.0)
            if data is not None:
                updates.received(data, 1.0)
    except SourceError as error:
        updates.failed(str(error), 1.0)
    stream.close()
    assert isinstance(updates.next_step(1.0), Open | Fetch)


def test_a_cause_is_logged_once_and_never_with_a_context(
    server: SdkServer, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it is tried and evaluated hundreds of times."""
    with caplog.at_level(logging.DEBUG), FaultProxy(server.url) as proxy:
        client = open_client(proxy.url)
        proxy.faults = Faults(substitute=http_answer(500))
        proxy.drop()
        until(lambda: len(proxy.requests) > 6, what="some attempts")
        for _ in range(100):
            client.bool_details("missing", True, {"targetingKey": "canary", "mail": "canary@example.org"})
        proxy.faults = Faults()
        ready(client)

    assert sum("500" in record.getMessage() for record in caplog.records) == 1
    assert "canary" not in caplog.text
    assert KEY not in caplog.text


def test_the_stream_resumes_after_what_is_held(server: SdkServer, open_client: OpenClient) -> None:
    """One fetch at the start, packed; no snapshot comes twice."""
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url)
        until(lambda: server.streams == 1, what="the stream")
        server.publish(change(1, 2, a=True), snapshot(2, a=True))
        until(lambda: client.status.revision == 2, what="the change")
        proxy.drop()
        until(lambda: len(server.requests) == 3, what="the next stream")
        server.send(heartbeat(2))

    paths = [(path.rpartition("/")[2], headers.get("last-event-id")) for path, headers in server.requests]
    assert paths == [("snapshot", None), ("stream", "e1.1"), ("stream", "e1.2")]
    assert server.requests[0][1]["authorization"] == f"Bearer {KEY}"


def test_a_closed_client_leaves_nothing_open(server: SdkServer, open_client: OpenClient) -> None:
    """The server sees the stream end at once; the flags stay."""
    client = open_client(server.url)
    until(lambda: server.streams == 1, what="the stream")
    open_client.close(client)
    until(lambda: server.streams == 0, within_s=2, what="its end")

    assert client.bool_value("a", True) is False
    assert client.status.state == "closed"


def test_the_copy_on_disk_serves_a_start_without_server(
    server: SdkServer, open_client: OpenClient, tmp_path: Any
) -> None:
    """Within a second, marked as stale; a copy that was tampered with is refused, and that shows."""
    with FaultProxy(server.url) as proxy:
        options: Any = {"cache_dir": tmp_path / "cache"}
        open_client(proxy.url, **options)
        until(lambda: any((tmp_path / "cache").glob("*.json")), what="the copy")
        proxy.faults = Faults(is_refused=True)
        client = open_client(proxy.url, timeout_s=1, **options)
        assert client.bool_value("a", True) is False
        assert (client.status.state, client.status.origin) == ("stale", "disk")

        path = next((tmp_path / "cache").glob("*.json"))
        path.write_bytes(path.read_bytes().replace(b"false", b"true "))
        client = open_client(proxy.url, timeout_s=0.2, **options)
        assert client.bool_value("a", True) is True
        assert "checksum" in client.status.warnings[0]
