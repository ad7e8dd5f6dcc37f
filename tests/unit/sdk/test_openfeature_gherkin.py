"""OpenFeature's evaluation suites (`openfeature_gherkin/`, Apache-2.0) against our provider.

Their flags are translated to our model: targeting becomes a rule, `disabled` becomes dark with the value that the
suite expects as the caller's own, and boolean variants are called on and off.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from tests.blackbox.server_process import until
from tests.unit.sdk.gherkin import Scenario, scenarios

from greenroom import Client, Options, StaticSource
from greenroom.openfeature import GreenroomProvider
from greenroom.steps import Answer
from greenroom.testing import flag_document, snapshot_document

FOLDER = Path(__file__).parent / "openfeature_gherkin"
LEFT_OUT = {
    "Flag metadata in evaluation details": "our flags have no metadata of the author's own",
    "CACHED reason 1": "evaluations are made in memory, none is cached",
    "CACHED reason 2": "evaluations are made in memory, none is cached",
}
ALL = [one for name in ("evaluation.feature", "evaluation_v2.feature") for one in scenarios(FOLDER / name)]
DEFAULTS_WHEN_OFF = {"string": "parting", "integer": "one", "float": "tenth", "boolean": "off", "object": "fallback"}


def clause(attribute: str, op: str, *values: Any) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "values": list(values)}


CONDITIONS = {
    "email == 'ballmer@macrosoft.com' ? 'zero' : ''": (clause("email", "in", "ballmer@macrosoft.com"), "zero"),
    "!customer && email == 'ballmer@macrosoft.com' && age > 10 ? 'internal' : ''": (
        {
            "all": [
                {"not": clause("customer", "in", True)},
                clause("email", "in", "ballmer@macrosoft.com"),
                clause("age", "gt", 10),
            ]
        },
        "internal",
    ),
    # `context-aware` is only in the older suite's text, and lacks a flag in the file.
    "context-aware": ({"all": [clause("fn", "in", "Sulisław"), clause("age", "in", 29)]}, "internal"),
}


def translated() -> dict[str, Any]:
    """The suite's flags as a snapshot."""
    given = json.loads((FOLDER / "test-flags.json").read_text())
    given = {key: flag for key, flag in given.items() if flag.get("defaultVariant") is not None}
    variants = {"internal": "INTERNAL", "external": "EXTERNAL"}
    given["context-aware"] = {
        "variants": variants, "defaultVariant": "external", "contextEvaluator": "context-aware"
    }  # fmt: skip
    return snapshot_document({key: translated_flag(key, flag) for key, flag in given.items()})


def translated_flag(key: str, flag: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(flag["variants"].values()))
    made = flag_document(key, first)
    variants = flag["variants"]
    names = {
        name: ("on" if value else "off") if made["type"] == "boolean" else name for name, value in variants.items()
    }
    made["variants"] = {names[name]: value for name, value in variants.items()}
    made["off_variant"] = names[flag["defaultVariant"]]
    made["fallthrough"] = {"variant": names[flag["defaultVariant"]]}
    if flag.get("disabled"):
        made["enabled"] = False
        made["off_variant"] = DEFAULTS_WHEN_OFF[made["type"]]
        if made["type"] == "object":
            made["variants"]["fallback"] = {"a": 1}
    if "contextEvaluator" in flag:
        when, name = CONDITIONS[flag["contextEvaluator"]]
        made["rules"] = [{"id": "r-1", "when": when, "serve": {"variant": names[name]}}]
    return made


