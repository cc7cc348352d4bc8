"""The tables of sampling parameters in docs/ agree with the code.

Covers `documents/tables`.
"""

import pytest

from processes import ROOT
from rowcast.frontend.api.documents.tables import TABLES


@pytest.mark.parametrize("page", TABLES)
def test_the_table_is_current(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    _, _, rest = text.partition("<!-- written by make docs -->\n")
    table, end, _ = rest.partition("<!-- until here -->")
    assert end
    assert table.strip() == TABLES[page]().strip(), "run `make docs`"
