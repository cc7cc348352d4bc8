"""The HTTP server in front of both programs: the Inference API and the proxy run on it.

It is gunicorn's gevent worker, with limits on what clients can make a process hold. A connection
passes through the modules in this order:

    listener      accepts it; answers at once if there is no room
    connections   which connections are kept when there are too many, and bytes of heads
    worker        serves its requests; ends gracefully
    body          reads a request's body, whole, within size and time
    budget        how many bytes of bodies the process holds
    answers       errors for requests that cannot be parsed; the last answer on a connection
    lingering     closes a connection without destroying that answer
    client_watch  detects clients that disconnect
    alarms        time limits of waits, which cost nothing unless they pass
    silence       clients that vanish or read nothing: the kernel ends their connections

Each program passes in its limits and how it words errors. Knows neither of the two: only the
standard library, gunicorn and gevent.
"""
