"""SLSA provenance, versions 1 and 0.2: who built these artifacts, how, and from which commit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import AliasChoices, Field

from greenroom_server.releases.formats.bounded_json import Foreign, Many, Uri
from greenroom_server.releases.formats.drafts import Fact, ProvenanceDraft
from greenroom_server.releases.formats.limits import MAX_LISTED
from greenroom_server.releases.formats.statement import Descriptor, StatementRead
from greenroom_server.releases.formats.values import commit_in, moment_or_none, shown

_REF: Final = "@refs/"
_GIT: Final = re.compile(r"git[+:@]|[^#?]*\.git(?:$|[@#?/])")


class _Builder(Foreign):
    id: Uri


class _Metadata(Foreign):
    """The members of version 1, and as version 0.2 calls them."""

    invocation_id: Uri | None = Field(None, validation_alias=AliasChoices("invocationId", "buildInvocationId"))
    started: str | None = Field(None, validation_alias=AliasChoices("startedOn", "buildStartedOn"))
    finished: str | None = Field(None, validation_alias=AliasChoices("finishedOn", "buildFinishedOn"))


class _RunDetails(Foreign):
    builder: _Builder
    metadata: _Metadata | None = None


class _BuildDefinition(Foreign):
    build_type: Annotated[Uri, Field(alias="buildType")]
    external_parameters: Annotated[dict[str, Any], Field(alias="externalParameters")]
    resolved_dependencies: Annotated[Many[Descriptor] | None, Field(alias="resolvedDependencies")] = None


class _Provenance1(Foreign):
    build_definition: Annotated[_BuildDefinition, Field(alias="buildDefinition")]
    run_details: Annotated[_RunDetails, Field(alias="runDetails")]


class _Invocation(Foreign):
    config_source: Annotated[Descriptor | None, Field(alias="configSource")] = None
    parameters: dict[str, Any] | None = None


class _Provenance02(Foreign):
    builder: _Builder
    build_type: Annotated[Uri, Field(alias="buildType")]
    invocation: _Invocation | None = None
    metadata: _Metadata | None = None
    materials: Many[Descriptor] | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    commit: str | None = None
    uri: str | None = None
    ref: str | None = None


def read_provenance_1(read: StatementRead) -> tuple[Fact, ...]:
    provenance = read.predicate_as(_Provenance1)
    definition, details = provenance.build_definition, provenance.run_details
    draft = ProvenanceDraft(
        digests=read.digests(),
        builder_id=details.builder.id,
        build_type=definition.build_type,
        attachment_digest=read.attachment_digest,
        external_parameters=_names_in(definition.external_parameters),
        verified_by=read.verified_by,
    )
    return (_completed(draft, _only_source(definition.resolved_dependencies), details.metadata),)


def read_provenance_0_2(read: StatementRead) -> tuple[Fact, ...]:
    provenance = read.predicate_as(_Provenance02)
    invocation = provenance.invocation or _Invocation()
    draft = ProvenanceDraft(
        digests=read.digests(),
        builder_id=provenance.builder.id,
        build_type=provenance.build_type,
        attachment_digest=read.attachment_digest,
        external_parameters=_names_in(invocation.parameters or {}),
        verified_by=read.verified_by,
    )
    configured = _source_of(invocation.config_source, is_source=True) if invocation.config_source else _Source()
    source = configured if configured.commit else _only_source(provenance.materials)
    return (_completed(draft, source, provenance.metadata),)


def _completed(draft: ProvenanceDraft, source: _Source, metadata: _Metadata | None) -> ProvenanceDraft:
    told = metadata or _Metadata()
    return replace(
        draft,
        commit=source.commit,
        source=source.uri,
        ref=source.ref,
        invocation_id=told.invocation_id,
        started_at=moment_or_none(told.started or ""),
        finished_at=moment_or_none(told.finished or ""),
    )


def _only_source(descriptors: list[Descriptor] | None) -> _Source:
    """The one source commit among what was built from; nothing if there are several, as none may be picked."""
    found = {source.commit: source for one in descriptors or () if (source := _source_of(one)).commit}
    return next(iter(found.values())) if len(found) == 1 else _Source()


def _source_of(descriptor: Descriptor, *, is_source: bool = False) -> _Source:
    digests, uri = descriptor.digest or {}, descriptor.uri or ""
    commit = commit_in(digests.get("gitCommit", ""))
    if commit is None and (is_source or _GIT.match(uri)):
        commit = commit_in(digests.get("sha1", ""))
    place, at, ref = uri.partition(_REF)
    return _Source(commit, shown(place) or None, shown(f"refs/{ref}") if at else None)


def _names_in(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(shown(name) for name in sorted(parameters)[:MAX_LISTED])
