"""The tables of metrics in docs/ agree with the code."""

import pytest

from processes import ROOT
from rowcast.frontend.metrics.families import FAMILIES as OF_SERVER
from rowcast_metrics.exposition import table
from rowcast_metrics.family import Family
from rowcast_proxy.metrics import FAMILIES as OF_PROXY


@pytest.mark.parametrize(("page", "families"), [("metrics.md", OF_SERVER), ("proxy.md", OF_PROXY)])
def test_the_table_is_current(page: str, families: tuple[Family, ...]) -> None:
    text = (ROOT / "docs" / page).read_text()
    _, _, rest = text.partition("<!-- written by make docs -->\n")
    written, end, _ = rest.partition("<!-- until here -->")
    assert end
    assert written.strip() == table(families).strip(), "run `make docs`"
