"""Work whose cost a caller can choose, done outside the process that serves streams.

    frontend ── Offload.run(task, …) ──▶ a helper process ──▶ the result, or an error that says why

    tasks        what helpers can do; one line each
    pool         the frontend's side: lends helpers to requests and moves slow tasks elsewhere
    gate         admission: teams take turns
    helper       the frontend's handle of one helper process
    worker       the inside of a helper process, with its limits of time and memory
    fork_server  the process that helpers are forked from, with the tokenizer and template loaded
    frames       messages on their sockets

A helper that crashes or exceeds a limit fails only its own request. Knows no HTTP and no backend.
"""
