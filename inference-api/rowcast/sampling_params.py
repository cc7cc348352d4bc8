"""The sampling parameters of a request, as the backend understands them, and the table of them.

Part of the wire protocol: a frozen value, already validated by a dialect. A reply depends on
these, the prompt, the seed and the build, and on nothing else.

Each field of `SamplingParams` is annotated with its entry of `PARAMETERS`. Of these are made: the
bodies of the dialects, receipts, the API documents, tables in docs/ and the backend's checks. Only
the code that applies a parameter is elsewhere, in `rowcast.sampling`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rowcast.parameter import MOST, Biases, Native, OpenAI, Parameter, Tokens, table_of

EarlyStopping = bool | Literal["never"]
LENGTH_PENALTY = 16.0  # its limit in both directions, so that powers stay finite

_CENTS = r"0?\.(0[1-9]|[1-9][0-9]?)[0-9]{0,9}"  # 0.01 and more, below 1


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the next token is chosen, and when a reply ends."""

    max_tokens: Annotated[
        int,
        Parameter(
            "the maximum length of the reply, in tokens; it is shorter if the model ends, a stop "
            "sequence occurs, or the context is full",
            Meta(ge=0, le=MOST),  # 0: the prompt is only scored
            Native(128, 1, 2048, "[1-9][0-9]{0,2}|1[0-9]{3}|20[0-3][0-9]|204[0-8]"),
        ),
    ]
    temperature: Annotated[
        float,
        Parameter(
            "below 1 favours likely tokens, above 1 flattens the distribution; 0.1 to 10 is "
            "useful; 0, where allowed, is greedy",
            Meta(ge=0, le=100),
            Native(1.0, 0.01, 100, rf"100|[1-9][0-9]?(\.[0-9]{{1,9}})?|{_CENTS}"),
            OpenAI(bounds=Meta(ge=0, le=2)),
            configured=(0.0, 100.0),
            least=0,
        ),
    ] = 1.0
    top_k: Annotated[
        int,
        Parameter(
            "only the k likeliest tokens; 1 is greedy, 1000 has little effect; 0 and -1, where "
            "allowed, turn it off",
            Meta(ge=-1, le=MOST),
            Native(10, 1, 1000, "[1-9][0-9]{0,2}|1000"),
            OpenAI(),
            configured=(-1, 1_000_000),
            floor=0,
            least=-1,
        ),
    ] = 0
    top_p: Annotated[
        float,
        Parameter(
            "only the likeliest tokens that together reach this probability",
            Meta(gt=0, le=1),
            Native(0.9, 0.01, 1, f"1|{_CENTS}"),
            OpenAI(bounds=Meta(ge=0, le=1)),
            configured=(0.0, 1.0),
            floor=1e-9,  # 0 leaves the likeliest
            least=0,
        ),
    ] = 1.0
    min_tokens: Annotated[
        int,
        Parameter(
            "no end of text and no stop token before this many tokens",
            Meta(ge=0, le=MOST),
            openai=OpenAI(),
        ),
    ] = 0
    ignore_eos: Annotated[
        bool,
        Parameter(
            "true: the model's end of text is never drawn; stop tokens still are",
            openai=OpenAI(),
        ),
    ] = False
    stop_token_ids: Annotated[
        Tokens,
        Parameter(
            "tokens that end the reply, like the model's end of text",
            Meta(max_length=1024),
            openai=OpenAI(),
        ),
    ] = ()
    logprobs: Annotated[
        bool, Parameter("true: the reply's tokens are returned with their log-probabilities")
    ] = False
    top_logprobs: Annotated[
        int,
        Parameter(
            "with `logprobs`: how many of the likeliest tokens to name at each position",
            Meta(ge=0, le=20),
        ),
    ] = 0
    prompt_logprobs: Annotated[bool, Parameter("true: the prompt's own tokens are scored too")] = (
        False  # as `Scored` events
    )
    grammar: Annotated[
        str, Parameter("a rule in llguidance's form that a reply that ends with `stop` follows")
    ] = ""
    min_p: Annotated[
        float,
        Parameter(
            "only tokens with at least this share of the likeliest token's probability",
            Meta(ge=0, le=1),
            openai=OpenAI(),
            configured=(0.0, 1.0),
            least=0,
        ),
    ] = 0.0
    repetition_penalty: Annotated[
        float,
        Parameter(
            "above 1: makes tokens of the prompt and the reply less likely, by division",
            Meta(ge=0.01, le=100),
            openai=OpenAI(),
            configured=(0.01, 100.0),
            least=1e-9,
        ),
    ] = 1.0
    presence_penalty: Annotated[
        float,
        Parameter(
            "subtracted once from the logits of tokens that are in the reply",
            Meta(ge=-2, le=2),
            openai=OpenAI(),
        ),
    ] = 0.0
    frequency_penalty: Annotated[
        float,
        Parameter(
            "subtracted from a token's logit once for each time it is in the reply",
            Meta(ge=-2, le=2),
            openai=OpenAI(),
        ),
    ] = 0.0
    logit_bias: Annotated[
        Biases,
        Parameter("what is added to the logits of these tokens: -100 to 100", openai=OpenAI()),
    ] = ()
    allowed_tokens: Annotated[
        Tokens,
        Parameter(
            "if given, only these tokens are drawn",
            openai=OpenAI("allowed_token_ids", refuse_empty=True),
        ),
    ] = ()
    banned_tokens: Annotated[Tokens, Parameter("tokens that are never drawn")] = ()
    beams: Annotated[
        int,
        Parameter(
            "the hypotheses that a beam search extends in each step; 0: tokens are drawn",
            Meta(ge=0, le=MOST),
            seldom=True,
        ),
    ] = 0
    length_penalty: Annotated[
        float,
        Parameter(
            "with beam search: hypotheses rank by log-probability / length ** this; above 0 "
            "favours long ones",
            Meta(ge=-LENGTH_PENALTY, le=LENGTH_PENALTY),
            openai=OpenAI(),
            least=-LENGTH_PENALTY,
            seldom=True,
        ),
    ] = 1.0
    early_stopping: Annotated[
        EarlyStopping,
        Parameter(
            "with beam search: true ends it once there are as many complete hypotheses as beams; "
            'false once a better one is unlikely; "never" once it is impossible',
            openai=OpenAI(),
            seldom=True,
        ),
    ] = False

    def endings(self, end_tokens: frozenset[int]) -> frozenset[int]:
        """Return the tokens that end a reply, of which `end_tokens` are the model's own."""
        return (frozenset() if self.ignore_eos else end_tokens).union(self.stop_token_ids)


PARAMETERS = table_of(SamplingParams)
