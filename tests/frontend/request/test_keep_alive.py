"""How long a model should stay loaded: numbers and strings in, seconds out."""

import pytest

from rowcast.errors import InvalidField
from rowcast.frontend.request.keep_alive import keep_alive_seconds


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (None, None),
        (0, 0.0),
        (2.5, 2.5),
        ("0", 0.0),
        ("90", 90.0),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1.5h", 5400.0),
        (-1, -1.0),
        ("-1m", -1.0),
    ],
)
def test_seconds_are_read(sent: object, seconds: float | None) -> None:
    assert keep_alive_seconds(sent) == seconds


@pytest.mark.parametrize("sent", [True, "", "5 m", "m", "1d", [1], {}, float("nan"), 1e300])
def test_anything_else_is_refused_by_name(sent: object) -> None:
    with pytest.raises(InvalidField, match="keep_alive"):
        keep_alive_seconds(sent)
