"""The Node.js client, `@openfeature/ofrep-provider`: each evaluation is a request."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.blackbox.clients import scene
from tests.blackbox.clients.node_process import NodeProcess
from tests.blackbox.clients.scene import Case
from tests.blackbox.clients.stage import Stage


def ask(node: NodeProcess, type_: str, flag: str, context: Mapping[str, Any], name: str = "app") -> Any:
    fallback = scene.FALLBACK[type_]
    return node.call("evaluate", name=name, type=type_, key=flag, fallback=fallback, context=dict(context))


@pytest.mark.parametrize("case", list(scene.cases()), ids=str)
def test_every_type_reason_and_error(node_server: NodeProcess, case: Case) -> None:
    """Value, variant, reason and error code are those of the published contract."""
    answer = ask(node_server, case.type, case.flag, case.context)

    assert answer["value"] == case.value
    assert answer.get("variant") == case.variant
    assert answer["reason"] == case.reason
    assert answer.get("error") == case.error


@pytest.mark.parametrize(("asked", "actual"), list(scene.mismatches(numbers_are_one=True)))
def test_another_type_than_the_flag_has(node_server: NodeProcess, asked: str, actual: str) -> None:
    """The caller's default with `TYPE_MISMATCH`."""
    answer = ask(node_server, asked, f"{actual}-static", scene.GERMANY)

    assert answer["value"] == scene.FALLBACK[asked]
    assert (answer["reason"], answer["error"]) == ("ERROR", "TYPE_MISMATCH")


def test_a_context_that_cannot_be_one(node_server: NodeProcess) -> None:
    """`INVALID_CONTEXT`, and a message that says where."""
    answer = ask(node_server, "boolean", "boolean-static", {"targetingKey": 5})

    assert (answer["value"], answer["reason"], answer["error"]) == (False, "ERROR", "INVALID_CONTEXT")
    assert "targetingKey" in answer["message"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_may_not_evaluate(node_server: NodeProcess, stage: Stage, status: int) -> None:
    """The caller's default with `GENERAL`, which is all that this client makes of it."""
    headers = {"Authorization": f"Bearer {stage.refused[status]}"}
    node_server.call("connect", name=f"refused-{status}", url=stage.url, headers=headers)
    answer = ask(node_server, "string", "string-static", scene.GERMANY, f"refused-{status}")

    assert (answer["value"], answer["reason"], answer["error"]) == ("fallback", "ERROR", "GENERAL")


def test_the_other_credential_header(node_server: NodeProcess, stage: Stage) -> None:
    """`X-API-Key` is as good as `Authorization: Bearer`."""
    node_server.call("connect", name="by-key", url=stage.url, headers={"X-API-Key": stage.server_key})
    answer = ask(node_server, "integer", "integer-static", scene.GERMANY, "by-key")

    assert (answer["value"], answer["reason"]) == (2**53, "STATIC")


def test_metadata_names_the_version_and_the_rule(node_server: NodeProcess) -> None:
    """This client passes on what is no object or list, and that is all there is."""
    metadata = ask(node_server, "string", "string-targeting-match", scene.HOLLAND)["metadata"]

    assert metadata["rule"] == "r-1"
    assert type(metadata["version"]) is int
