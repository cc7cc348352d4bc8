"""The names of all metrics of the server, and what each means.

Where vLLM has a metric for the same, `also` is its name, and the bounds are vLLM's, so that boards
made for it show this server. A label is `model_name` as there.
"""

import sys
from typing import Any

from rowcast_metrics.exposition import table
from rowcast_metrics.family import Family, Labels

MODEL: Labels = ("model_name",)
_FIRST = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20),
    *(40, 80, 160, 640, 2560),
)
_TOKEN = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40),
    80,
)
_REPLY = (
    *(0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920),
    7680,
)
_SIZE = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RECOVERY = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


def _counter(name: str, text: str, labels: Labels = (), also: str = "") -> Family:
    return Family(name, "counter", text, labels, also=also)


def _gauge(name: str, text: str, labels: Labels = (), **more: Any) -> Family:
    return Family(name, "gauge", text, labels, **more)


def _of_replies(name: str, text: str, bounds: tuple[float, ...], also: str = "") -> Family:
    return Family(name, "histogram", text, MODEL, bounds, also)


# Replies
REPLIES = _counter("rowcast_replies", "Replies that have ended, by reason.", (*MODEL, "reason"))
SUCCESSES = _counter(
    "vllm:request_success",
    "Replies that have ended; cancelled and late ones as abort, failed ones as error.",
    (*MODEL, "finished_reason"),
)
PROMPT_TOKENS = _counter(
    "rowcast_prompt_tokens", "Tokens of prompts that got a row.", MODEL, "vllm:prompt_tokens"
)
REPLY_TOKENS = _counter(
    "rowcast_reply_tokens", "Tokens of replies, as they arrive.", MODEL, "vllm:generation_tokens"
)
FIRST_TOKEN = _of_replies(
    "rowcast_first_token_seconds",
    "Seconds from sending a prompt to its first token.",
    _FIRST,
    "vllm:time_to_first_token_seconds",
)
TOKEN_GAP = _of_replies(
    "rowcast_token_gap_seconds",
    "Seconds between two arrivals of tokens of a reply.",
    _TOKEN,
    "vllm:inter_token_latency_seconds",
)
TOKEN_TIME = _of_replies(
    "rowcast_seconds_per_token",
    "Mean seconds per token of a reply, after its first.",
    _TOKEN,
    "vllm:request_time_per_output_token_seconds",
)
REPLY_SECONDS = _of_replies(
    "rowcast_reply_seconds",
    "Seconds from sending a prompt to the end of its stream.",
    _REPLY,
    "vllm:e2e_request_latency_seconds",
)
QUEUE_SECONDS = _of_replies(
    "rowcast_queue_seconds",
    "Seconds that a prompt has waited for a row.",
    _REPLY,
    "vllm:request_queue_time_seconds",
)
PREFILL_SECONDS = _of_replies(
    "rowcast_prefill_seconds",
    "Seconds from a row to the first token.",
    _REPLY,
    "vllm:request_prefill_time_seconds",
)
DECODE_SECONDS = _of_replies(
    "rowcast_decode_seconds",
    "Seconds from the first token to the last.",
    _REPLY,
    "vllm:request_decode_time_seconds",
)
ROW_SECONDS = _of_replies(
    "rowcast_row_seconds",
    "Seconds from a row to the last token.",
    _REPLY,
    "vllm:request_inference_time_seconds",
)
PROMPT_SIZE = _of_replies(
    "rowcast_prompt_size_tokens", "Tokens of a prompt.", _SIZE, "vllm:request_prompt_tokens"
)
REPLY_SIZE = _of_replies(
    "rowcast_reply_size_tokens", "Tokens of a reply.", _SIZE, "vllm:request_generation_tokens"
)
LIMIT = _of_replies(
    "rowcast_max_tokens",
    "The most tokens that a request allows its reply.",
    _SIZE,
    "vllm:request_params_max_tokens",
)
RESUMED = _counter("rowcast_replies_resumed", "Replies read again by their stream's id.", MODEL)
REPLAYED = _counter(
    "rowcast_replies_replayed",
    "Replies that were not computed for their reader: recorded, or another process's.",
    MODEL,
)
RECOVERED = _counter(
    "rowcast_replies_recovered", "Replies that went on with the next decoder.", MODEL
)
RECOVERY_SECONDS = _of_replies(
    "rowcast_recovery_seconds",
    "Seconds from a decoder's end until its open replies were with the next.",
    _RECOVERY,
)
TEAM_REPLIES = _counter("rowcast_team_replies", "Replies that have ended, by team.", ("team",))
TEAM_PROMPT_TOKENS = _counter(
    "rowcast_team_prompt_tokens", "Tokens of computed prompts, at the reply's end.", ("team",)
)
TEAM_REPLY_TOKENS = _counter(
    "rowcast_team_reply_tokens", "Tokens of computed replies, at the reply's end.", ("team",)
)

