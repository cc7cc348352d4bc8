"""Requests that are computed though nobody reads their replies: tasks, lines of batches and more.

    accept    queue a request: it is in the journal when this returns
    find      a request of the caller's team, with its result once it has ended
    wait      the same, once it has reached a phase
    cancel    end it, and free its row
    delete    the same, and delete it with its result

A request is a path and a body. A worker of this process (`worker.py`) takes it from the journal and
sends it through the same function as if it had come by HTTP (`attempt.py`), marked by
`request.background`. Its idempotency key is its own, so its tokens are in a stream of the journal
like any other's. If its process ends, another one takes it, joins that stream and computes the
rest. The result has the same bytes, and is stored once.

A reader joins the same stream by `request.in_background(accepted, start)`, which a dialect gives to
its own function. Background requests wait behind all others: `room.py`.
"""
