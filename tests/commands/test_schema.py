"""`connectory schema`: what editors check by."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from commands.conftest import Cli
from commands.shop import SPEC


def test_the_schema_accepts_a_right_spec_and_refuses_a_misspelt_key(cli: Cli) -> None:
    schema = json.loads(cli("schema").stdout)
    spec = yaml.safe_load(SPEC)
    jsonschema.validate(spec, schema)
    spec["operations"]["customers.list"]["abuot"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schema)


def test_it_is_written_beside_the_files_that_name_it(cli: Cli, project: Path) -> None:
    assert cli("schema", "--write").exit_code == 0
    written = (project / "specs" / "connectory.schema.json").read_text()
    assert written == cli("schema").stdout
    assert not (project / "recipes").exists()
    (project / "recipes").mkdir()
    assert cli("schema", "--write").exit_code == 0
    written = json.loads((project / "recipes" / "connectory.schema.json").read_text())
    assert written == json.loads(cli("schema", "--recipes").stdout)
    assert "from" in written["properties"]


def test_the_options_of_the_projects_plugins_are_in_it(cli: Cli, project: Path) -> None:
    (project / "connectors").mkdir()
    (project / "connectors" / "stamp.py").write_text(
        "import attrs\nfrom connectory import AuthKind, hookimpl\nfrom connectory.spec.words import word\n\n\n"
        "@attrs.frozen(kw_only=True)\nclass Stamp:\n    colour_of_ink: str = word('ink')\n\n\n"
        "@hookimpl\ndef connectory_auth():\n    return {'stamp': AuthKind(Stamp, lambda how, request, now: request)}\n"
    )
    assert "colour_of_ink" in cli("schema").stdout
