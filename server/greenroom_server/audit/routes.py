"""Routes of the audit log."""

from datetime import datetime

from greenroom_server.audit import service
from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.errors import FieldError, Forbidden, Invalid
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import Route

_FILTERS = ("actor", "action", "target")


async def list_audit_events(call: Call) -> Reply:
    """All events that the caller may see; a token limited to projects sees those only."""
    return await _list(call, call.principal.projects)


async def list_project_audit_events(call: Call) -> Reply:
    return await _list(call, frozenset({call.params["project"]}))


async def _list(call: Call, chains: frozenset[str] | None) -> Reply:
    if call.principal.environments is not None:
        raise Forbidden("a token limited to environments cannot read the audit log, which names all of them")
    request = pagination.page_request(call, str, str, int)
    before = None if request.after is None else _sort_key(*request.after)
    wanted = service.EventFilter(chains, *(call.query.get(name) for name in _FILTERS))
    rows = await service.page(call.session, wanted, before=before, limit=request.limit + 1)
    return Reply(
        body=pagination.page(
            rows,
            request,
            item=lambda event: event.model_dump(mode="json"),
            sort_key=_key_of,
        )
    )


def _key_of(event: AuditEventOut) -> tuple[str, str, int]:
    return event.at.isoformat(), event.project or "", event.sequence


def _sort_key(at: str, chain: str, sequence: int) -> tuple[datetime, str, int]:
    try:
        return datetime.fromisoformat(at), chain, sequence
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
