"""Routes of the access area: set-up, tokens, and who the caller is."""

from datetime import datetime
from uuid import UUID

from greenroom_server.access import service
from greenroom_server.access.principal import Principal
from greenroom_server.access.wire import SetupIn, TokenCreated, TokenIn, TokenOut, WhoamiOut
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.web import pagination
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.routing import PUBLIC, Route
from greenroom_server.web.times import moment_of

_TOKENS = "/api/v1/tokens"


def routes(find_environment: service.EnvironmentFinder) -> tuple[Route, ...]:
    """The area's routes; `find_environment` says where an SDK key belongs."""

    async def create_token(call: Call) -> Reply:
        wanted = call.parse(TokenIn)
        created = await service.create_token(call.session, call.principal, wanted, find_environment, call.now)
        return _shown_once(call, created)

    return (
        Route("POST", "/api/v1/setup", "set_up", PUBLIC, set_up, writes=True),
        Route("GET", "/api/v1/whoami", "read_whoami", "self.read", read_whoami),
        Route("GET", _TOKENS, "list_tokens", "tokens.read", list_tokens, store="read", query=pagination.QUERY),
        Route("POST", _TOKENS, "create_token", "tokens.write", create_token, idempotent=True),
        Route("GET", f"{_TOKENS}/{{token}}", "read_token", "tokens.read", read_token, store="read"),
        Route("DELETE", f"{_TOKENS}/{{token}}", "revoke_token", "tokens.write", revoke_token, writes=True),
    )


async def set_up(call: Call) -> Reply:
    return _shown_once(call, await service.set_up(call.session, call.parse(SetupIn), call.now))


async def read_whoami(call: Call) -> Reply:
    principal: Principal = call.principal
    answer = WhoamiOut.model_validate(
        {
            "token_id": principal.token_id,
            "name": principal.name,
            "kind": principal.kind,
            "permissions": sorted(principal.permissions),
            "projects": None if principal.projects is None else sorted(principal.projects),
            "environments": None if principal.environments is None else sorted(principal.environments),
            "project": principal.project_key,
            "environment": principal.environment_key,
            "person": principal.person,
            "roles": sorted(principal.roles),
            "expires_at": principal.expires_at,
        }
    )
    return Reply(body=answer.model_dump(mode="json"))


async def list_tokens(call: Call) -> Reply:
    call.principal.require_unlimited("listing tokens")
    request = pagination.page_request(call, str, str)
    after = None if request.after is None else _sort_key(*request.after)
    rows = await service.page_tokens(call.session, after=after, limit=request.limit + 1, now=call.now)
    return Reply(
        body=pagination.page(rows, request, item=_plain, sort_key=lambda row: (row.created_at.isoformat(), str(row.id)))
    )


async def read_token(call: Call) -> Reply:
    call.principal.require_unlimited("reading tokens")
    return Reply(body=_plain(await service.get_token(call.session, _id_of(call.params["token"]), call.now)))


async def revoke_token(call: Call) -> Reply:
    revoked, changes = await service.revoke_token(call.session, call.principal, _id_of(call.params["token"]), call.now)
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": list(changes), "result": _plain(revoked)})
    return Reply(body=_plain(revoked))


def _shown_once(call: Call, created: TokenCreated) -> Reply:
    """The one answer that holds a token's text; a dry run's token never was, so its text is not shown."""
    body = created.model_dump(mode="json")
    # INVARIANT: the text of a token is never stored, so a repeated `Idempotency-Key` does not get it again.
    again = {**body, "token": ""}
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": [{"op": "add", "path": "", "to": again}], "result": again})
    return Reply(status=201, body=body, location=f"{_TOKENS}/{created.id}", replay_body=again)


def _plain(token: TokenOut) -> dict[str, object]:
    return token.model_dump(mode="json")


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(errors=[FieldError("token", "a token is named by its id, not by its text")]) from None


def _sort_key(created_at: str, token_id: str) -> tuple[datetime, UUID]:
    try:
        return moment_of(created_at), UUID(token_id)
    except ValueError:
        raise Invalid(errors=[FieldError("cursor", "`cursor` is not one that this list gave out")]) from None
