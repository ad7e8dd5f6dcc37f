"""The browser's client, `@openfeature/ofrep-web-provider`: a bulk request, and a stream that says when to repeat it."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import pytest
from tests.blackbox.authoring import Application
from tests.blackbox.clients import scene
from tests.blackbox.clients.node_process import NodeProcess
from tests.blackbox.clients.scene import Case
from tests.blackbox.clients.stage import Stage
from tests.blackbox.server_process import until

ARRIVES_WITHIN_MS = 4000
Connect = Callable[..., Any]

_names = count(1)


@pytest.fixture
def connect(page: NodeProcess, stage: Stage) -> Iterator[Connect]:
    """Connects a client of this test's own; its name and state. Local storage is off unless asked for."""

    def make(context: Mapping[str, Any] = scene.GERMANY, credential: str | None = None, **options: Any) -> Any:
        # The client's copies in local storage are told apart by this name, too.
        name = options.pop("name", None) or f"web-{next(_names)}"
        headers = {"Authorization": f"Bearer {credential or stage.client_key}"}
        options = {"cacheMode": "disabled", **options}
        state = page.call("connect", name=name, url=stage.url, headers=headers, context=dict(context), options=options)
        return {"name": name, **state}

    yield make
    page.call("disconnect")


@pytest.fixture
def switched_off(stage: Stage) -> Iterator[None]:
    """The flag that tests switch is off before and after, and served so before."""
    stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=False)
    with Application(stage.url, stage.client_key) as app:
        until(lambda: app.value(scene.LIVELY) is False, what="the change")
    yield
    stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=False)


def ask(page: NodeProcess, name: str, type_: str, flag: str) -> Any:
    return page.call("evaluate", name=name, type=type_, key=flag, fallback=scene.FALLBACK[type_])


