"""The `traceparent` header: read as the standard says, and passed on."""

import pytest

from rowcast_telemetry.trace_context import TraceContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True)])
def test_a_header_is_read(flags: str, sampled: bool) -> None:
    assert TraceContext.read(f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(TRACE, SPAN, sampled)


def test_a_later_version_may_have_more_fields() -> None:
    assert TraceContext.read(f"cc-{TRACE}-{SPAN}-01-more") == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 10_000,
    ],
)
def test_a_malformed_header_counts_as_none(header: str | None) -> None:
    assert TraceContext.read(header) is None


def test_a_child_is_in_its_parents_trace_and_a_root_in_its_own() -> None:
    parent = TraceContext(TRACE, SPAN, True)
    child = TraceContext.fresh(parent, sampled=False)
    assert (child.trace, child.sampled) == (TRACE, True)
    assert child.span != SPAN
    roots = {TraceContext.fresh(None, sampled=True).trace for _ in range(9)}
    assert len(roots) == 9
    assert all(TraceContext.read(TraceContext(each, SPAN, False).header) for each in roots)
