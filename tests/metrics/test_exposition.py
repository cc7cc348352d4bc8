"""The two formats, as the client library's own parsers read them; parts, names, Accept."""

import time

import pytest

from exposed import read_open, read_text, samples_of
from rowcast_metrics.exposition import OPEN_METRICS, TEXT, Exposition, Names, table
from rowcast_metrics.family import Family
from rowcast_metrics.totals import Series

OPEN = "application/openmetrics-text"
SERIES = (
    Series(
        Family("rowcast_seconds", "histogram", "How long.", ("m",), (0.5, 1), "vllm:latency"),
        {("a",): (1.0, 2.0, 4.0, 12.5), ('b"\\\n',): (0.0, 0.0, 0.0, 0.0)},
    ),
    Series(Family("rowcast_eaten", "counter", "Eaten."), {(): (3.0,)}),
    Series(Family("vllm:running", "gauge", "Running.", ("m", "n")), {("a", "b"): (1e15,)}),
)


def text(accept: str = "", names: Names = "both") -> str:
    return b"".join(Exposition(accept, names).parts(SERIES)).decode()


@pytest.mark.parametrize("accept", ["", OPEN])
def test_the_library_reads_what_was_counted(accept: str) -> None:
    read = read_open if accept else read_text
    found = read(text(accept))
    assert set(found) == {"rowcast_seconds", "vllm:latency", "rowcast_eaten", "vllm:running"}
    assert {each.type for each in found.values()} == {"histogram", "counter", "gauge"}
    assert found["rowcast_seconds"].documentation == "How long."
    samples = samples_of(found)
    for name in ("rowcast_seconds", "vllm:latency"):
        assert samples[f"{name}_bucket", "0.5", "a"] == 1
        assert samples[f"{name}_bucket", "1.0", "a"] == 3
        assert samples[f"{name}_bucket", "+Inf", "a"] == 7
        assert samples[f"{name}_count", "a"] == 7
        assert samples[f"{name}_sum", "a"] == 12.5
        assert samples[f"{name}_count", 'b"\\\n'] == 0
    assert samples["rowcast_eaten_total",] == 3
    assert samples["vllm:running", "a", "b"] == 1e15


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        (OPEN, OPEN_METRICS),
        (f"{OPEN}; version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN_METRICS),
        (f"{OPEN};q=0.3, text/plain;q=0.5", TEXT),
        (f"{OPEN};q=0", TEXT),
        (f"{OPEN};q=much", TEXT),
        ("application/json", TEXT),
    ],
)
def test_accept_decides_the_format(accept: str, kind: str) -> None:
    assert Exposition(accept).content_type == kind
    assert text(accept).endswith("# EOF\n") is (kind == OPEN_METRICS)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("rowcast", {"rowcast_seconds", "rowcast_eaten"}),
        ("vllm", {"vllm:latency", "vllm:running"}),
    ],
)
def test_one_set_of_names_can_be_chosen(names: Names, shown: set[str]) -> None:
    assert set(read_text(text(names=names))) == shown


def test_a_family_without_series_is_announced() -> None:
    empty = Series(Family("rowcast_never", "counter", "Never."), {})
    written = b"".join(Exposition().parts([empty])).decode()
    assert written == "# HELP rowcast_never_total Never.\n# TYPE rowcast_never_total counter\n"


def test_slow_series_make_several_parts() -> None:
    def slow() -> Series:
        time.sleep(0.001)
        return SERIES[1]

    parts = list(Exposition().parts(slow() for _ in range(5)))
    assert len(parts) >= 5
    assert b"".join(parts) == b"".join(Exposition().parts([SERIES[1]] * 5))


def test_the_table_of_a_page() -> None:
    rows = table([each.family for each in SERIES]).splitlines()[2:]
    assert rows == [
        "| `rowcast_seconds` | `vllm:latency` | histogram | `m` | How long. |",
        "| `rowcast_eaten_total` |  | counter |  | Eaten. |",
        "|  | `vllm:running` | gauge | `m`, `n` | Running. |",
    ]
