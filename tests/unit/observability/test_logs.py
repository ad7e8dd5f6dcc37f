"""Log lines: one form for everybody, and no secrets."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import structlog

from greenroom_server.observability.logs import AccessLog, configure_logging, redact
from greenroom_server.web.middleware import Finished

SECRET = "Zm9vYmFyYmF6cXV4" * 2
TOKENS = [f"gr_{kind}_{SECRET}" for kind in ("adm", "mgr", "dev", "pipe", "srv", "cli", "set")]


@pytest.fixture
def lines() -> Iterator[Callable[..., list[str]]]:
    """Configures logging into a buffer, gives its lines, and puts everything back."""
    root = logging.getLogger()
    handlers, level, buffer = root.handlers[:], root.level, io.StringIO()

    def configured(log_format: Literal["json", "console"] = "json", level: str = "info") -> list[str]:
        if not buffer.getvalue():
            configure_logging(log_format, level, stream=buffer)
        return buffer.getvalue().splitlines()

    yield configured
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).propagate = True
    structlog.reset_defaults()


def last(lines: Callable[..., list[str]]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(lines()[-1])
    return parsed


def test_ours_and_theirs_come_out_alike(lines: Callable[..., list[str]]) -> None:
    """structlog and the standard library give lines with the same members."""
    lines()
    structlog.get_logger("greenroom.flags").info("hello", flag="a")
    logging.getLogger("uvicorn.error").info("hello %s", "you")

    ours, theirs = map(json.loads, lines())
    assert (ours["event"], ours["logger"], ours["level"], ours["flag"]) == ("hello", "greenroom.flags", "info", "a")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("hello you", "uvicorn.error", "info")
    assert ours["timestamp"].endswith("Z")


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_lose_their_secret(token: str) -> None:
    """The kind stays readable, the secret goes."""
    redacted = redact(f"token {token}.")

    assert SECRET not in redacted
    assert redacted == f"token {token.rsplit('_', 1)[0]}_[redacted]."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("GET /ofrep/v1/stream?token=abc.def HTTP/1.1", "GET /ofrep/v1/stream?token=[redacted] HTTP/1.1"),
        ("a secret whsec_MfKQ9r8GKYqrTwjUPD8+/w==, and", "a secret whsec_[redacted], and"),
        ("/x?a=1&stream_token=abc&b=2", "/x?a=1&stream_token=[redacted]&b=2"),
        ("postgresql://shop:hunter2@db:5432/x", "postgresql://shop:[redacted]@db:5432/x"),
        ("postgresql://db:5432/x?application_name=a@b", "postgresql://db:5432/x?application_name=a@b"),
        ("a flag with the key gr_admin stays", "a flag with the key gr_admin stays"),
    ],
)
def test_other_secrets_are_hidden(text: str, kept: str) -> None:
    """Bearer headers, token parameters and passwords in URLs; nothing else."""
    assert redact(text) == kept


class Leaky:
    def __repr__(self) -> str:
        return f"Leaky({TOKENS[0]})"

    __str__ = __repr__


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_way_of_logging_leaks_a_token(
    lines: Callable[..., list[str]], log_format: Literal["json", "console"]
) -> None:
    """Message, argument, member, nested value, object, exception, bound context and member name."""
    lines(log_format)
    log, standard = structlog.get_logger("greenroom"), logging.getLogger("somebody.else")
    for token in TOKENS:
        log.info(f"it is {token}", token=token, nested={"deep": [token]}, thing=Leaky(), password=SECRET)
        log.warning("it is %s", token)
        standard.warning("it is %s of %r", token, Leaky())
        with structlog.contextvars.bound_contextvars(credential=token):
            log.info("bound")
        try:
            raise ValueError(f"bad token {token}")
        except ValueError:
            log.exception("failed")
            standard.exception("failed")

    text = "\n".join(lines())
    assert len(lines()) >= 6 * len(TOKENS)
    assert SECRET not in text
    assert "ValueError: bad token gr_adm_[redacted]" in text


def test_level_is_respected(lines: Callable[..., list[str]]) -> None:
    """Lines below the level are not written."""
    lines("json", "warning")
    structlog.get_logger("greenroom").info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger("greenroom").warning("loud")

    assert [json.loads(line)["event"] for line in lines()] == ["loud"]


def test_server_access_lines_are_silenced(lines: Callable[..., list[str]]) -> None:
    """uvicorn's access log would hold query strings."""
    lines()
    logging.getLogger("uvicorn.access").info('127.0.0.1 - "GET /ofrep/v1/stream?token=abc"')

    assert lines() == []


def test_access_line_names_the_route_and_not_the_path(lines: Callable[..., list[str]]) -> None:
    """A request is one line, of the route table's words only."""
    lines()
    AccessLog()(Finished("get_flag", "/api/v1/projects/{project}/flags/{flag}", "GET", 200, 0.00123))

    line = last(lines)
    del line["timestamp"]
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "greenroom.access",
        "operation": "get_flag",
        "method": "GET",
        "route": "/api/v1/projects/{project}/flags/{flag}",
        "status": 200,
        "duration_ms": 1.23,
    }


@pytest.mark.parametrize(("status", "written"), [(200, 0), (404, 0), (503, 1)])
def test_probes_are_quiet_while_they_go_well(lines: Callable[..., list[str]], status: int, written: int) -> None:
    """A probe every second would drown the rest; its failure is news."""
    lines()
    AccessLog()(Finished("ready", "/readyz", "GET", status, 0.001))

    assert len(lines()) == written
