"""Routes of evidence, and of the facts that are said through one pair of verbs."""

from collections.abc import Iterator
from typing import Any

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import plain
from greenroom_server.releases import service_evidence as evidence
from greenroom_server.releases import service_nouns as facts
from greenroom_server.releases.intake import Offered, Told
from greenroom_server.releases.nouns import DEMO, NOUNS, Noun
from greenroom_server.releases.reading import FACT_FILTERS, by_seq, fact_filter
from greenroom_server.releases.reading_documents import BESIDE, MEDIA_TYPES, read_document
from greenroom_server.releases.service_provenances import pinned_keys
from greenroom_server.releases.wire_evidence import MAX_BATCH, EvidenceIn, RevocationIn
from greenroom_server.releases.wire_facts import AcceptanceIn, EndIn
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import JSON, Reply
from greenroom_server.web.route import MIB, Handler, Route
from greenroom_server.web.validation import parse

_MAX_NODES = 40 * MAX_BATCH
_FILTERS = ("kind", "suite", "digest", "commit", "producer", "run")


async def add_evidence(call: Call) -> Reply:
    work, project = work_of(call), call.params["project"]
    if call.media_type in (None, JSON):
        told = Told(_offered(call))
    else:
        told = await read_document(call, await pinned_keys(work, project))
    outcome = await evidence.take_evidence(work, project, told)
    if call.dry_run:
        return answer(call, outcome)
    return Reply(status=201 if outcome.changes else 200, body=plain(outcome.result))


async def list_evidence(call: Call) -> Reply:
    request, before = by_seq(call)
    wanted = evidence.EvidenceFilter(*(call.query.get(name) for name in _FILTERS))
    rows = await evidence.page_evidence(
        work_of(call), call.params["project"], wanted, before=before, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))


async def read_evidence(call: Call) -> Reply:
    found = await evidence.read_evidence(work_of(call), call.params["project"], call.params["evidence"])
    return Reply(body=plain(found))


async def revoke_evidence(call: Call) -> Reply:
    params, wanted = call.params, call.parse(RevocationIn)
    outcome = await evidence.revoke_evidence(work_of(call), params["project"], params["evidence"], wanted.reason)
    return answer(call, outcome)


async def accept_demo(call: Call) -> Reply:
    params, wanted = call.params, call.parse(AcceptanceIn)
    return answer(call, await facts.accept_demo(work_of(call), params["project"], params["demo"], wanted))


def _offered(call: Call) -> list[Offered]:
    """One piece, or a list of them, in our own JSON, which says everything by itself."""
    beside = [name for name in BESIDE if name in call.query]
    if beside:
        raise Invalid(errors=[FieldError(beside[0], f"`{beside[0]}` stands in the JSON, not beside it")])
    body = call.json(nodes=_MAX_NODES)
    if not isinstance(body, list):
        return [Offered(parse(EvidenceIn, body))]
    if len(body) > MAX_BATCH:
        raise LimitExceeded("evidence_per_batch", MAX_BATCH)
    if not body:
        raise Invalid(errors=[FieldError("", "the list is empty")])
    offered, errors = [], []
    for index, one in enumerate(body):
        try:
            offered.append(Offered(parse(EvidenceIn, one), f"/{index}"))
        except Invalid as error:
            errors += [FieldError(f"/{index}{inner.pointer}", inner.detail) for inner in error.errors]
    if errors:
        raise Invalid(errors=errors)
    return offered


def _adding(noun: Noun) -> Handler:
    async def add(call: Call) -> Reply:
        project = call.params["project"]
        outcome: Any = await facts.add_fact(work_of(call), project, noun, call.parse(noun.wanted))
        return answer(call, outcome, created_at=noun.path(project, outcome.result.id))

    return add


def _listing(noun: Noun) -> Handler:
    async def page(call: Call) -> Reply:
        request, before = by_seq(call)
        rows = await facts.list_facts(
            work_of(call), call.params["project"], noun, fact_filter(call), before=before, limit=request.limit + 1
        )
        return Reply(body=pagination.page(rows, request, item=plain, sort_key=lambda row: (row.seq,)))

    return page


def _ending(noun: Noun) -> Handler:
    async def end(call: Call) -> Reply:
        params, wanted = call.params, call.parse(EndIn)
        return answer(
            call, await facts.end_fact(work_of(call), params["project"], noun, params[noun.kind], wanted.reason)
        )

    return end


def _routes_of(noun: Noun) -> Iterator[Route]:
    path = f"{_PROJECT}/{noun.plural}"
    query = (*pagination.QUERY, *FACT_FILTERS)
    yield Route("GET", path, f"list_{noun.plural}", "releases.read", _listing(noun), store="read", query=query)
    yield Route("POST", path, f"create_{noun.kind}", noun.permission, _adding(noun), idempotent=True)
    if noun.end is not None:
        name = f"{noun.end}_{noun.kind}"
        yield Route("POST", f"{path}/{{{noun.kind}}}/{noun.end}", name, noun.end_permission, _ending(noun), writes=True)


_PROJECT = "/api/v1/projects/{project}"
_EVIDENCE = f"{_PROJECT}/evidence"
_ONE = f"{_EVIDENCE}/{{evidence}}"

ROUTES = (
    Route(
        "GET",
        _EVIDENCE,
        "list_evidence",
        "releases.read",
        list_evidence,
        store="read",
        query=(*pagination.QUERY, *_FILTERS),
    ),
    Route(
        "POST",
        _EVIDENCE,
        "add_evidence",
        "facts.write",
        add_evidence,
        idempotent=True,
        query=BESIDE,
        max_body=8 * MIB,
        media_types=MEDIA_TYPES,
    ),
    Route("GET", _ONE, "read_evidence", "releases.read", read_evidence, store="read"),
    Route("POST", f"{_ONE}/revoke", "revoke_evidence", "evidence.revoke", revoke_evidence, writes=True),
    *(route for noun in NOUNS for route in _routes_of(noun)),
    Route(
        "POST",
        f"{_PROJECT}/demos/{{{DEMO.kind}}}/accept",
        "accept_demo",
        "stories.write",
        accept_demo,
        writes=True,
    ),
)
