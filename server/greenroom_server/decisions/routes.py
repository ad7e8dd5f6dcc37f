"""Routes of policies and decisions."""

import asyncio
import re
from typing import Any, Final

from greenroom_server.decisions import service_decisions as decisions
from greenroom_server.decisions import service_policies as policies
from greenroom_server.decisions.policies import compiled
from greenroom_server.decisions.service_comparison import MAX_REPLAYED, compare_policy, stored_policy
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.trials import check
from greenroom_server.decisions.waiting import MAX_WAIT_S, Waiting
from greenroom_server.decisions.wire import ActivationIn, SimulationIn
from greenroom_server.errors import FieldError, Invalid, NotFound
from greenroom_server.flags.answers import answer, answer_if_new, shown, work_of
from greenroom_server.flags.work import plain
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.initial import render_template
from greenroom_server.web import pagination
from greenroom_server.web.asking import number_of
from greenroom_server.web.call import Call
from greenroom_server.web.codec import MAX_NODES
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.scope import KEY_PATTERN
from greenroom_server.web.yaml_codec import read_yaml

YAML: Final = "application/yaml"
FILTERS: Final = {
    "service": KEY_PATTERN,
    "environment": KEY_PATTERN,
    "verdict": re.compile("allow|wait|deny"),
    "action": re.compile("[a-z][a-z0-9_-]{0,39}"),
}
_PROJECT: Final = "/api/v1/projects/{project}"
_POLICIES: Final = f"{_PROJECT}/policies"
_VERSION: Final = f"{_POLICIES}/{{policy}}/versions/{{version}}"
_SETTINGS: Final = f"{_PROJECT}/policy-settings"
_DECISIONS: Final = f"{_PROJECT}/decisions"
_DECISION: Final = f"{_DECISIONS}/{{decision:uuid}}"


async def list_policies(call: Call) -> Reply:
    request = pagination.page_request(call, str, int)
    after = None if request.after is None else (request.after[0], request.after[1])
    rows = await policies.page_policies(work_of(call), call.params["project"], after=after, limit=request.limit + 1)
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.name, row.version)))


async def read_policy_template(call: Call) -> Reply:
    """A first document, for people to edit."""
    asked = call.query
    environments = asked.get("environments", "staging,production").split(",")
    name, zone = asked.get("name", call.params["project"]), asked.get("time_zone", "UTC")
    try:
        text = render_template(call.params["template"], name=name, time_zone=zone, environments=environments)
    except ValueError as error:
        raise Invalid(str(error)) from None
    return Reply(body=text.encode(), media_type=YAML)


async def create_policy(call: Call) -> Reply:
    project, authored = call.params["project"], await _document_of(call)
    outcome = await policies.create_policy(work_of(call), project, authored)
    made = outcome.result
    path = policies.policy_path(project, made.name, made.version)
    return answer_if_new(call, outcome, path)


async def check_policy(call: Call) -> Reply:
    authored = await _document_of(call)
    if not isinstance(authored, dict):
        raise Invalid(errors=[FieldError("", "a policy is an object")])
    return Reply(body=plain(await asyncio.to_thread(check, authored)))


async def read_policy(call: Call) -> Reply:
    found = await policies.read_policy(work_of(call), call.params["project"], call.params["policy"], _version_of(call))
    return Reply(body=plain(found))


async def activate_policy(call: Call) -> Reply:
    params, wanted = call.params, call.parse(ActivationIn)
    outcome = await policies.activate_policy(
        work_of(call), params["project"], params["policy"], _version_of(call), wanted
    )
    return answer(call, outcome)


async def read_policy_settings(call: Call) -> Reply:
    return shown(await policies.read_settings(work_of(call), call.params["project"]))


async def update_policy_settings(call: Call) -> Reply:
    return answer(call, await policies.update_settings(work_of(call), call.params["project"], call.json()))


async def list_decisions(call: Call) -> Reply:
    request = pagination.page_request(call, str, str)
    after = None if request.after is None else (request.after[0], request.after[1])
    wanted = {name: call.query[name] for name in FILTERS if name in call.query}
    for name, value in wanted.items():
        if FILTERS[name].fullmatch(value) is None:
            detail = f"`{name}` is not what a {name} looks like"
            raise Invalid(detail, errors=[FieldError(name, detail)])
    rows = await decisions.page_decisions(
        work_of(call), call.params["project"], wanted, after=after, limit=request.limit + 1
    )
    return Reply(
        body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.decided_at.isoformat(), row.id))
    )


