"""docs/evidence.md says what is so: its tables are those of the code, and its script signs."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from greenroom_server.releases.formats import FORMATS, NAME_OF, Beside, read
from greenroom_server.releases.formats.cdevents_subjects import READERS
from greenroom_server.releases.formats.dsse import pinned_key
from greenroom_server.releases.formats.limits import DEFAULT
from greenroom_server.releases.formats.told import CountsTold, Told

TEXT: Final = (Path(__file__).parents[4] / "docs" / "evidence.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their heads."""
    section = f"\n{TEXT}".partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^` ]+)`", cell)


def test_limits() -> None:
    """Each limit is there with its value, and no other."""
    assert {names(row[0])[0]: int(row[1]) for row in rows("## Limits")} == dataclasses.asdict(DEFAULT)


def test_formats() -> None:
    """Each format is there with its media types."""
    documented = {
        names(row[0])[0]: [one for one in names(row[1]) if "/" in one]
        for row in rows("# Evidence: what is read, and how it counts")
    }
    assert documented == {name: [kind for kind, of in NAME_OF.items() if of == name] for name in FORMATS}


def test_events() -> None:
    """Each event that is taken is there."""
    documented = set()
    for row in rows("## CDEvents"):
        if "." in names(row[0])[0]:
            subject = names(row[0])[0].partition(".")[0]
            documented |= {name if "." in name else f"{subject}.{name}" for name in names(row[0])}
    assert documented == set(READERS)


def test_custom_data() -> None:
    """Each member that is read is there."""
    told = {name for row in rows("## CDEvents") for name in names(row[0]) if "." not in name}
    assert set(Told.model_fields) <= told
    assert all(f"`{name}`" in TEXT for name in CountsTold.model_fields)


def test_the_script_signs(tmp_path: Path) -> None:
    """What the script prints is read with the key that it signed with."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "ci.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    subject = {"digest": {"sha256": "ab" * 32}}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://spdx.dev/Document",
    }
    (tmp_path / "statement.json").write_text(json.dumps(statement))
    (tmp_path / "sign.py").write_text(TEXT.partition("```python\n")[2].partition("```")[0])

    command = [sys.executable, "sign.py", "ci.key", "statement.json"]
    envelope = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout

    (fact,) = read("dsse", [envelope], Beside(keys=(pinned_key("ci", pem),))).facts
    assert getattr(fact, "verified_by", None) == "ci"
