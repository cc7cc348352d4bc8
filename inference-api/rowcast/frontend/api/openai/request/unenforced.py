"""A response header that names what a rule does not enforce, though it was asked for."""

from urllib.parse import quote

from flask import Response

from rowcast.text.rules.schema_rule import Rule

HEADER = "X-Rowcast-Unenforced"
_MOST = 20
_SHOWN = 120
_SAFE = " /#$&'()*+,:=?@[]~!_.-"


def told(response: Response, rule: Rule) -> Response:
    """The response, which says so where that is the case."""
    named = [quote(each, safe=_SAFE)[:_SHOWN] for each in rule.unenforced[:_MOST]]
    if len(rule.unenforced) > _MOST:
        named.append(f"and {len(rule.unenforced) - _MOST} more")
    if named:
        response.headers[HEADER] = "; ".join(named)
    return response
