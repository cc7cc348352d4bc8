"""Measures the replies of one model: their tokens as they arrive, and each reply at its end.

It is the meter of the model's demultiplexer and an observer of its replies. Tokens that arrive in
one batch are counted together: nearly all of them have waited since the batch before.
"""

from collections.abc import Sequence
from typing import Final, get_args

from rowcast.frontend.metrics import families
from rowcast.frontend.metrics.teams import TeamCounters
from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.sessions.choice import Choice, Times
from rowcast.wire import FinishReason, Submit
from rowcast_metrics.recorder import Recorder

VLLM_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "length": "length",
    "cancelled": "abort",
    "deadline": "abort",
    "error": "error",
    "unavailable": "error",
}


class ModelMeter:
    """The series of one model in this process."""

    def __init__(self, recorder: Recorder, model: str, teams: TeamCounters) -> None:
        self._teams = teams
        self._before = -1.0  # when the last batch with tokens arrived
        self._ended = {
            reason: recorder.counter(families.REPLIES, model, reason)
            for reason in get_args(FinishReason)
        }
        self._successes = {
            reason: recorder.counter(families.SUCCESSES, model, word)
            for reason, word in VLLM_REASONS.items()
        }
        self._prompt_tokens = recorder.counter(families.PROMPT_TOKENS, model)
        self._reply_tokens = recorder.counter(families.REPLY_TOKENS, model)
        self._gaps = recorder.histogram(families.TOKEN_GAP, model)
        self._first = recorder.histogram(families.FIRST_TOKEN, model)
        self._per_token = recorder.histogram(families.TOKEN_TIME, model)
        self._seconds = recorder.histogram(families.REPLY_SECONDS, model)
        self._queue = recorder.histogram(families.QUEUE_SECONDS, model)
        self._prefill = recorder.histogram(families.PREFILL_SECONDS, model)
        self._decode = recorder.histogram(families.DECODE_SECONDS, model)
        self._in_row = recorder.histogram(families.ROW_SECONDS, model)
        self._prompt_size = recorder.histogram(families.PROMPT_SIZE, model)
        self._reply_size = recorder.histogram(families.REPLY_SIZE, model)
        self._limit = recorder.histogram(families.LIMIT, model)
        self._resumed = recorder.counter(families.RESUMED, model)
        self._replayed = recorder.counter(families.REPLAYED, model)
        self._recovered = recorder.counter(families.RECOVERED, model)
        self._recovery = recorder.histogram(families.RECOVERY_SECONDS, model)

    # As the meter of a demultiplexer

    def seated(self, choice: Choice) -> None:
        self._prompt_tokens.add(len(choice.submit.prompt))

    def received(self, choices: Sequence[Choice], tokens: int, now: float) -> None:
        self._reply_tokens.add(tokens)
        before, together = self._before, 0
        for choice in choices:
            times = choice.times
            if times.last == before:
                together += 1
            elif times.last:
                self._gaps.observe(now - times.last)
            else:
                times.first = now
            times.last = now
        if together:
            self._gaps.observe(now - before, together)
        self._before = now

    def recovered(self, replies: int, seconds: float) -> None:
        self._recovered.add(replies)
        self._recovery.observe(seconds)

    # As an observer of replies

    def begin(self, request: Request, _prompt: Prompt, _submit: Submit, /) -> None:
        if request.record is not None:
            self._resumed.add()

    def end(self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /) -> None:
        """Count a reply, unless it was refused."""
        if not outcome.accepted:
            return
        self._ended[outcome.reason].add()
        self._successes[outcome.reason].add()
        computed = bool(outcome.times.seated)
        self._teams.ended(
            request.caller.team, len(prompt.tokens) if computed else 0, outcome.computed
        )
        if not computed:
            self._replayed.add(outcome.tokens > 0)
            return
        self._prompt_size.observe(len(prompt.tokens))
        self._reply_size.observe(outcome.tokens)
        self._limit.observe(submit.params.max_tokens)
        self._seconds.observe(outcome.ended - outcome.times.opened)
        self._observe(outcome.times, outcome.computed)

    def _observe(self, times: Times, tokens: int) -> None:
        """Observe the parts of a reply's time. `tokens`: those computed in it."""
        self._queue.observe(times.seated - times.opened)
        if not times.first:
            return
        self._first.observe(times.first - times.opened)
        self._prefill.observe(times.first - times.seated)
        self._decode.observe(times.last - times.first)
        self._in_row.observe(times.last - times.seated)
        if tokens > 1:
            self._per_token.observe((times.last - times.first) / (tokens - 1))
