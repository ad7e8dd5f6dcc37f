"""`greenroom gate verify`: looks at a signed permit without a server, by keys that the user trusts.

INVARIANT: it ends with 0 only if all of it holds.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from greenroom.cli.arguments import Slot
from greenroom.cli.command import Needs, command
from greenroom.cli.decision import DENY, EXIT_CODES
from greenroom.cli.envelope import BREAK_GLASS, VERDICT, Distrusted, Statement, signed_statement
from greenroom.cli.errors import UsageError
from greenroom.cli.gate_permit import Action
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Digest, Service, one_digest
from greenroom.cli.times import span

PASSED: Final = "PASSED"


def add_to(group: typer.Typer) -> None:
    """Add the command to those of `gate.py`."""
    command(group, "verify", needs=Needs.ENVIRONMENT)(verify_permit)


def verify_permit(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The signed permit; `-` is standard input.")],
    key: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A public key (PEM) that is trusted; may be given again.")
    ],
    service: Service,
    action: Action = "deploy",
    digest: Digest = None,
    artifact: Artifact = None,
    slot: Slot = None,
    verifier: Annotated[
        str | None, typer.Option(metavar="URI", help="Who must vouch for it: `verifier` of the list of keys.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Take one that is no older, whether it can be used still or not.")
    ] = None,
    break_glass: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take one that was let through by this break-glass too.")
    ] = None,
) -> None:
    """Check a signed permit without asking the server: 0 if all of it holds, 20 if any of it does not.

    That it was used or revoked meanwhile only the server knows.
    """
    wanted = one_digest(digest, artifact)
    resource = _resource(_project(session), service, session.asked_environment, slot, action)
    try:
        found = signed_statement(file, key)
        _check(found, wanted, resource, verifier)
        _check_age(found, None if max_age is None else span(max_age), datetime.now(UTC))
        by = _check_result(found, None if break_glass is None else signed_statement(break_glass, key), wanted)
    except Distrusted as error:
        session.screen.result({"verified": False, "reason": str(error)}, f"refused: {error}", keys=["refused"])
        raise typer.Exit(EXIT_CODES[DENY]) from None
    session.screen.result(
        {"verified": True, "by": by, "predicate": dict(found.predicate)}, f"verified: {resource}{by}", keys=["verified"]
    )


def _check(found: Statement, digest: str, resource: str, verifier: str | None) -> None:
    predicate = found.predicate
    if found.kind != VERDICT:
        raise Distrusted(f"it is a statement of another kind: `{found.kind}`")
    if digest not in found.digests:
        raise Distrusted(f"it is about another build than {digest}")
    vouching = predicate.get("verifier")
    name = vouching.get("id") if isinstance(vouching, dict) else None
    if verifier is not None and name != verifier:
        raise Distrusted(f"`{name}` vouches for it, and not `{verifier}`")
    if predicate.get("resourceUri") != resource:
        raise Distrusted(f"it is for `{predicate.get('resourceUri')}`, and not for `{resource}`")


def _check_age(found: Statement, max_age: timedelta | None, now: datetime) -> None:
    if max_age is None:
        until = found.moment("greenroom_expiresAt")
        if until is not None and now >= until:
            raise Distrusted(f"it could be used until {until.isoformat()}")
        return
    made = found.moment("timeVerified")
    if made is None or now - made > max_age:
        raise Distrusted(f"it is of {'an unknown moment' if made is None else made.isoformat()}")


def _check_result(found: Statement, glass: Statement | None, digest: str) -> str:
    """By what it was let through, in words; raises Distrusted if it was not."""
    if "greenroom_permit" not in found.predicate:
        raise Distrusted("no permit was issued by it")
    if found.predicate.get("verificationResult") == PASSED:
        return ""
    if glass is None:
        raise Distrusted(f"its result is `{found.predicate.get('verificationResult')}`, and not `{PASSED}`")
    if glass.kind != BREAK_GLASS or digest not in glass.digests:
        raise Distrusted("the record is of no break-glass for this build")
    if glass.predicate.get("greenroom_permit") != found.predicate["greenroom_permit"]:
        raise Distrusted("the break-glass let another permit through")
    return ", by break-glass"


def _resource(project: str, service: str, environment: str | None, slot: str | None, action: str) -> str:
    if environment is None:
        raise UsageError("which environment?", hint="`--environment KEY`")
    where = f"{environment}/{slot}" if slot else environment
    return f"greenroom://{project}/{service}/{where}?action={action}"


def _project(session: Session) -> str:
    if session.asked_project is None:
        raise UsageError("which project?", hint="`--project KEY`")
    return session.asked_project
