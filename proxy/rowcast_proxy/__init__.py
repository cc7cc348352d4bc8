"""The JWT reverse proxy that stands before the server.

A request passes through the modules in this order:

    worker     gunicorn's gevent worker: bytes to WSGI, protocol errors, graceful stop
    app        the steps of one request, one line each
    inbound    what was asked (exact route in `routes`) and, at its end, the log line
    tokens     Authorization header to verified identity
    bodies     the request's body, whole, within size and time
    headers    what may pass upstream, and back
    upstream   one connection to the server: request out, response head in (`replies`, `framing`)
    relay      response bytes to the client as they come; `hangups` sees clients that go

Around them: `settings` (environment), `serving` (gunicorn), `errors` (every refusal).
It knows nothing of prompts, models or rows, and imports nothing of the server.
"""
