"""One contract for every source, over TLS and through proxies too."""

import asyncio
import gzip
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.sdk.conftest import KEY
from tests.blackbox.sdk.fault_proxy import FaultProxy, Faults, http_answer
from tests.blackbox.sdk.loop_thread import LoopThread
from tests.blackbox.sdk.sdk_server import SdkServer
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import change, seal, snapshot, snapshot_event

from greenroom import ConfigurationError, StaticSource, Transport
from greenroom.endpoints import Endpoint, proxy_for
from greenroom.errors import SourceError
from greenroom.http_aio import AsyncHttpSource
from greenroom.http_routes import Route
from greenroom.http_source import HttpSource
from greenroom.sources import Source

DOCUMENT = snapshot(3, a=True)


class Waiting:
    """An asynchronous source as a synchronous one, so that one contract is for both."""

    def __init__(self, source: AsyncHttpSource, loop: LoopThread) -> None:
        self._source, self._loop = source, loop

    def fetch(self, etag: str | None) -> Any:
        return self._loop.call(self._source.fetch(etag))

    def stream(self, last_event_id: str | None) -> Any:
        loop, stream = self._loop, self._loop.call(self._source.stream(last_event_id))

        class Stream:
            answer = stream.answer

            def read(self, timeout_s: float) -> bytes | None:
                return loop.call(stream.read(timeout_s))

            def close(self) -> None:
                loop.loop.call_soon_threadsafe(stream.close)

        return Stream()

    def close(self) -> None:
        pass


@pytest.fixture
def server() -> Iterator[SdkServer]:
    with SdkServer(DOCUMENT) as server:
        yield server


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with closing(LoopThread()) as loop:
        yield loop


MakeSource = Callable[..., Source]


@pytest.fixture(params=["threads", "asyncio"])
def make(request: pytest.FixtureRequest, loop: LoopThread) -> MakeSource:
    """Makes a source of one of both kinds."""

    def one(url: str, **transport: Any) -> Source:
        if request.param == "threads":
            return HttpSource(Route(url, KEY, Transport(**transport)))
        return Waiting(AsyncHttpSource(Route(url, KEY, Transport(**transport))), loop)

    return one


def prove(source: Source) -> None:
    """What the docstring of `Source` promises."""
    answer = source.fetch(None)
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", seal(DOCUMENT))
    assert source.fetch('"e1.3"').status == 304
    assert source.fetch('"e1.2"').body == seal(DOCUMENT)
    stream = source.stream(None)
    assert (stream.answer.status, stream.answer.content_type) == (200, "text/event-stream")
    data = b""
    while len(data) < len(snapshot_event(DOCUMENT)):
        data += stream.read(5.0) or b""
    assert data == snapshot_event(DOCUMENT)
    assert stream.read(0.01) is None
    stream.close()
    stream.close()
    resumed = source.stream("e1.3")
    assert resumed.read(0.05) is None
    resumed.close()


def test_the_contract_over_http(server: SdkServer, make: MakeSource) -> None:
    """Both kinds of clients."""
    prove(make(server.url))
    until(lambda: server.streams == 0, 5, "the end of the streams")


def test_the_contract_below_a_path(server: SdkServer, make: MakeSource) -> None:
    """Where the server is not at the root."""
    prove(make(f"{server.url}/green/room/"))
    assert {path for path, _ in server.requests} == {f"/green/room/api/v1/sdk/{one}" for one in ("snapshot", "stream")}


def test_the_contract_in_memory() -> None:
    """A `StaticSource` keeps it too."""
    prove(StaticSource(DOCUMENT))


def test_closing_wakes_whoever_reads(server: SdkServer) -> None:
    """From another thread, at once."""
    for source in (HttpSource(Route(server.url, KEY, Transport())), StaticSource(DOCUMENT)):
        stream = source.stream("e1.3")
        ended: list[Any] = []

        def read(stream: Any = stream, ended: list[Any] = ended) -> None:
            try:
                ended.append(stream.read(30.0))
            except SourceError as error:
                ended.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        source.close()
        reader.join(5)
        assert not reader.is_alive()
        assert ended[0] == b"" or isinstance(ended[0], SourceError)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody else trusts; it and its key are in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", path, "-out", path.with_suffix(".crt")], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[SdkServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with SdkServer(DOCUMENT, context) as server:
        yield server


def test_the_contract_over_tls(secure: SdkServer, make: MakeSource, certificate: Path) -> None:
    """With a trust of the caller's own."""
    prove(make(secure.url, tls=ssl.create_default_context(cafile=certificate.with_suffix(".crt"))))


def test_an_unknown_certificate_is_refused(secure: SdkServer, make: MakeSource, certificate: Path) -> None:
    """And so is one for another name."""
    with pytest.raises(SourceError, match="certificate"):
        make(secure.url).fetch(None)
    trusting = ssl.create_default_context(cafile=certificate.with_suffix(".crt"))
    with pytest.raises(SourceError, match=r"certificate|hostname"):
        make(secure.url.replace("localhost", "127.0.0.1"), tls=trusting).fetch(None)
    assert secure.requests == []


