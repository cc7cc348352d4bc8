"""`rowcast batch in.jsonl out.jsonl`: a file of requests through all rows.

    options      the command line
    lines        the input's lines ▶ requests, or why not
    answers      a response ▶ the output's line
    results      the output file, which continues where a killed run ended
    api          the server's dialects, without HTTP
    run          lines in flight, written in order

The output is a function of the input and the build: killed at any moment and started again, it ends
as the same file. Memory is bounded, however long the files are.
"""
