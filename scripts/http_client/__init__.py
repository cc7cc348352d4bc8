"""The parts of an HTTP client that the commands share; the first two know no sockets.

http1         a strict parser of one HTTP/1.1 response
events        server-sent events
json_server   a request with JSON, and its answer or refusal, over `urllib`
"""