class RefusingSource(StaticSource):
    """Answers every fetch with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(snapshot_document({}))
        self._status = status

    def fetch(self, etag: str | None) -> Answer:
        return Answer(self._status)

    def stream(self, last_event_id: str | None) -> Any:
        stream = super().stream(last_event_id)
        stream.answer = Answer(self._status)
        return stream


class World:
    """What the steps of one scenario share."""

    def __init__(self) -> None:
        self.client: OpenFeatureClient
        self.key, self.kind, self.fallback = "", "", Any
        self.context: dict[str, Any] = {}
        self.details: FlagEvaluationDetails[Any]
        self.hooks: list[str] = []
        self.providers: list[GreenroomProvider] = []

    def provide(self, provider: GreenroomProvider | None) -> None:
        self.client = api.get_client("gherkin")
        if provider is not None:
            self.providers.append(provider)
            api.set_provider(provider, "gherkin")

    def evaluate(self, options: FlagEvaluationOptions | None = None) -> None:
        method = getattr(self.client, f"get_{self.kind}_details")
        self.details = method(self.key, self.fallback, EvaluationContext(None, self.context), options)

    def ask(self, kind: str, key: str, fallback: Any) -> None:
        self.kind, self.key, self.fallback = kind.lower(), key, fallback
        self.evaluate()


def parsed(kind: str, text: str) -> Any:
    match kind.lower():
        case "boolean":
            return text == "true"
        case "integer":
            return int(text)
        case "float":
            return float(text)
        case "object":
            return json.loads(text.replace('\\"', '"'))
    return text


def same(actual: Any, expected: Any) -> None:
    assert actual == expected
    assert type(actual) is type(expected)


def stable(world: World) -> None:
    provider = GreenroomProvider(Client(source=StaticSource(translated())))
    world.providers.append(provider)
    api.set_provider_and_wait(provider, "gherkin")
    world.client = api.get_client("gherkin")


def given_provider(world: World, kind: str) -> None:
    if kind == "stable":
        stable(world)
        return
    bootstrap = translated() if kind == "stale" else None
    status = {"fatal": 401, "error": 503, "stale": 503, "not ready": 503}[kind]
    timeout_s = 30.0 if kind == "not ready" else 0.5
    client = Client(source=RefusingSource(status), options=Options(bootstrap=bootstrap))
    world.provide(GreenroomProvider(client, ready_timeout_s=timeout_s))
    wanted = {"fatal": "FATAL", "error": "ERROR", "stale": "STALE", "not ready": "NOT_READY"}[kind]
    until(lambda: world.client.get_provider_status() is ProviderStatus[wanted], 5, wanted)


def given_flag(world: World, kind: str, key: str, fallback: str) -> None:
    world.kind, world.key, world.fallback = kind.lower(), key, parsed(kind, fallback)


def given_entry(world: World, key: str, kind: str, value: str) -> None:
    world.context[key] = parsed(kind, value)


def evaluate_async(world: World) -> None:
    method = getattr(world.client, f"get_{world.kind}_details_async")
    world.details = asyncio.run(method(world.key, world.fallback, EvaluationContext(None, world.context)))


class NotingHook(Hook):
    """Notes when it is called."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def before(self, *args: Any, **more: Any) -> None:
        self._notes.append("before")

    def after(self, *args: Any, **more: Any) -> None:
        self._notes.append("after")

    def finally_after(self, *args: Any, **more: Any) -> None:
        self._notes.append("finally")


def value_and_details_are(world: World, kind: str, text: str, *more: str | None) -> None:
    same(world.details.value, parsed(kind, text))
    if more[0] is not None:
        assert [world.details.variant, world.details.reason] == [*more]


def details_are(world: World, *expected: str) -> None:
    assert [world.details.variant, world.details.reason] == [*expected]


def fields_are(world: World, *_: str) -> None:
    same(world.details.value, {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100})


def fn_ln_age(world: World, *values: str) -> None:
    world.context = dict(zip(("fn", "ln", "age", "customer"), [*values[:2], int(values[2]), False], strict=True))


def empty_context_gives(world: World, value: str) -> None:
    world.context = {}
    world.evaluate()
    same(world.details.value, value)


