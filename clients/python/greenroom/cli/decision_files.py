"""A decision for continuous integration: as a JUnit report, and in the files that GitHub Actions reads."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from greenroom.cli.decision import ALLOW, Decision, Rule
from greenroom.cli.decision_words import headline, markdown, moments, origin, said
from greenroom.cli.errors import UsageError

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
OUTPUT: Final = "GITHUB_OUTPUT"
_NO_ID: Final = re.compile(r"[^0-9A-Za-z_-]")
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_files(decision: Decision, *, markdown_file: Path | None, junit_file: Path | None) -> None:
    """What the user asked for; raises UsageError if a file cannot be written, so that nobody waits for it in vain."""
    if markdown_file is not None:
        write_text(markdown_file, markdown(decision))
    if junit_file is not None:
        _write(junit_file, junit(decision))


def tell_github(
    decision: Decision, variables: Mapping[str, str] | None = None, *, outputs: Mapping[str, str] | None = None
) -> None:
    """Add to the job's summary and, unless it is a simulation, the step's outputs, where GitHub Actions runs us."""
    env = os.environ if variables is None else variables
    if summary := env.get(SUMMARY):
        _write(Path(summary), markdown(decision).encode("utf-8", "replace"), is_added=True)
    if (output := env.get(OUTPUT)) and not decision.is_simulated:
        _write(Path(output), step_outputs(decision, outputs or {}).encode(), is_added=True)


def step_outputs(decision: Decision, more: Mapping[str, str]) -> str:
    """The outputs of a step: `decision`, `decision-id`, `retry-at` and `expires-at`, empty for what is not; and more.

    What comes from the server is held to letters, digits and hyphens, so that it cannot write another output.
    """
    values = {
        "decision": decision.verdict,
        "decision-id": _NO_ID.sub("", decision.id or ""),
        "retry-at": "" if decision.retry_at is None else decision.retry_at.isoformat(),
        "expires-at": "" if decision.expires_at is None else decision.expires_at.isoformat(),
        **{name: _NO_ID.sub("", value) for name, value in more.items()},
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def junit(decision: Decision) -> bytes:
    """A test case for each rule, and one for the verdict, which fails unless it is `allow`.

    What fails is a failure, what waits is skipped, so that a report shows both apart.
    """
    place = f"greenroom.{decision.environment}.{decision.action}"
    name = f"greenroom gate: {headline(decision)}"
    suite = ElementTree.Element("testsuite", name=_xml(name), timestamp=decision.at.isoformat())
    for rule in decision.rules:
        _rule_case(suite, place, rule)
    case = ElementTree.SubElement(suite, "testcase", classname=_xml(place), name="decision")
    if decision.verdict != ALLOW:
        text = "\n".join([*moments(decision), *decision.steps, origin(decision)])
        _told(case, "failure", decision.verdict, headline(decision), text)
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    report: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return report


def _rule_case(suite: ElementTree.Element, place: str, rule: Rule) -> None:
    name = f"{rule.id} ({rule.condition})" if rule.condition else rule.id
    case = ElementTree.SubElement(suite, "testcase", classname=_xml(place), name=_xml(name))
    if rule.overridden_by or rule.outcome in ("waived", "warn"):
        ElementTree.SubElement(case, "system-out").text = _xml(said(rule))
    elif rule.outcome == "fail":
        _told(case, "failure", rule.code, said(rule))
    elif rule.outcome == "error":
        _told(case, "error", rule.code, said(rule))
    elif rule.outcome in ("pending", "not_applicable"):
        _told(case, "skipped", rule.code, f"{rule.outcome.replace('_', ' ')}: {said(rule)}")


def _told(case: ElementTree.Element, tag: str, kind: str, message: str, text: str = "") -> None:
    told = ElementTree.SubElement(case, tag, type=_xml(kind), message=_xml(message))
    told.text = _xml(text) or None


def _xml(text: str) -> str:
    """Without the characters that no XML may have."""
    return _NO_XML.sub("\ufffd", text)


def write_text(file: Path, text: str) -> None:
    """Raises UsageError if the file cannot be written."""
    _write(file, text.encode("utf-8", "replace"))


def _write(file: Path, content: bytes, *, is_added: bool = False) -> None:
    try:
        with file.open("ab" if is_added else "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
