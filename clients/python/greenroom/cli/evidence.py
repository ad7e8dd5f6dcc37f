"""`greenroom evidence`: tell what was checked, as reports of tools, and what else releases are decided on."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from greenroom.cli import facts
from greenroom.cli.arguments import Limit, Slot
from greenroom.cli.asking import Yes, agree
from greenroom.cli.command import command
from greenroom.cli.errors import UsageError
from greenroom.cli.evidence_files import FORMATS, Report, event_headers, read_report
from greenroom.cli.pipeline_run import this_run
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Commit, Digest, Subject, subject_of
from greenroom.cli.times import moment, shown

group = typer.Typer(
    help="Evidence: what was checked and what came out; demonstrations, parity, obstacles.", no_args_is_help=True
)

_EVENTS = "cdevents"
_OWN = "json"
_UNNAMED = ("junit", "sarif")

Kind = Annotated[
    str | None, typer.Option(metavar="KIND", help="What was checked: `test.unit`, `test.security`, `sbom`.")
]
Suite = Annotated[str | None, typer.Option(help="The suite, as the policy calls it.")]
RunId = Annotated[str | None, typer.Option(help="The run that produced it; the pipeline's, if we are in one.")]
Attempt = Annotated[int | None, typer.Option(min=1, max=1000, help="Which attempt of that run; the pipeline's, or 1.")]
Environment = Annotated[str | None, typer.Option("--in", metavar="KEY", help="The environment in which it ran.")]
Producer = Annotated[str | None, typer.Option(help="Who produced it; the token's name, if left out.")]
FinishedAt = Annotated[str | None, typer.Option(metavar="MOMENT", help="When it was finished; now, if left out.")]
StartedAt = Annotated[str | None, typer.Option(metavar="MOMENT", help="When it was started.")]
Link = Annotated[str | None, typer.Option(help="Where people find it; the pipeline's run.")]


@command(group, "add")
def add_evidence(
    session: Session,
    file: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="Reports; of JUnit several, or a pattern, are one.")
    ],
    kind: Kind = None,
    suite: Suite = None,
    digest: Digest = None,
    commit: Commit = None,
    artifact: Artifact = None,
    in_environment: Environment = None,
    slot: Slot = None,
    run_id: RunId = None,
    attempt: Attempt = None,
    producer: Producer = None,
    started_at: StartedAt = None,
    finished_at: FinishedAt = None,
    link: Link = None,
    format: Annotated[  # noqa: A002
        Literal["junit", "sarif", "dsse", "in-toto", "cdevents", "json"] | None,
        typer.Option(help="How it is written; seen from its content, if left out."),
    ] = None,
) -> None:
    """Add reports as evidence: JUnit, SARIF, in-toto and DSSE, CDEvents, or Greenroom's own JSON. Red ones too.

    It ends with 0 once the evidence is kept, whatever came out: whether that lets anything through, the gate says.
    """
    report = read_report(file, format)
    if report.format in (_EVENTS, _OWN):
        _add_as_it_is(session, report)
        return
    # A signed statement says itself what it is about; a report of these does not.
    says_nothing = report.format in _UNNAMED
    named, run = subject_of(digest, commit, artifact), this_run()
    if says_nothing and kind is None:
        raise UsageError("which kind of evidence is it?", hint="`--kind test.unit`, as the policy calls it")
    query = {
        "kind": kind,
        "suite": suite,
        **(_checked(named) if says_nothing else named.members),
        "environment": in_environment,
        "slot": slot,
        "run": _run_id(run_id) if says_nothing else run_id or run.run_id or None,
        "attempt": attempt or run.attempt,
        "producer": producer,
        "started_at": moment(started_at),
        "finished_at": moment(finished_at) or _now(),
        "url": link or run.url or None,
    }
    path = session.project_path("evidence")
    receipt = session.api.create(path, report.content, media_type=FORMATS[report.format], query=query).body
    _show_receipt(session, receipt)


@command(group, "record")
def record_evidence(
    session: Session,
    kind: Annotated[str, typer.Option(metavar="KIND", help="What was checked: `test.capacity`.")],
    outcome: Annotated[Literal["pass", "fail", "error", "cancelled"], typer.Option(help="What came out.")],
    suite: Suite = None,
    digest: Digest = None,
    commit: Commit = None,
    artifact: Artifact = None,
    in_environment: Environment = None,
    slot: Slot = None,
    run_id: RunId = None,
    attempt: Attempt = None,
    producer: Producer = None,
    started_at: StartedAt = None,
    finished_at: FinishedAt = None,
    link: Link = None,
    passed: Annotated[int | None, typer.Option(min=0, help="How many cases passed.")] = None,
    failed: Annotated[int | None, typer.Option(min=0, help="How many failed.")] = None,
    skipped: Annotated[int | None, typer.Option(min=0, help="How many were skipped.")] = None,
) -> None:
    """Add evidence of a check that writes no report: what came out, and of how many cases."""
    run = this_run()
    counts = {"passed": passed or 0, "failed": failed or 0, "skipped": skipped or 0}
    is_counted = any(one is not None for one in (passed, failed, skipped))
    known = {
        "suite": suite,
        "environment": in_environment,
        "slot": slot,
        "producer": producer,
        "started_at": moment(started_at),
        "url": link or run.url,
        "counts": {"total": sum(counts.values()), **counts} if is_counted else None,
    }
    body = {
        "kind": kind,
        "outcome": outcome,
        "subject": _checked(subject_of(digest, commit, artifact)),
        "run": {"id": _run_id(run_id), "attempt": attempt or run.attempt},
        "finished_at": moment(finished_at) or _now(),
        **{name: value for name, value in known.items() if value},
    }
    _show_receipt(session, session.api.create(session.project_path("evidence"), body).body)


@command(group, "list")
def list_evidence(
    session: Session,
    kind: Kind = None,
    suite: Suite = None,
    digest: Digest = None,
    commit: Commit = None,
    run_id: Annotated[str | None, typer.Option(help="Only of this run.")] = None,
    producer: Annotated[str | None, typer.Option(help="Only of this producer.")] = None,
    limit: Limit = 20,
) -> None:
    """List evidence, newest first: what was checked, what came out, and of how many cases."""
    named = {} if digest is None and commit is None else subject_of(digest, commit).members
    query = {"kind": kind, "suite": suite, "run": run_id, "producer": producer, **named}
    page = session.api.pages(session.project_path("evidence"), limit=limit, **query)
    rows = [
        [
            one["id"],
            one["kind"],
            one["suite"],
            f"{one['outcome']}, revoked" if one["revoked_at"] else one["outcome"],
            _counted(one),
            (one["subject"]["digest"] or one["subject"]["commit"] or "")[:19],
            shown(one["finished_at"]),
            one["producer"],
        ]
        for one in page["items"]
    ]
    columns = ("id", "kind", "suite", "outcome", "cases", "of", "finished", "by")
    session.screen.result(page, table(columns, rows), keys=[one["id"] for one in page["items"]])


@command(group, "revoke")
def revoke_evidence(
    session: Session,
    evidence: Annotated[str, typer.Argument(metavar="ID", help="The evidence's id.")],
    reason: Annotated[str, typer.Option(help="Why it must not count.")],
    yes: Yes = False,
) -> None:
    """Revoke evidence that should never have counted. It stays in the record, with the reason. Asks first."""
    path = session.project_path("evidence", evidence)
    found = session.api.get(path).body
    if not yes:
        agree(session.screen, f"revoke {found['kind']} of run {found['run']['id']}, which is {found['outcome']}")
    made = session.api.change("POST", f"{path}/revoke", {"reason": reason}).body
    session.screen.result(made, f"{evidence} does not count any more", keys=[evidence])


facts.add_to(group)


def _checked(named: Subject) -> dict[str, str]:
    if not named.members:
        hint = "`--digest`, `--artifact`, or `--commit` where the suite is bound to that"
        raise UsageError("what was checked?", hint=hint)
    return named.members


def _run_id(given: str | None) -> str:
    found = given or this_run().run_id
    if not found:
        raise UsageError("which run produced it?", hint="`--run-id`: the same for a rerun, with a higher `--attempt`")
    return found


def _add_as_it_is(session: Session, report: Report) -> None:
    """What says everything by itself."""
    if report.format == _OWN:
        _show_receipt(session, session.api.create(session.project_path("evidence"), report.content).body)
        return
    made = session.api.tell(session.project_path("events"), report.content, event_headers(report.content)).body
    rows = [[one["type"], one["id"], one["status"], one["reason"] or one["fact"]] for one in made["items"]]
    session.screen.result(made, table(["event", "id", "", ""], rows), keys=[one["status"] for one in made["items"]])


def _show_receipt(session: Session, receipt: dict[str, Any]) -> None:
    if session.screen.is_json or session.screen.is_quiet:
        session.screen.result(receipt, (), keys=[one["id"] for one in receipt["items"]])
        return
    for one in receipt["items"]:
        again = " (it was there already)" if one["status"] == "duplicate" else ""
        if one.get("noun", "evidence") != "evidence":
            session.screen.show(f"provenance: kept{again}")
            continue
        kept = session.api.get(session.project_path("evidence", one["id"])).body
        name = " ".join(part for part in (kept["kind"], kept["suite"]) if part)
        counted = _counted(kept)
        session.screen.show(f"{name}: {kept['outcome']}{f', {counted}' if counted else ''}{again}")
    if not receipt["items"]:
        session.screen.say("the document tells of something else than evidence, which is kept")


def _counted(one: dict[str, Any]) -> str:
    counts = one["counts"]
    if counts is None:
        return ""
    told = (f"{counts[name]} {name}" for name in ("passed", "failed", "errors", "skipped", "flaky") if counts[name])
    return ", ".join(told) or "no cases"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
