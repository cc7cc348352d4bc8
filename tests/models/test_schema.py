"""The JSON schema, the example and the page agree with the parser."""

import json

import pytest

from model_catalogs import settings_for
from processes import ROOT
from rowcast.models.catalog import read_catalog
from rowcast.models.schema import main, table

CONFIG = ROOT / "config"


def test_the_schema_s_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    current = (CONFIG / "model_config.schema.json").read_text()
    assert current == capsys.readouterr().out, "run `make docs`"


def test_the_page_s_table_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--table"])
    assert capsys.readouterr().out == table()
    assert f"\n{table()}\n" in (ROOT / "docs" / "many-models.md").read_text(), "run `make docs`"


def test_the_example_is_right_and_names_its_schema() -> None:
    file = CONFIG / "model_config.example.json"
    found = read_catalog(settings_for(file))
    assert {"storyteller", "vicuna_q2"} <= {build.name for build in found.builds}
    assert (CONFIG / json.loads(file.read_text())["$schema"]).is_file()
