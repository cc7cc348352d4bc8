"""Logs and traces of server and proxy. Imports nothing of either.

    log_lines      lines of a log, as text or JSON, from the same fields
    gunicorn_log   gunicorn's own lines as JSON
    trace_options  the kinds of the settings for traces
    tracing        these settings ▶ a tracer, or none
    trace_context  the `traceparent` of a request
    spans          spans, and the tracer that begins them
    otlp           spans as OTLP in JSON
    exporter       sends them to a collector, in the background

Nothing here holds a prompt, a reply or a token.
"""
