"""Costly replies: choices, log-probabilities, stop strings, biases, penalties."""

from __future__ import annotations

from commands.abuse.attacks.draw import Draw
from commands.abuse.attacks.kind import Kind, Shots
from commands.abuse.attacks.shot import Shot


def _choices(draw: Draw) -> Shots:
    prompts = ["Once upon a time"] * min(8, draw.about(8))
    return draw.completion_shot(prompt=prompts, n=128, max_tokens=draw.room, ignore_eos=True)


def _streams(draw: Draw) -> Shots:
    body = draw.completion(max_tokens=draw.room, ignore_eos=True, stream=True)
    return Shot.of(body, copies=draw.about(64))


def _stops(draw: Draw) -> Shots:
    """Use stop strings that the reply matches for long: they differ in the last letter only."""
    size = draw.about(20_000)
    stops = ["a" * size + chr(98 + at) for at in range(16)]
    return draw.completion_shot(
        stop=stops,
        n=16,
        max_tokens=draw.room,
        guided_regex="a*",
        ignore_eos=True,
    )


def _stops_any(draw: Draw) -> Shots:
    stops = [draw.text(draw.about(1_000)) for _ in range(draw.dice.randint(1, 16))]
    return draw.completion_shot(stop=stops, n=8, max_tokens=draw.room, ignore_eos=True)


def _logprobs(draw: Draw) -> Shots:
    tokens = min(draw.about(900), draw.room)
    return draw.completion_shot(n=32, max_tokens=tokens, logprobs=20, ignore_eos=True)


