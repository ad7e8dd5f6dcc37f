"""OpenTelemetry traces, if a collector is configured; the packages are an extra and only imported then.

A span is named after its route's template. Query strings never reach the instrumentation, since they may hold tokens.
"""

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom_server.web.scope import operation_of

EXCLUDED: Final = "/livez,/readyz,/metrics,/stream$"  # probes are noise, and a stream's span would last for hours
_ORIGINAL: Final = "greenroom.original_scope"


class TracingUnavailable(RuntimeError):
    """a traces endpoint is configured, but OpenTelemetry is not installed: install `greenroom-server[otel]`"""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Tracing:
    """Sends spans to a collector by OTLP over HTTP; `close` sends what is left."""

    def __init__(self, endpoint: str, *, version: str, instance_id: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise TracingUnavailable from error
        resource = Resource.create(
            {
                "service.name": "greenroom-server",
                "service.version": version,
                "service.instance.id": instance_id,
            }
        )
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=_traces_url(endpoint))))

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """`app` with a span around each request; a caller's W3C trace context is taken up."""
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.metrics import NoOpMeterProvider

        instrumented = OpenTelemetryMiddleware(
            _NamingSpans(app),
            excluded_urls=EXCLUDED,
            default_span_details=_details,
            tracer_provider=self._provider,
            meter_provider=NoOpMeterProvider(),
            http_capture_headers_sanitize_fields=["authorization", "x-api-key", "cookie", "set-cookie"],
            exclude_spans=["receive", "send"],
        )
        return _Blinding(instrumented)

    def close(self) -> None:
        self._provider.shutdown()


class _Blinding:
    """Shows the instrumentation a request without its query string."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "query_string": b"", _ORIGINAL: scope}, receive, send)


class _NamingSpans:
    """Gives the app its whole request back, and the span its name once the route is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry import trace

        original: Scope = scope[_ORIGINAL]

        async def send_named(message: Message) -> None:
            # Not later: the span ends with the last message.
            operation = operation_of(original)
            if message["type"] == "http.response.start" and operation is not None:
                span = trace.get_current_span()
                span.update_name(f"{original['method']} {operation[1]}")
                span.set_attribute("http.route", operation[1])
            await send(message)

        await self._app(original, receive, send_named)


def _details(scope: Scope) -> tuple[str, dict[str, str]]:
    return scope.get("method", "lifespan"), {}


def _traces_url(endpoint: str) -> str:
    base = endpoint.rstrip("/")
    return base if base.endswith("/v1/traces") else f"{base}/v1/traces"
