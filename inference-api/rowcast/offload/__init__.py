"""Work whose cost a caller can choose, done outside the process that serves streams.

    frontend ── Offload.run(task, …) ──▶ a helper process ──▶ the result, or an error that says why

    tasks         what helpers can do; one line each
    pool          the frontend's side: lends helpers to requests and moves slow tasks elsewhere
    gate          admission: teams take turns
    answer_cache  answers to tasks that recur
    source        the frontend's handle of the fork server, which makes helpers
    helper        the frontend's handle of one helper process
    fork_server   the process that helpers are forked from
    loading       loads tokenizer and template, before the first fork
    worker        the inside of a helper process
    limits        its limits of time and memory
    frames        messages on their sockets
    inline        runs tasks without helpers, for trusted callers

A helper that crashes or exceeds a limit fails only its own request. Knows no HTTP and no backend.
"""
