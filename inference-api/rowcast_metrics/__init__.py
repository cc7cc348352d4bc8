"""Counters that outlive the process that counts, and their text for Prometheus.

    gunicorn's master    makes one `Memory`, and gives each worker a segment of it
    a worker             counts in its segment with a `Recorder`
    any worker           sums all segments in `Totals`, and writes them with `exposition`

Server and proxy both use it. A segment stays when its worker is killed, and the next worker goes on
counting in it, so no counter ever goes backwards. Knows nothing of models, replies or tokens.
"""
