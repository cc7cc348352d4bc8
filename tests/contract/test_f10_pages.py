"""F-10, V-20, P-10, E-19: the pages that other systems promised, and what they have to say."""

import json
import re
from pathlib import Path

from processes import ROOT
from rowcast.engine.decoding.llama.model import MODEL_TYPES

PAGES = ROOT / "docs" / "coming-from"


def headings(page: Path) -> list[str]:
    return [line.removeprefix("## ") for line in page.read_text().splitlines() if line[:3] == "## "]


def test_f10_flexflows_page_has_the_four_sections() -> None:
    sections = ["Requirements", "API configuration", "Endpoint creation", "Running and testing"]
    assert headings(PAGES / "flexflow.md")[:4] == sections


def test_v20_a_page_lists_the_supported_models_and_another_tells_how_to_install() -> None:
    page = (PAGES / "vllm.md").read_text()
    assert "Install" in headings(PAGES / "vllm.md")
    assert "(../models.md)" in page
    models = (ROOT / "docs" / "models.md").read_text().lower()
    assert [kind for kind in MODEL_TYPES if kind.rstrip("0123456789") not in models] == []
    for model in ("storyteller", "draft"):
        kind = json.loads((ROOT / "models" / model / "config.json").read_text())["model_type"]
        assert kind in models


def test_p10_each_part_of_the_tree_has_its_place() -> None:
    page = (PAGES / "tasks.md").read_text()
    table = page.partition("## The tree")[2].partition("## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[1:]
    there = " ".join(cell for cell, _ in rows)
    for name in ("app/", "config/", "models/", "static/", "templates/", "tests/", "examples/"):
        assert f"`{name}`" in there
    places = [place for _, cell in rows for place in re.findall(r"`([^`]+)`", cell)]
    assert len(places) > 8
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_e19_notes_on_speed_name_what_easydels_name() -> None:
    page = (PAGES / "easydel.md").read_text()
    notes = " ".join(page.partition("## Notes on speed")[2].split())
    for word in ("first request", "precompile", "batch size", "max_workers", "vision", "Streams"):
        assert word in notes, word