def _echo_scores(draw: Draw) -> Shots:
    prompts = ["Once upon a time there was. " * (draw.facts.context // 9)] * draw.about(100)
    return draw.completion_shot(prompt=prompts, echo=True, logprobs=20, max_tokens=1)


def _streamed_logprobs(draw: Draw) -> Shots:
    body = draw.completion(
        n=32, max_tokens=draw.about(400), logprobs=20, ignore_eos=True, stream=True, receipt=True
    )
    return Shot.of(body, copies=draw.about(2))


def _biases(draw: Draw) -> Shots:
    """Bias half of the vocabulary, in each of many requests."""
    count = min(draw.about(20_000), draw.facts.vocabulary)
    biases = {str(at): draw.dice.uniform(-5, 5) for at in range(count)}
    return draw.completion_shot(logit_bias=biases, n=16, max_tokens=200, copies=draw.about(4))


def _allowed(draw: Draw) -> Shots:
    allowed = [draw.token() for _ in range(draw.about(200_000))]
    return draw.completion_shot(allowed_token_ids=allowed, n=16, max_tokens=200)


_ALL = 8  # prompts; with 128 choices they make the most replies that a request may ask for


def _allowed_copies(draw: Draw) -> Shots:
    """Send a long list of parameters for each of a thousand replies."""
    allowed = [draw.token() for _ in range(draw.about(100_000))]
    return draw.completion_shot(prompt=["a"] * _ALL, n=128, allowed_token_ids=allowed, max_tokens=1)


def _bias_copies(draw: Draw) -> Shots:
    biases = {str(at): 1 for at in range(min(draw.about(20_000), draw.facts.vocabulary))}
    return draw.completion_shot(prompt=["a"] * _ALL, n=128, logit_bias=biases, max_tokens=1)


def _rule_copies(draw: Draw) -> Shots:
    """Send a small rule in a long text, for each of a thousand replies."""
    grammar = 'start: "a"\n' + f"// {'x' * 96}\n" * (draw.about(400_000) // 100)
    return draw.completion_shot(prompt=["a"] * _ALL, n=128, guided_grammar=grammar, max_tokens=1)


def _stop_copies(draw: Draw) -> Shots:
    stops = [chr(98 + at) * (draw.about(3_000_000) // 16) for at in range(16)]
    return draw.completion_shot(prompt=["a"] * _ALL, n=128, stop=stops, max_tokens=8)


def _choices_streamed(draw: Draw) -> Shots:
    """Stream a thousand replies: each event's id contains the positions of all of them."""
    body = draw.completion(prompt=["a"] * _ALL, n=128, max_tokens=draw.about(40), stream=True)
    return Shot.of(body | {"ignore_eos": True})


def _whole_copies(draw: Draw) -> Shots:
    """Echo a long prompt for each of a thousand replies."""
    prompt = "once upon a time, " * (draw.room // 8)
    return draw.completion_shot(prompt=[prompt] * _ALL, n=128, echo=True, logprobs=20, max_tokens=1)


def _stop_ids(draw: Draw) -> Shots:
    ids = [draw.token() for _ in range(1024)]
    return draw.completion_shot(stop_token_ids=ids, n=32, min_tokens=200, max_tokens=draw.room)


def _best_of(draw: Draw) -> Shots:
    count = min(128, draw.about(128))
    return draw.completion_shot(best_of=count, n=1, max_tokens=draw.about(100), logprobs=20)


def _penalties(draw: Draw) -> Shots:
    how = {"presence_penalty": 2, "frequency_penalty": -2, "repetition_penalty": 100, "top_p": 0}
    return draw.completion_shot(n=32, max_tokens=draw.about(400), min_p=1, ignore_eos=True, **how)


def _tiny(draw: Draw) -> Shots:
    """Request replies of one token, as many as a request may ask for."""
    return draw.completion_shot(
        prompt=["a"] * 8, n=128, max_tokens=1, logprobs=20, copies=draw.about(16)
    )


def _zero(draw: Draw) -> Shots:
    return draw.completion_shot(prompt=["a"] * min(1024, draw.about(1024)), max_tokens=0, echo=True)


def _left(draw: Draw) -> Shots:
    """Abandon requests at once, repeatedly."""
    body = draw.completion(n=16, max_tokens=draw.room, ignore_eos=True, stream=True)
    return Shot.of(body, copies=draw.about(200), width=8, leave=0.3)


def _unread(draw: Draw) -> Shots:
    """Request large answers without reading them."""
    body = draw.completion(n=32, max_tokens=draw.about(500), logprobs=20, stream=True)
    return Shot.of(body, copies=draw.about(4), reads=False, leave=20.0)


def _replay(draw: Draw) -> Shots:
    count = min(1024, draw.about(1024))
    body = {
        "version": 1,
        "seed": 1,
        "parameters": {"max_tokens": draw.about(20), "logprobs": True, "top_logprobs": 20},
        "stop": [],
        "prompts": [[draw.token() for _ in range(20)] for _ in range(count)],
        "replies": [{"prompt": at, "choice": draw.dice.randrange(3)} for at in range(count)],
        "model": draw.facts.model,
    }
    return Shot.of(body, "/v1/replay")


def _replay_one(draw: Draw) -> Shots:
    """Replay one prompt, with high choice numbers."""
    body = {
        "version": 1,
        "seed": 1,
        "parameters": {"max_tokens": 1, "grammar": ""},
        "stop": [draw.text(draw.about(1000)) for _ in range(16)],
        "prompts": [[1] * draw.about(100_000)],
        "replies": [{"prompt": 0, "choice": 2**31 - 1 - at} for at in range(1000)],
        "model": draw.facts.model,
    }
    return Shot.of(body, "/v1/replay")


KINDS = (
    Kind("h3-choices", "8 prompts x 128 choices of all tokens", _choices),
    Kind("h3-streams", "64 single streams", _streams),
    Kind("h5-stops", "16 long stop strings that a reply follows", _stops),
    Kind("h7-logprobs", "32 choices of 900 tokens with 20 log-probabilities", _logprobs),
    Kind("h7-echo-scores", "100 prompts, echoed and scored", _echo_scores),
    Kind("stops-any", "awkward stop strings", _stops_any),
    Kind("logprobs-streamed", "log-probabilities in streams, with receipts", _streamed_logprobs),
    Kind("allowed-copies", "allowed tokens, for each of 1,024 replies", _allowed_copies),
    Kind("bias-copies", "a bias for each token, for each of 1,024 replies", _bias_copies),
    Kind("rule-copies", "a long rule, for each of 1,024 replies", _rule_copies),
    Kind("stop-copies", "long stop strings, for each of 1,024 replies", _stop_copies),
    Kind("choices-streamed", "1,024 replies in one stream", _choices_streamed),
    Kind("echo-copies", "a scored prompt for each of 1,024 replies", _whole_copies),
    Kind("biases", "a bias for each token", _biases),
    Kind("allowed-tokens", "token ids that are allowed, many times", _allowed),
    Kind("stop-tokens", "1,024 stop tokens", _stop_ids),
    Kind("best-of", "the best of 128", _best_of),
    Kind("penalties", "all penalties at their bounds", _penalties),
    Kind("replies-tiny", "1,024 replies of one token, many times", _tiny),
    Kind("replies-none", "1,024 prompts without a reply", _zero),
    Kind("left", "requests that are left at once", _left),
    Kind("unread", "answers that nobody reads", _unread),
    Kind("replay", "a receipt of 1,024 replies", _replay),
    Kind("replay-one", "a receipt of a long prompt", _replay_one),
)