class ForwardProxy(FaultProxy):
    """A proxy as companies have: `CONNECT` for TLS, absolute URLs for the rest. `heads` is what it was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.heads: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self.faults.substitute is not None:
            writer.write(self.faults.substitute)
            return False
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        self._writers.add(upstream_writer)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            method, target, rest = head.split(b" ", 2)
            upstream_writer.write(method + b" /" + target.split(b"/", 3)[3] + b" " + rest)
        one = asyncio.ensure_future(_pump(reader, upstream_writer))
        other = asyncio.ensure_future(_pump(upstream_reader, writer))
        await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
        one.cancel()
        other.cancel()
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)


def test_the_contract_through_a_proxy(server: SdkServer, make: MakeSource) -> None:
    """With the proxy's own credentials, which the server never sees."""
    with ForwardProxy(server.url) as proxy:
        prove(make(server.url, proxy=proxy.url.replace("//", "//user:pass%20word@")))

        assert all(head.startswith(f"GET {server.url}/api/v1/sdk/") for head in proxy.heads)
        assert all("Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=" in head for head in proxy.heads)


def test_the_contract_through_a_tunnel(secure: SdkServer, make: MakeSource, certificate: Path) -> None:
    """The proxy sees a name and a port, and no key."""
    trusting = ssl.create_default_context(cafile=certificate.with_suffix(".crt"))
    with ForwardProxy(secure.url) as proxy:
        prove(make(secure.url, tls=trusting, proxy=proxy.url))

        assert all(head.startswith("CONNECT localhost:") for head in proxy.heads)
        assert KEY not in "".join(proxy.heads)


def test_a_proxy_that_refuses_is_named(secure: SdkServer, make: MakeSource) -> None:
    """It is not taken for the server."""
    with ForwardProxy(secure.url) as proxy:
        proxy.faults = Faults(substitute=http_answer(407))
        with pytest.raises(SourceError, match="the proxy answered 407"):
            make(secure.url, proxy=proxy.url).fetch(None)


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("https://a.example", {"https_proxy": "http://p:3128"}, "p:3128"),
        ("https://a.example", {"HTTPS_PROXY": "p:3128"}, "p:3128"),
        ("https://a.example", {"http_proxy": "http://p:3128"}, None),
        ("http://a.example", {"HTTP_PROXY": "http://p"}, "p:80"),
        ("http://a.example", {"HTTP_PROXY": "http://p", "REQUEST_METHOD": "GET"}, None),
        ("https://a.example", {"https_proxy": "http://p", "no_proxy": "b.example, .example"}, None),
        ("https://a.example", {"https_proxy": "http://p", "no_proxy": "b.example,ample"}, "p:80"),
        ("https://a.example:8443", {"https_proxy": "http://p", "NO_PROXY": "a.example:443"}, "p:80"),
        ("https://a.example:8443", {"https_proxy": "http://p", "NO_PROXY": "a.example:8443"}, None),
        ("https://a.example", {"https_proxy": "http://p", "NO_PROXY": "*"}, None),
        ("https://a.example", {}, None),
    ],
)
def test_proxies_of_the_environment(url: str, variables: dict[str, str], expected: str | None) -> None:
    """Read as other programs read them."""
    proxy = proxy_for(Endpoint.of_server(url), "environment", variables)

    assert (None if proxy is None else proxy.address) == expected


def test_a_proxy_that_cannot_be_used_is_refused_at_once() -> None:
    """By the constructor; its password is not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Route("https://a.example", KEY, Transport(proxy="socks5://user:secret@p:1080"))
    assert "secret" not in str(caught.value)


def test_retry_after_as_a_date_counts_from_the_servers_clock(server: SdkServer, make: MakeSource) -> None:
    """Whatever the time is here."""
    headers = {"date": "Mon, 01 Jan 2001 00:00:00 GMT", "retry_after": "Mon, 01 Jan 2001 00:00:42 GMT"}
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(substitute=http_answer(503, b"", "text/html", **headers))
        assert make(proxy.url).fetch(None).retry_after_s == 42
        for text, expected in (("7", 7), ("-7", 0), ("soon", 0), ("9" * 50, 999_999_999)):
            proxy.faults = Faults(substitute=http_answer(503, retry_after=text))
            assert make(proxy.url).fetch(None).retry_after_s == expected


def test_a_packed_answer_may_not_grow_without_end(server: SdkServer, make: MakeSource) -> None:
    """What is small on the wire and large in memory is refused when the limit is reached."""
    bomb = gzip.compress(b"0" * 60_000_000)
    with FaultProxy(server.url) as proxy:
        proxy.faults = Faults(substitute=http_answer(200, bomb, "application/json", content_encoding="gzip"))
        with pytest.raises(SourceError, match="larger"):
            make(proxy.url).fetch(None)


def test_names_and_ports_that_are_not_there(make: MakeSource) -> None:
    """The cause says which."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for url, name in (
        (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"),
        ("http://nowhere.invalid", "nowhere.invalid:80"),
    ):
        with pytest.raises(SourceError, match=name):
            make(url).fetch(None)


def test_changes_come_as_they_are_sent(server: SdkServer, make: MakeSource) -> None:
    """In any number of pieces."""
    stream = make(server.url).stream("e1.3")
    until(lambda: server.streams == 1, 5, "the stream")
    server.publish(change(3, 4, a=False), snapshot(4, a=False))
    assert (stream.read(5.0) or b"").startswith(b"event: change\nid: e1.4\n")
    stream.close()
