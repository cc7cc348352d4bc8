"""Logs and traces of server and proxy. Imports nothing of either.

log_lines      lines of a log, as text or JSON, from the same fields
gunicorn_log   gunicorn's own lines as JSON
"""
