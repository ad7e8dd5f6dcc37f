"""A statement whose frame was checked, as the readers of its predicates see it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenroom_server.releases.formats.bounded_json import Foreign, ModelT, parsed
from greenroom_server.releases.formats.drafts import About, EvidenceDraft, Outcome, Subject
from greenroom_server.releases.formats.findings import Threshold
from greenroom_server.releases.formats.refusals import Unreadable


class Descriptor(Foreign):
    """A ResourceDescriptor, as far as it is looked at."""

    uri: str | None = None
    digest: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StatementRead:
    """A statement whose frame is checked, and what is known beside it."""

    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    attachment_digest: str
    verified_by: str | None
    about: About | None
    threshold: Threshold

    def digests(self) -> tuple[str, ...]:
        return tuple(one.digest for one in self.subjects if one.digest is not None)

    def predicate_as(self, model: type[ModelT]) -> ModelT:
        return parsed(model, self.predicate, at="/predicate")

    def evidence(self, outcome: Outcome) -> tuple[EvidenceDraft, ...]:
        """Evidence about each subject, or about the one among them that the sender named."""
        about = self.about
        if about is None:
            raise Unreadable("a statement does not say its `kind`, `suite` and `run`; send them with it", field="kind")
        draft = replace(about.evidence(outcome, self.attachment_digest), verified_by=self.verified_by)
        return tuple(replace(draft, subject=subject) for subject in self._named_by(about))

    def _named_by(self, about: About) -> tuple[Subject, ...]:
        named = about.subject
        if named is None:
            return self.subjects
        # What is said of one build is not said of another.
        picked = tuple(subject for subject in self.subjects if subject.is_part_of(named))
        if not picked:
            raise Unreadable(
                "the statement is about another subject than the one that was sent with it", field="/subject"
            )
        return picked