def cases_by_context() -> list[list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in scene.cases():
        found.setdefault(repr(case.context), []).append(case)
    return list(found.values())


@pytest.mark.parametrize("cases", cases_by_context(), ids=lambda cases: str(cases[0].context))
def test_every_type_reason_and_error(page: NodeProcess, connect: Connect, cases: list[Case]) -> None:
    """All flags for one context, in one request: a flag that fails takes no other down."""
    client = connect(cases[0].context)

    assert client["status"] == "READY"
    for case in cases:
        answer = ask(page, client["name"], case.type, case.flag)
        found = (answer["value"], answer.get("variant"), answer["reason"], answer.get("error"))
        assert found == (case.value, case.variant, case.reason, case.error), case
    requests = page.call("look", name=client["name"])["requests"]
    assert [one["status"] for one in requests if one["if_none_match"] is None] == [200]


@pytest.mark.parametrize(("asked", "actual"), list(scene.mismatches(numbers_are_one=True)))
def test_another_type_than_the_flag_has(page: NodeProcess, connect: Connect, asked: str, actual: str) -> None:
    """The caller's default with `TYPE_MISMATCH`."""
    answer = ask(page, connect()["name"], asked, f"{actual}-static")

    assert answer["value"] == scene.FALLBACK[asked]
    assert (answer["reason"], answer["error"]) == ("ERROR", "TYPE_MISMATCH")


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_may_not_evaluate(connect: Connect, stage: Stage, status: int) -> None:
    """The provider is fatally out of order, so that nobody waits for it."""
    client = connect(credential=stage.refused[status])

    assert (client["status"], client["error"]) == ("FATAL", "PROVIDER_FATAL")


def test_a_context_that_cannot_be_one(page: NodeProcess, connect: Connect) -> None:
    """The provider does not get ready; of the server's 400 this client says `GENERAL`, whatever the body."""
    client = connect({"targetingKey": 5})

    assert (client["status"], client["error"]) == ("ERROR", "GENERAL")
    assert page.call("look", name=client["name"])["requests"][0]["status"] == 400


def test_a_hidden_flag_is_none(page: NodeProcess, connect: Connect) -> None:
    """What is not `client_visible` is not there, not even as a name in another flag's metadata."""
    client = connect()
    answer = ask(page, client["name"], "string", scene.HIDDEN)
    unmet = ask(page, client["name"], "boolean", scene.UNMET)

    assert (answer["value"], answer["error"]) == ("fallback", "FLAG_NOT_FOUND")
    assert list(unmet["metadata"]) == ["version"]


def test_an_unreadable_flag_says_nothing_about_its_rules(page: NodeProcess, connect: Connect) -> None:
    """The engine's message would quote the operator that it does not know."""
    answer = ask(page, connect()["name"], "boolean", scene.UNREADABLE)

    assert answer["error"] == "PARSE_ERROR"
    assert "sounds_like" not in str(answer)


def test_another_context(page: NodeProcess, connect: Connect) -> None:
    """Evaluated anew when the user signs in, and again when they leave."""
    client = connect(scene.GERMANY)
    for context, variant in ((scene.HOLLAND, "dark"), (scene.GERMANY, "live")):
        page.call("change_context", name=client["name"], context=dict(context))
        assert ask(page, client["name"], "float", "float-default")["variant"] == variant


def test_nothing_changed_costs_no_body(page: NodeProcess, connect: Connect) -> None:
    """The stream's first word makes the client ask again with its ETag, and it hears 304."""
    client = connect()
    repeated = page.call(
        "wait_for_request", name=client["name"], status=304, part="/evaluate/flags", within_ms=ARRIVES_WITHIN_MS
    )

    first = page.call("look", name=client["name"])["requests"][0]
    assert repeated["if_none_match"] == first["etag"]
    assert ask(page, client["name"], "boolean", "boolean-static")["value"] is True


@pytest.mark.usefixtures("switched_off")
def test_a_change_arrives_through_the_stream(page: NodeProcess, connect: Connect, stage: Stage) -> None:
    """Without polling: the stream says that something changed, the client fetches it and tells the page which."""
    client = connect(changeDetection="sse", pollInterval=0)
    assert ask(page, client["name"], "boolean", scene.LIVELY)["value"] is False
    page.call("wait_for_request", name=client["name"], status=304, part="", within_ms=ARRIVES_WITHIN_MS)
    page.call("forget", name=client["name"])

    stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=True)
    told = page.call(
        "wait_for_event",
        name=client["name"],
        event="PROVIDER_CONFIGURATION_CHANGED",
        flag=scene.LIVELY,
        within_ms=ARRIVES_WITHIN_MS,
    )

    assert told["flags"] == [scene.LIVELY]
    assert ask(page, client["name"], "boolean", scene.LIVELY)["value"] is True
    assert "flagConfigEtag=" in page.call("look", name=client["name"])["requests"][0]["url"]


@pytest.mark.usefixtures("switched_off")
def test_a_page_that_comes_back_refreshes(page: NodeProcess, connect: Connect, stage: Stage) -> None:
    """Without stream and polling, the change is seen when the page is."""
    client = connect(changeDetection="none")
    page.call("show_page", state="hidden")
    stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=True)
    page.call("show_page", state="visible")

    page.call("wait_for_request", name=client["name"], status=200, part="", within_ms=ARRIVES_WITHIN_MS)


@pytest.mark.usefixtures("switched_off")
def test_the_copy_in_local_storage(page: NodeProcess, connect: Connect, stage: Stage) -> None:
    """The next page starts with what the last one had, and is brought up to date behind the scenes."""
    name = connect(cacheMode="local-cache-first")["name"]
    page.call("disconnect")
    stage.author.switch(scene.PROJECT, scene.ENVIRONMENT, scene.LIVELY, on=True)

    client = connect(cacheMode="local-cache-first", name=name)
    told = page.call(
        "wait_for_event",
        name=client["name"],
        event="PROVIDER_CONFIGURATION_CHANGED",
        flag=scene.LIVELY,
        within_ms=ARRIVES_WITHIN_MS,
    )

    assert told["flags"] == [scene.LIVELY]
    assert page.call("look", name=client["name"])["requests"][0]["if_none_match"] is not None
    assert ask(page, client["name"], "boolean", scene.LIVELY)["reason"] == "STATIC"
