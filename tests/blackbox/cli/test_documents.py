"""A project as one file, there and back."""

import json
from pathlib import Path

from tests.blackbox.cli.terminal import Inside, Terminal


def test_what_is_exported_can_be_applied(admin: Terminal) -> None:
    """The exported file differs in nothing, as YAML and as JSON, from a file and from standard input."""
    admin.run("export", "--output", "shop.yaml").expect(0)
    text = admin.run("export", "--format", "json").expect(0).out

    admin.run("apply", "--file", "shop.yaml", "--check").expect(0)
    assert admin.json("apply", "--file", "-", "--check", stdin=text)["changes"] == []


def test_drift_has_an_exit_code_of_its_own(inside: Inside, tmp_path: Path) -> None:
    """`--check` ends with 5 and names the difference; applying the file undoes it."""
    file = str(tmp_path / "shop.yaml")
    inside.run("export", "--output", file).expect(0)
    inside.run("flags", "disable", "recommendations", "-e", "production", "--yes").expect(0)

    drifted = inside.run("apply", "--file", file, "--check").expect(5)
    assert "flags/recommendations/configurations/production/enabled: false → true" in drifted.out
    inside.run("apply", "--file", file).expect(2)
    inside.run("apply", "--file", file, "--yes").expect(0)
    inside.run("apply", "--file", file, "--check").expect(0)


def test_a_wrong_document_is_refused_by_name(inside: Inside) -> None:
    """The error points into the document, and nothing changes."""
    document = inside.json("export")
    document["flags"][0]["purpose"] = "fun"

    refused = inside.run("import", "--file", "-", "--yes", stdin=json.dumps(document)).expect(1)
    assert "/flags/0/purpose" in refused.err
    assert "400 invalid" in refused.err


def test_a_file_that_is_not_there_is_a_matter_of_usage(inside: Inside) -> None:
    """No request is made of what cannot be read or is empty."""
    assert "cannot be read" in inside.run("apply", "--file", "nowhere.yaml").expect(2).err
    assert "is empty" in inside.run("import", "--file", "-", stdin=" \n").expect(2).err
