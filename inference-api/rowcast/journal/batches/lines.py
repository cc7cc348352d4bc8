"""One line of the file that a batch writes: OpenAI's form of a request's result.

`{"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}`; a line that was
never computed has an error instead of a response.
"""

import json

from rowcast.journal.background.record import BackgroundRequest

_CANCELLED = {"code": "batch_cancelled", "message": "the batch was cancelled before this line"}


def line_of(request: BackgroundRequest) -> bytes:
    """Return the line for one request. Its result is JSON, and stays as it is, byte for byte."""
    head = f'{{"id":{_json(request.id)},"custom_id":{_json(request.label)},"response":'
    if not request.result:
        return f'{head}null,"error":{_json(_CANCELLED)}}}\n'.encode()
    response = f'{{"status_code":{request.status},"request_id":{_json(request.request_id)},"body":'
    return b"".join(
        (head.encode(), response.encode(), request.result.strip(), b'},"error":null}\n')
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