async def read_decision(call: Call) -> Reply:
    found = await decisions.read_decision(work_of(call), call.params["project"], call.params["decision"])
    return Reply(body=found)


def decision_routes(shelves: Shelves, waiting: Waiting) -> tuple[Route, ...]:
    """The routes but `routes_questions`; compiled policies and facts come off the shelves."""

    async def compare(call: Call) -> Reply:
        params = call.params
        policy = await stored_policy(
            work_of(call), params["project"], params["policy"], _version_of(call), shelves.policies
        )
        return await difference_to(call, policy)

    async def compare_document(call: Call) -> Reply:
        document = await _document_of(call)
        return await difference_to(call, await asyncio.to_thread(compiled, document, 1))

    async def difference_to(call: Call, policy: Policy) -> Reply:
        last = number_of(call, "last", default=50, most=MAX_REPLAYED)
        return Reply(
            body=plain(
                await compare_policy(work_of(call), call.params["project"], policy, last=last, shelf=shelves.policies)
            )
        )

    async def simulate_decision(call: Call) -> Reply:
        wanted = call.parse(SimulationIn)
        if isinstance(wanted.document, str):
            document = await asyncio.to_thread(read_yaml, wanted.document.encode(), nodes=MAX_NODES)
            wanted = wanted.model_copy(update={"document": document})
        return Reply(body=await decisions.simulate_decision(work_of(call), call.params["project"], wanted, shelves))

    async def replay_decision(call: Call) -> Reply:
        params = call.params
        found = await decisions.replay_decision(work_of(call), params["project"], params["decision"], shelves.policies)
        return Reply(body=plain(found))

    async def await_decision_news(call: Call) -> Reply:
        return Reply(body=plain(await waiting.news_of(call, number_of(call, "wait", default=30, most=MAX_WAIT_S))))

    read: dict[str, Any] = {"store": "read"}
    return (
        Route("GET", _POLICIES, "list_policies", "policies.read", list_policies, query=pagination.QUERY, **read),
        Route(
            "POST",
            _POLICIES,
            "create_policy",
            "policies.write",
            create_policy,
            idempotent=True,
            media_types=(JSON, YAML),
        ),
        Route("POST", f"{_POLICIES}/check", "check_policy", "policies.read", check_policy, media_types=(JSON, YAML)),
        Route(
            "POST",
            f"{_POLICIES}/compare",
            "compare_policy_document",
            "policies.read",
            compare_document,
            query=("last",),
            media_types=(JSON, YAML),
            **read,
        ),
        Route(
            "GET",
            f"{_PROJECT}/policy-templates/{{template}}",
            "read_policy_template",
            "policies.read",
            read_policy_template,
            query=("name", "time_zone", "environments"),
        ),
        Route("GET", _VERSION, "read_policy", "policies.read", read_policy, **read),
        Route("POST", f"{_VERSION}/activate", "activate_policy", "policies.activate", activate_policy, writes=True),
        Route("GET", f"{_VERSION}/comparison", "compare_policy", "policies.read", compare, query=("last",), **read),
        Route("GET", _SETTINGS, "read_policy_settings", "policies.read", read_policy_settings, **read),
        Route("PATCH", _SETTINGS, "update_policy_settings", "policies.settings", update_policy_settings, writes=True),
        Route(
            "GET",
            _DECISIONS,
            "list_decisions",
            "decisions.read",
            list_decisions,
            query=(*pagination.QUERY, *FILTERS),
            **read,
        ),
        Route("POST", f"{_DECISIONS}/simulate", "simulate_decision", "decisions.read", simulate_decision, **read),
        Route("GET", _DECISION, "read_decision", "decisions.read", read_decision, **read),
        Route("POST", f"{_DECISION}/replay", "replay_decision", "decisions.read", replay_decision, **read),
        Route(
            "GET",
            f"{_DECISION}/news",
            "await_decision_news",
            "decisions.read",
            await_decision_news,
            query=("wait",),
        ),
    )


async def _document_of(call: Call) -> Any:
    """A policy as JSON or YAML."""
    if call.media_type != YAML:
        return call.json()
    # In a thread: YAML is slow to read, and would stop everybody else's requests.
    return await asyncio.to_thread(read_yaml, call.body, nodes=MAX_NODES)


def _version_of(call: Call) -> int:
    text = call.params["version"]
    if not text.isdigit() or len(text) > 6:
        raise NotFound(f"there is no version `{text}`")
    return int(text)
