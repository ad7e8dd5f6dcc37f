"""Who hears what, and how it is put."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest

from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.webhooks.events import MAX_BODY_BYTES, Happening, happening_of, is_wanted

AT: Final = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def event(action: str = "flag.enable", target: str = "", changes: Any = ()) -> AuditEventOut:
    return AuditEventOut(
        project="shop",
        sequence=17,
        at=AT,
        actor="admin:1",
        action=action,
        target=target or "/api/v1/projects/shop/environments/production/flags/new-checkout",
        changes=list(changes),
        hash="aa",
        previous_hash="bb",
    )


@pytest.mark.parametrize(
    ("patterns", "type_", "expected"),
    [
        (["flag.enable"], "flag.enable", True),
        (["flag.enable"], "flag.enabled", False),
        (["flag.*"], "flag.enable", True),
        (["flag.*"], "flags.enable", False),
        (["flag.*"], "flag", False),
        (["*"], "anything.at.all", True),
        (["segment.create", "flag.*"], "flag.served_while_dark", True),
        ([], "flag.enable", False),
    ],
)
def test_patterns(patterns: list[str], type_: str, expected: bool) -> None:
    """A type, the beginning of types, or all of them."""
    assert is_wanted(Happening("shop", type_, AT, {}), patterns, None) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api/v1/projects/shop/environments/production/flags/new-checkout", True),
        ("/api/v1/projects/shop/environments/production", True),
        ("/api/v1/projects/shop/environments/staging/flags/new-checkout", False),
        ("/api/v1/projects/shop/flags/environments", True),
        ("/api/v1/projects/shop", True),
    ],
)
def test_environments(target: str, expected: bool) -> None:
    """What belongs to an environment is told to those who want that one, what belongs to none is told to all."""
    assert is_wanted(happening_of(event(target=target)), ["*"], ["production"]) is expected


def test_the_message_of_a_change_is_the_audit_event() -> None:
    """`type` and `timestamp` are its own, `data` is the event as the audit routes give it."""
    body = orjson.loads(happening_of(event()).body())

    assert body == {
        "type": "flag.enable",
        "timestamp": "2026-11-23T05:00:00Z",
        "data": event().model_dump(mode="json"),
    }


def test_a_huge_change_can_be_told_shortly() -> None:
    """The message says so, and stays small; all else is there."""
    changes = [{"path": f"/flags/{number}", "op": "add", "to": "x" * 1000} for number in range(100)]

    text = happening_of(event("project.import", changes=changes)).without_changes().body()

    data = orjson.loads(text)["data"]
    assert len(text) < MAX_BODY_BYTES
    assert (data["changes"], data["changes_omitted"], data["sequence"]) == ([], True, 17)
