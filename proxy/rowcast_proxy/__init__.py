"""The JWT reverse proxy in front of the server.

A request passes through the modules in this order:

    worker     bytes to WSGI, protocol errors, graceful stop: `rowcast_http`'s worker
    app        the steps of one request, one line each
    inbound    the request's facts (exact route in `routes`) and, at its end, the log line
    tokens     Authorization header to verified caller
    bodies     the request's body, whole, within size and time
    headers    which headers pass upstream, and back
    upstream   one connection to the server: request out, response head in (`replies`, `framing`)
    relay      response bytes to the client as they arrive

Around them: `settings` (environment), `serving` (gunicorn), `errors` (every refusal). It knows
nothing of prompts, models or rows, and imports nothing of `rowcast`; both use `rowcast_http`.
"""
