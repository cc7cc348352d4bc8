"""docs/README.md links to every page of docs/."""

import re

from processes import ROOT

DOCS = ROOT / "docs"


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+)", (DOCS / "README.md").read_text()))
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert pages <= linked
    assert "decisions/README.md" in linked
