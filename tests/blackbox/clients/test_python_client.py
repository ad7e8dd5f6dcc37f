"""The Python client, `openfeature-provider-ofrep`: each evaluation is a request."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from tests.blackbox.clients import scene
from tests.blackbox.clients.scene import Case
from tests.blackbox.clients.stage import Stage
from tests.blackbox.server_process import until

Connect = Callable[[dict[str, str]], OpenFeatureClient]


@pytest.fixture(scope="module")
def connect(stage: Stage) -> Iterator[Connect]:
    """Connects a client that sends these headers."""
    providers: list[OFREPProvider] = []

    def make(headers: dict[str, str]) -> OpenFeatureClient:
        provider = OFREPProvider(stage.url, headers_factory=lambda: headers)
        providers.append(provider)
        domain = f"python-{len(providers)}"
        api.set_provider_and_wait(provider, domain=domain)
        return api.get_client(domain)

    yield make
    api.clear_providers()
    for provider in providers:
        provider.session.close()


@pytest.fixture(scope="module")
def app(connect: Connect, stage: Stage) -> OpenFeatureClient:
    """An application with the server key."""
    return connect({"Authorization": f"Bearer {stage.server_key}"})


def ask(
    client: OpenFeatureClient, type_: str, flag: str, context: Mapping[str, Any] | None = None
) -> FlagEvaluationDetails[Any]:
    attributes = dict(scene.GERMANY if context is None else context)
    key = attributes.pop("targetingKey", None)
    method = getattr(client, f"get_{type_}_details")
    details: FlagEvaluationDetails[Any] = method(flag, scene.FALLBACK[type_], EvaluationContext(key, attributes))
    return details


@pytest.mark.parametrize("case", list(scene.cases()), ids=str)
def test_every_type_reason_and_error(app: OpenFeatureClient, case: Case) -> None:
    """Value, type, variant, reason and error code are those of the published contract."""
    details = ask(app, case.type, case.flag, case.context)

    assert details.value == case.value
    assert type(details.value) is type(case.value)
    assert details.variant == case.variant
    assert details.reason == case.reason
    assert details.error_code == case.error


# This client takes a boolean for an integer, as Python does.
MISMATCHES = [pair for pair in scene.mismatches(numbers_are_one=False) if pair != ("integer", "boolean")]


@pytest.mark.parametrize(("asked", "actual"), MISMATCHES)
def test_another_type_than_the_flag_has(app: OpenFeatureClient, asked: str, actual: str) -> None:
    """The caller's default with `TYPE_MISMATCH`."""
    details = ask(app, asked, f"{actual}-static")

    assert details.value == scene.FALLBACK[asked]
    assert (details.reason, details.error_code) == ("ERROR", "TYPE_MISMATCH")


def test_a_context_that_cannot_be_one(app: OpenFeatureClient) -> None:
    """`INVALID_CONTEXT`, and a message that says where."""
    details = app.get_boolean_details("boolean-static", False, EvaluationContext(None, {"targetingKey": 5}))

    assert (details.value, details.reason, details.error_code) == (False, "ERROR", "INVALID_CONTEXT")
    assert "targetingKey" in (details.error_message or "")


def test_a_context_past_a_limit(app: OpenFeatureClient) -> None:
    """`INVALID_CONTEXT`, and a message that names the limit."""
    deep: Any = "bottom"
    for _ in range(40):
        deep = {"down": deep}
    details = app.get_boolean_details("boolean-static", False, EvaluationContext("user-1", {"deep": deep}))

    assert (details.value, details.error_code) == (False, "INVALID_CONTEXT")
    assert "32" in (details.error_message or "")


@pytest.mark.parametrize(("status", "text"), [(401, "unauthorized"), (403, "forbidden")])
def test_a_credential_that_may_not_evaluate(connect: Connect, stage: Stage, status: int, text: str) -> None:
    """The caller's default with `GENERAL`, which is all that this client makes of it."""
    details = ask(connect({"Authorization": f"Bearer {stage.refused[status]}"}), "string", "string-static")

    assert (details.value, details.reason, details.error_code) == ("fallback", "ERROR", "GENERAL")
    assert details.error_message == text


def test_the_other_credential_header(connect: Connect, stage: Stage) -> None:
    """`X-API-Key` is as good as `Authorization: Bearer`."""
    details = ask(connect({"X-API-Key": stage.server_key}), "float", "float-static")

    assert (details.value, details.reason) == (10.0, "STATIC")


def test_metadata_names_the_version_and_the_rule(app: OpenFeatureClient) -> None:
    """A server key learns which version of the flag and which of its rules answered."""
    metadata = ask(app, "string", "string-targeting-match", scene.HOLLAND).flag_metadata

    assert metadata["rule"] == "r-1"
    assert type(metadata["version"]) is int


def test_an_evaluation_without_any_context(app: OpenFeatureClient) -> None:
    """This client then sends no context at all, which is the empty one."""
    details = app.get_object_details("object-static", {"fallback": True})

    assert (details.value, details.reason) == (scene.LIVE["object"], "STATIC")


def test_a_change_is_felt(app: OpenFeatureClient, stage: Stage) -> None:
    """Switched on and off again, each within two seconds."""
    for on in (True, False):
        stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=on)
        until(lambda on=on: app.get_boolean_value(scene.LIVELY, not on) is on, within_s=2)  # type: ignore[misc]
