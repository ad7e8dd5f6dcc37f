"""Structured logs over the standard library, so that uvicorn's and SQLAlchemy's lines come out like ours.

Nothing secret leaves: every finished line is searched for credentials. Request bodies, evaluation contexts and query
strings are never handed to a logger in the first place.
"""

import logging
import re
import sys
from collections.abc import Collection, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

from greenroom_server.web.middleware import Finished

REDACTED: Final = "[redacted]"

_SECRET_MEMBERS: Final = frozenset(
    {"authorization", "body", "context", "cookie", "credential", "password", "query_string", "secret", "token"}
)
_SECRETS: Final = re.compile(
    r"(?P<kind>\bgr_(?:adm|mgr|dev|pipe|srv|cli|set)_)[0-9A-Za-z]+"
    r"|(?P<webhook>\bwhsec_)[0-9A-Za-z+/=]+"
    r"|(?P<bearer>\bbearer\s+)[^\s\"',\\]+"
    r"|(?P<parameter>[?&](?:[a-z_]*token|key|secret|password)=)[^&\s\"'\\]+"
    r"|(?P<url>://[^/\s:@\"']*:)[^/\s@\"']+(?=@)",
    re.IGNORECASE,
)
# Without one of these there is nothing of the kind in a line, and most lines have none: they need not be searched.
_SIGNS: Final = ("gr_", "whsec_", "bearer", "?", "&", "://")
_SILENCED: Final = ("uvicorn.access",)  # it would log query strings, and `AccessLog` says the same
_OTHERS_HANDLERS: Final = ("uvicorn", "uvicorn.error", *_SILENCED)

EventDict = MutableMapping[str, Any]


def redact(text: str) -> str:
    """`text` without the secret parts of tokens, passwords in URLs, bearer headers and token parameters."""
    folded = text.casefold()
    if not any(sign in folded for sign in _SIGNS):
        return text
    return _SECRETS.sub(lambda match: next(part for part in match.groups() if part is not None) + REDACTED, text)


def configure_logging(
    log_format: Literal["json", "console"], level: str = "info", *, stream: TextIO | None = None
) -> None:
    """Sets up the process's logging; start uvicorn with `log_config=None`, or it will undo this."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_RedactingFormatter(log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _OTHERS_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name not in _SILENCED
    logging.getLogger("alembic").setLevel(max(logging.WARNING, root.level))  # `migrate` says what it applied
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class AccessLog:
    """Observes requests: one line each, except for the operations in `quiet` while they go well."""

    def __init__(self, *, quiet: Collection[str] = ("live", "ready", "read_metrics")) -> None:
        self._quiet = frozenset(quiet)
        self._log = structlog.get_logger("greenroom.access")

    def __call__(self, finished: Finished) -> None:
        if finished.operation_id in self._quiet and finished.status < 500:
            return
        self._log.info(
            "request",
            operation=finished.operation_id,
            method=finished.method,
            route=finished.template,
            status=finished.status,
            duration_ms=round(finished.duration_s * 1000, 2),
        )


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, log_format: Literal["json", "console"]) -> None:
        super().__init__(
            foreign_pre_chain=_shared_processors(),
            processors=[self.remove_processors_meta, _hide_secret_members, *_rendering(log_format)],
        )

    def format(self, record: logging.LogRecord) -> str:
        # On the finished line, so that nothing can hide in a `repr` or a traceback.
        return redact(super().format(record))


def _rendering(log_format: Literal["json", "console"]) -> list[structlog.typing.Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]


def _shared_processors() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _hide_secret_members(logger: Any, method: str, event: EventDict) -> EventDict:
    for name in _SECRET_MEMBERS & event.keys():
        event[name] = REDACTED
    return event