# HTTP
REQUESTS = _counter(
    "rowcast_requests", "Requests, by route and class of status.", ("route", "status")
)
REFUSALS = _counter("rowcast_refusals", "Requests that were refused, by cause.", ("cause",))

# Processes
STARTS = _counter("rowcast_worker_starts", "Frontend processes that were started.")
WORKERS = _gauge("rowcast_workers", "Frontend processes that serve now.")
OPEN = _gauge("rowcast_replies_open", "Replies in flight.")
PAUSES = Family(
    "rowcast_event_loop_pause_seconds",
    "histogram",
    "Seconds that an event loop was late, twenty times a second.",
    bounds=_SHORT,
)
LONGEST = _gauge(
    "rowcast_longest_pause_seconds", "The longest pause of the last minute.", merge="max"
)
JOURNAL_WORKS = _gauge(
    "rowcast_journal_works", "1 if every process can write its journal, else 0.", merge="min"
)
JOURNAL_LAG = _gauge(
    "rowcast_journal_lag_seconds", "Seconds since the last sync of open streams.", merge="max"
)

# Read from backends, supervisor and journal
SEATED = _gauge("rowcast_rows_seated", "Replies in rows.", MODEL, also="vllm:num_requests_running")
ROWS = _gauge("rowcast_rows", "Rows of the decoder.", MODEL)
WAITING = _gauge(
    "rowcast_waiting", "Prompts without a row.", MODEL, also="vllm:num_requests_waiting"
)
CACHE = _gauge(
    "rowcast_kv_cache_usage",
    "Part of the KV cache's memory that seated replies commit to, from 0 to 1.",
    MODEL,
    also="vllm:kv_cache_usage_perc",
)
STEPS = _counter("rowcast_steps", "Steps of the present decoder.", MODEL)
PREFIX_TOKENS = _counter(
    "rowcast_prefix_tokens",
    "Prompt tokens that the present decoder has looked up.",
    MODEL,
    "vllm:prefix_cache_queries",
)
PREFIX_FOUND = _counter(
    "rowcast_prefix_found_tokens",
    "Those of them that were not computed again.",
    MODEL,
    "vllm:prefix_cache_hits",
)
PREFIX_BYTES = _gauge("rowcast_prefix_bytes", "Bytes of stored prefixes beyond the rows.", MODEL)
PREFIX_LIMIT = _gauge("rowcast_prefix_limit_bytes", "The most that they may take.", MODEL)
READY = _gauge("rowcast_model_ready", "1 if a prompt would be answered now, else 0.", MODEL)
STATE = _gauge("rowcast_model_state", "1 for the state that a model has.", (*MODEL, "state"))
INFO = _gauge("rowcast_model_info", "The build that serves a model.", (*MODEL, "fingerprint"))
BUILDS = _gauge("rowcast_builds", "Builds by state, replaced ones included.", ("state",))
LOADS = _counter("rowcast_model_loads", "How often the present build was loaded.", MODEL)
LOAD_SECONDS = _gauge("rowcast_model_load_seconds", "How long its last load took.", MODEL)
MEMORY = _gauge("rowcast_model_bytes", "Bytes that a model takes or would take.", MODEL)
MEMORY_LIMIT = _gauge("rowcast_models_limit_bytes", "Bytes that all loaded models may take.")
ENDS = _counter("rowcast_decoder_ends", "Decoders that ended without being stopped.", MODEL)
JOURNAL_BYTES = _gauge("rowcast_journal_bytes", "Bytes of the journal's files.")
BACKGROUND = _gauge(
    "rowcast_background_requests", "Background requests that have not ended, by state.", ("state",)
)

COUNTED = (
    *(REPLIES, SUCCESSES, PROMPT_TOKENS, REPLY_TOKENS, FIRST_TOKEN, TOKEN_GAP, TOKEN_TIME),
    *(REPLY_SECONDS, QUEUE_SECONDS, PREFILL_SECONDS, DECODE_SECONDS, ROW_SECONDS, PROMPT_SIZE),
    *(REPLY_SIZE, LIMIT, RESUMED, REPLAYED, RECOVERED, RECOVERY_SECONDS),
    *(TEAM_REPLIES, TEAM_PROMPT_TOKENS, TEAM_REPLY_TOKENS, REQUESTS, REFUSALS),
    *(STARTS, WORKERS, OPEN, PAUSES, LONGEST, JOURNAL_WORKS, JOURNAL_LAG),
)
READ = (
    *(SEATED, ROWS, WAITING, CACHE, STEPS, PREFIX_TOKENS, PREFIX_FOUND, PREFIX_BYTES),
    *(PREFIX_LIMIT, READY, STATE, INFO, BUILDS, LOADS, LOAD_SECONDS, MEMORY, MEMORY_LIMIT, ENDS),
    *(JOURNAL_BYTES, BACKGROUND),
)
FAMILIES = (*COUNTED, *READ)


if __name__ == "__main__":
    sys.stdout.write(table(FAMILIES))
