"""The parts of an HTTP client that the commands share; they know no sockets.

http1     a strict parser of one HTTP/1.1 response
events    server-sent events
"""
