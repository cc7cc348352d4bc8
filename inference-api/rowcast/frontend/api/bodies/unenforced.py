"""A response header that names the parts of a requested rule that are not enforced."""

from urllib.parse import quote

from rowcast.frontend.response import Response
from rowcast.text.rules.schema_rule import Rule

HEADER = "X-Rowcast-Unenforced"
_MOST = 20
_SHOWN = 120
_SAFE = " /#$&'()*+,:=?@[]~!_.-"


def with_unenforced(response: Response, rule: Rule) -> Response:
    """Add the header if anything is unenforced."""
    named = [quote(each, safe=_SAFE)[:_SHOWN] for each in rule.unenforced[:_MOST]]
    if len(rule.unenforced) > _MOST:
        named.append(f"and {len(rule.unenforced) - _MOST} more")
    return response.with_headers({HEADER: "; ".join(named)}) if named else response