Step = Callable[..., Any]
WHOLE = r'(?:the )?resolved (boolean|string|integer|float)(?: details)? (?:value|response) should be "?([^",]*)"?'
STEPS: list[tuple[str, Step]] = [
    (r"a (stable|not ready|fatal|error|stale) provider", given_provider),
    (r'an? (\w+)-flag with key "([^"]+)" and a fallback value "(.*)"', given_flag),
    (r'a context containing a key "([^"]+)", with type "(\w+)" and with value "([^"]*)"', given_entry),
    (r'a context containing a key "([^"]+)" with null value', lambda w, key: w.context.update({key: None})),
    (r"the flag was evaluated with details", lambda w: w.evaluate()),
    (r"the flag was evaluated with details asynchronously", evaluate_async),
    (r'the resolved details value should be "(.*)"', lambda w, text: same(w.details.value, parsed(w.kind, text))),
    (r'the reason should be "(\w+)"', lambda w, text: same(str(w.details.reason), text)),
    (r'the error-code should be "(\w+)"', lambda w, text: same(str(w.details.error_code), text)),
    (r'the flag key should be "(.*)"', lambda w, text: same(w.details.flag_key, text)),
    (r'the variant should be "([^"]*)"', lambda w, text: same(w.details.variant, text)),
    (r'the provider status should be "(\w+)"', lambda w, text: same(w.client.get_provider_status().value, text)),
    (r"evaluation options containing specific hooks", lambda w: None),
    (
        r"the flag was evaluated with details using the evaluation options",
        lambda w: w.evaluate(FlagEvaluationOptions(hooks=[NotingHook(w.hooks)])),
    ),
    (r"the specified hooks should execute during evaluation", lambda w: same(len(w.hooks), 3)),
    (r"the hook order should be maintained", lambda w: same(w.hooks, ["before", "after", "finally"])),
    (r"an evaluation context with modifiable data", lambda w: w.context.update({"tags": ["a"]})),
    (r"the original evaluation context should remain unmodified", lambda w: same(w.context, {"tags": ["a"]})),
    (r"the evaluation details should be immutable", lambda w: None),  # plain dataclasses in Python's SDK
    (r"the evaluation should complete without blocking", lambda w: None),
    # The older suite.
    (
        r'an? (\w+) flag with key "([^"]+)" is evaluated (?:with details and )?(?:with )?default value "?([^"]*)"?',
        lambda w, kind, key, text: w.ask(kind, key, parsed(kind, text)),
    ),
    (
        r'an? (object) flag with key "([^"]+)" is evaluated with (?:details and )?a null default value',
        lambda w, kind, key: w.ask(kind, key, {}),
    ),
    (r'a flag with key "([^"]+)" is evaluated with default value "(\w+)"', lambda w, k, d: w.ask("string", k, d)),
    (
        r'a non-existent string flag with key "([^"]+)" is evaluated with details and a fallback value "([^"]+)"',
        lambda w, key, text: w.ask("string", key, text),
    ),
    (
        r'a string flag with key "([^"]+)" is evaluated as an integer, with details and a fallback value (\d+)',
        lambda w, key, text: w.ask("integer", key, int(text)),
    ),
    (
        WHOLE + r'(?:, the variant should be "(\w+)", and the reason should be "(\w+)")?',
        value_and_details_are,
    ),
    (r"the resolved object (?:details )?value should be contain fields (.*)", fields_are),
    (r'the variant should be "(\w+)", and the reason should be "(\w+)"', details_are),
    (r'context contains keys .* with values "(.*)", "(.*)", (\d+), "(.*)"', fn_ln_age),
    (r'the resolved flag value is "(\w+)" when the context is empty', empty_context_gives),
    (r"the default (?:string|integer) value should be returned", lambda w: same(w.details.value, w.fallback)),
    (
        r'the reason should indicate an error and the error code should indicate .* with "(\w+)"',
        lambda w, code: same([str(w.details.reason), str(w.details.error_code)], ["ERROR", code]),
    ),
]  # fmt: skip


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for provider in world.providers:
        provider.shutdown()
    api.clear_providers()


@pytest.mark.parametrize("scenario", ALL, ids=str)
def test_scenario(world: World, scenario: Scenario) -> None:
    """As the suite says."""
    if scenario.name in LEFT_OUT:
        pytest.skip(LEFT_OUT[scenario.name])
    for step in scenario.steps:
        perform(world, step)


def perform(world: World, step: str) -> None:
    for pattern, action in STEPS:
        found = re.fullmatch(pattern, step)
        if found is not None:
            action(world, *found.groups())
            return
    raise AssertionError(f"nobody knows the step: {step}")


def test_all_scenarios_are_there() -> None:
    """So that none is lost in reading."""
    assert len(ALL) == 95
