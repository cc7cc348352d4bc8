"""Whole numbers of a query string."""

import pytest

from rowcast.errors import InvalidField
from rowcast.frontend.request.query import whole_number


@pytest.mark.parametrize(("sent", "number"), [("1", 1), ("60", 60), ("007", 7)])
def test_a_number_within_its_bounds_is_read(sent: str, number: int) -> None:
    assert whole_number({"limit": sent}, "limit", 30, 1, 60) == number


def test_a_number_that_is_not_sent_has_its_default() -> None:
    assert whole_number({}, "limit", 30, 1, 60) == 30


@pytest.mark.parametrize(
    "sent", ["", "0", "61", "-1", "+1", "1.0", "1_0", " 1", "x", "٣", "9" * 5000, "0" * 8 + "199"]
)
def test_anything_else_is_refused(sent: str) -> None:
    with pytest.raises(InvalidField, match="send a whole number from 1 to 60"):
        whole_number({"limit": sent}, "limit", 30, 1, 60)
