"""What a real model samples; the scripted model's replies do not depend on sampling parameters.

`firsts()` counts the first tokens of many replies to one prompt, one per seed; `likeliest()`
returns the model's own probabilities for them.
"""

import math
from collections import Counter

from contract.asking import PATH, post
from processes import Running
from raw_http import gather, request_bytes

TEXT = "Once upon a time there was a"
SEEDS = range(64)
OPEN = {"temperature": 1, "top_k": 1000, "top_p": 1}  # only the model's own probabilities


def firsts(server: Running, **fields: object) -> Counter[str]:
    """Count the first tokens of the replies of all SEEDS; `fields` extend or override OPEN."""
    body = {"text": TEXT, "max_tokens": 1} | OPEN | fields
    answers = gather(server.port, [request_bytes(PATH, body | {"seed": seed}) for seed in SEEDS])
    assert {answer.status for answer in answers} == {200}
    assert all(answer.whole for answer in answers)
    return Counter(answer.text for answer in answers)


def likeliest(server: Running, count: int = 20) -> dict[str, float]:
    """Return the likeliest first tokens and their probabilities, in order."""
    body = {"model": "falcon40b", "prompt": TEXT, "max_tokens": 1, "logprobs": count}
    (choice,) = post(server.port, body, "/v1/completions").json()["choices"]
    top: dict[str, float] = choice["logprobs"]["top_logprobs"][0]
    ordered = sorted(top.items(), key=lambda each: -each[1])
    return {token: math.exp(logprob) for token, logprob in ordered}
