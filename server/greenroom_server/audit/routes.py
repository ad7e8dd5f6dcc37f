"""Routes of the audit log."""

from datetime import datetime

from greenroom_server.audit import service
from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.errors import FieldError, Forbidden, Invalid
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route
from greenroom_server.web.times import moment_of

_FILTERS = ("actor", "action", "target")


async def list_audit_events(call: Call) -> Reply:
    """All events that the caller may see, newest first; a token limited to projects sees those only."""
    wanted = _filter_of(call, call.principal.projects)
    request = pagination.page_request(call, str, str, int)
    before = None if request.after is None else _sort_key(*request.after)
    rows = await service.page(call.session, wanted, before=before, limit=request.limit + 1)
    return Reply(
        body=pagination.page(
            rows,
            request,
            item=_plain,
            sort_key=lambda event: (event.at.isoformat(), event.project or "", event.sequence),
        )
    )


async def list_project_audit_events(call: Call) -> Reply:
    """What happened to a project, also to one that was deleted; last first."""
    wanted = _filter_of(call, None)
    request = pagination.page_request(call, int)
    before = None if request.after is None else request.after[0]
    rows = await service.page_of_chain(
        call.session, call.params["project"], wanted, before=before, limit=request.limit + 1
    )
    return Reply(body=pagination.page(rows, request, item=_plain, sort_key=lambda event: (event.sequence,)))


def _filter_of(call: Call, chains: frozenset[str] | None) -> service.EventFilter:
    if call.principal.environments is not None:
        raise Forbidden("a token limited to environments cannot read the audit log, which names all of them")
    return service.EventFilter(chains, *(call.query.get(name) for name in _FILTERS))


def _plain(event: AuditEventOut) -> dict[str, object]:
    return event.model_dump(mode="json")


def _sort_key(at: str, chain: str, sequence: int) -> tuple[datetime, str, int]:
    try:
        return moment_of(at), chain, sequence
    except ValueError:
        raise Invalid(errors=[FieldError("cursor", "`cursor` is not one that this list gave out")]) from None


_QUERY = (*pagination.QUERY, *_FILTERS)

ROUTES = (
    Route("GET", "/api/v1/audit", "list_audit_events", "audit.read", list_audit_events, store="read", query=_QUERY),
    Route(
        "GET",
        "/api/v1/projects/{project}/audit",
        "list_project_audit_events",
        "audit.read",
        list_project_audit_events,
        store="read",
        query=_QUERY,
    ),
)
