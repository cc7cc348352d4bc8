"""What a frontend counts of its replies, and shows operators at `/metrics`.

families      the names of all metrics
metrics       the counters of one process
model_meter   those of one model: tokens as they arrive, replies as they end
teams         counters by team, with a bound on their number
publishing    what each process reports of itself, once a second
reading       what is read at each scrape: reports of backends, models and journal
"""
