"""The JWT reverse proxy in front of the server.

A request passes through the modules in this order:

    listening/worker      bytes to WSGI, protocol errors, graceful stop: `rowcast_http`'s worker
    app                   the steps of one request, one line each
    forwarding/inbound    the request's facts and, at its end, the log line
    routes                the allow-list: exact paths, and what each requires
    tokens                Authorization header to verified caller
    forwarding/bodies     the request's body, whole, within size and time
    forwarding/headers    which headers pass upstream, and back
    forwarding/upstream   one connection to the server: request out, response head in
    forwarding/relay      response bytes to the client as they arrive

Around them: `settings` (environment), `cors` (pages of other origins), `serving` (gunicorn),
`errors` (every refusal), `metrics` (what is counted). It knows nothing of prompts, models or rows,
and imports nothing of `rowcast`; both use `rowcast_http`, `rowcast_metrics`, `rowcast_settings` and
`rowcast_telemetry`.
"""
