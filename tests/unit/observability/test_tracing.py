"""Traces, received by a small collector on loopback."""

import builtins
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.unit.web.rig import Rig, client_of, say_what_came

from greenroom_server.observability.tracing import Tracing, TracingUnavailable
from greenroom_server.web.middleware import RequestBoundary
from greenroom_server.web.routing import PUBLIC, Route

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent, and the path they came to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.spans: list[Any] = []
        self.service_names: set[str] = set()
        self.raw = b""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raise AssertionError("not expected")
        if self.path == "/v1/traces":
            self.server.raw += body
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                attributes = {one.key: one.value.string_value for one in resource_spans.resource.attributes}
                self.server.service_names.add(attributes["service.name"])
                for scope_spans in resource_spans.scope_spans:
                    self.server.spans.extend(scope_spans.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def send(collector: Collector, request: str, **headers: str) -> httpx.Response:
    """One request through the whole stack; when this returns, the collector has the span."""
    routes = (
        Route("GET", "/projects/{project}/flags", "list_flags", PUBLIC, say_what_came, query=("token",)),
        Route("GET", "/livez", "live", PUBLIC, say_what_came),
    )
    tracing = Tracing(collector.endpoint, version="1.2.3", instance_id="one")
    app = tracing.wrap(RequestBoundary(Rig().app(*routes)))
    async with client_of(app, headers) as client:
        reply = await client.get(request)
    tracing.close()
    return reply


def attributes_of(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.mark.asyncio
async def test_request_arrives_as_a_span_named_by_its_route(collector: Collector) -> None:
    """The name is the template, so that all projects' requests are one operation."""
    await send(collector, "/projects/shop/flags")

    assert [span.name for span in collector.spans] == ["GET /projects/{project}/flags"]
    assert attributes_of(collector.spans[0])["http.route"] == "/projects/{project}/flags"
    assert collector.service_names == {"greenroom-server"}


@pytest.mark.asyncio
async def test_callers_trace_goes_on(collector: Collector) -> None:
    """A W3C traceparent makes our span a part of the caller's trace."""
    await send(collector, "/projects/shop/flags", traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01")

    span = collector.spans[0]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, "00f067aa0ba902b7")


@pytest.mark.asyncio
async def test_query_and_credentials_stay_out_of_traces(collector: Collector) -> None:
    """The handler sees the query, the collector does not."""
    reply = await send(collector, "/projects/shop/flags?token=hunter2", authorization="Bearer hunter3")

    assert reply.json()["query"] == [["token", "hunter2"]]
    assert len(collector.spans) == 1
    assert b"hunter" not in collector.raw


@pytest.mark.asyncio
async def test_path_without_a_route_names_no_path(collector: Collector) -> None:
    """A scanner cannot fill the trace store with names."""
    await send(collector, "/wp-login.php")

    assert [span.name for span in collector.spans] == ["GET"]


@pytest.mark.asyncio
async def test_probes_are_not_traced(collector: Collector) -> None:
    """A span each second about nothing helps nobody."""
    await send(collector, "/livez")

    assert collector.spans == []


def test_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configured but not installed: the start fails with what to install."""
    really_import = builtins.__import__

    def without_opentelemetry(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return really_import(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_opentelemetry)

    with pytest.raises(TracingUnavailable, match=r"install `greenroom-server\[otel\]`"):
        Tracing("http://127.0.0.1:1", version="1.2.3", instance_id="one")
